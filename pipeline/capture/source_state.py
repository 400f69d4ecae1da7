"""What the log holds of one source, and what follows from it: the state between two looks (ADR 22).

Enters: events of topics `ledger` and `months`, a checkpoint. Leaves: the events that the ledger lacks, and a checkpoint. A function of the log, whether it is read from the beginning or from a
checkpoint on.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pipeline.log.events import content_digest
from pipeline.log.events.ledger import Allocations, Complete, PayerPayments, Payments
from pipeline.log.events.parts import Event
from pipeline.log.events.sources import SourceComplete, SourceConfigured, SourceDecided, SourceItems, SourcePolled, SourceRows
from pipeline.log.protocol import EventLog
from pipeline.log.read import KeyReader, refuse_newer
from pipeline.model.issues import IssueCode
from pipeline.model.months import Month

from .addresses import AS_WRITTEN, AddressSpelling
from .checkpoint import EDITION, Checkpoint, Keeps, newest_record, pack, reads_as, unpack
from .held import Held
from .outputs import Item, day_of
from .projection import Projection, Reading
from .registry_keeper import RegistryKeeper, RegistryPlan
from .seen import SeenRows

_LEDGER: list[type[Event]] = [
    Allocations, Payments, PayerPayments, SourceConfigured, SourceRows, SourcePolled, SourceItems, SourceComplete, Complete,
]  # fmt: skip


@dataclass(frozen=True)
class SourcePlan:
    """How one source is followed."""

    name: str
    kind: str
    settings: Mapping[str, Any]
    """What the reading depends on, for the log; no secrets."""
    reading: Reading
    retention_s: int | None
    """For how long the source keeps a row at least; None: for good."""
    since_us: int
    """From when on the source is the ledger: rows before it are somebody else's."""
    settle_s: int
    """How long after a month's end a look must be, for the month to be complete."""
    completes: bool
    """Whether the source declares itself complete."""
    others: Sequence[str] = ()
    """The other sources that must be complete before the ledger is."""
    registry: RegistryPlan | None = None
    """Of a source that keeps tables of the registry."""
    checkpoint: Keeps | None = None
    """Where checkpoints are kept; None: every start reads the log from its beginning."""
    addresses: AddressSpelling = AS_WRITTEN
    """How the addresses of payments are spelt."""
    program: str = ""
    """The program's version: a checkpoint of another one does not count."""


