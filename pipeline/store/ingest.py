"""From the log into the store, exactly once.

In: records of an `EventLog` from the store's own positions on. Out: raw rows and the new positions, in one DuckDB
transaction for each batch (law 4): after a crash at any moment the store continues from its positions, and any batch size, order
of topics or duplicate delivery gives the same rows (law 2). A record that is no event, an event that can't be decoded, that contradicts an earlier one, or that is not
authentic where a root key is in force (ADR 14), goes to raw_bad_event with its position, and ingest continues (law 8). Only a gap or contradiction in a chain's events stops ingest,
because every later block depends on it.

Left out: every judgement about the rows (law 3), and waiting for new events, which the caller's loop does.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from operator import attrgetter
from typing import Literal, get_args

import duckdb
import msgspec
import polars as pl

from pipeline.log.events import KEY_EVENTS, TOPIC_OF, AnyEvent, decode
from pipeline.log.events.chain import ChainEvent
from pipeline.log.events.ledger import Complete
from pipeline.log.events.months import ClosingEvent, Documented, Frozen, Labelled, Waived, WalletSigned
from pipeline.log.events.registry import Registry
from pipeline.log.events.sources import LedgerSourceEvent, SourceDecided
from pipeline.log.keys import LogKeys
from pipeline.log.protocol import TOPICS, EventLog, Positions, Record, Topic, advance
from pipeline.model.errors import LogError, StoreError
from pipeline.model.issues import IssueCode
from pipeline.model.message import message

from . import Store
from .authenticity import Judge, bring_under_keys
from .chain import ChainBatch, ChainBroken
from .checkpoints import CheckpointsInBatch
from .facts import Shape, insert
from .ledger import (
    BULK,
    KIND_OF,
    BulkEvent,
    Contradiction,
    add_bulk,
    add_closing,
    add_complete,
    add_decision,
    add_registry,
    add_source,
    decode_bulk,
)
from .of_log import require_of_log
from .queries import statements
from .step import IngestStep

LIMIT_BYTES = 16 << 20
"""How much of the log one step reads: about 200,000 ledger rows in bulk events."""

_FEW_IDS = 20
"""So many ids are looked for as values: to register a frame and join it costs a statement four milliseconds more."""
_EVENT: Shape = {
    "topic": pl.String, "key": pl.String, "id": pl.String, "type": pl.String, "log_offset": pl.Int64, "digest": pl.String,
}  # fmt: skip
_BAD: Shape = {"place": pl.String, "log_offset": pl.Int64, "key": pl.String, "error": pl.String, "code": pl.String}
_Name = tuple[str, str, str]
"""Topic, key and id: they identify an event."""
_CHAIN_EVENTS = get_args(ChainEvent)
_CLOSING_EVENTS = get_args(ClosingEvent)
_FAULT = attrgetter("fault")
_SOURCE_EVENTS = get_args(LedgerSourceEvent)


class Ingest:
    """Writes the log into the store, batch by batch."""

    def __init__(
        self,
        log: EventLog,
        store: Store,
        *,
        until: Positions | None = None,
        topics: Sequence[Topic] = TOPICS,
        limit_bytes: int = LIMIT_BYTES,
        keys: LogKeys | Literal["as the log"] | None = "as the log",
    ) -> None:
        """`until`: stop before these offsets (a partition absent from it is not read), to rebuild the state of a frozen month.
        `limit_bytes`: about how much of the log one step reads.
        `keys`: instead of the log's; None: nothing is checked, as before keys were in force."""
        self._keys = log.keys if keys == "as the log" else keys
        self._is_under_keys = False
        self._log = log
        self._store = store
        self._until = until
        self._topics = topics
        self._limit_bytes = limit_bytes

    def step(self) -> IngestStep:
        """Read the next batch and commit it with its positions.

        Raises `StoreError` when a chain's events do not follow each other (everything before the offending event is committed), and for
        failures of the store; `LogError` for failures of the log, and for one that the store was not filled from.
        """
        with self._store.lock, _garbage_collection_paused():
            if not self._is_under_keys:
                bring_under_keys(self._store, self._log, self._keys)
                self._is_under_keys = True
            before = self._store.positions()
            try:
                require_of_log(self._store, self._log)
                records = self._log.read(before, topics=self._topics, until=self._until, limit_bytes=self._limit_bytes)
            except LogError:
                self._store.compared_with = None  # what comes back may be another log
                raise
            if not records:
                return IngestStep(0, 0, 0, before, True)
            after = advance(before, records)
            try:
                rows, bad = self._take(records, after)
            except ChainBroken as broken:
                good = records[: records.index(broken.record)]
                if good:
                    self._take(good, advance(before, good))
                raise StoreError(
                    message("{where}: {broken}; {advice}", where=broken.record.where, broken=broken, advice=self._advice(broken.record))
                ) from broken
            return IngestStep(len(records), rows, bad, after, self._is_at_end(after))

    def catch_up(self) -> IngestStep:
        """Step until the end of the log or `until`; the sum of the steps. Raises `LogError` if the log ends before `until`."""
        events = rows = bad = 0
        while True:
            step = self.step()
            events, rows, bad = events + step.events, rows + step.rows, bad + step.bad_events
            if step.at_end:
                break
        for place, offset in (self._until or {}).items():
            if place.partition("/")[0] in self._topics and step.positions.get(place, 0) < offset:
                raise LogError(
                    message(
                        "the log ends at {place}@{positions}, before {place}@{offset}: bring back the newest copy of it",
                        place=place,
                        positions=step.positions.get(place, 0),
                        offset=offset,
                    )
                )
        return step._replace(events=events, rows=rows, bad_events=bad)

    def _is_at_end(self, positions: Mapping[str, int]) -> bool:
        ends = self._log.end()
        if self._until is not None:
            ends = {place: min(ends.get(place, 0), offset) for place, offset in self._until.items()}
        return all(positions.get(place, 0) >= end for place, end in ends.items() if place.partition("/")[0] in self._topics)

    def _take(self, records: Sequence[Record], after: Positions) -> tuple[int, int]:
        """Commit the rows of `records` with the positions after them; the numbers of rows and of bad events."""
        with self._store.transaction() as connection:
            judge = None if self._keys is None else Judge(connection, self._keys)
            batch = _Batch(connection, records, judge)
            checkpoints = CheckpointsInBatch(connection, batch.events)
            rows = batch.write()
            checkpoints.drop()
            if judge is not None:
                judge.save()
            connection.execute("DELETE FROM raw_position")
            connection.execute(
                statements()["write_positions"], {"places": sorted(after), "offsets": [after[place] for place in sorted(after)]}
            )
        return rows, batch.bad_events

    def _advice(self, record: Record) -> str:
        """Advice for a gap in a chain's events: the likeliest cause is an unreadable event before it."""
        with self._store.lock:
            found = self._store.connection.execute(
                "SELECT place || '@' || log_offset || ': ' || error FROM raw_bad_event WHERE place = $place AND key = $key ORDER BY log_offset DESC LIMIT 1",
                {"place": f"{record.topic}/{record.partition}", "key": record.key},
            ).fetchone()
        if found is not None:
            return f"an event before it could not be read ({found[0]}); if the program is older than the log, upgrade it"
        return "nothing after it is read; check that one connector alone writes this chain, and bring back an undamaged log"


