"""HTTP to one node: pooled persistent connections, limits, and uniform errors.

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
from collections.abc import Mapping
from typing import NamedTuple

from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProtocolError, ReadTimeoutError

from pipeline.follow.node_errors import AnswerUnreadable, NodeUnreachable
from pipeline.model.address import Address, parse_address
from pipeline.model.errors import SettingsError, SourceError
from pipeline.model.message import message
from pipeline.model.system_words import system_words

from .deadline import DeadlinePassed, TooManyBytes, exchange, timed, tls_context

RECEIVE_BUFFER_BYTES = 4 << 20
"""Large enough for a whole block: with the default 128 KiB the node has to wait for us many times within one answer."""
CHUNK_BYTES = 64 << 20
"""Read at once of an answer whose length is announced: a block, or a batch of them, is read whole, which is twice as fast as in pieces. Between two pieces the
limits are looked at."""
MAX_READ_BYTES = 1 << 20
"""How much is read at once of an answer without a Content-Length: what has arrived, up to this."""
IDLE_CONNECTIONS = 8
"""How many idle connections are kept open: one for each concurrent thread."""
OVERHEAD_BYTES = 1 << 20
"""Of an answer besides its body: headers, and the framing of chunks, which may be as long as what they frame."""
DEADLINE_TIMEOUTS = 20
"""An answer still incomplete after this many timeouts is given up: the timeout alone restarts with every byte."""


class Answer(NamedTuple):
    """The node's answer. `retry_after`: the text of the Retry-After header."""

    status: int
    body: bytes
    retry_after: str | None = None


class AnswerTooLarge(AnswerUnreadable):
    """The answer is longer than `limit_bytes`; no more of it was read."""


class NodeAddress(NamedTuple):
    """A parsed node URL. `name` is without the path, which contains a secret with some providers."""

    is_tls: bool
    host: str
    port: int
    path: str
    """With the query."""
    user: None = None
    password: None = None
    """An address holds neither: both have settings of their own."""

    @property
    def name(self) -> str:
        return Address(self.is_tls, self.host, self.port, self.path).name

    @classmethod
    def of(cls, url: str, *, default_port: int, example: str) -> NodeAddress:
        """`default_port`: of the family's nodes over plain HTTP. Raises SettingsError, which does not show the address.

        Whether a login may travel there is the settings' to judge: they know whether there is one.
        """
        try:
            address = parse_address(url, carries_secret=False, default_port=default_port)
        except ValueError as error:
            raise SettingsError([message("rpc_url {error}: write it as {example}", error=error, example=example)]) from None
        return cls(address.is_tls, address.host, address.port, address.path)


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
        deadline_s = DEADLINE_TIMEOUTS * limit_s if self.deadline_s is None else self.deadline_s
        try:
            with exchange(deadline_s, 2 * self.limit_bytes + OVERHEAD_BYTES):
                try:
                    return self._send(verb, path, body, headers, limit_s)
                except ProtocolError as error:
                    if not isinstance(_cause(error), _ClosedWhileIdle):
                        raise
                    return self._send(verb, path, body, headers, limit_s)
        except (HTTPError, OSError) as error:
            raise self._trouble(error, limit_s) from error

    def _send(self, verb: str, path: str, body: bytes | None, headers: Mapping[str, str] | None, timeout_s: float) -> Answer:
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
                    message(
                        "the node at {name} announced an answer of {announced} bytes: no more than {limit_bytes} are read at once",
                        name=self.name,
                        announced=announced,
                        limit_bytes=self.limit_bytes,
                    )
                )
            pieces, n_bytes = [], 0
            while piece := response.read1(MAX_READ_BYTES) if announced is None else response.read(CHUNK_BYTES):
                pieces.append(piece)
                n_bytes += len(piece)
                if n_bytes > self.limit_bytes:
                    raise AnswerTooLarge(
                        message(
                            "the node at {name} gave an answer of more than {limit_bytes} bytes",
                            name=self.name,
                            limit_bytes=self.limit_bytes,
                        )
                    )
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return Answer(response.status, b"".join(pieces), response.headers.get("Retry-After"))

    def _trouble(self, error: Exception, timeout_s: float) -> SourceError:
        """The SourceError for a failure of the transport."""
        cause = _cause(error)
        match cause:
            case DeadlinePassed():
                return NodeUnreachable(
                    message(
                        "the node at {name} did not finish an answer: {cause}: the line is slow, or what answers is no node",
                        name=self.name,
                        cause=cause,
                    )
                )
            case TooManyBytes():
                return AnswerTooLarge(
                    message(
                        "the node at {name} gave an answer of more than {limit_bytes} bytes", name=self.name, limit_bytes=self.limit_bytes
                    )
                )
            case ReadTimeoutError() | ConnectTimeoutError() | TimeoutError():
                return NodeUnreachable(
                    message(
                        "the node at {name} did not answer within {timeout_s} s: it is busy, or unreachable",
                        name=self.name,
                        timeout_s=format(timeout_s, "g"),
                    )
                )
            case ConnectionRefusedError():
                return NodeUnreachable(
                    message("nothing listens at {name}: the node is not running, or its RPC port is another one", name=self.name)
                )
            case _Closed():
                return NodeUnreachable(
                    message("the node at {name} closed the connection without an answer: is it shutting down?", name=self.name)
                )
            case http.client.IncompleteRead() | ConnectionResetError():
                return NodeUnreachable(
                    message("the node at {name} broke off in the middle of an answer: it was stopped, or the line is bad", name=self.name)
                )
            case http.client.HTTPException():
                return AnswerUnreadable(
                    message(
                        "what answers at {name} does not speak HTTP ({name_2}): check rpc_url", name=self.name, name_2=type(cause).__name__
                    )
                )
            case _:
                return NodeUnreachable(_unreachable(self.name, cause))


