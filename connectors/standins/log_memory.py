"""A log in memory, with the contract of `pipeline.log.protocol` and nothing durable: for simulations, and for a trial run that
should leave nothing behind. One process; several threads may share it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pipeline.log.authenticity import Stream
from pipeline.log.keys import LogKeys
from pipeline.log.protocol import ALL_TOPICS, AUDIT, TOPICS, NewEvent, Positions, Record, Topic
from pipeline.model.errors import FencedError, LogError


class MemoryLog:
    """`pipeline.log.protocol.EventLog` in memory; every topic has one partition, 0."""

    def __init__(self, *, keys: LogKeys | None = None) -> None:
        """`keys`: by which appends are signed."""
        self.keys = keys
        self._streams: dict[tuple[Topic, str], tuple[Stream, int]] = {}
        self._changed = threading.Condition()
        self._records: dict[Topic, list[Record]] = {topic: [] for topic in ALL_TOPICS}
        self._ids: defaultdict[tuple[Topic, str], dict[str, bytes]] = defaultdict(dict)
        self._epochs: defaultdict[tuple[Topic, str], int] = defaultdict(int)

    def writer(self, topic: Topic, key: str) -> MemoryWriter:
        with self._changed:
            self._epochs[topic, key] += 1
            return MemoryWriter(self, topic, key, self._epochs[topic, key])

    def read(
        self, positions: Positions, *, topics: Sequence[Topic] = TOPICS, until: Positions | None = None, limit_bytes: int = 16 << 20
    ) -> list[Record]:
        found: list[Record] = []
        size = 0
        with self._changed:
            for topic in topics:
                place = f"{topic}/0"
                stop = len(self._records[topic]) if until is None else min(until.get(place, 0), len(self._records[topic]))
                for record in self._records[topic][positions.get(place, 0) : stop]:
                    if found and size + len(record.value) > limit_bytes:
                        return found
                    found.append(record)
                    size += len(record.value)
        return found

    def wait(self, positions: Positions, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: any(len(self._records[t]) > positions.get(f"{t}/0", 0) for t in TOPICS), timeout_s)

    def end(self) -> dict[str, int]:
        with self._changed:
            return {f"{topic}/0": len(self._records[topic]) for topic in TOPICS}

    def last(self, topic: Topic, key: str) -> Record | None:
        with self._changed:
            return next((record for record in reversed(self._records[topic]) if record.key == key), None)

    def close(self) -> None: ...

    def append(self, topic: Topic, key: str, epoch: int, events: Sequence[NewEvent]) -> int:
        """`MemoryWriter.append`: all or nothing."""
        with self._changed:
            if self._epochs[topic, key] != epoch:
                raise FencedError(f"another writer took over {topic} {key}: this one must stop")
            ids = self._ids[topic, key]
            new: dict[str, bytes] = {}
            for event in events:
                before = ids.get(event.id, new.get(event.id))
                if before is None:
                    new[event.id] = event.value
                elif before != event.value:
                    raise LogError(f"{topic} {key} already holds an event {event.id!r} with other content")
            records = self._records[topic]
            fresh = self._signed(topic, key, [event for event in events if event.id in new])
            records += [Record(topic, 0, len(records) + n, key, *event) for n, event in enumerate(fresh)]
            ids.update(new)
            self._changed.notify_all()
            return len(new)

    def _signed(self, topic: Topic, key: str, events: list[NewEvent]) -> list[NewEvent]:
        """The events, once each, as they are appended next."""
        events = list({event.id: event for event in events}.values())
        if self.keys is None or topic == AUDIT or not events:
            return events
        stream, start = self._streams.get((topic, key)) or (self.keys.begin(topic, key), 0)
        for record in self._records[topic][start:]:
            if record.key == key:
                stream.judge(record)
        self._streams[topic, key] = stream, len(self._records[topic])
        return self.keys.signed(stream, events)


class MemoryWriter:
    """The one writer of a (topic, key) in a `MemoryLog`."""

    def __init__(self, log: MemoryLog, topic: Topic, key: str, epoch: int) -> None:
        self._log, self._topic, self._key, self._epoch = log, topic, key, epoch

    def append(self, events: Sequence[NewEvent]) -> int:
        return self._log.append(self._topic, self._key, self._epoch, events)

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
