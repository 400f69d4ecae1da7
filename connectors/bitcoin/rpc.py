"""A Bitcoin node's JSON-RPC and REST.

Enters: a URL, a cookie file or a user and password. Leaves: decoded results, or a `SourceError` that says what
happened and what to do. Numbers with a fraction become `Decimal`, never a float (law 7). A restarted node writes a
new cookie, so on 401 the file is read again, once per request. Left out: connections, limits and transport errors
(`connectors.transport`), retries over time (`pipeline.follow`), what the methods mean (`node.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec

from connectors.transport.client import NodeAddress, NodeClient, basic
from connectors.transport.json_rpc import Reply, encode, read_replies, read_reply, read_result
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.model.system_words import system_words
from pipeline.model.typed import decoder

from .errors import (
    NOT_THERE,
    AccessRefused,
    AnswerUnreadable,
    BlockNotThere,
    BlockPruned,
    NodeBusy,
    NodeUnreachable,
    NodeWarmingUp,
    RpcError,
)

T = TypeVar("T")

MAX_REPLY_BYTES = 512 << 20
"""A longer reply is refused; the largest legitimate one, a batch of raw blocks in hex, is far smaller."""

_anything = msgspec.json.Decoder(float_hook=Decimal)


class Credentials:
    """The node's credentials: a cookie file (read again after a 401), or a user and a password."""

    def __init__(self, *, cookie_path: Path | None = None, user: str | None = None, password: str | None = None) -> None:
        if cookie_path is not None and user is not None:
            raise SettingsError([message("give either a cookie file or a user and password for the node, not both")])
        self.cookie_path = cookie_path
        self._fixed = basic(f"{user}:{password or ''}".encode()) if user is not None else None
        self._cookie: str | None = None

    def header(self) -> str | None:
        if self.cookie_path is not None and self._cookie is None:
            self.read_again()
        return self._fixed or self._cookie

    def read_again(self) -> bool:
        """Read the cookie file again; whether its content changed."""
        if self.cookie_path is None:
            return False
        try:
            content = self.cookie_path.read_bytes().strip()
        except FileNotFoundError as error:
            raise NodeUnreachable(
                message(
                    "the node's cookie file {cookie_path} is not there: the node is not running, or its data directory is another one",
                    cookie_path=self.cookie_path,
                )
            ) from error
        except OSError as error:
            raise AccessRefused(
                message(
                    "the node's cookie file {cookie_path} can't be read ({strerror}): give this user the right to",
                    cookie_path=self.cookie_path,
                    strerror=system_words(error),
                )
            ) from error
        before, self._cookie = self._cookie, basic(content)
        return self._cookie != before

    def __repr__(self) -> str:
        return f"Credentials({'cookie' if self.cookie_path else 'password' if self._fixed else 'none'})"


