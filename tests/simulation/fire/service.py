"""The filing service without its socket: the sandbox's own HTTP handler, spoken to in memory by the real HTTP client.

Enters: requests of `HttpFiling`. Leaves: the handler's bytes, read as HTTP; or the failure that a line would give. The desk keeps what it
accepted and when: that is where double filing would show.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx

import connectors.filing.http as filing_http
from connectors.standins.filing_service import Desk, Faults
from connectors.standins.filing_service.server import _Handler

from .dice import Dice

KINDS = ("timeout", "cut", "error-before", "error-after", "lost-receipt", "slow", "duplicate", "garbage", "rejected-rows", "down")


class _Line:
    """What the handler takes for a socket."""

    def __init__(self, request: bytes) -> None:
        self._request, self.answer = io.BytesIO(request), b""

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        return self._request

    def sendall(self, content: bytes) -> None:
        self.answer += content


class Service(httpx.BaseTransport):
    """The sandbox, its faults drawn by the dice."""

    def __init__(self, dice: Dice, now: Callable[[], int]) -> None:
        self.desk = Desk()
        self.accepted_at: dict[str, int] = {}
        self._dice, self._now = dice, now
        waits = SimpleNamespace(wait=lambda _: None)
        sandbox = SimpleNamespace(desk=self.desk, faults=Faults(at=self._fault), now=now, token="", hang_s=0.0, questions=2, closing=waits)

        class Handler(_Handler):
            pass

        Handler.sandbox = sandbox  # type: ignore[assignment]
        self._handler = Handler

    def _fault(self, _: int) -> str | None:
        return next((kind for kind in KINDS if self._dice.happens(f"filing-{kind}")), None)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._dice.happens("filing-unreachable"):
            raise httpx.ConnectError("connection refused", request=request)
        body = request.read()
        head = f"{request.method} {request.url.raw_path.decode()} HTTP/1.1\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items() if name.lower() != "connection")
        line = _Line((head + "Connection: close\r\n\r\n").encode() + body)
        self._handler(line, ("127.0.0.1", 1), None)  # type: ignore[arg-type]
        for entry in self.desk.entries.values():
            if entry.state != "rejected":
                self.accepted_at.setdefault(entry.submission_id, self._now())
        if not line.answer:
            raise httpx.ReadTimeout("timed out", request=request)
        top, _, content = line.answer.partition(b"\r\n\r\n")
        status, *headers = top.decode().split("\r\n")
        pairs = [tuple(header.split(": ", 1)) for header in headers]
        announced = next((int(value) for name, value in pairs if name.lower() == "content-length"), len(content))
        if announced != len(content):
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body", request=request)
        return httpx.Response(int(status.split()[1]), headers=pairs, content=content, request=request)


class Wired:
    """`httpx` as `connectors.filing.http` sees it while the service stands in memory."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def Client(self, **settings: Any) -> httpx.Client:
        settings.pop("verify", None)
        return httpx.Client(transport=self._service, **settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(httpx, name)


def wire(service: Service) -> Callable[[], None]:
    """Put the service in the client's place of the network; what undoes it."""
    filing_http.httpx = Wired(service)  # type: ignore[assignment]

    def undo() -> None:
        filing_http.httpx = httpx

    return undo