@contextlib.contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Pause Python's garbage collector: a batch of one-row events makes half a million lists without cycles, and collection took half the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Batch:
    """One batch of records, to be written into the open transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, records: Sequence[Record], judge: Judge | None) -> None:
        self._connection = connection
        self._judge = judge
        self.bad: dict[Record, str] = {}
        if judge is not None:
            records = judge.sift(records)
        elif any(map(_FAULT, records)):
            self.bad = {record: record.fault for record in records if record.fault}
            records = [record for record in records if not record.fault]
        self.bad_events = 0
        """How many events are bad, or not authentic, after `write`."""
        self._records: Sequence[Record] = ()
        self._digests: list[str] = []
        self._events: list[AnyEvent | None] = []
        if not records:
            return
        topics, _, _, keys, ids, values, _, _ = zip(*records, strict=True)
        names = list(zip(topics, keys, ids, strict=True))
        digests = [sha256(value).hexdigest() for value in values]
        known = self._known_digests(ids)
        if not known and len(set(names)) == len(names):
            self._records, self._digests = records, digests
        else:
            self._records, self._digests = self._new_records(records, names, digests, known)
        self._events = list(map(self._decoded, self._records))

    @property
    def events(self) -> list[AnyEvent | None]:
        """Those that were not read before."""
        return self._events

    def _new_records(
        self, records: Sequence[Record], names: Sequence[_Name], digests: Sequence[str], known: dict[_Name, str]
    ) -> tuple[list[Record], list[str]]:
        """The records not read before (in the store or this batch) and their digests. A known id with other content is a bad event, or breaks its chain."""
        new, digests_of_new = [], []
        for record, name, digest in zip(records, names, digests, strict=True):
            if name not in known:
                known[name] = digest
                new.append(record)
                digests_of_new.append(digest)
            elif known[name] != digest:
                text = message("event {id} of {key} was read before with different content", id=repr(record.id), key=repr(record.key))
                if record.topic == "chain":
                    raise ChainBroken(record, text)
                self.bad[record] = text
        return new, digests_of_new

    def _known_digests(self, ids: Sequence[str]) -> dict[_Name, str]:
        """Digests of the events in the store with one of these ids, of any topic and key: few ids occur under several."""
        if len(ids) <= _FEW_IDS:
            named = ", ".join("?" * len(ids))
            rows = self._connection.execute(f"SELECT topic, key, id, digest FROM raw_event WHERE id IN ({named})", list(ids)).fetchall()  # noqa: S608 - placeholders
            return {(topic, key, id_): digest for topic, key, id_, digest in rows}
        self._connection.register("named", pl.DataFrame({"id": pl.Series(ids, dtype=pl.String)}).to_arrow())
        rows = self._connection.execute("SELECT e.topic, e.key, e.id, e.digest FROM raw_event e SEMI JOIN named USING (id)").fetchall()
        self._connection.unregister("named")
        return {(topic, key, id_): digest for topic, key, id_, digest in rows}

    def _decoded(self, record: Record) -> AnyEvent | None:
        """The event; or None, and an entry in `bad` (law 8)."""
        topic, _, _, _, _, value, _, _ = record
        if topic == "ledger" and (bulk := decode_bulk(value)) is not None:
            return bulk
        event = _event_or_fault(record)
        if isinstance(event, str):
            self.bad[record] = event
            return None
        if isinstance(event, KEY_EVENTS):
            return event
        if TOPIC_OF[type(event)] != topic:
            self.bad[record] = f"an event of type {_type(type(event))} does not belong into topic {topic!r}"
            return None
        return event

    def write(self) -> int:
        """Write all rows of the batch; the number added, not counting those for events and positions."""
        chain: list[tuple[Record, ChainEvent]] = []
        bulks: dict[type[BulkEvent], list[tuple[Record, BulkEvent]]] = {kind: [] for kind in BULK}
        others: list[tuple[Record, AnyEvent]] = []
        kinds = set(map(type, self._events))
        if len(kinds) == 1 and (kind := KIND_OF.get(next(iter(kinds)))) is not None:
            bulks[kind] = list(zip(self._records, self._events, strict=True))  # type: ignore[arg-type]
            unsorted: Iterable[tuple[Record, AnyEvent | None]] = ()
        else:
            unsorted = zip(self._records, self._events, strict=True)
        for record, event in unsorted:
            if (kind := KIND_OF.get(type(event))) is not None:
                bulks[kind].append((record, event))  # type: ignore[arg-type]
            elif isinstance(event, _CHAIN_EVENTS):
                chain.append((record, event))
            elif event is not None:
                others.append((record, event))
        rows = 0
        if chain:
            follower = ChainBatch(self._connection, [followed for _, followed in chain])
            for record, followed in chain:
                follower.follow(record, followed)
            rows += follower.write()
        for kind, several in bulks.items():
            rows += self._add_bulk(kind, several) if several else 0
        for record, other in others:
            rows += self._add_other(record, other)
        self._record_events()
        bad = [(f"{r.topic}/{r.partition}", r.offset, r.key, error, code) for r, (error, code) in self._faults().items()]
        insert(self._connection, "raw_bad_event", pl.DataFrame(bad, schema=dict(_BAD), orient="row"))
        self.bad_events = len(bad)
        return rows

    def _faults(self) -> dict[Record, tuple[str, str]]:
        """What is wrong, by record: in words, and as an issue. One that is not authentic is that first of all."""
        faults = {record: (error, IssueCode.UNREADABLE_EVENT.value) for record, error in self.bad.items()}
        if self._judge is not None:
            for record, fault in self._judge.faults.items():
                more = f"; {self.bad[record]}" if record in self.bad else ""
                faults[record] = (fault + more, IssueCode.EVENT_NOT_AUTHENTIC.value)
        return faults

    def _add_other(self, record: Record, event: AnyEvent) -> int:
        """Write the rows of one event that is not bulk; one that contradicts the store is recorded as bad (law 8)."""
        try:
            if self._judge is not None and isinstance(event, (*KEY_EVENTS, Labelled, Waived)):
                self._judge.keep_proof(record, str(_type(type(event))))
            match event:
                case Complete():
                    return add_complete(self._connection, event)
                case Registry():
                    return add_registry(self._connection, event)
                case Labelled() | Waived() | WalletSigned() | Documented() | SourceDecided() | Frozen():
                    return add_decision(self._connection, event, record.offset, record.value)
                case _ if isinstance(event, _SOURCE_EVENTS):
                    return add_source(self._connection, event)
                case _ if isinstance(event, _CLOSING_EVENTS):
                    return add_closing(self._connection, event, record.offset, record.value)
        except Contradiction as contradiction:
            self.bad[record] = str(contradiction)
        return 0

    def _record_events(self) -> None:
        """Record the events read, with their digests, to recognise duplicates."""
        if self._records:
            topics, _, offsets, keys, ids, _, _, _ = zip(*self._records, strict=True)
            types = list(map(_type, map(type, self._events)))
            columns = {"topic": topics, "key": keys, "id": ids, "type": types, "log_offset": offsets, "digest": self._digests}
            insert(self._connection, "raw_event", pl.DataFrame(columns, schema=dict(_EVENT)))

    def _add_bulk(self, kind: type[BulkEvent], events: Sequence[tuple[Record, BulkEvent]]) -> int:
        """Write all events at once; if that fails on contradicting rows, one by one, so that no good event is lost."""
        try:
            return add_bulk(self._connection, kind, [event for _, event in events])
        except Contradiction as contradiction:
            if len(events) == 1:
                ((record, _),) = events
                fault = _event_or_fault(record)
                self.bad[record] = fault if isinstance(fault, str) else str(contradiction)
                return 0
        middle = len(events) // 2
        return self._add_bulk(kind, events[:middle]) + self._add_bulk(kind, events[middle:])


def _event_or_fault(record: Record) -> AnyEvent | str:
    """The event, or why it can't be decoded, with the JSON path of the fault."""
    try:
        return decode(record.value)
    except (ValueError, RecursionError) as error:
        return str(error) or type(error).__name__


@cache
def _type(kind: type[AnyEvent | None]) -> str | None:
    """The `type` of such events in their JSON; None for an event that could not be decoded."""
    return str(kind.__struct_config__.tag) if issubclass(kind, msgspec.Struct) else None
