"""Copying one event log into another, verifying the copy, and checking a single log.

Enters: two logs of any kind. Leaves: the target with all of the source's events, in the source's order within each key, and one digest
per key that source and target agree on. A copy keeps no state of its own: it resumes after the events that the target already holds.
A key whose events in the target differ from the source's is refused before anything is appended to it.
Left out: positions. Offsets differ between logs, so a store is rebuilt from the new log. A month frozen before the copy finds its
position in the new log by the newest event of each key, which its `frozen` event names (`freeze.replay.positions_in_log`, ADR 3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby

from pipeline.log.events import decode
from pipeline.log.events.months import Stamped
from pipeline.model.errors import LogError
from pipeline.model.message import message

from . import signatures
from .protocol import AUDIT, TOPICS, EventLog, NewEvent, Record, Topic, Writer, append_shared
from .read import Streams, batches

BATCH_BYTES = 4 << 20

Key = tuple[Topic, str]


@dataclass
class RunningDigest:
    """The number of events of one (topic, key) read so far, and one digest over them in order."""

    events: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256, repr=False)

    def add(self, record: Record) -> None:
        self.events += 1
        self._digest.update(event_digest(record))

    @property
    def digest(self) -> str:
        """SHA-256, hex, of the events' digests in order."""
        return self._digest.hexdigest()


@dataclass(frozen=True)
class CopyResult:
    """The result of a copy."""

    events: int
    """All events of the source."""
    appended: int
    """Those of them that the target did not have yet."""
    digests: dict[Key, str]
    """SHA-256, hex, of each (topic, key), the same in source and target."""

    @property
    def digest(self) -> str:
        """SHA-256, hex, of the whole log: equal logs have equal digests, whatever their kind."""
        return combined_digest(self.digests)


def combined_digest(digests: Mapping[Key, str]) -> str:
    """SHA-256, hex, of all keys' digests, sorted by topic and key."""
    whole = hashlib.sha256()
    for (topic, key), digest in sorted(digests.items()):
        whole.update(f"{topic}\0{key}\0{digest}\n".encode())
    return whole.hexdigest()


def event_digest(record: Record) -> bytes:
    """SHA-256 (32 bytes) of an event's id and content, and of the signature that it carries."""
    found = signatures.event_digest(record)
    return found if record.signature is None else hashlib.sha256(found + record.signature).digest()


def copy_log(
    source: EventLog, target: EventLog, *, batch_bytes: int = BATCH_BYTES, on_progress: Callable[[int], None] = lambda _: None
) -> CopyResult:
    """Append to `target` the events of `source` that it lacks, then read it back and compare. `on_progress`: source events read so far.

    Raises LogError when a key of the target begins with other events than the source's, or when what is read back differs;
    FencedError when another writer takes over a key of the target meanwhile.
    """
    held = _event_digests(target)
    source_digests: dict[Key, RunningDigest] = {}
    appended = looked = 0
    with ExitStack() as stack:
        writers: dict[Key, Writer] = {}
        for records in batches(source):
            # Consecutive records of one key, not all of a key at once: this also keeps the order between the keys of a partition.
            for (topic, key), run in groupby(_events(records), key=_key):
                running = source_digests.setdefault((topic, key), RunningDigest())
                fresh = _missing_in_target(list(run), running, held.get((topic, key), []))
                if fresh and (topic, key) not in writers:
                    writers[topic, key] = stack.enter_context(target.writer(topic, key))
                for batch in _batches(fresh, batch_bytes):
                    appended += writers[topic, key].append(batch)
            looked += len(records)
            on_progress(looked)
    del held
    events = sum(running.events for running in source_digests.values())
    return CopyResult(events, appended, _verify_target(target, source_digests))


def copy_audit(source: EventLog, target: EventLog) -> int:
    """Append to `target` the entries of `source`'s topic `audit` that it lacks, by their ids; how many. No digest of a log counts them, since no month depends on them. Raises LogError."""
    held = {(record.key, record.id) for records in batches(target, topics=[AUDIT]) for record in _events(records)}
    appended = 0
    for records in batches(source, topics=[AUDIT]):
        for key, run in groupby(_events(records), key=lambda record: record.key):
            fresh = [NewEvent(record.id, record.value) for record in run if (key, record.id) not in held]
            appended += append_shared(target, AUDIT, key, fresh) if fresh else 0
    return appended


def _events(records: list[Record]) -> Iterator[Record]:
    """Without the records that are no events: they count for nothing, and are not copied."""
    return (record for record in records if not record.fault)


