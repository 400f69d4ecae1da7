"""JSON-RPC to one node: many calls in one request, over connections that stay open.

Enters: a URL, a user and password or headers of one's own. Leaves: each call's result, still JSON, in the order asked; or a
`SourceError` that says what happened and what to do. A request that is too large for the node is halved until it is not, and the
size that went through is kept. A connection that the node closed while idle is opened again, once; every call made here only
reads. Leaves out: retries over time (`follow.py`), what the methods mean (`node.py`).

http.client rather than httpx: for bodies of a hundred blocks at once it is four times as fast.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from pipeline.model.errors import SettingsError, SourceError

from .errors import RATE_LIMITED, AccessRefused, AnswerUnreadable, NodeBusy, NodeUnreachable, RpcError

T = TypeVar("T")
Call = tuple[str, Sequence[object]]
"""A method and its parameters."""

MAX_REPLY_BYTES = 256 << 20
"""A larger reply is refused: a hundred full blocks, or a traced one, stay far below."""
BATCH = 100
"""Calls in one request, unless the node takes fewer."""
RECEIVE_BUFFER_BYTES = 4 << 20
DEEP = 6_000
"""Levels of nested JSON: a call may lie 1,024 calls deep, some levels each. At twenty thousand a thread's stack overflows, and the process with it."""
_NULL = msgspec.Raw(b"null")


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: msgspec.Raw = _NULL


class _Reply(msgspec.Struct):
    """A JSON-RPC reply whose result is decoded later, as what the caller expects."""

    result: msgspec.Raw = _NULL
    error: _Error | None = None
    id: int | str | None = None


class Heard(NamedTuple):
    """Some calls and a digest of the node's answers to them."""

    calls: tuple[Call, ...]
    is_batch: bool
    digest: bytes | None
    """None where some answer was an error."""


_reply = msgspec.json.Decoder(_Reply)
_replies = msgspec.json.Decoder(list[_Reply])
_encode = msgspec.json.Encoder().encode


