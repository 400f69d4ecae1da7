"""The log that everything is rebuilt from (law 1): what a log must do, whatever holds it.

Four topics; an event has a key (the pool and chain for `chain`, the pool for the rest) and keeps its order
within the key. `connectors/log_sqlite/log.py` is the embedded implementation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self

from pipeline.model.errors import FencedError

Topic = Literal["chain", "ledger", "registry", "months"]
TOPICS: tuple[Topic, ...] = ("chain", "ledger", "registry", "months")

Positions = Mapping[str, int]
"""Next offset to read, by `topic/partition` (`{"chain/0": 4711}`). A partition that is absent is read from its start."""


class Record(NamedTuple):
    """One event as it lies in the log."""

    topic: str
    partition: int
    offset: int
    key: str
    id: str
    value: bytes
    """The event's JSON, UTF-8."""

    @property
    def where(self) -> str:
        """The record's place for a message: `chain/0@4711`."""
        return f"{self.topic}/{self.partition}@{self.offset}"


class NewEvent(NamedTuple):
    """An event about to be appended."""

    id: str
    value: bytes


class Writer(Protocol):
    """The one writer of a (topic, key). Opening another one for the same pair fences this one."""

    def append(self, events: Sequence[NewEvent]) -> int:
        """Append all or nothing, durable on return; how many were new.

        An id that this key already holds with the same value is skipped; with another value it is a `LogError`.
        Raises `FencedError` once another writer has been opened for the same (topic, key).
        """
        ...

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class EventLog(Protocol):
    """An append-only log of JSON events, shared by many processes at once."""

    def writer(self, topic: Topic, key: str) -> Writer: ...

    def read(
        self, positions: Positions, *, topics: Sequence[Topic] = TOPICS, until: Positions | None = None, limit_bytes: int = 16 << 20
    ) -> list[Record]:
        """Records from `positions` on, in order within each partition, up to about `limit_bytes` (at least one record
        when there is one) and, per partition, before the offset in `until` (a partition absent from `until` is then not read).
        Empty when there is nothing new."""
        ...

    def wait(self, positions: Positions, timeout_s: float) -> bool:
        """Block until there is something to read past `positions`, or the time is out; whether there is."""
        ...

    def end(self) -> dict[str, int]:
        """The next offset of every partition."""
        ...

    def last(self, topic: Topic, key: str) -> Record | None:
        """The newest record of a key: a connector's cursor (law 4)."""
        ...

    def close(self) -> None: ...


def advance(positions: Positions, records: Sequence[Record]) -> dict[str, int]:
    """The positions after reading `records`."""
    if not records:
        return dict(positions)
    topics, partitions, offsets, *_ = zip(*records, strict=True)
    furthest: dict[tuple[str, int], int] = {}
    if len(places := set(zip(topics, partitions, strict=True))) == 1:
        furthest[places.pop()] = max(offsets)
    else:
        for topic, partition, offset, *_ in records:
            if offset >= furthest.get((topic, partition), 0):
                furthest[topic, partition] = offset
    after = dict(positions)
    for (topic, partition), offset in furthest.items():
        place = f"{topic}/{partition}"
        after[place] = max(after.get(place, 0), offset + 1)
    return after


MAX_ATTEMPTS = 10


def append_shared(log: EventLog, topic: Topic, key: str, events: Sequence[NewEvent]) -> int:
    """Append where others append, too, each for a moment (`months`): who is fenced meanwhile opens the writer anew; how many were new.

    What an attempt left is known by its ids. Raises FencedError when the key is taken away again and again, LogError as `Writer.append`.
    """
    for attempt in range(MAX_ATTEMPTS):
        try:
            with log.writer(topic, key) as writer:
                return writer.append(events)
        except FencedError:
            if attempt == MAX_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")