def _key(record: Record) -> Key:
    for topic in TOPICS:
        if topic == record.topic:
            return topic, record.key
    raise LogError(message("{where}: {topic} is not a topic of the log", where=record.where, topic=repr(record.topic)))


def _event_digests(log: EventLog) -> dict[Key, list[bytes]]:
    """The digest of every event (32 bytes each), by key, in order."""
    digests: dict[Key, list[bytes]] = {}
    for records in batches(log):
        for record in _events(records):
            digests.setdefault(_key(record), []).append(event_digest(record))
    return digests


def _missing_in_target(run: list[Record], running: RunningDigest, held: list[bytes]) -> list[Record]:
    """The records of `run` beyond those that the target holds. Raises LogError where the two differ."""
    fresh = []
    for record in run:
        if running.events >= len(held):
            fresh.append(record)
        elif held[running.events] != event_digest(record):
            raise LogError(
                message(
                    "the target's event {events} of {topic} {key} is not the source's, {id} at {where}: it is a different log; copy into a log that is empty, or under another prefix",
                    events=running.events + 1,
                    topic=record.topic,
                    key=repr(record.key),
                    id=repr(record.id),
                    where=record.where,
                )
            )
        running.add(record)
    return fresh


def _batches(records: list[Record], batch_bytes: int) -> Iterator[list[NewEvent]]:
    batch: list[NewEvent] = []
    size = 0
    for record in records:
        batch.append(NewEvent(record.id, record.value, record.signature))
        size += len(record.value)
        if size >= batch_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _verify_target(target: EventLog, source_digests: dict[Key, RunningDigest]) -> dict[Key, str]:
    """Read the target back; each key's digest over as many events as the source has. Raises LogError where it differs from the source's."""
    found: dict[Key, RunningDigest] = {}
    for records in batches(target):
        for record in _events(records):
            place = _key(record)
            running = found.setdefault(place, RunningDigest())
            if place in source_digests and running.events < source_digests[place].events:
                running.add(record)
    for (topic, key), running in sorted(source_digests.items()):
        read_back = found.get((topic, key), RunningDigest())
        if (read_back.events, read_back.digest) != (running.events, running.digest):
            raise LogError(
                message(
                    "the copy of {topic} {key} differs: the source has {events} events with digest {digest}, the target {events_2} with {digest_2}; keep the source, and copy anew into an empty log",
                    topic=topic,
                    key=repr(key),
                    events=running.events,
                    digest=running.digest[:16],
                    events_2=read_back.events,
                    digest_2=read_back.digest[:16],
                )
            )
    return {key: running.digest for key, running in source_digests.items()}


@dataclass(frozen=True)
class LogCheck:
    """The result of checking a whole log."""

    events: int
    digests: dict[Key, str]
    unreadable: list[str]
    """Place and error of each record that is no event, or that this program can't decode (law 8)."""
    not_authentic: list[str]
    """Place and fault of each event that no key signed which may, or before which something is missing (ADR 14)."""
    is_signed: bool
    """Whether that was looked at: a root key is in force for this log."""
    stamps: list[Stamped] = field(default_factory=list)
    """Public time stamps of the log's head, the newest of each digest and calendar."""

    @property
    def digest(self) -> str:
        """As `CopyResult.digest`: a backup and its log have the same one."""
        return combined_digest(self.digests)


def check_log(log: EventLog, *, on_progress: Callable[[int], None] = lambda _: None) -> LogCheck:
    """Read and decode every event and digest the whole log. `on_progress`: events read so far. Raises LogError at the first damaged place."""
    digests: dict[Key, RunningDigest] = {}
    unreadable: list[str] = []
    stamps: dict[tuple[str, str, str], Stamped] = {}
    not_authentic: list[str] = []
    streams = Streams(log.keys)
    looked = 0
    for records in batches(log):
        unreadable += [message("{where}: {fault}", where=record.where, fault=record.fault) for record in records if record.fault]
        for record in _events(records):
            digests.setdefault(_key(record), RunningDigest()).add(record)
            if fault := streams.judge(record).fault:
                not_authentic.append(message("{where}: {fault}", where=record.where, fault=fault))
            try:
                event = decode(record.value)
                if isinstance(event, Stamped) and event.what == "log":
                    stamps[record.key, event.digest, event.calendar] = event
            except (ValueError, RecursionError) as error:
                unreadable.append(message("{where}: {error}", where=record.where, error=str(error) or type(error).__name__))
        looked += len(records)
        on_progress(looked)
    return LogCheck(
        sum(running.events for running in digests.values()),
        {key: running.digest for key, running in digests.items()},
        unreadable,
        not_authentic,
        log.keys is not None,
        list(stamps.values()),
    )
