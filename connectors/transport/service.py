"""One HTTP exchange with a service: filing, NCANode, a time stamp authority, a webhook. A connection of its own, a deadline, a limit, and no more.

Enters: an `Address`, a request. Leaves: a `ServiceAnswer`, whatever its status; `NotConnected` where not a byte of the request can have left, `NoAnswer` for all that
goes wrong later. Everything together, from the connection to the answer's last byte, takes at most `timeout_s`, whatever the service sends: interim answers
without end, headers a byte at a time. Bytes are counted before they are unpacked, and packed is at most once. Nothing is followed, nothing is tried again, no
proxy is used. `http.client` and not the pool of `client.py`: services are asked now and then, and a connection is closed after its one exchange.
"""

from __future__ import annotations

import http.client
import re
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from pipeline.model.address import Address
from pipeline.model.message import message
from pipeline.model.packed import inflate

from .deadline import connect, exchange, tls_context

HEAD_BYTES = 1 << 20
"""Of an answer besides its body: interim answers, headers, the framing of chunks."""
_PIECE_BYTES = 64 << 10
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_UNRESERVED = "/?:@!$&'()*+,;=-._~%[]"


class NotConnected(Exception):
    """There was no connection: the service has not received a byte of the request."""


class NoAnswer(Exception):
    """The connection broke, the deadline passed, or the answer is invalid: the service may have received the request."""


@dataclass(frozen=True)
class ServiceAnswer:
    """A service's answer."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes
    """Decompressed; only the part that was read if there is a `fault`."""
    fault: str = ""
    """Why the body is not the whole answer: it is too long, or has an unsupported content encoding."""


@dataclass(frozen=True)
class Limits:
    """Of one exchange."""

    timeout_s: float
    most_bytes: int
    """Of the body, packed and unpacked."""


class _Connection(http.client.HTTPConnection):
    """Over timed sockets."""

    def __init__(self, address: Address, trust: ssl.SSLContext | None) -> None:
        super().__init__(address.host_in_url, address.port)
        self._address, self._trust = address, trust
        self.default_port = 443 if address.is_tls else 80

    def connect(self) -> None:
        sock = connect(self._address.host, self._address.port)
        if self._trust is None:
            self.sock = sock
            return
        try:
            self.sock = self._trust.wrap_socket(sock, server_hostname=self._address.host)
        except BaseException:
            sock.close()
            raise


def ask(
    address: Address, method: str, headers: Mapping[str, str], body: bytes | None, limits: Limits, *, trust: ssl.SSLContext | None = None, reads: bool = True
) -> ServiceAnswer:  # fmt: skip
    """One request and its answer. `trust`: of TLS (`deadline.tls_context`), made anew when not given. `reads` False: the body is left unread.

    Raises NotConnected, NoAnswer; neither shows the request.
    """
    if wrong := [name for name, value in headers.items() if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value))]:
        raise NotConnected(message("the header {wrong} has letters that no header may have: nothing was sent", wrong=repr(wrong[0][:80])))
    if address.is_tls and trust is None:
        trust = tls_context()
    connection = _Connection(address, trust if address.is_tls else None)
    with exchange(limits.timeout_s, limits.most_bytes + limits.most_bytes // 8 + HEAD_BYTES):
        try:
            try:
                connection.connect()
            except (OSError, UnicodeError) as error:
                raise NotConnected(_said(error)) from error
            try:
                path = quote(address.path, safe=_UNRESERVED)
                connection.request(method, path, body, {"User-Agent": "esep", "Accept-Encoding": "identity", **headers})
                response = connection.getresponse()
                read, fault = _read(response, limits.most_bytes) if reads else (b"", "")
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise NoAnswer(_said(error)) from error
        finally:
            connection.close()
    if not fault:
        read, fault = _unpacked(read, response.headers.get_all("Content-Encoding") or [], limits.most_bytes)
    return ServiceAnswer(response.status, response.reason, response.getheaders(), read, fault)


def _read(response: http.client.HTTPResponse, most_bytes: int) -> tuple[bytes, str]:
    """The body as it came, and why that is not all of it. Raises IncompleteRead for one that is cut short."""
    read = bytearray()
    while part := response.read(min(_PIECE_BYTES, most_bytes + 1 - len(read))):
        read += part
        if len(read) > most_bytes:
            return bytes(read[:most_bytes]), message("the answer is longer than {most_bytes} bytes", most_bytes=most_bytes)
    if response.length:
        raise http.client.IncompleteRead(bytes(read), response.length)
    return bytes(read), ""


def _unpacked(read: bytes, encodings: list[str], most_bytes: int) -> tuple[bytes, str]:
    """The body without the one packing that is read, though we ask for none; and why it is not read."""
    names = [name for one in encodings for word in one.split(",") if (name := word.strip().lower()) not in ("", "identity")]
    if not names or not read:
        return read, ""
    if names in (["gzip"], ["x-gzip"]):
        bits = 16 + zlib.MAX_WBITS
    elif names == ["deflate"]:
        bits = zlib.MAX_WBITS
    else:
        return b"", message("the answer is packed as {names}, which is not read", names=repr(", ".join(names)[:80]))
    try:
        return inflate(read, bits, most_bytes), ""
    except ValueError as error:
        return b"", message("the answer, packed as {names}, can't be unpacked: {error}", names=names[0], error=error)


def _said(error: Exception) -> str:
    """A failure in words. What `http.client` quotes of an answer is left out: a service may echo a login in its first line."""
    if isinstance(error, http.client.HTTPException | ValueError) and not isinstance(error, OSError):
        return message("{name}: what came is no whole answer of HTTP", name=type(error).__name__)
    if isinstance(error, UnicodeError):
        return message("the host's name can't be written for a look-up")
    return message("{name}: {error}", name=type(error).__name__, error=error)
