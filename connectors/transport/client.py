"""HTTP to one node: pooled connections that stay open, limits, and one set of words for what goes wrong on the way.

Enters: a node's URL, requests. Leaves: `Answer`s, whatever their status; or a `SourceError` that says what happened and what to do. May be
used by several threads, each request on a connection of its own. Nothing is followed elsewhere (3xx is an answer), and nothing is tried
again, with one exception: a connection that the node closed while it lay idle shows only when it is used, so that request is sent once
more, on a new connection. Every request made here only reads, so sending it twice is harmless.

Leaves out: retries over time (`pipeline.follow`), who we are (each connector's `rpc.py`), what an answer means.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProtocolError, ReadTimeoutError

from pipeline.follow.troubles import AnswerUnreadable, NodeUnreachable
from pipeline.model.errors import SettingsError, SourceError

RECEIVE_BUFFER_BYTES = 4 << 20
"""Room for a whole block: with the usual 128 KiB the node must wait for us many times within one answer."""
PIECE_BYTES = 64 << 20
"""Read at once of an answer whose length is announced: a block, or a batch of them, is read whole, which is twice as fast as in pieces. Between two pieces the
limits are looked at."""
ARRIVAL_BYTES = 1 << 20
"""Of an answer whose length is not announced, as much as has arrived is read, up to so much."""
IDLE_CONNECTIONS = 8
"""Connections kept open for later: one for each thread that asks at the same time."""
DEADLINE_TIMEOUTS = 20
"""So many timeouts after it was asked, an answer that is still coming is given up: the timeout alone starts anew with every byte."""


class Answer(NamedTuple):
    """What the node answered. `retry_after` is that header's own text."""

    status: int
    body: bytes
    retry_after: str | None = None


class AnswerTooLarge(AnswerUnreadable):
    """The answer is longer than `limit_bytes`; no more of it was read."""


