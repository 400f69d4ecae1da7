"""Nodes of the simulated worlds behind a real listener: their answers go over the wire as HTTP, and a test may alter any of them byte by byte."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from connectors.bitcoin.rpc import Credentials, NodeConnection
from connectors.standins.bitcoin_node import ReplayNode
from connectors.transport.client import Answer
from connectors.transport.server import Request

from ..simulation import evm_world
from ..simulation.bitcoin_world import SimulatedNode, World
from .raw_server import Behaviour, answer, server

Reply = dict[str, Any]
Alter = Callable[[str, Reply], Reply]
"""A call's method and the reply to it; what is answered instead."""
AlterRest = Callable[[str, int, bytes], tuple[int, bytes]]
"""A path, the status and body of its answer; what is answered instead."""


class ScriptedNode(SimulatedNode):
    """What the world's node answers, then altered; a method that it lacks is answered as nodes do."""

    def __init__(self, world: World, *, has_rest: bool = True) -> None:
        super().__init__(world, has_rest=has_rest)
        self.alter: Alter = lambda _, reply: reply
        self.alter_rest: AlterRest = lambda _, status, body: (status, body)

    def _reply(self, call: dict) -> Reply:
        if hasattr(self, "_" + call["method"]):
            reply = super()._reply(call)
        else:
            reply = {"result": None, "error": {"code": -32601, "message": "Method not found"}, "id": call["id"]}
        return self.alter(call["method"], reply)

    def _rest(self, path: str) -> tuple[int, bytes]:
        return self.alter_rest(path, *super()._rest(path))

    def behave(self, client: socket.socket, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        verb, path, _ = head.split(b" ", 2)
        status, content = self._exchange(verb.decode(), path.decode(), body or None, 1.0)
        client.sendall(answer(content, f"{status} Said"))


class Unwired:
    """In place of a connection's HTTP client: the recorded node's answers to the same requests, without a socket between."""

    def __init__(self, node: ReplayNode) -> None:
        self._node = node

    def request(self, verb: str, path: str, body: bytes | None, headers: Mapping[str, str], *, timeout_s: float) -> Answer:
        asked = Request(verb, path, {name.lower(): value for name, value in headers.items()}, body or b"")
        response = self._node._respond(asked)
        return Answer(response.status, response.body)

    def close(self) -> None: ...


def unwired(node: ReplayNode) -> NodeConnection:
    """A connection to the recorded node that asks it so."""
    connection = NodeConnection(node.rpc_url, Credentials(cookie_path=node.cookie_path))
    connection._http.close()
    connection._http = Unwired(node)  # type: ignore[assignment]
    return connection


@contextmanager
def listening(behave: Behaviour) -> Iterator[str]:
    """The address of a listener that does so."""
    with server(behave) as (url, _):
        yield url


def error_reply(reply: Reply, code: int, message: str) -> Reply:
    """The reply as an error instead."""
    return {"result": None, "error": {"code": code, "message": message}, "id": reply["id"]}


def with_result(reply: Reply, **fields: object) -> Reply:
    """The reply with some fields of its result replaced."""
    return {**reply, "result": {**reply["result"], **fields}}


def as_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


class ScriptedAccountNode:
    """A node of a simulated account chain: `between` may change any answer."""

    def __init__(self, world: evm_world.World) -> None:
        self.world = world
        self.between: Callable[[str, list[Any], evm_world.Answer], Any] = lambda method, params, answer: answer(method, params)

    def behave(self, client: socket.socket, request: bytes) -> None:
        calls = json.loads(request.partition(b"\r\n\r\n")[2])
        replies = [self._reply(call) for call in calls] if isinstance(calls, list) else self._reply(calls)
        client.sendall(answer(as_bytes(replies)))

    def _reply(self, call: Reply) -> Reply:
        head = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            return {**head, "result": self.between(call["method"], call["params"], self.world.answer)}
        except evm_world.NodeFault as fault:
            return {**head, "error": {"code": fault.code, "message": fault.message}}
        except KeyError:
            return {**head, "error": {"code": -32601, "message": f"the method {call['method']} does not exist/is not available"}}