class SourceState:
    """What the log holds of one source, and what follows from it."""

    def __init__(self, log: EventLog, pool: str, plan: SourcePlan) -> None:
        self._log, self._plan = log, plan
        found = None if plan.checkpoint is None else unpack(plan.checkpoint.load(), self._made_for(), log)
        begin = None if found is None else (found.positions, found.stream)
        self._ledger = KeyReader(log, "ledger", pool, _LEDGER, on_unreadable=refuse_newer, begin=begin)
        self._months = KeyReader(log, "months", pool, [SourceDecided], on_unreadable=refuse_newer)
        self.seen = SeenRows()
        self.held = Held(plan.name, plan.reading.prefix)
        self.decisions: dict[str, SourceDecided] = {}
        self.configured: tuple[str, dict[str, Any]] | None = None
        self._projection = Projection(plan.reading, self.seen, self.decisions, since_us=plan.since_us, addresses=plan.addresses)
        self.registry = None if plan.registry is None else RegistryKeeper(log, pool, plan.name, plan.registry, self.decisions)
        self._completes: dict[str, date] = {}
        self._complete: date | None = None
        self._has_read = False
        if found is not None:
            self._load(found)

    def read(self) -> None:
        """Take what was appended since the last call, by us or by others."""
        decided = deque(event for _, event in self._months.new() if event.source == self._plan.name)
        for _, event in self._ledger.new():
            if isinstance(event, SourceRows) and event.source == self._plan.name:
                # As it was when the rows came: what is final first is rounded first.
                while decided and decided[0].at * 1_000_000 < event.seen_at:
                    self._decide(decided.popleft())
            self.take(event)
        while decided:
            self._decide(decided.popleft())
        if not self._has_read:
            # What was written when the program or its settings were others is compared whole, once.
            self.compare_all()
            self._has_read = True

    def foresee(self, decided: SourceDecided) -> list[Event]:
        """The events that would follow from a decision, besides those that the next look writes anyway. Nothing is appended; this state is of no use afterwards."""
        self.read()
        for event in self.following():
            self.take(event)
        self._decide(decided)
        return self.following()

    def _decide(self, decided: SourceDecided) -> None:
        self.decisions[decided.item] = decided
        self._projection.decided(decided.item)
        self._projection.touched.add(_subject_of(decided.item))
        if self.registry is not None:
            self.registry.decided()

    def save(self) -> None:
        """Keep a checkpoint of all this, and the rows of it packed."""
        assert self._plan.checkpoint is not None
        self.read()
        positions, stream = self._ledger.place()
        seen, held, projection = self.seen.dump(), self.held.dump(), self._projection.dump()
        tables, registry = seen.pop("tables"), None if self.registry is None else self.registry.dump()
        made = Checkpoint(
            self._made_for(), positions, newest_record(self._log, positions), stream, self.configured, {name: str(day) for name, day in self._completes.items()},
            None if self._complete is None else str(self._complete), seen, tables, projection["packed"], projection["items"], projection["group_of"],
            projection["touched"], held["rows"], held["versions"], held["open"], held["waiting"], registry,
        )  # fmt: skip
        self._plan.checkpoint.save(pack(made))

    def _load(self, found: Checkpoint) -> None:
        self.configured = None if found.configured is None else (found.configured[0], found.configured[1])
        self._completes = {name: date.fromisoformat(day) for name, day in found.completes.items()}
        self._complete = None if found.complete is None else date.fromisoformat(found.complete)
        looks = [(first, last) for first, last in found.seen["looks"]]
        self.seen.load(found.tables, looks, found.seen["newest"], found.seen["firsts"])
        self._projection.load(found.projection, found.items, found.group_of, found.touched)
        self.held.load(found.rows, found.versions, found.open_items, found.waiting)
        if self.registry is not None:
            self.registry.load(found.registry)
        self._has_read = True  # the program and the settings are the same: all that was written then is as they say

    def _made_for(self) -> str:
        plan = self._plan
        what = [
            EDITION,
            plan.program,
            plan.name,
            plan.kind,
            plan.settings,
            reads_as(plan.reading),
            plan.since_us,
            plan.registry is not None,
            reads_as(plan.addresses),
        ]
        return content_digest([*what, None if self._log.keys is None else self._log.keys.root])

    def compare_all(self) -> None:
        """Have the next `following` compare every row with the log."""
        self._projection.touched.update(self.held.rows, self._projection.allocations, self._projection.payments)

    def take(self, event: Event) -> None:
        """Take one event of the ledger; one taken before changes nothing."""
        if self.registry is not None and getattr(event, "source", "") == self._plan.name:
            self.registry.take(event)
        match event:
            case SourceConfigured(source=self._plan.name):
                self.configured = event.kind, event.settings
            case SourceRows(source=self._plan.name):
                self._projection.rows_changed(self.seen.apply(event))
            case SourcePolled(source=self._plan.name):
                if (self.seen.last_look() or -1) < event.at:
                    self.seen.polled(event)
            case SourceComplete():
                through = date.fromisoformat(event.through)
                self._completes[event.source] = max(through, self._completes.get(event.source, through))
            case Complete():
                through = date.fromisoformat(event.through)
                self._complete = max(through, self._complete or through)
            case Allocations() | Payments() | PayerPayments() | SourceItems():
                self.held.apply(event)

    def following(self) -> list[Event]:
        """The events that the ledger lacks."""
        touched, self._projection.touched = sorted(self._projection.touched), set()
        others = self._holes() + ([] if self.registry is None else self.registry.items())
        return self.held.changes(self._projection, others, self.decisions, touched)

    def waiting(self, through: date) -> list[str]:
        """The items that keep the ledger from being complete through a day. A change of the registry does not: it waits for nothing of the source."""
        return [
            name for name, item in self.held.open_items().items() if item.day <= through and item.code is not IssueCode.REGISTRY_UNDATED
        ]

    def _holes(self) -> list[Item]:
        """The spans in which rows may have come and gone unseen: one item for each month that a span touches."""
        retention = self._plan.retention_s
        if retention is None or not self.seen.looks:
            return []
        retention_us = retention * 1_000_000
        looks = self.seen.looks
        spans = [(self._plan.since_us, looks[0][0] - retention_us)]
        spans += [(last, first) for (_, last), (first, _) in itertools.pairwise(looks) if first - last > retention_us]
        found = []
        for begin, end in spans:
            if begin >= end:
                continue
            month, last = _month_of(day_of(begin)), _month_of(day_of(end))
            while month.first <= last.first:
                name = f"hole:{begin}:{month}"
                if name not in self.decisions:
                    what = f"nobody looked from {_said(begin)} to {_said(end)}, and the source keeps rows for {retention} s: some may be missing; import them from elsewhere, then accept this"
                    found.append(Item(name, IssueCode.SOURCE_HOLE, max(month.first, day_of(begin)), what))
                month = month.next
        return found

    def completion(self) -> list[Event]:
        """The declarations that can be made now: the source's, then the ledger's."""
        last = self.seen.last_look()
        if not self._plan.completes or last is None:
            return []
        month = _month_of(day_of(last)).previous
        while (month.end_at + self._plan.settle_s) * 1_000_000 > last:
            month = month.previous
        through = month.last
        if through < day_of(self._plan.since_us):
            return []
        if self.waiting(through):
            return []
        return self.declared(through, f"read past {through} at {_said(last)}, nothing uncertain, sums agree")

    def declared(self, through: date, reason: str) -> list[Event]:
        """The events by which the source is complete through a day, and the ledger where all its sources are."""
        events: list[Event] = []
        ours = self._completes.get(self._plan.name, date.min)
        if ours < through:  # known to be so once the event is in the log (`take`): the append may be fenced
            name = f"source:{self._plan.name}:complete:{through}"
            events.append(SourceComplete(id=name, source=self._plan.name, through=through.isoformat(), reason=reason))
        names = [self._plan.name, *self._plan.others]
        together = min(max(ours, through), *(self._completes.get(name, date.min) for name in self._plan.others), date.max)
        if together > (self._complete or date.min):
            reason = "every source is: " + ", ".join(sorted(names))
            events.append(Complete(id=f"complete:{together}:sources", through=together.isoformat(), reason=reason))
        return events


def _subject_of(item: str) -> str:
    """The ledger row that an item is about, where it is about one."""
    return item.partition(":")[2].rpartition("@")[0]


def _month_of(day: date) -> Month:
    return Month(day.year, day.month)


def _said(at_us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).strftime("%Y-%m-%d %H:%M:%S UTC")
