"""Sockets with one deadline and one limit of bytes for everything within an `exchange` block, so that no peer can block us.

Enters: seconds and bytes for a whole exchange. Leaves: sockets, plain or TLS, whose every operation takes no longer than what is left of it: connecting, the
handshake, sending, each arrival. A timeout between two bytes, which begins anew with every byte, bounds nothing. The exchange is the thread's that began it;
inner ones can't outlast outer ones. Left out: looking a name up, which the system's resolver bounds by limits of its own.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from pipeline.model.message import message


class DeadlinePassed(TimeoutError):
    """The exchange's time is over."""


class TooManyBytes(OSError):
    """The peer sent more bytes than the exchange allows."""


class _Exchange:
    def __init__(self, ends_at: float, seconds: float, most_bytes: int) -> None:
        self.ends_at, self.seconds, self.most_bytes, self.received = ends_at, seconds, most_bytes, 0

    def left_s(self) -> float:
        """Seconds left. Raises DeadlinePassed."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def passed(self) -> DeadlinePassed:
        return DeadlinePassed(message("not done within {seconds} s", seconds=format(self.seconds, "g")))

    def count(self, n_bytes: int) -> None:
        self.received += n_bytes
        if self.received > self.most_bytes:
            raise TooManyBytes(message("more than {most_bytes} bytes came", most_bytes=self.most_bytes))


_current: ContextVar[_Exchange | None] = ContextVar("exchange", default=None)


@contextlib.contextmanager
def exchange(seconds: float, most_bytes: int) -> Iterator[None]:
    """Bound all that this thread does with sockets of this module until the block ends: in time, and in bytes that arrive (of TLS: unpacked)."""
    outer = _current.get()
    ends_at = time.monotonic() + seconds
    token = _current.set(_Exchange(ends_at if outer is None else min(ends_at, outer.ends_at), seconds, most_bytes))
    try:
        yield
    finally:
        _current.reset(token)


class _Timed:
    """What both kinds of socket do around each operation. Their own timeout holds, too, where it is shorter."""

    def _arm(self: Any) -> _Exchange | None:
        now = _current.get()
        if now is not None:
            left, own = now.left_s(), self.gettimeout()
            if own is None or left < own:
                self.settimeout(left)
        return now

    def _timed(self: Any, operation: Any, *arguments: Any) -> Any:
        now = self._arm()
        try:
            return operation(*arguments)
        except TimeoutError:
            if now is not None and time.monotonic() >= now.ends_at:
                raise now.passed() from None
            raise

    def _received(self, operation: Any, *arguments: Any) -> Any:
        got = self._timed(operation, *arguments)
        if (now := _current.get()) is not None:
            now.count(got if isinstance(got, int) else len(got))
        return got

    def recv(self, *arguments: Any) -> bytes:
        got: bytes = self._received(super().recv, *arguments)  # type: ignore[misc]
        return got

    def recv_into(self, *arguments: Any) -> int:
        got: int = self._received(super().recv_into, *arguments)  # type: ignore[misc]
        return got

    def send(self, *arguments: Any) -> int:
        sent: int = self._timed(super().send, *arguments)  # type: ignore[misc]
        return sent


class TimedSocket(_Timed, socket.socket):
    """A plain socket."""

    def connect(self, address: Any) -> None:
        self._timed(super().connect, address)

    def sendall(self, *arguments: Any) -> None:
        self._timed(super().sendall, *arguments)


class TimedTlsSocket(_Timed, ssl.SSLSocket):
    """A socket within TLS; `ssl` makes it where a context names this class. Its `sendall` is made of `send`."""

    def do_handshake(self, block: bool = False) -> None:
        self._timed(super().do_handshake, block)


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Certificates and names are verified, by `ca_file` or else the system's authorities; sockets are timed. Raises OSError, ssl.SSLError."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.sslsocket_class = TimedTlsSocket
    return context


def timed(opened: socket.socket) -> TimedSocket:
    """The same connection as a timed socket; `opened` is no longer one."""
    timeout_s = opened.gettimeout()
    made = TimedSocket(opened.family, opened.type, opened.proto, fileno=opened.detach())
    made.settimeout(timeout_s)
    return made


def connect(host: str, port: int) -> TimedSocket:
    """A connection within the exchange, to the first of the host's addresses that takes one. Raises OSError."""
    trouble: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = TimedSocket(family, kind, protocol)
        try:
            made.connect(address)
        except DeadlinePassed:
            made.close()
            raise
        except OSError as error:
            made.close()
            trouble = error
            continue
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    raise trouble or OSError(message("{host} has no address", host=host))
