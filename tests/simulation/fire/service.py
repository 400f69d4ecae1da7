"""The filing service without its socket: the sandbox's own answers, asked for in memory by the real HTTP client.

Enters: requests of `HttpFiling`. Leaves: what the sandbox answers; or the failure that a line would give. The desk keeps what it
accepted and when: that is where double filing would show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

import connectors.filing.http as filing_http
from connectors.standins.filing_service import Faults, ReceivedSubmissions, Sandbox
from connectors.transport.server import HangUp, Request

from .dice import Dice

KINDS = ("timeout", "cut", "error-before", "error-after", "lost-receipt", "slow", "duplicate", "garbage", "rejected-rows", "down")


class Service(httpx.BaseTransport):
    """The sandbox, its faults drawn by the dice."""

    def __init__(self, dice: Dice, now: Callable[[], int]) -> None:
        self.submissions = ReceivedSubmissions()
        self.accepted_at: dict[str, int] = {}
        self._dice, self._now = dice, now
        self._sandbox = Sandbox(self.submissions, Faults(at=self._fault), now, hang_s=0.0)

    def _fault(self, _: int) -> str | None:
        return next((kind for kind in KINDS if self._dice.happens(f"filing-{kind}")), None)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._dice.happens("filing-unreachable"):
            raise httpx.ConnectError("connection refused", request=request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = self._sandbox.answer(Request(request.method, request.url.raw_path.decode(), headers, request.read()))
        for entry in self.submissions.entries.values():
            if entry.state != "rejected":
                self.accepted_at.setdefault(entry.submission_id, self._now())
        if isinstance(answer, HangUp):
            if answer.sent:
                raise httpx.RemoteProtocolError("peer closed connection without sending complete message body", request=request)
            raise httpx.ReadTimeout("timed out", request=request)
        headers = {"Content-Type": answer.content_type or "", **dict(answer.headers)}
        return httpx.Response(answer.status, headers=headers, content=answer.body, request=request)


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