class _Closed(http.client.RemoteDisconnected):
    """The node closed a connection before it answered."""


class _ClosedWhileIdle(_Closed):
    """The same, on a connection that had served a request before."""


class _Watched(HTTPConnection):
    """Tells a connection that was closed while idle from a node that hangs up on us; over timed sockets, so that the deadline bounds headers, too."""

    _has_answered = False

    def _new_conn(self) -> socket.socket:
        return timed(super()._new_conn())

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
        return _TlsPool(address.host, address.port, maxsize=IDLE_CONNECTIONS, socket_options=options, ssl_context=tls_context())
    return _Pool(address.host, address.port, maxsize=IDLE_CONNECTIONS, socket_options=options)


def _unreachable(name: str, cause: BaseException) -> str:
    """Why no connection came about, and what to do."""
    match cause:
        case ssl.SSLCertVerificationError():
            return message(
                "this machine does not trust the certificate of the node at {name} ({why}): add its authority to the machine's, or name the authority's file by SSL_CERT_FILE",
                name=name,
                why=cause.verify_message,
            )
        case ssl.SSLError():
            return message(
                "what answers at {name} does not speak TLS as this machine does ({why}): for a port without TLS write http:// in rpc_url",
                name=name,
                why=(cause.reason or "?").replace("_", " ").lower(),
            )
        case socket.gaierror():
            return message("{name}: no machine of that name is known here: check rpc_url, and this machine's DNS", name=name)
        case OSError() if words := system_words(cause):
            return message("the node at {name} can't be reached: {cause}", name=name, cause=words)
        case _:
            return message("the node at {name} can't be reached: {cause}", name=name, cause=cause)


def _cause(error: BaseException) -> BaseException:
    """The underlying error that urllib3's error wraps."""
    match error:
        case HTTPError() if isinstance(error.__context__, DeadlinePassed | TooManyBytes):
            return error.__context__
        case ProtocolError(args=(_, BaseException() as inner)):
            return inner
        case NewConnectionError() if error.__cause__ is not None:
            return error.__cause__
        case HTTPError(args=(ssl.SSLError() as inner,)):
            return inner
        case _:
            return error


def basic(user_and_password: bytes) -> str:
    """The Authorization header of `USER:PASSWORD`."""
    return "Basic " + base64.b64encode(user_and_password).decode()
