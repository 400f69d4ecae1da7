"""JSON-RPC and plain HTTP to one node over one keep-alive connection.

Enters: a URL, a cookie file or a user and password. Leaves: decoded results, or a `SourceError` that says what
happened and what to do. Numbers with a fraction become `Decimal`, never a float (law 7). A restarted node writes a
new cookie: on 401 the file is read again, once a request. A connection that the node closed while idle is opened
again, once; every call made here only reads, so sending it twice is harmless. Leaves out: retries over time
(`follow.py`), what the methods mean (`node.py`).

http.client rather than httpx: reading 1 MB bodies off loopback it is about twice as fast.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import socket
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, overload
from urllib.parse import unquote, urlsplit

import msgspec

from pipeline.model.errors import SettingsError

from .errors import AccessRefused, AnswerUnreadable, BlockPruned, NodeBusy, NodeUnreachable, NodeWarmingUp, RpcError

T = TypeVar("T")

MAX_REPLY_BYTES = 512 << 20
"""A reply that announces more is refused: the largest honest one, a batch of raw blocks in hex, stays far below."""

RECEIVE_BUFFER_BYTES = 4 << 20


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Reply(msgspec.Struct):
    """A JSON-RPC reply whose result is decoded later, as what the caller expects."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None
    id: int | str | None = None


_reply = msgspec.json.Decoder(_Reply)
_replies = msgspec.json.Decoder(list[_Reply])
_anything = msgspec.json.Decoder(float_hook=Decimal)
_encode = msgspec.json.Encoder().encode


class Credentials:
    """How we say who we are: a cookie file (read again when refused), or a user and a password."""

    def __init__(self, *, cookie_path: Path | None = None, user: str | None = None, password: str | None = None) -> None:
        if cookie_path is not None and user is not None:
            raise SettingsError(["give either a cookie file or a user and password for the node, not both"])
        self.cookie_path = cookie_path
        self._fixed = _basic(f"{user}:{password or ''}".encode()) if user is not None else None
        self._cookie: str | None = None

    def header(self) -> str | None:
        if self.cookie_path is not None and self._cookie is None:
            self.read_again()
        return self._fixed or self._cookie

    def read_again(self) -> bool:
        """Read the cookie file; whether it now says something new."""
        if self.cookie_path is None:
            return False
        try:
            content = self.cookie_path.read_bytes().strip()
        except FileNotFoundError as error:
            raise NodeUnreachable(
                f"the node's cookie file {self.cookie_path} is not there: the node is not running, or its data directory is another one"
            ) from error
        except OSError as error:
            raise AccessRefused(
                f"the node's cookie file {self.cookie_path} can't be read ({error.strerror}): give this user the right to"
            ) from error
        before, self._cookie = self._cookie, _basic(content)
        return self._cookie != before

    def __repr__(self) -> str:
        return f"Credentials({'cookie' if self.cookie_path else 'password' if self._fixed else 'none'})"


def _basic(pair: bytes) -> str:
    return "Basic " + base64.b64encode(pair).decode()