class NodeConnection:
    """A node's address, and a connection to it for each thread that asks."""

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        password: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError([f"rpc_url {url!r} is not a node's address: write it as http://127.0.0.1:8545"])
        if parts.username is not None:
            user, password = unquote(parts.username), unquote(parts.password or "")
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if self._is_tls else 80)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.name = f"{parts.scheme}://{self._host}:{self._port}"
        """The node's address without secrets (providers put keys into the path), for messages."""
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        if user is not None:
            self._headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode()
        self.timeout_s = timeout_s
        self.batch_size = BATCH
        self.n_requests = 0
        """Requests sent so far."""
        self._local = threading.local()
        self._open: set[http.client.HTTPConnection] = set()

    def __repr__(self) -> str:
        return f"NodeConnection({self.name})"

    def close(self) -> None:
        """Close the connections of every thread."""
        while self._open:
            self._open.pop().close()
        self._local = threading.local()

    # --- calls -----------------------------------------------------------------------------------------------------

    def call(self, method: str, *params: object, result: Any) -> Any:
        """The result of one call, decoded as `result`. Raises RpcError for the node's error."""
        return self.read(self._ask_one((method, params)), method, result)

    def batch(self, calls: Sequence[Call], *, result: Any) -> list[Any]:
        """The results of many calls in the order asked, each decoded as `result`. The first error is raised."""
        decoder = msgspec.json.Decoder(result)
        found = []
        for (method, _), answer in zip(calls, self.ask(calls), strict=True):
            if isinstance(answer, RpcError):
                raise answer
            found.append(self.read(answer, method, decoder))
        return found

    def ask(self, calls: Sequence[Call]) -> list[msgspec.Raw | RpcError]:
        """What the node answers to each of many calls, in the order asked: JSON, or its error."""
        answers: list[msgspec.Raw | RpcError] = []
        while len(answers) < len(calls):
            answers += self._ask_some(calls[len(answers) : len(answers) + self.batch_size])
        self._note(tuple(calls), True, answers)
        return answers

    @contextmanager
    def hearing(self) -> Iterator[list[Heard]]:
        """Keep what this thread asks, and digests of what it is answered, until the end of the context."""
        heard: list[Heard] = []
        self._local.heard = heard
        try:
            yield heard
        finally:
            self._local.heard = None

    def hears_again(self, heard: Heard) -> bool:
        """Whether the node, asked the same once more, answers with the same bytes."""
        if heard.digest is None:
            return False
        answers = self.ask(heard.calls) if heard.is_batch else [self._ask_one(call) for call in heard.calls]
        return _digest(answers) == heard.digest

    def _note(self, calls: tuple[Call, ...], is_batch: bool, answers: Sequence[msgspec.Raw | RpcError]) -> None:
        heard: list[Heard] | None = getattr(self._local, "heard", None)
        if heard is not None:
            heard.append(Heard(calls, is_batch, _digest(answers)))

    def read(self, answer: msgspec.Raw, method: str, kind: Any) -> Any:
        """An answer decoded as `kind`, a type or a decoder of one. Raises AnswerUnreadable when it is something else."""
        try:
            return kind.decode(answer) if isinstance(kind, msgspec.json.Decoder) else msgspec.json.decode(answer, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise AnswerUnreadable(f"{method} at {self.name} was answered with something unexpected: {error}") from error

    def _ask_some(self, calls: Sequence[Call]) -> list[msgspec.Raw | RpcError]:
        """The answers to some calls: all of them, or the first half when the node finds them too many."""
        first = calls[0][0]
        content_of = [{"jsonrpc": "2.0", "id": n, "method": method, "params": params} for n, (method, params) in enumerate(calls)]
        try:
            content = self._post(_encode(content_of), first)
            if content.lstrip()[:1] != b"[":  # the node refused the batch as a whole
                self._result(self._decoded(_reply, content, first), first)
                raise AnswerUnreadable(f"{first} at {self.name}: one answer to a batch of {len(calls)}")
        except (RpcError, _TooLarge) as error:
            if len(calls) == 1:
                return self._one(calls[0])
            return self._halved(calls, error)
        by_id = {reply.id: reply for reply in self._decoded(_replies, content, first)}
        if by_id.keys() != set(range(len(calls))):
            if len(by_id) == 1 and len(calls) > 1:
                whole = next(iter(by_id.values())).error
                if whole is not None:
                    return self._halved(calls, self._failure_of(whole, first))
            raise AnswerUnreadable(f"{first} at {self.name}: {len(by_id)} answers to a batch of {len(calls)}")
        answers: list[msgspec.Raw | RpcError] = []
        for n, (method, _) in enumerate(calls):
            try:
                answers.append(self._result(by_id[n], method))
            except RpcError as error:
                if error.is_too_large and method not in _RANGED and len(calls) > 1:  # cut off behind what still had room
                    return answers or self._halved(calls, error)
                answers.append(error)
        return answers

    def _halved(self, calls: Sequence[Call], error: Exception) -> list[msgspec.Raw | RpcError]:
        if isinstance(error, RpcError) and error.is_method_missing:
            raise error
        self.batch_size = max(1, len(calls) // 2)
        return self._ask_some(calls[: self.batch_size])

    def _ask_one(self, call: Call) -> msgspec.Raw:
        """What the node answers to one call, asked without a batch around it. Raises RpcError for the node's error."""
        method, params = call
        content = self._post(_encode({"jsonrpc": "2.0", "id": 0, "method": method, "params": params}), method)
        answer = self._result(self._decoded(_reply, content, method), method)
        self._note((call,), False, [answer])
        return answer

    def _one(self, call: Call) -> list[msgspec.Raw | RpcError]:
        """One call without a batch around it: some nodes take no batches."""
        method, params = call
        try:
            content = self._post(_encode({"jsonrpc": "2.0", "id": 0, "method": method, "params": params}), method)
            return [self._result(self._decoded(_reply, content, method), method)]
        except RpcError as error:
            return [error]
        except _TooLarge as error:
            raise AnswerUnreadable(str(error)) from error

    def _result(self, reply: _Reply, method: str) -> msgspec.Raw:
        if reply.error is not None:
            raise self._failure_of(reply.error, method)
        return reply.result

    def _failure_of(self, error: _Error, method: str) -> SourceError:
        text = error.message[:300]
        if error.code in (429, -32029) or (RATE_LIMITED.search(text) and "range" not in text):
            return NodeBusy(f"the node at {self.name} asks to be asked more slowly ({method}: {text}): trying again later")
        if RpcError("", method=method, code=error.code, text=text).is_method_missing:
            return RpcError(f"the node at {self.name} does not offer {method}: {text}", method=method, code=error.code, text=text)
        return RpcError(f"{method} at {self.name}: {text} (code {error.code})", method=method, code=error.code, text=text)

    def _decoded(self, decoder: msgspec.json.Decoder[T], content: bytes, method: str) -> T:
        try:
            return deeply(decoder.decode, content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise AnswerUnreadable(
                f"{method} at {self.name} was answered with what is no JSON-RPC reply ({error}): {content[:80]!r}; is rpc_url the node's RPC port?"
            ) from error

    # --- HTTP ------------------------------------------------------------------------------------------------------

    def _post(self, body: bytes, method: str) -> bytes:
        status, content, retry_after = self._exchange(body)
        if status == 200:
            return content
        said = content[:200].decode(errors="replace").strip() or "no reason given"
        if status in (401, 403):
            raise AccessRefused(
                f"the node at {self.name} does not let us in ({status}: {said}): check user, password and headers of the chain"
            )
        if status in (429, 502, 503, 504):
            wait_s = _seconds(retry_after)
            raise NodeBusy(
                f"the node at {self.name} is overloaded or limits us ({status}: {said}): trying again"
                + (f" after {wait_s:g} s" if wait_s is not None else ""),
                retry_after_s=wait_s,
            )
        if status == 413:
            raise _TooLarge(f"{method} at {self.name}: {said}")
        if content[:1] in (b"{", b"["):
            return content
        raise AnswerUnreadable(f"{method} at {self.name} was answered with HTTP {status}: {said}; is rpc_url the node's RPC port?")

    def _exchange(self, body: bytes) -> tuple[int, bytes, str | None]:
        was_open = getattr(self._local, "http", None) is not None
        try:
            return self._send(body)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, http.client.CannotSendRequest) as error:
            self._drop()
            if not was_open:
                raise NodeUnreachable(f"the node at {self.name} closed the connection without an answer: is it shutting down?") from error
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise self._trouble(error) from error
        except BaseException:
            self._drop()
            raise
        try:
            return self._send(body)
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise self._trouble(error) from error
        except BaseException:
            self._drop()
            raise

    def _send(self, body: bytes) -> tuple[int, bytes, str | None]:
        connection = getattr(self._local, "http", None) or self._connect()
        self.n_requests += 1
        connection.request("POST", self._path, body, self._headers)
        response = connection.getresponse()
        announced = response.length
        if announced is not None and announced > MAX_REPLY_BYTES:
            self._drop()
            raise _TooLarge(f"the node at {self.name} announced an answer of {announced} bytes: that is more than is read at once")
        content = response.read(announced) if announced is not None else response.read(MAX_REPLY_BYTES)
        if announced is None and len(content) == MAX_REPLY_BYTES:
            self._drop()
            raise _TooLarge(f"the node at {self.name} gave an answer of more than {MAX_REPLY_BYTES} bytes")
        if announced is not None and len(content) != announced:
            raise http.client.IncompleteRead(content, announced - len(content))
        if response.will_close:
            self._drop()
        return response.status, content, response.getheader("Retry-After")

    def _connect(self) -> http.client.HTTPConnection:
        if self._is_tls:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self.timeout_s, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout_s)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._local.http = connection
        self._open.add(connection)
        return connection

    def _drop(self) -> None:
        connection = getattr(self._local, "http", None)
        if connection is not None:
            connection.close()
            self._open.discard(connection)
            self._local.http = None

    def _trouble(self, error: Exception) -> SourceError:
        """What a fault of the transport is called."""
        match error:
            case TimeoutError():
                return NodeUnreachable(f"the node at {self.name} did not answer within {self.timeout_s:g} s: it is busy, or unreachable")
            case ConnectionRefusedError():
                return NodeUnreachable(f"nothing listens at {self.name}: the node is not running, or its RPC port is another one")
            case http.client.IncompleteRead():
                return NodeUnreachable(f"the node at {self.name} broke off in the middle of an answer: it was stopped, or the line is bad")
            case http.client.HTTPException():
                return AnswerUnreadable(f"what answers at {self.name} does not speak HTTP ({type(error).__name__}): check rpc_url")
            case _:
                return NodeUnreachable(f"the node at {self.name} can't be reached: {error}")


def _digest(answers: Sequence[msgspec.Raw | RpcError]) -> bytes | None:
    """Thirty-two bytes that differ when any answer does; None where one is an error."""
    found = hashlib.blake2b(digest_size=32)
    for answer in answers:
        if isinstance(answer, RpcError):
            return None
        found.update(len(memoryview(answer)).to_bytes(8, "big"))
        found.update(answer)
    return found.digest()


_RANGED = ("eth_getLogs", "trace_filter")
"""Methods whose own range may be too large: their caller asks for less."""


def deeply(decode: Callable[[Any], T], content: Any) -> T:
    """Decode JSON that may be nested a thousand calls deep, deeper than Python is prepared for by default."""
    try:
        return decode(content)
    except RecursionError:
        usual = sys.getrecursionlimit()
        sys.setrecursionlimit(max(usual, DEEP))
        try:
            return decode(content)
        finally:
            sys.setrecursionlimit(usual)


class _TooLarge(Exception):
    """An answer, or a request, larger than one side takes."""


def _seconds(retry_after: str | None) -> float | None:
    """What Retry-After says, in seconds; None where it gives a date, which would need a clock, or nothing."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        return None
