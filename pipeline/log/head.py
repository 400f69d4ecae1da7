"""One digest over all events of one pool, which a public time stamp makes undeniable; and that a log still begins with what was stamped. Pure but for reading.

Enters: a log, a pool. Leaves: how many events each `topic/key` has and one digest over all of them, the same in every copy of the log; and of former ones, whether the log still
gives them. Whoever can write a log's file can make it anew from a point on, without a key; not so that it still gives a digest that a Bitcoin block has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.log.events.months import Stamped
from pipeline.model.message import message

from .copying import RunningDigest, combined_digest
from .protocol import TOPICS, EventLog, Record, Topic, advance

Key = tuple[Topic, str]


@dataclass(frozen=True)
class Head:
    """Where a pool's part of a log stands."""

    digest: str
    """SHA-256, hex: as `esep log check` prints it where the log is this pool's alone."""
    events: dict[str, int]
    """By `topic/key`."""


class HeadReader:
    """Reads on from where it stood: the first time all of the log."""

    def __init__(self, log: EventLog, pool: str) -> None:
        self._log, self._pool = log, pool
        self._positions: dict[str, int] = {}
        self._running: dict[Key, RunningDigest] = {}

    def head(self) -> Head:
        """As the log is now. Raises LogError."""
        until = self._log.end()
        while records := self._log.read(self._positions, until=until):
            for record in records:
                if is_of(record, self._pool) and not record.fault:
                    self._running.setdefault(_key(record), RunningDigest()).add(record)
            self._positions = advance(self._positions, records)
        events = {f"{topic}/{key}": running.events for (topic, key), running in sorted(self._running.items())}
        return Head(combined_digest({key: running.digest for key, running in self._running.items()}), events)


def heads_at(log: EventLog, wanted: Sequence[Mapping[str, int]]) -> list[str | None]:
    """The digest that the log gave when each `topic/key` had so many events; None where it has fewer. Raises LogError."""
    needed: dict[Key, set[int]] = {}
    for counts in wanted:
        for place, count in counts.items():
            needed.setdefault(_place(place), set()).add(count)
    found: dict[tuple[Key, int], str] = {}
    running: dict[Key, RunningDigest] = {}
    positions: dict[str, int] = {}
    until = log.end()
    while records := log.read(positions, until=until):
        for record in records:
            key = _key(record)
            if key in needed and not record.fault:
                of_key = running.setdefault(key, RunningDigest())
                of_key.add(record)
                if of_key.events in needed[key]:
                    found[key, of_key.events] = of_key.digest
        positions = advance(positions, records)
    return [_combined(counts, found) for counts in wanted]


def stamp_faults(log: EventLog, stamps: Sequence[Stamped]) -> list[str]:
    """The public time stamps of former heads that this log does not give. Raises LogError."""
    found = heads_at(log, [stamp.events for stamp in stamps])
    return [
        f"the head that {stamp.calendar} stamped is {stamp.digest}, and the log's own events up to there give {digest or 'fewer'}"
        for stamp, digest in zip(stamps, found, strict=True)
        if digest != stamp.digest
    ]


def is_of(record: Record, pool: str) -> bool:
    """Whether the event is of the pool: its key is the pool's, or one of the pool's chains'."""
    return record.key == pool or record.key.startswith(f"{pool}/")


def _combined(counts: Mapping[str, int], found: Mapping[tuple[Key, int], str]) -> str | None:
    keys = {_place(place): count for place, count in counts.items()}
    if any((key, count) not in found for key, count in keys.items()):
        return None
    return combined_digest({key: found[key, count] for key, count in keys.items()})


def _key(record: Record) -> Key:
    return next(topic for topic in TOPICS if topic == record.topic), record.key


def _place(text: str) -> Key:
    """Raises ValueError for what names no `topic/key`."""
    named, _, key = text.partition("/")
    return next((topic for topic in TOPICS if topic == named), TOPICS[0]) if named in TOPICS else _unknown(text), key


def _unknown(text: str) -> Topic:
    raise ValueError(message("{text} names no topic of the log", text=repr(text[:80])))
