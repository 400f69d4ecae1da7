"""The protocol of the event log that everything is rebuilt from (law 1).

There are four topics of facts and decisions, and `audit`, which no month depends on: `end`, `wait`, and `read` without topics, leave it out. An event has a key (the pool and chain for `chain`, the pool for the rest); events of one key keep their
order. Implementations: `connectors/log_sqlite/log.py` (embedded) and `connectors/log_kafka`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from pipeline.model.errors import FencedError

from .records import ALL_TOPICS as ALL_TOPICS
from .records import AUDIT as AUDIT
from .records import TOPICS as TOPICS
from .records import NewEvent as NewEvent
from .records import Positions as Positions
from .records import Record as Record
from .records import Topic as Topic

if TYPE_CHECKING:
    from .keys import LogKeys


class Writer(Protocol):
    """The one writer of a (topic, key). Opening another one for the same pair fences this one."""

    def append(self, events: Sequence[NewEvent]) -> int:
        """Append all or nothing, durable on return; the number that were new.

        An id that this key already holds with the same value is skipped; with another value it is a `LogError`.
        Raises `FencedError` once another writer has been opened for the same (topic, key).
        """
        ...

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class EventLog(Protocol):
    """An append-only log of JSON events, shared by many processes at once."""

    keys: LogKeys | None
    """By which appends are signed and readers check them (ADR 14); None where no root key is in force: then nothing is checked."""

    def writer(self, topic: Topic, key: str) -> Writer: ...

    def read(
        self, positions: Positions, *, topics: Sequence[Topic] = TOPICS, until: Positions | None = None, limit_bytes: int = 16 << 20
    ) -> list[Record]:
        """Records from `positions` on, in order within each partition, up to about `limit_bytes` (at least one record
        when there is one) and, per partition, before the offset in `until` (a partition absent from `until` is then not read).
        Empty when there is nothing new."""
        ...

    def wait(self, positions: Positions, timeout_s: float) -> bool:
        """Wait until there is something to read after `positions`, at most `timeout_s`; whether there is."""
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
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0


def append_shared(log: EventLog, topic: Topic, key: str, events: Sequence[NewEvent], check: Callable[[], None] = lambda: None) -> int:
    """Append to a key that several processes write briefly (`months`), reopening the writer when it is fenced; the number that were new.

    `check` is called before each attempt, once the key is ours: what it reads in the log is all that precedes the events, for whoever writes after it fences us. What it
    raises goes on to the caller, and nothing is appended. Retrying is safe: ids already appended are skipped. Two that reopen at once would fence each other for ever, so each
    waits for the other's event, and at most for a time of chance that grows. Raises FencedError after MAX_ATTEMPTS, LogError as `Writer.append`.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            with log.writer(topic, key) as writer:
                check()
                return writer.append(events)
        except FencedError:
            if attempt == MAX_ATTEMPTS:
                raise
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (attempt - 1))
            log.wait(log.end(), random.uniform(0, pause_s))  # noqa: S311 - parts two writers, keeps no secret
    raise AssertionError("unreachable")
