"""`KafkaLog`: a Kafka cluster as the event log.

Enters: events to append; positions to read from. Leaves: records in order within each key. There are four topics `PREFIX.chain` …
with the same number of partitions. A key's partition is the hash of its pool (the key up to its first `/`), so a pool is one
partition of every topic (ADR 3). An append is one transaction, and readers see committed ones only. Left out: creating topics
(`topics.py`), and which process owns a pool (`lease.py`).
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from kafka import TopicPartition
from kafka import errors as kafka_errors
from kafka.partitioner.default import murmur2

from pipeline.log.keys import LogKeys
from pipeline.log.protocol import ALL_TOPICS, TOPICS, Positions, Record, Topic, advance
from pipeline.model.errors import LogError
from pipeline.model.message import message

from .errors import translate_errors
from .read_ahead import ReadAhead
from .reader import Reader
from .settings import KafkaSettings
from .topics import missing_topics
from .unpack import Wanted
from .writer import KafkaWriter

Answer = TypeVar("Answer")

_VALUE = attrgetter("value")
_WINDOW = 256
_SETTLE_S = 15.0


def pool_of(key: str) -> str:
    """The pool of a key: `qazpool` of `qazpool/bitcoin` and of `qazpool`."""
    return key.partition("/")[0]


def partition_of(key: str, count: int) -> int:
    """The partition of a key among `count`: Kafka's own hash of the key's pool."""
    return int(murmur2(pool_of(key).encode()) & 0x7FFFFFFF) % count


class _Request(NamedTuple):
    """What is to be read."""

    positions: Positions
    topics: tuple[Topic, ...]
    until: Positions | None
    limit_bytes: int


class KafkaLog:
    """`pipeline.log.protocol.EventLog` on a cluster. With `pool`, only that pool's keys and partition are read; threads may share it."""

    def __init__(self, settings: KafkaSettings, *, pool: str | None = None, keys: LogKeys | None = None) -> None:
        self.settings = settings
        self.keys = keys
        self.pool = pool
        self.place = settings.place
        self._lock = threading.Lock()
        self._follower: Reader | None = None
        self._look_lock = threading.RLock()
        self._looker: Reader | None = None
        self._heads: Reader | None = None
        self._counts: dict[str, int] = {}
        self._writers: weakref.WeakSet[KafkaWriter] = weakref.WeakSet()
        self._is_closed = False
        self._ahead = ReadAhead(self._read)

    # --- EventLog

    def writer(self, topic: Topic, key: str) -> KafkaWriter:
        """`EventLog.writer`: from now on the cluster fences every older writer of this (topic, key)."""
        self._check_key(key)

        def become() -> KafkaWriter:
            writer = KafkaWriter(self, topic, key)
            try:
                # The caller reads the key next, so no record of it may still be hidden behind another writer's open transaction.
                writer.assume_read_to(self.settled_end(self.partition(topic, key)))
            except BaseException:
                writer.close()
                raise
            self._writers.add(writer)
            return writer

        return self._retried(message("become the writer of {known} {key}", known=_known(topic), key=repr(key)), become)

    def read(
        self, positions: Positions, *, topics: Sequence[Topic] = TOPICS, until: Positions | None = None, limit_bytes: int = 16 << 20
    ) -> list[Record]:
        """`EventLog.read`: committed records only, up to the partition's first open transaction. Where a batch was full, the next one is read meanwhile."""
        wanted = _Request(dict(positions), tuple(topics), None if until is None else dict(until), limit_bytes)
        records = self._ahead.take(wanted) or self._retried("read", lambda: self._read(wanted))
        if sum(map(len, map(_VALUE, records))) >= limit_bytes:  # there is more
            self._ahead.begin(wanted._replace(positions=advance(positions, records)))
        return records

    def wait(self, positions: Positions, timeout_s: float) -> bool:
        """`EventLog.wait`: the cluster answers as soon as something is committed."""
        deadline = time.monotonic() + timeout_s

        def ask() -> bool:
            with self._lock:
                return self._follower_reader().has_more(self._starts(positions, TOPICS), min(left_s, 0.5))

        while True:
            # In slices, so that other threads can read meanwhile.
            left_s = max(0.0, deadline - time.monotonic())
            if self._retried("read", ask):
                return True
            if left_s <= 0.5:
                return False

    def end(self) -> dict[str, int]:
        """`EventLog.end`: offsets have gaps, so it may lie past the position after the last record."""

        def ask() -> dict[str, int]:
            with self._query_reader() as looker:
                partitions = [p for topic in TOPICS for p in self.partitions(topic)]
                return {self._named(p): end for p, end in sorted(looker.ends(partitions).items())}

        return self._retried("read", ask)

    def last(self, topic: Topic, key: str) -> Record | None:
        """`EventLog.last`: searches backwards from the end; for a key without records that is the whole partition."""
        self._check_key(key)

        def ask() -> Record | None:
            with self._query_reader():
                partition = self.partition(topic, key)
                stop = self.settled_end(partition)
                window = _WINDOW
                while stop > 0:
                    start = max(0, stop - window)
                    found = None
                    for record in self.scan(partition, start, stop):
                        if record.key == key and not record.fault:
                            found = record
                    if found is not None:
                        return found
                    stop, window = start, window * 4
                return None

        return self._retried(message("read the last event of {known} {key}", known=_known(topic), key=repr(key)), ask)

    def close(self) -> None:
        """Close every connection, also those of the writers."""
        self._is_closed = True
        self._ahead.close()
        for writer in list(self._writers):
            writer.close()
        with self._lock, self._look_lock:
            for reader in (self._follower, self._looker, self._heads):
                if reader is not None:
                    reader.close()
            self._follower = self._looker = self._heads = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- for the writer

    def partition(self, topic: Topic, key: str) -> TopicPartition:
        """The partition of a key."""
        name = self.settings.topic(topic)
        return TopicPartition(name, partition_of(key, self._count(name)))

    def partitions(self, topic: Topic) -> list[TopicPartition]:
        """The partitions of a topic that this log reads."""
        name = self.settings.topic(topic)
        count = self._count(name)
        chosen = range(count) if self.pool is None else [partition_of(self.pool, count)]
        return [TopicPartition(name, number) for number in chosen]

    def settled_end(self, partition: TopicPartition) -> int:
        """The end of a partition, once every transaction before it is committed or aborted.

        An open transaction, of any key, hides the records committed after it. It ends by itself, at the latest when the cluster's
        transaction timeout aborts it. Raises LogError when it does not.
        """
        with self._query_reader() as looker:
            if self._heads is None:
                self._heads = Reader(self.settings, is_committed=False)
            end = self._heads.ends([partition])[partition]
            self._await_stable(looker, partition, end, self.settings.transaction_timeout_s + _SETTLE_S)
            return end

    def await_visible(self, partition: TopicPartition, offset: int, timeout_s: float) -> None:
        """Wait until readers see what is at `offset`. Raises LogError when the time is out."""
        with self._query_reader() as looker:
            self._await_stable(looker, partition, offset + 1, timeout_s)

    def scan(self, partition: TopicPartition, start: int, stop: int) -> Iterator[Record]:
        """Every committed record of a partition from `start` up to before `stop`, of any key."""
        with self._query_reader() as looker:
            at = start
            while records := looker.read({partition: at}, {partition: stop}, 16 << 20) if at < stop else []:
                at = records[-1].offset + 1
                yield from records

    # --- inside

    def _read(self, wanted: _Request) -> list[Record]:
        with self._lock:
            follower = self._follower_reader()
            starts = self._starts(wanted.positions, wanted.topics)
            if wanted.until is not None:
                starts = {p: start for p, start in starts.items() if self._named(p) in wanted.until}
            stops = self._ends(follower, starts)
            if wanted.until is not None:
                stops = {p: min(stop, wanted.until[self._named(p)]) for p, stop in stops.items()}
            behind = {p: start for p, start in starts.items() if start < stops[p]}
            return follower.read(behind, stops, wanted.limit_bytes) if behind else []

    def _await_stable(self, looker: Reader, partition: TopicPartition, end: int, timeout_s: float) -> None:
        deadline, pause_s = time.monotonic() + timeout_s, 0.001
        while (stable := looker.ends([partition])[partition]) < end:
            if time.monotonic() > deadline:
                raise LogError(
                    message(
                        "{place}: {topic}/{partition}@{stable} holds an append that nobody ended for {timeout_s} s, so nothing after it can be read: find the writer with Kafka's kafka-transactions tool (find-hanging) and abort it",
                        place=self.place,
                        topic=partition.topic,
                        partition=partition.partition,
                        stable=stable,
                        timeout_s=format(timeout_s, "g"),
                    )
                )
            time.sleep(pause_s)
            pause_s = min(0.1, pause_s * 2)

    def _follower_reader(self) -> Reader:
        if self._follower is None:
            self._follower = Reader(self.settings, is_wanted=self._is_ours())
        return self._follower

    def _is_ours(self) -> Wanted:
        if self.pool is None:
            return lambda key: True
        pool, start = self.pool.encode(), f"{self.pool}/".encode()
        return lambda key: key == pool or key.startswith(start)

    @contextlib.contextmanager
    def _query_reader(self) -> Iterator[Reader]:
        """The reader for look-ups, separate from the one that follows the log."""
        with self._look_lock:
            if self._looker is None:
                self._looker = Reader(self.settings)
            yield self._looker

    def _retried(self, action: str, ask: Callable[[], Answer]) -> Answer:
        """Call `ask`, retrying errors that may pass for up to `timeout_s`; then raises LogError. `ask` must be safe to repeat."""
        deadline = time.monotonic() + self.settings.timeout_s
        while True:
            if self._is_closed:
                raise LogError(message("{place}: can't {action}: the log was closed", place=self.place, action=action))
            with translate_errors(self.place, action):
                try:
                    return ask()
                except kafka_errors.RetriableError:
                    # A broker that just died refuses connections before its successor is known.
                    if time.monotonic() > deadline:
                        self._require_no_missing_topic()
                        raise
            time.sleep(0.2)

    def _require_no_missing_topic(self) -> None:
        """Raises LogError where a topic that was there is gone: the client asks for it until the time is out, as if its broker were down."""
        gone: list[str] = []
        with contextlib.suppress(LogError):  # no broker answers: what is retried says so
            gone = sorted(set(self._counts) & set(missing_topics(self.settings)))
        if gone:
            raise LogError(
                message(
                    "{place}: topic {name} was deleted: bring it back from a copy with `esep log copy`, after `esep topics` has made it",
                    place=self.place,
                    name=gone[0],
                )
            )

    def _count(self, name: str) -> int:
        if name not in self._counts:
            with self._query_reader() as looker:
                self._counts[name] = len(looker.partitions(name))
        return self._counts[name]

    def _check_key(self, key: str) -> None:
        if self.pool is not None and pool_of(key) != self.pool:
            raise LogError(
                message(
                    "{place}: this log was opened for pool {pool}: open another one for {key}",
                    place=self.place,
                    pool=repr(self.pool),
                    key=repr(key),
                )
            )

    def _named(self, partition: TopicPartition) -> str:
        return f"{self.settings.topic_names[partition.topic]}/{partition.partition}"

    def _starts(self, positions: Positions, topics: Sequence[Topic]) -> dict[TopicPartition, int]:
        all_places = {self._named(p): p for topic in dict.fromkeys((*TOPICS, *map(_known, topics))) for p in self.partitions(topic)}
        strange = sorted(set(positions) - set(all_places))
        if strange:
            raise LogError(
                message("{place} has no partition {strange}", place=self.place, strange=repr(strange[0]))
                + (message(" of pool {pool}", pool=repr(self.pool)) if self.pool else "")
                + message(": these positions are another log's; rebuild the store from this log")
            )
        wanted = {_known(topic) for topic in topics}
        return {p: positions.get(place, 0) for place, p in all_places.items() if place.partition("/")[0] in wanted}

    def _ends(self, reader: Reader, starts: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Where reading stops now. A position after the end belongs to another log, unless a new leader is still catching up."""
        deadline = time.monotonic() + _SETTLE_S
        while True:
            ends = reader.ends(starts)
            ahead = [p for p, start in starts.items() if start > ends[p]]
            if not ahead:
                return ends
            if time.monotonic() > deadline:
                place, start = self._named(ahead[0]), starts[ahead[0]]
                raise LogError(
                    message(
                        "{place} ends at {place_2}@{ends}, but {place_2}@{start} was already read: it is another log, or an older copy of it; bring back the newest one",
                        place=self.place,
                        place_2=place,
                        ends=ends[ahead[0]],
                        start=start,
                    )
                )
            time.sleep(0.2)


def _known(topic: Topic) -> Topic:
    """The topic itself. Raises `LogError` for a name that is none."""
    if topic not in ALL_TOPICS:
        raise LogError(message("{topic} is not a topic; the topics are {topics}", topic=repr(topic), topics=", ".join(ALL_TOPICS)))
    return topic
