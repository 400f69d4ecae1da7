"""The topic `months` as one pool sees it: folded into lives, kept up with the log, and appended to one step at a time."""

from __future__ import annotations

import threading

from pipeline.log.events import AnyEvent, encode
from pipeline.log.events.months import Frozen, Notified
from pipeline.log.events.parts import Event
from pipeline.log.protocol import EventLog, append_shared
from pipeline.log.read import KeyReader
from pipeline.model.errors import LogError
from pipeline.model.months import Month

from .decisions import Decisions
from .life import Life, apply_event


class StepAlreadyTaken(Exception):
    """Another process took this very step."""


class Diary:
    """The pool's part of the topic `months`, folded once for all who read it, and kept up with the log. Threads may share it."""

    def __init__(self, log: EventLog, pool: str) -> None:
        self.lives: dict[str, Life] = {}
        """By the month's name: its frozen versions, approvals, signatures, submissions and drafts."""
        self.decisions = Decisions()
        """Labels and waivers."""
        self.notices: set[tuple[str, str]] = set()
        """Notice and channel of every notice delivered."""
        self._log = log
        self._pool = pool
        self._lock = threading.RLock()
        self._events: KeyReader[AnyEvent] = KeyReader(log, "months", pool, None, on_unreadable=lambda record, _: self._ids.add(record.id))
        self._ids: set[str] = set()
        """Of every event read, of those that can't be read, too: those are ingest's to report (law 8)."""

    def refresh(self) -> None:
        """Take in what the log holds now. Raises what the log raises."""
        with self._lock:
            for record, event in self._events.new():
                if record.id in self._ids:
                    continue
                self._ids.add(record.id)
                apply_event(self.lives, event)
                self.decisions.apply(event)
                if isinstance(event, Notified):
                    self.notices.add((event.notice, event.channel))

    def append(self, event: Event) -> None:
        """Append one event, durable on return. Raises StepAlreadyTaken when its id is in the log already: the step is somebody else's."""
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
        """What was taken in of the month so far."""
        return self.lives.setdefault(str(month), Life(month))

    def frozen(self, month: Month) -> list[Frozen]:
        """The month's frozen versions as the log holds them now, oldest first."""
        self.refresh()
        return self.life(month).versions