class NodeAddress(NamedTuple):
    """A node's URL, taken apart. `name` has no secrets: those may stand before the host, and, with some providers, in the path."""

    is_tls: bool
    host: str
    port: int
    path: str
    """With the query."""
    user: str | None
    password: str | None

    @property
    def name(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @classmethod
    def of(cls, url: str, *, usual_port: int, example: str) -> NodeAddress:
        """`usual_port`: of the family's nodes over plain HTTP. Raises SettingsError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError([f"rpc_url {url!r} is not a node's address: write it as {example}"])
        is_tls = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        user = None if parts.username is None else unquote(parts.username)
        return cls(is_tls, parts.hostname, port or (443 if is_tls else usual_port), path, user, unquote(parts.password or ""))


class NodeClient:
    """Requests to one node. `timeout_s`: to connect, and between any two arrivals of an answer's bytes, where a request names no other."""

    def __init__(self, address: NodeAddress, *, timeout_s: float, limit_bytes: int, deadline_s: float | None = None) -> None:
        """`deadline_s`: for a whole answer; `DEADLINE_TIMEOUTS` times its timeout where none is given."""
        self.name = address.name
        self.timeout_s, self.limit_bytes, self.deadline_s = timeout_s, limit_bytes, deadline_s
        self._address = address
        self._pool = _pool(address)

    def close(self) -> None:
        """Close the idle connections. A later request opens new ones."""
        self._pool.close()
        self._pool = _pool(self._address)

    def request(
        self, verb: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, *, timeout_s: float | None = None
    ) -> Answer:
        """The node's answer, whole. Raises NodeUnreachable, AnswerUnreadable; AnswerTooLarge beyond the limit."""
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        try:
            try:
                return self._send(verb, path, body, headers, limit_s)
            except ProtocolError as error:
                if not isinstance(_cause(error), _ClosedWhileIdle):
                    raise
                return self._send(verb, path, body, headers, limit_s)
        except (HTTPError, OSError) as error:
            raise self._trouble(error, limit_s) from error

    def _send(self, verb: str, path: str, body: bytes | None, headers: Mapping[str, str] | None, timeout_s: float) -> Answer:
        deadline_s = DEADLINE_TIMEOUTS * timeout_s if self.deadline_s is None else self.deadline_s
        give_up_at = time.monotonic() + deadline_s
        response = self._pool.urlopen(
            verb,
            path,
            body,
            {"User-Agent": "esep", **(headers or {})},
            retries=False,
            redirect=False,
            timeout=timeout_s,
            preload_content=False,
            decode_content=False,
        )
        try:
            announced = response.length_remaining
            if announced is not None and announced > self.limit_bytes:
                raise AnswerTooLarge(
                    f"the node at {self.name} announced an answer of {announced} bytes: no more than {self.limit_bytes} are read at once"
                )
            pieces, n_bytes = [], 0
            while piece := response.read1(ARRIVAL_BYTES) if announced is None else response.read(PIECE_BYTES):
                pieces.append(piece)
                n_bytes += len(piece)
                if n_bytes > self.limit_bytes:
                    raise AnswerTooLarge(f"the node at {self.name} gave an answer of more than {self.limit_bytes} bytes")
                if time.monotonic() > give_up_at:
                    raise NodeUnreachable(
                        f"the node at {self.name} did not finish an answer within {deadline_s:g} s ({n_bytes} bytes came): "
                        "the line is slow, or what answers is no node"
                    )
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return Answer(response.status, b"".join(pieces), response.headers.get("Retry-After"))

    def _trouble(self, error: Exception, timeout_s: float) -> SourceError:
        """What a fault of the transport is called."""
        cause = _cause(error)
        match cause:
            case ReadTimeoutError() | ConnectTimeoutError() | TimeoutError():
                return NodeUnreachable(f"the node at {self.name} did not answer within {timeout_s:g} s: it is busy, or unreachable")
            case ConnectionRefusedError():
                return NodeUnreachable(f"nothing listens at {self.name}: the node is not running, or its RPC port is another one")
            case _Closed():
                return NodeUnreachable(f"the node at {self.name} closed the connection without an answer: is it shutting down?")
            case http.client.IncompleteRead() | ConnectionResetError():
                return NodeUnreachable(f"the node at {self.name} broke off in the middle of an answer: it was stopped, or the line is bad")
            case http.client.HTTPException():
                return AnswerUnreadable(f"what answers at {self.name} does not speak HTTP ({type(cause).__name__}): check rpc_url")
            case _:
                return NodeUnreachable(f"the node at {self.name} can't be reached: {cause}")


class _Closed(http.client.RemoteDisconnected):
    """The node closed a connection before it answered."""


class _ClosedWhileIdle(_Closed):
    """The same, on a connection that had served a request before."""


class _Watched(HTTPConnection):
    """Tells a connection that was closed while idle from a node that hangs up on us."""

    _has_answered = False

    def connect(self) -> None:
        super().connect()
        self._has_answered = False

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3 itself
        try:
            response = super().getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            raise (_ClosedWhileIdle if self._has_answered else _Closed)(str(error)) from error
        self._has_answered = True
        return response


class _WatchedTls(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


def _pool(address: NodeAddress) -> HTTPConnectionPool:
    options = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)]
    if address.is_tls:
        return _TlsPool(
            address.host, address.port, maxsize=IDLE_CONNECTIONS, socket_options=options, ssl_context=ssl.create_default_context()
        )
    return _Pool(address.host, address.port, maxsize=IDLE_CONNECTIONS, socket_options=options)


def _cause(error: BaseException) -> BaseException:
    """The fault below the client's own names for it."""
    match error:
        case ProtocolError(args=(_, BaseException() as inner)):
            return inner
        case NewConnectionError() if error.__cause__ is not None:
            return error.__cause__
        case _:
            return error


def basic(user_and_password: bytes) -> str:
    """The Authorization header of `USER:PASSWORD`."""
    return "Basic " + base64.b64encode(user_and_password).decode()
