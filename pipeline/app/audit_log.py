"""The pool's audit topic: who signed in, who failed to, who saw whose number (ADR 24). No month depends on it.

Enters: audit events. Leaves: them in the log, durable when a call returns; and read back, the newest first. What can't be read is passed over: nothing is computed from it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

from pipeline.log.events import encode
from pipeline.log.events.audit import AuditEvent, NumbersSeen, SignedIn, SignedOut, SignInFailed, Way, decode_audit
from pipeline.log.protocol import AUDIT, EventLog, advance, append_shared

MOST_NUMBERS = 5000
"""Of one event; more are said in several."""


class AuditLog:
    """One pool's audit topic. Thread-safe."""

    def __init__(self, log: EventLog, pool: str, now: Callable[[], int]) -> None:
        self._log = log
        self._pool = pool
        self._now = now
        self._lock = threading.Lock()
        self._read: list[AuditEvent] = []
        self._positions: dict[str, int] = {}

    def signed_in(self, by: str, way: Way, address: str) -> None:
        self._say(SignedIn(id=_id(), by=by[:200], way=way, address=address[:100], at=self._now()))

    def sign_in_failed(self, by: str, way: Way, address: str, reason: str = "") -> None:
        self._say(SignInFailed(id=_id(), by=by[:200], way=way, address=address[:100], reason=reason[:1000], at=self._now()))

    def signed_out(self, by: str, whose: str) -> None:
        self._say(SignedOut(id=_id(), by=by[:200], whose=whose[:200], at=self._now()))

    def numbers_seen(self, by: str, page: str, numbers: list[str]) -> None:
        """Say it before the numbers are shown; nothing is said of none."""
        for start in range(0, len(numbers), MOST_NUMBERS):
            self._say(NumbersSeen(id=_id(), by=by[:200], page=page[:1000], numbers=numbers[start : start + MOST_NUMBERS], at=self._now()))

    def file_taken(self, by: str, page: str) -> None:
        """Say that somebody takes a file with numbers in it, before it is sent."""
        self._say(NumbersSeen(id=_id(), by=by[:200], page=page[:1000], numbers=[], at=self._now()))

    def entries(self) -> list[AuditEvent]:
        """Everything said, the newest first."""
        with self._lock:
            while records := self._log.read(self._positions, topics=[AUDIT]):
                for record in records:
                    if record.key == self._pool and not record.fault:
                        self._take(record.value)
                self._positions = advance(self._positions, records)
            return self._read[::-1]

    def _take(self, value: bytes) -> None:
        try:
            self._read.append(decode_audit(value))
        except (ValueError, RecursionError):
            return

    def _say(self, event: AuditEvent) -> None:
        append_shared(self._log, AUDIT, self._pool, [encode(event)])


def _id() -> str:
    return f"audit:{secrets.token_hex(16)}"