class NodeConnection:
    """One HTTP connection, kept open, for one thread at a time. `clone` opens another with the same settings."""

    def __init__(self, url: str, credentials: Credentials, *, timeout_s: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError([f"rpc_url {url!r} is not a node's address: write it as http://127.0.0.1:8332"])
        if parts.username is not None:
            credentials = Credentials(user=unquote(parts.username), password=unquote(parts.password or ""))
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if self._is_tls else 8332)
        self._rpc_path = parts.path or "/"
        self.name = f"{parts.scheme}://{self._host}:{self._port}"
        """The node's address without secrets, for messages."""
        self._url, self._credentials, self.timeout_s = url, credentials, timeout_s
        self._http: http.client.HTTPConnection | None = None
        self._ids = itertools.count(1)

    def clone(self) -> NodeConnection:
        return NodeConnection(self._url, self._credentials, timeout_s=self.timeout_s)

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    # --- HTTP ------------------------------------------------------------------------------------------------------

    def get(self, path: str) -> tuple[int, bytes]:
        """The status and body of a GET (REST asks for no password)."""
        return self._exchange("GET", path, None, self.timeout_s)

    def _exchange(self, verb: str, path: str, body: bytes | None, timeout_s: float) -> tuple[int, bytes]:
        was_open = self._http is not None
        try:
            return self._send(verb, path, body, timeout_s)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, http.client.CannotSendRequest) as error:
            self.close()
            if not was_open:
                raise NodeUnreachable(f"the node at {self.name} closed the connection without an answer: is it shutting down?") from error
        except Exception as error:
            self.close()
            raise self._failure(error, timeout_s) from error
        try:
            return self._send(verb, path, body, timeout_s)
        except Exception as error:
            self.close()
            raise self._failure(error, timeout_s) from error

    def _send(self, verb: str, path: str, body: bytes | None, timeout_s: float) -> tuple[int, bytes]:
        if self._http is None:
            kind = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
            self._http = kind(self._host, self._port, timeout=timeout_s)
            self._http.connect()
            self._http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Room for a whole block: with the usual 128 KiB the node must wait for us many times within one answer.
            self._http.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._http.sock.settimeout(timeout_s)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        authorization = self._credentials.header() if body is not None else None
        if authorization:
            headers["Authorization"] = authorization
        self._http.request(verb, path, body, headers)
        response = self._http.getresponse()
        announced = response.length
        if announced is not None and announced > MAX_REPLY_BYTES:
            response.close()
            raise AnswerUnreadable(f"the node at {self.name} announced a reply of {announced} bytes: that is no honest answer")
        content = response.read(announced) if announced is not None else response.read(MAX_REPLY_BYTES)
        if announced is not None and len(content) != announced:
            raise http.client.IncompleteRead(content, announced - len(content))
        if response.will_close:
            self.close()
        return response.status, content

    def _failure(self, error: Exception, timeout_s: float) -> Exception:
        """What a fault of the transport is called."""
        match error:
            case TimeoutError():
                return NodeUnreachable(f"the node at {self.name} did not answer within {timeout_s:g} s: it is busy, or unreachable")
            case ConnectionRefusedError():
                return NodeUnreachable(f"nothing listens at {self.name}: the node is not running, or its RPC port is another one")
            case http.client.IncompleteRead():
                return NodeUnreachable(f"the node at {self.name} broke off in the middle of an answer: it was stopped, or the line is bad")
            case http.client.HTTPException():
                return AnswerUnreadable(f"what answers at {self.name} does not speak HTTP ({type(error).__name__}): check rpc_url")
            case OSError():
                return NodeUnreachable(f"the node at {self.name} can't be reached: {error}")
            case _:
                return error

    # --- JSON-RPC --------------------------------------------------------------------------------------------------

    @overload
    def call(self, method: str, *params: object, timeout_s: float | None = None) -> Any: ...
    @overload
    def call(self, method: str, *params: object, result: type[T], timeout_s: float | None = None) -> T: ...

    def call(self, method: str, *params: object, result: Any = None, timeout_s: float | None = None) -> Any:
        """The result of one call, decoded as `result` when it is given."""
        body = _encode({"jsonrpc": "1.0", "id": next(self._ids), "method": method, "params": params})
        content = self._post(body, method, timeout_s)
        reply = self._decoded(_reply, content, method)
        return self._result(reply, method, result)

    @overload
    def batch(self, method: str, params: Sequence[Sequence[object]], *, timeout_s: float | None = None) -> list[Any]: ...
    @overload
    def batch(self, method: str, params: Sequence[Sequence[object]], *, result: type[T], timeout_s: float | None = None) -> list[T]: ...

    def batch(self, method: str, params: Sequence[Sequence[object]], *, result: Any = None, timeout_s: float | None = None) -> list[Any]:
        """The results of many calls of one method, in the order asked, in one request. The first error is raised."""
        if not params:
            return []
        calls = [{"jsonrpc": "1.0", "id": n, "method": method, "params": p} for n, p in enumerate(params)]
        content = self._post(_encode(calls), method, timeout_s)
        if content[:1] == b"{":  # the node refused the batch as a whole
            self._result(self._decoded(_reply, content, method), method, None)
            raise AnswerUnreadable(f"{method} at {self.name}: one answer to a batch of {len(params)}")
        by_id = {reply.id: reply for reply in self._decoded(_replies, content, method)}
        if by_id.keys() != set(range(len(params))):
            raise AnswerUnreadable(f"{method} at {self.name}: {len(by_id)} answers to a batch of {len(params)}")
        return [self._result(by_id[n], method, result) for n in range(len(params))]

    def _post(self, body: bytes, method: str, timeout_s: float | None) -> bytes:
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        status, content = self._exchange("POST", self._rpc_path, body, limit_s)
        if status == 401 and self._credentials.read_again():
            status, content = self._exchange("POST", self._rpc_path, body, limit_s)
        if status == 401:
            raise self._unauthorised()
        if status == 403:
            raise AccessRefused(
                f"the node at {self.name} forbids {method} (403): add it to rpcwhitelist for this user, and this machine to rpcallowip, in bitcoin.conf"
            )
        if status in (429, 503):
            said = content[:200].decode(errors="replace").strip()
            raise NodeBusy(
                f"the node at {self.name} is overloaded ({status}: {said or 'no reason given'}): trying again; rpcworkqueue can be raised"
            )
        if status not in (200, 400, 404, 500) or (status != 200 and content[:1] not in (b"{", b"[")):
            raise AnswerUnreadable(
                f"{method} at {self.name} was answered with HTTP {status}: {content[:120]!r}; is rpc_url the node's RPC port?"
            )
        return content

    def _unauthorised(self) -> AccessRefused:
        path = self._credentials.cookie_path
        if path is not None:
            # A node that is starting answers before it has replaced the file: worth another try.
            return AccessRefused(
                f"the node at {self.name} does not accept the cookie in {path}: is it this node's file?", is_retryable=True
            )
        return AccessRefused(
            f"the node at {self.name} does not accept the user and password (401): compare them with rpcauth in its bitcoin.conf"
        )

    def _decoded(self, decoder: msgspec.json.Decoder[T], content: bytes, method: str) -> T:
        try:
            return decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise AnswerUnreadable(
                f"{method} at {self.name} was answered with what is no JSON-RPC reply ({error}): {content[:80]!r}; is rpc_url the node's RPC port?"
            ) from error

    def _result(self, reply: _Reply, method: str, kind: Any) -> Any:
        if reply.error is not None:
            raise rpc_error(method, reply.error.code, reply.error.message, self.name)
        try:
            if kind is None:
                return _anything.decode(reply.result)
            return msgspec.json.decode(reply.result, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise AnswerUnreadable(f"{method} at {self.name} was answered with something unexpected: {error}") from error


def rpc_error(method: str, code: int, text: str, node: str) -> Exception:
    """The failure that an error object of the node's stands for."""
    if code == RpcError.WARMING_UP:
        return NodeWarmingUp(f"the node at {node} is starting: {text}")
    if "pruned" in text.lower():
        return BlockPruned(
            f"{method} at {node}: {text}. The node deleted a block that has not been read yet: use a node that keeps it (prune=0)"
        )
    if "in progress" in text and method == "scanblocks":
        return NodeBusy(f"the node at {node} is running another scanblocks: waiting for it")
    if code == RpcError.METHOD_NOT_FOUND:
        return RpcError(
            f"the node at {node} has no method {method}: it is too old, or was built without it", method=method, code=code, text=text
        )
    return RpcError(f"{method} at {node}: {text} (code {code})", method=method, code=code, text=text)
