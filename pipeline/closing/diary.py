"""One pool's events of topic `months`: read, folded into state, kept up to date, and appended to one step at a time."""

from __future__ import annotations

import threading

from pipeline.log.events import AnyEvent, encode
from pipeline.log.events.keys import Role
from pipeline.log.events.months import Frozen, Notified, Stamped
from pipeline.log.events.parts import Event
from pipeline.log.protocol import EventLog, append_shared
from pipeline.log.read import KeyReader
from pipeline.model.errors import LogError
from pipeline.model.months import Month
from pipeline.signing.users import Users

from .decisions import Decisions
from .life import Life, apply_event


class StepAlreadyTaken(Exception):
    """Another process has already appended the event of this step."""


class Diary:
    """The pool's part of the topic `months`, folded once for all its readers. Thread-safe."""

    def __init__(self, log: EventLog, pool: str) -> None:
        self.lives: dict[str, Life] = {}
        """By the month's name: its frozen versions, approvals, signatures, submissions and drafts."""
        self.decisions = Decisions()
        """Labels and waivers."""
        self.users = Users()
        """The console's users, and which approvals do not count (ADR 24)."""
        self.notices: set[tuple[str, str]] = set()
        """Notice and channel of every notice delivered."""
        self.stamps: dict[tuple[str, str], Stamped] = {}
        """The newest stamp of each digest by each calendar."""
        self.stamped_at: dict[tuple[str, str], int] = {}
        """When each digest was first handed to each calendar."""
        self._log = log
        self._pool = pool
        self._lock = threading.RLock()
        self._events: KeyReader[AnyEvent] = KeyReader(log, "months", pool, None, on_unreadable=lambda record, _: self._ids.add(record.id))
        self._ids: set[str] = set()
        """Ids of all events, including those that can't be decoded: ingest reports these (law 8)."""

    def refresh(self) -> None:
        """Read the events appended since the last call. Raises what the log raises."""
        with self._lock:
            for record, event in self._events.new():
                if record.id in self._ids:
                    continue
                self._ids.add(record.id)
                if self.users.apply(event):
                    apply_event(self.lives, event)
                self.decisions.apply(event)
                if isinstance(event, Stamped):
                    self.stamps[event.digest, event.calendar] = event
                    self.stamped_at.setdefault((event.digest, event.calendar), event.at)
                if isinstance(event, Notified):
                    self.notices.add((event.notice, event.channel))

    @property
    def faults(self) -> list[tuple[str, str]]:
        """Place and fault of each event of `months` that is not authentic, or before which something is missing (ADR 14): it counts for nothing here."""
        return self._events.faults

    def deciders(self) -> list[str] | None:
        """Whose keys at hand may decide, by the owners' names; None where no root key is in force, and anybody may."""
        return self.owners("decide")

    def owners(self, role: Role) -> list[str] | None:
        """Whose keys at hand have a role here, by the owners' names; None where no root key is in force."""
        self.refresh()
        stream = self._events.stream
        return None if self._log.keys is None or stream is None else self._log.keys.owners(stream, role)

    def append(self, event: Event) -> None:
        """Append one event, durable on return. Raises StepAlreadyTaken if an event with its id is in the log: another process took the step."""
        try:
            is_new = append_shared(self._log, "months", self._pool, [encode(event)]) == 1
        except LogError:
            self.refresh()
            if event.id in self._ids:
                raise StepAlreadyTaken(event.id) from None
            raise
        self.refresh()
        if not is_new:
            raise StepAlreadyTaken(event.id)

    def life(self, month: Month) -> Life:
        """The month's life as of the last `refresh`."""
        return self.lives.setdefault(str(month), Life(month))

    def frozen(self, month: Month) -> list[Frozen]:
        """The month's frozen versions in the log now, oldest first."""
        self.refresh()
        return self.life(month).versions
