"""The filing service without its socket: the sandbox's own answers, asked for in memory by the real HTTP client.

Enters: requests of `HttpFiling`. Leaves: what the sandbox answers; or the failure that a line would give. The desk keeps what it
accepted and when: that is where double filing would show.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus

import connectors.filing.http as filing_http
from connectors.standins.filing_service import Faults, ReceivedSubmissions, Sandbox
from connectors.transport.deadline import tls_context
from connectors.transport.server import HangUp, Request
from connectors.transport.service import Limits, NoAnswer, NotConnected, ServiceAnswer, ask
from pipeline.model.address import Address

from .dice import Dice

_tls_context = functools.cache(tls_context)
"""One for all processes, none of which connects by it: to load the system's authorities takes longer than a day of a life."""
KINDS = ("timeout", "cut", "error-before", "error-after", "lost-receipt", "slow", "duplicate", "garbage", "rejected-rows", "down")


class Service:
    """The sandbox, its faults drawn by the dice."""

    def __init__(self, dice: Dice, now: Callable[[], int]) -> None:
        self.submissions = ReceivedSubmissions()
        self.accepted_at: dict[str, int] = {}
        self._dice, self._now = dice, now
        self._sandbox = Sandbox(self.submissions, Faults(at=self._fault), now, hang_s=0.0)

    def _fault(self, _: int) -> str | None:
        return next((kind for kind in KINDS if self._dice.happens(f"filing-{kind}")), None)

    def ask(
        self,
        address: Address,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limits: Limits,
        *,
        trust: ssl.SSLContext | None = None,
    ) -> ServiceAnswer:
        """As `connectors.transport.service.ask`: the sandbox's answer, or the failure that a line would give."""
        if self._dice.happens("filing-unreachable"):
            raise NotConnected("ConnectionRefusedError: connection refused")
        sent = {name.lower(): value for name, value in headers.items()} | {"content-length": str(len(body or b""))}
        answer = self._sandbox.answer(Request(method, address.path, sent, body or b""))
        for entry in self.submissions.entries.values():
            if entry.state != "rejected":
                self.accepted_at.setdefault(entry.submission_id, self._now())
        if isinstance(answer, HangUp):
            raise NoAnswer("IncompleteRead: what came is no whole answer of HTTP" if answer.sent else "TimeoutError: timed out")
        given = [("Content-Type", answer.content_type or ""), *answer.headers]
        return ServiceAnswer(answer.status, HTTPStatus(answer.status).phrase, given, answer.body)


def wire(service: Service) -> Callable[[], None]:
    """Put the service in the place of the network; what undoes it."""
    filing_http.ask, filing_http.tls_context = service.ask, _tls_context

    def undo() -> None:
        filing_http.ask, filing_http.tls_context = ask, tls_context

    return undo
