"""A small HTTP/1.1 server: keep-alive, a thread per connection, one write per response.

Enters: an address to listen on, a function from `Request` to `Response`. Nothing here knows what is served. Left out: TLS, chunked request
bodies (answered with 501), pipelining beyond one request after another.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, BinaryIO, NamedTuple

_MAX_LINE = 8192
_MAX_HEADERS = 100


class Request(NamedTuple):
    """A request; header names are in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    """A response. `at` is what its Date says (Unix seconds; the time of sending where none is given)."""

    status: int
    body: bytes
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    at: int | None = None


class HangUp(NamedTuple):
    """In place of a response: these bytes, and the connection is closed."""

    sent: bytes = b""


class _BadRequest(Exception):
    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


class HttpServer(socketserver.ThreadingTCPServer):
    """Listens from construction on, serves from `start` to `close`.

    `max_body_bytes`: a request's longer body is refused with 413. `idle_s`: a connection that says nothing for so long is closed (None: never).
    Raises OSError when the address can't be listened on.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        host: str,
        port: int,
        answer: Callable[[Request], Response | HangUp],
        *,
        name: str,
        max_body_bytes: int = 32 << 20,
        idle_s: float | None = None,
    ) -> None:
        self.answer, self.max_body_bytes, self.idle_s = answer, max_body_bytes, idle_s
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, name=name, daemon=True)
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Connection)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving, end every connection and wait for their threads."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()
        with self._guard:
            connections = dict(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join(timeout=5)

    def opened(self, connection: socket.socket) -> None:
        with self._guard:
            self._connections[connection] = threading.current_thread()

    def closed(self, connection: socket.socket) -> None:
        with self._guard:
            self._connections.pop(connection, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the server; anything else is a defect and is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    rbufsize = 1 << 16
    server: HttpServer

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.idle_s)
        self.server.opened(self.connection)

    def handle(self) -> None:
        stays_open = True
        while stays_open:
            try:
                request = self._read()
                if request is None:
                    return
                response = self.server.answer(request)
                if isinstance(response, HangUp):
                    self.connection.sendall(response.sent)
                    return
                stays_open = request.headers.get("connection", "").lower() != "close"
            except _BadRequest as error:
                response, stays_open = Response(error.status, b""), False
                request = None
            self.connection.sendall(_encode(response, has_body=request is None or request.method != "HEAD", stays_open=stays_open))

    def finish(self) -> None:
        self.server.closed(self.connection)
        super().finish()

    def _read(self) -> Request | None:
        """The next request; None when the client has closed the connection."""
        first = self.rfile.readline(_MAX_LINE + 1)
        if not first:
            return None
        words = first.decode("latin-1").split()
        if len(first) > _MAX_LINE or len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise _BadRequest(400)
        headers = _read_headers(self.rfile)
        if words[2] == "HTTP/1.0":
            headers.setdefault("connection", "close")
        return Request(words[0], words[1], headers, self._read_body(headers))

    def _read_body(self, headers: dict[str, str]) -> bytes:
        if "transfer-encoding" in headers:
            raise _BadRequest(501)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            raise _BadRequest(400)
        if int(length) > self.server.max_body_bytes:
            raise _BadRequest(413)
        if headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise _BadRequest(400)
        return body


def _read_headers(file: BinaryIO | Any) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(_MAX_HEADERS):
        line = file.readline(_MAX_LINE + 1)
        if line in (b"\r\n", b"\n"):
            return headers
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or len(line) > _MAX_LINE:
            break
        headers[name.strip().lower()] = value.strip()
    raise _BadRequest(400)


def _encode(response: Response, *, has_body: bool, stays_open: bool) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    if response.content_type is not None:
        lines.append(f"Content-Type: {response.content_type}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    lines.append(f"Date: {formatdate(time.time() if response.at is None else response.at, usegmt=True)}")
    if response.status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {len(response.body)}")
    if not stays_open:
        lines.append("Connection: close")
    if response.content_type is None and response.status != HTTPStatus.NO_CONTENT:
        lines.append("Content-Type: text/html; charset=ISO-8859-1")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head + response.body if has_body else head
