"""The topic `months` as one pool sees it: folded into lives, kept up with the log, and appended to one step at a time."""

from __future__ import annotations

from pipeline.closing.life import Life, take
from pipeline.log.events import AnyEvent, decode, encode
from pipeline.log.events.parts import Event
from pipeline.log.protocol import EventLog, advance, append_beside
from pipeline.model.errors import LogError
from pipeline.model.months import Month


class Taken(Exception):
    """Another process took this very step."""


class Diary:
    """The pool's part of the topic `months`, folded, and kept up with the log."""

    def __init__(self, log: EventLog, pool: str) -> None:
        self.lives: dict[str, Life] = {}
        self.notices: set[tuple[str, str]] = set()
        """Notice and channel of every notice delivered."""
        self._log = log
        self._pool = pool
        self._positions: dict[str, int] = {}
        self._ids: set[str] = set()

    def refresh(self) -> None:
        """Take in what the log holds now. Events that can't be read are ingest's to report (law 8)."""
        while records := self._log.read(self._positions, topics=["months"]):
            self._positions = advance(self._positions, records)
            for record in records:
                if record.key != self._pool or record.id in self._ids:
                    continue
                self._ids.add(record.id)
                event = _event(record.value)
                if event is None:
                    continue
                take(self.lives, event)
                if type(event).__struct_config__.tag == "notified":
                    self.notices.add((getattr(event, "notice", ""), getattr(event, "channel", "")))

    def append(self, event: Event) -> None:
        """Append one event, durable on return. Raises Taken when its id is in the log already: the step is somebody else's."""
        try:
            is_new = append_beside(self._log, "months", self._pool, [encode(event)]) == 1
        except LogError:
            self.refresh()
            if event.id in self._ids:
                raise Taken(event.id) from None
            raise
        self.refresh()
        if not is_new:
            raise Taken(event.id)

    def life(self, month: Month) -> Life:
        return self.lives.setdefault(str(month), Life(month))


def _event(value: bytes) -> AnyEvent | None:
    try:
        return decode(value)
    except (ValueError, RecursionError):
        return None