class NodeConnection:
    """Connections to a node. Thread-safe: concurrent requests use separate connections, which are kept open."""

    def __init__(self, url: str, credentials: Credentials, *, timeout_s: float = 60.0) -> None:
        self._address = NodeAddress.of(url, default_port=8332, example="http://127.0.0.1:8332")
        if self._address.user is not None:
            credentials = Credentials(user=self._address.user, password=self._address.password)
        self.name = self._address.name
        """The node's address without secrets, for messages."""
        self._credentials, self.timeout_s = credentials, timeout_s
        self._http = NodeClient(self._address, timeout_s=timeout_s, limit_bytes=MAX_REPLY_BYTES)
        self._ids = itertools.count(1)

    def close(self) -> None:
        self._http.close()

    # --- HTTP ------------------------------------------------------------------------------------------------------

    def get(self, path: str) -> tuple[int, bytes]:
        """The status and body of a GET (REST asks for no password)."""
        return self._exchange("GET", path, None, self.timeout_s)

    def _exchange(self, verb: str, path: str, body: bytes | None, timeout_s: float) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        authorization = self._credentials.header() if body is not None else None
        if authorization:
            headers["Authorization"] = authorization
        answer = self._http.request(verb, path, body, headers, timeout_s=timeout_s)
        return answer.status, answer.body

    # --- JSON-RPC --------------------------------------------------------------------------------------------------

    @overload
    def call(self, method: str, *params: object, timeout_s: float | None = None) -> Any: ...
    @overload
    def call(self, method: str, *params: object, result: type[T], timeout_s: float | None = None) -> T: ...

    def call(self, method: str, *params: object, result: Any = None, timeout_s: float | None = None) -> Any:
        """The result of one call, decoded as `result` when it is given."""
        body = encode({"jsonrpc": "1.0", "id": next(self._ids), "method": method, "params": params})
        content = self._post(body, method, timeout_s)
        return self._result(read_reply(content, method, self.name), method, result)

    @overload
    def batch(self, method: str, params: Sequence[Sequence[object]], *, timeout_s: float | None = None) -> list[Any]: ...
    @overload
    def batch(self, method: str, params: Sequence[Sequence[object]], *, result: type[T], timeout_s: float | None = None) -> list[T]: ...

    def batch(self, method: str, params: Sequence[Sequence[object]], *, result: Any = None, timeout_s: float | None = None) -> list[Any]:
        """The results of many calls of one method, in the order asked, in one request. The first error is raised."""
        if not params:
            return []
        calls = [{"jsonrpc": "1.0", "id": n, "method": method, "params": p} for n, p in enumerate(params)]
        replies = read_replies(self._post(encode(calls), method, timeout_s), method, self.name, len(params))
        return [self._result(reply, method, result) for reply in ([replies] if isinstance(replies, Reply) else replies)]

    def _post(self, body: bytes, method: str, timeout_s: float | None) -> bytes:
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        status, content = self._exchange("POST", self._address.path, body, limit_s)
        if status == 401 and self._credentials.read_again():
            status, content = self._exchange("POST", self._address.path, body, limit_s)
        if status == 401:
            raise self._unauthorised()
        if status == 403:
            raise AccessRefused(
                message(
                    "the node at {name} forbids {method} (403): add it to rpcwhitelist for this user, and this machine to rpcallowip, in bitcoin.conf",
                    name=self.name,
                    method=method,
                )
            )
        if status in (429, 502, 503, 504):
            said = content[:200].decode(errors="replace").strip()
            raise NodeBusy(
                message(
                    "the node at {name} is overloaded ({status}: {said}): trying again; rpcworkqueue can be raised",
                    name=self.name,
                    status=status,
                    said=said or message("no reason given"),
                )
            )
        if status not in (200, 400, 404, 500) or (status != 200 and content[:1] not in (b"{", b"[")):
            raise AnswerUnreadable(
                message(
                    "{method} at {name} was answered with HTTP {status}: {content}; is rpc_url the node's RPC port?",
                    method=method,
                    name=self.name,
                    status=status,
                    content=repr(content[:120]),
                )
            )
        return content

    def _unauthorised(self) -> AccessRefused:
        path = self._credentials.cookie_path
        if path is not None:
            # A starting node answers before it has replaced the file, so this is retried.
            return AccessRefused(
                message("the node at {name} does not accept the cookie in {path}: is it this node's file?", name=self.name, path=path),
                is_retryable=True,
            )
        return AccessRefused(
            message(
                "the node at {name} does not accept the user and password (401): compare them with rpcauth in its bitcoin.conf",
                name=self.name,
            )
        )

    def _result(self, reply: Reply, method: str, kind: Any) -> Any:
        if reply.error is not None:
            raise rpc_error(method, reply.error.code, reply.error.message, self.name)
        return read_result(reply.result, _anything if kind is None else decoder(kind), method, self.name)


def rpc_error(method: str, code: int, text: str, node: str) -> Exception:
    """The exception for an error object of the node."""
    if code == RpcError.WARMING_UP:
        return NodeWarmingUp(message("the node at {node} is starting: {text}", node=node, text=text))
    if any(words in text.lower() for words in NOT_THERE):
        return BlockNotThere(node, method, text)
    if "pruned" in text.lower():
        return BlockPruned(
            message(
                "{method} at {node}: {text}. The node deleted a block that has not been read yet: use a node that keeps it (prune=0)",
                method=method,
                node=node,
                text=text,
            )
        )
    if "in progress" in text and method == "scanblocks":
        return NodeBusy(message("the node at {node} is running another scanblocks: waiting for it", node=node))
    if code == RpcError.METHOD_NOT_FOUND:
        return RpcError(
            message("the node at {node} has no method {method}: it is too old, or was built without it", node=node, method=method),
            method=method,
            code=code,
            text=text,
        )
    return RpcError(
        message("{method} at {node}: {text} (code {code})", method=method, node=node, text=text, code=code),
        method=method,
        code=code,
        text=text,
    )
