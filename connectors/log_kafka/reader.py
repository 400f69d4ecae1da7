"""Committed records of some partitions, from explicit positions on.

Enters: starts and stops (offsets by partition). Leaves: `Record`s in order within each partition. No position is stored in the
cluster (law 4). Offsets have gaps: commit and abort markers take offsets, and so do the records of an aborted transaction. A position
is therefore "the next offset to read", and all positions between two records are equivalent. Records fetched beyond what was asked
for are kept for the next call.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from pipeline.log.protocol import Record
from pipeline.model.errors import LogError
from pipeline.model.message import message

from .client import open_client
from .settings import KafkaSettings
from .unpack import Wanted, partition_records_class

_POLL_MS = 200
_VALUE = attrgetter("value")


class Reader:
    """One consumer. Not for two threads at once: its owner holds a lock around every call.

    Records whose key `is_wanted` refuses are skipped. With `is_committed=False` only `ends` is useful.
    """

    def __init__(self, settings: KafkaSettings, *, is_committed: bool = True, is_wanted: Wanted = lambda key: True) -> None:
        self._place = settings.place
        self._timeout_s = settings.timeout_s
        self._consumer: Any = open_client(
            KafkaConsumer,
            **settings.client(),
            metrics_enabled=False,
            isolation_level="read_committed" if is_committed else "read_uncommitted",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            fetch_max_wait_ms=_POLL_MS,
            fetch_max_bytes=16 << 20,
            max_partition_fetch_bytes=4 << 20,
            receive_message_max_bytes=max(100_000_000, 4 * settings.max_event_bytes),
            max_poll_records=sys.maxsize,  # everything fetched: `unpack` works on whole batches
        )
        self._consumer._fetcher.PartitionRecords = partition_records_class(settings.topic_names, is_wanted)
        self._kept: dict[TopicPartition, deque[Record]] = {}
        self._next: dict[TopicPartition, int] = {}
        """The next offset to return, by partition: after the last record returned, or where reading was asked to begin."""
        self._paused: set[TopicPartition] = set()

    def partitions(self, name: str) -> list[int]:
        """The partitions of a topic by the cluster's name for it. Raises LogError when there is no such topic."""
        found = self._consumer.partitions_for_topic(name)
        if not found:
            raise LogError(message("{place}: there is no topic {name}: make the topics with `esep topics`", place=self._place, name=name))
        return sorted(found)

    def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The end of each partition: of its committed records up to the first open transaction, or (`is_committed=False`) of all records."""
        wanted = list(partitions)
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                ends: dict[TopicPartition, int] = self._consumer.end_offsets(wanted, timeout_ms=int(self._timeout_s * 1000))
            except KeyError as missing:  # how kafka-python ends when it lost sight of a partition's leader halfway
                if time.monotonic() > deadline:
                    raise LogError(
                        message("{place}: {missing} has no leader: check the brokers", place=self._place, missing=missing)
                    ) from missing
                time.sleep(0.05)
            else:
                return ends

    def read(self, starts: Mapping[TopicPartition, int], stops: Mapping[TopicPartition, int], limit_bytes: int) -> list[Record]:
        """Records from `starts` up to before `stops`, about `limit_bytes` of values, at least one when there is one.

        Returns when all stops or the limit are reached. A record that is no event is among them, with its `fault`.
        Raises LogError when the cluster returns nothing for `timeout_s`.
        """
        self._seek(starts)
        taken: list[Record] = []
        left_bytes = limit_bytes
        patience = time.monotonic() + self._timeout_s
        while True:
            for partition in starts:
                kept, stop, before = self._kept[partition], stops[partition], len(taken)
                if whole_bytes := _bytes_if_whole(kept, stop, left_bytes):
                    taken.extend(kept)
                    kept.clear()
                    left_bytes -= whole_bytes
                while kept and kept[0].offset < stop and (left_bytes > 0 or not taken):
                    record = kept.popleft()
                    left_bytes -= len(record.value)
                    taken.append(record)
                if len(taken) > before:
                    self._next[partition] = taken[-1].offset + 1
            behind = {p for p in starts if not self._has_reached(p, stops[p])}
            if not behind or (taken and left_bytes <= 0):
                return taken
            if self._fetch(behind, _POLL_MS):
                patience = time.monotonic() + self._timeout_s
            elif time.monotonic() > patience:
                raise LogError(
                    message(
                        "{place}: {count} partition(s) gave nothing for {timeout_s} s though more is there: check the brokers",
                        place=self._place,
                        count=len(behind),
                        timeout_s=format(self._timeout_s, "g"),
                    )
                )

    def has_more(self, starts: Mapping[TopicPartition, int], timeout_s: float) -> bool:
        """Whether there is a record at or after `starts`, waiting at most `timeout_s` for one."""
        self._seek(starts)
        deadline = time.monotonic() + timeout_s
        stops = self.ends(starts)
        while not any(self._kept[p] for p in starts):
            behind = {p for p in starts if not self._has_reached(p, stops[p])}
            left_s = deadline - time.monotonic()
            if left_s <= 0 and not behind:
                return False
            if left_s <= -self._timeout_s:
                raise LogError(
                    message(
                        "{place}: gave nothing for {timeout_s} s though more is there: check the brokers",
                        place=self._place,
                        timeout_s=format(self._timeout_s, "g"),
                    )
                )
            self._fetch(set(starts), _POLL_MS if behind else max(1, min(_POLL_MS, int(left_s * 1000))))
        return True

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=2000)

    # --- inside

    def _seek(self, starts: Mapping[TopicPartition, int]) -> None:
        """Position the consumer at `starts`, leaving partitions that are already there."""
        if not set(starts) <= set(self._kept):
            together = set(starts) | set(self._kept)
            self._consumer.assign(list(together))
            self._consumer.resume(*together)  # partitions that stay assigned would stay paused
            self._kept = {partition: deque() for partition in together}
            self._next = {}
            self._paused = set()
            for partition in together - set(starts):
                self._consumer.seek(partition, 0)  # paused until it is asked for; a partition without a position would be an error
        for partition, start in starts.items():
            if self._next.get(partition) != start:
                self._consumer.seek(partition, start)
                self._kept[partition].clear()
                self._next[partition] = start

    def _has_reached(self, partition: TopicPartition, stop: int) -> bool:
        """Whether every record before `stop` was fetched and returned."""
        kept = self._kept[partition]
        if kept:
            return bool(kept[0].offset >= stop)
        return self._next[partition] >= stop or (self._consumer.position(partition, timeout_ms=1000) or 0) >= stop

    def _fetch(self, wanted: set[TopicPartition], timeout_ms: int) -> bool:
        """One fetch of these partitions; whether anything came."""
        paused = set(self._kept) - wanted
        if paused != self._paused:
            self._consumer.resume(*(self._paused - paused))
            self._consumer.pause(*(paused - self._paused))
            self._paused = paused
        came = self._consumer.poll(timeout_ms)
        for partition, records in came.items():
            self._kept[partition].extend(records)
        return bool(came)


def _bytes_if_whole(kept: deque[Record], stop: int, limit_bytes: int) -> int:
    """The size of all values if all of `kept` can be returned at once; else 0, and they are checked one by one."""
    if not kept or kept[-1].offset >= stop:
        return 0
    size_bytes = sum(map(len, map(_VALUE, kept)))
    return size_bytes if size_bytes <= limit_bytes else 0
