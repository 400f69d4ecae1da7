"""A listener on the loopback that does with each HTTP request whatever a test says, byte by byte."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behaviour = Callable[[socket.socket, bytes], None]


@contextmanager
def server(behave: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """A listener that does with each request what the test says; the requests it saw. `tls`: it speaks TLS, though its address says http."""
    listening = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []
    opened: list[socket.socket] = []

    def serve_one(client: socket.socket) -> None:
        with client if tls is None else tls.wrap_socket(client, server_side=True) as client:
            while request := _read_request(client):
                seen.append(request)
                behave(client, request)

    def serve() -> None:
        while True:
            try:
                client = listening.accept()[0]
            except OSError:
                return
            opened.append(client)
            threading.Thread(target=_quietly, args=(serve_one, client), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", seen
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def _quietly(serve_one: Callable[[socket.socket], None], client: socket.socket) -> None:
    with suppress(OSError):
        serve_one(client)


def _read_request(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = client.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
    while len(body) < length:
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


def always(reply: bytes) -> Behaviour:
    return lambda client, _: client.sendall(reply)


def hang_up(client: socket.socket, _: bytes) -> None:
    client.shutdown(socket.SHUT_RDWR)
