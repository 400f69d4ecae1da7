"""Follows one source of the ledger: looks at it, appends what changed, and what follows from it (ADR 22).

Enters: a connector, the log, the source's settings, the clock. Leaves: events of topic `ledger`. The place is what the log holds (law 4): after a crash between any two appends
the next step writes the rest. Looks that find nothing are merged into one event. Left out: retries and waiting, which the caller's loop does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pipeline.log.events import content_digest, encode
from pipeline.log.events.ledger import Allocations, Complete, PayerPayments, Payments
from pipeline.log.events.parts import Event
from pipeline.log.events.sources import SourceComplete, SourceConfigured, SourceDecided, SourceItems, SourcePolled, SourceRows
from pipeline.log.protocol import EventLog, Writer
from pipeline.log.read import KeyReader, refuse_newer
from pipeline.model.errors import FencedError, MonthError
from pipeline.model.issues import IssueCode
from pipeline.model.months import Month

from .held import Held
from .outputs import Item, day_of
from .projection import Projection, Reading
from .seen import SeenRows
from .source import Look, Source

ROWS_AN_EVENT = 5_000
MERGED_S = 600
"""Looks that find nothing are kept in one event for at most so many seconds."""
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


@dataclass(frozen=True)
class Stepped:
    """What a step did."""

    rows: int
    events: int
    is_last: bool
    open_items: int


class SourceFollower:
    """Follows one source. Not thread-safe."""

    def __init__(self, log: EventLog, pool: str, source: Source, plan: SourcePlan, now_us: Callable[[], int]) -> None:
        self._log, self._pool, self._source, self._plan, self._now_us = log, pool, source, plan, now_us
        self._state: _State | None = None
        self._writer: Writer | None = None
        self._quiet: tuple[int, int, int] | None = None
        """First look, last look and number of the looks that found nothing and are not in the log yet."""

    def step(self) -> Stepped:
        """Look once, and append what is new. Raises SourceError, SettingsError, LogError; FencedError where another import came between: step again."""
        try:
            return self._step()
        except FencedError:
            # Nothing of the last append is in the log. What was taken before stands; all is compared with the log again.
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if self._state is not None:
                self._state.compare_all()
            raise
        except BaseException:
            self._forget()  # what was appended is unknown: read the log again
            raise

    def open_items(self) -> dict[str, Item]:
        """What waits, as of the last step."""
        return {} if self._state is None else self._state.held.open_items()

    def declare(self, through: date) -> bool:
        """Declare the source complete through a day, as somebody who knows says; whether that is new. Raises MonthError while something of those days waits."""
        state = self._brought_up()
        waiting = [name for name, item in state.held.open_items().items() if item.day <= through]
        if waiting:
            raise MonthError(f"not complete through {through}: {len(waiting)} item(s) wait, {waiting[0]} first: esep sources list")
        events = state.declared(through, "declared by who keeps the ledger")
        if events:
            self._append(events)
            for event in events:
                state.take(event)
        return bool(events)

    def close(self) -> None:
        """Write the looks that are not in the log yet, and close the connections."""
        try:
            if self._quiet is not None:
                self._append([self._polled(*self._quiet, None)])
        except FencedError:
            pass
        finally:
            self._quiet = None
            self._forget()
            self._source.close()

    def _forget(self) -> None:
        self._state = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _step(self) -> Stepped:
        state = self._brought_up()
        look = self._source.look(state.seen, self._now_us())
        # Another import may have written to the ledger while the source was asked.
        batches = [
            SourceRows(
                id=f"source:{self._plan.name}:rows:{content_digest([look.at, columns])}", source=self._plan.name, seen_at=look.at, rows=columns
            )
            for columns in state.seen.changes(look, ROWS_AN_EVENT)
        ]  # fmt: skip
        count, events = 0, 0
        for batch in batches:
            events += self._append([batch])
            state.take(batch)
            count += len(batch.rows.table)
        polled = self._next_polled(state, look, has_rows=bool(batches))
        if polled is not None:
            events += self._append([polled])
            state.take(polled)
        following = state.following()
        if following:
            events += self._append(following)
            for event in following:
                state.take(event)
        done = state.completion()
        if done:
            events += self._append(done)
            for event in done:
                state.take(event)
        return Stepped(count, events, look.is_last, len(state.held.open_items()))

    def _brought_up(self) -> _State:
        """The state, with what others wrote meanwhile. The writer is opened first, so that what is read stays the newest, or the append is fenced."""
        if self._writer is None:
            self._writer = self._log.writer("ledger", self._pool)
        if self._state is None:
            self._state = _State(self._log, self._pool, self._plan)
        self._state.read()
        if self._state.configured != (self._plan.kind, dict(self._plan.settings)):
            at = self._now_us()
            content = [self._plan.kind, dict(self._plan.settings), at]
            event = SourceConfigured(
                id=f"source:{self._plan.name}:configured:{content_digest(content)}", source=self._plan.name, kind=self._plan.kind,
                settings=dict(self._plan.settings), at=at,
            )  # fmt: skip
            self._append([event])
            self._state.take(event)
        return self._state

    def _append(self, events: Sequence[Event]) -> int:
        if self._writer is None:
            self._writer = self._log.writer("ledger", self._pool)
        return self._writer.append([encode(event) for event in events])

    def _next_polled(self, state: _State, look: Look, *, has_rows: bool) -> SourcePolled | None:
        """The event of this look; None while it is merged with the next."""
        before = state.seen.last_look()
        first, last, polls = self._quiet or (look.at, before if before is not None else look.at, 0)
        retention = self._plan.retention_s
        merged_us = min(MERGED_S, retention // 10 if retention else MERGED_S) * 1_000_000
        is_late = look.at - last > merged_us
        if is_late and self._quiet is not None:
            # A late look begins a run of its own, so that a hole can be told from the log.
            self._append([event := self._polled(first, last, polls, None)])
            state.take(event)
            first, polls = look.at, 0
        if before is not None and not has_rows and not is_late and look.at - first < merged_us:
            self._quiet = (first, look.at, polls + 1)
            return None
        self._quiet = None
        return self._polled(first, look.at, polls + 1, look.newest)

    def _polled(self, first: int, last: int, polls: int, newest: int | None) -> SourcePolled:
        name = f"source:{self._plan.name}:polled:{content_digest([first, last, polls, newest])}"
        return SourcePolled(id=name, source=self._plan.name, first_at=first, at=last, polls=polls, newest=newest)


class _State:
    """What the log holds of one source, and what follows from it."""

    def __init__(self, log: EventLog, pool: str, plan: SourcePlan) -> None:
        self._plan = plan
        self._ledger = KeyReader(log, "ledger", pool, _LEDGER, on_unreadable=refuse_newer)
        self._months = KeyReader(log, "months", pool, [SourceDecided], on_unreadable=refuse_newer)
        self.seen = SeenRows()
        self.held = Held(plan.name, plan.reading.prefix)
        self.decisions: dict[str, SourceDecided] = {}
        self.configured: tuple[str, dict[str, Any]] | None = None
        self._projection = Projection(plan.reading, self.seen, self.decisions, since_us=plan.since_us)
        self._completes: dict[str, date] = {}
        self._complete: date | None = None
        self._has_read = False

    def read(self) -> None:
        """Take what was appended since the last call, by us or by others."""
        for _, decided in self._months.new():
            if decided.source == self._plan.name:
                self.decisions[decided.item] = decided
                self._projection.decided(decided.item)
                self._projection.touched.add(_subject_of(decided.item))
        for _, event in self._ledger.new():
            self.take(event)
        if not self._has_read:
            # What was written when the program or its settings were others is compared whole, once.
            self.compare_all()
            self._has_read = True

    def compare_all(self) -> None:
        """Have the next `following` compare every row with the log."""
        self._projection.touched.update(self.held.rows, self._projection.allocations, self._projection.payments)

    def take(self, event: Event) -> None:
        """Take one event of the ledger; one taken before changes nothing."""
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
        return self.held.changes(self._projection, self._holes(), self.decisions, touched)

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
        if any(item.day <= through for item in self.held.open_items().values()):
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
