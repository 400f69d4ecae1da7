"""Follows one source of the ledger: looks at it, appends what changed, and what follows from it (ADR 22).

Enters: a connector, the log, the source's settings, the clock. Leaves: events of topic `ledger`. The place is what the log holds (law 4): after a crash between any two appends
the next step writes the rest. Looks that find nothing are merged into one event. Left out: retries and waiting, which the caller's loop does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import msgspec

from pipeline.log.events import content_digest, decode, encode
from pipeline.log.events.parts import Event
from pipeline.log.events.sources import SourceConfigured, SourcePolled, SourceRows
from pipeline.log.protocol import EventLog, NewEvent, Writer, append_shared
from pipeline.model.errors import FencedError, MonthError, SourceError
from pipeline.model.message import message

from .outputs import Item, day_of
from .source import Look, Source
from .source_state import SourcePlan, SourceState

ROWS_AN_EVENT = 5_000
MERGED_S = 600
"""Looks that find nothing are kept in one event for at most so many seconds."""
SAVED_ROWS = 5_000
"""A checkpoint is made again after so many rows, and after a tenth of all."""


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
        self._state: SourceState | None = None
        self._writer: Writer | None = None
        self._quiet: tuple[int, int, int] | None = None
        """First look, last look and number of the looks that found nothing and are not in the log yet."""
        self._rows_since_saved = 0

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
        waiting = state.waiting(through)
        if waiting:
            raise MonthError(
                message(
                    "not complete through {through}: {count} item(s) wait, {waiting} first: esep sources list",
                    through=through,
                    count=len(waiting),
                    waiting=waiting[0],
                )
            )
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
                # That it was looked at is true whatever another import wrote meanwhile: nothing has to be read again before.
                append_shared(self._log, "ledger", self._pool, [encode(self._polled(*self._quiet, None))])
            if self._rows_since_saved:
                self._save()
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
        look = self._look(state)
        # Another import may have written to the ledger while the source was asked.
        batches = [
            SourceRows(
                id=f"source:{self._plan.name}:rows:{content_digest([look.at, columns])}", source=self._plan.name, seen_at=look.at, rows=columns
            )
            for columns in state.seen.changes(look, ROWS_AN_EVENT)
        ]  # fmt: skip
        count, events = 0, 0
        if batches and state.registry is not None and self._quiet is not None:
            # A change of the registry lies between two looks: the one before it is kept by itself.
            events += self._append([before := self._polled(*self._quiet, None)])
            self._quiet = None
            state.take(before)
        for batch in batches:
            events += self._append([batch])
            state.take(batch)
            count += len(batch.rows.table)
        polled = self._next_polled(state, look, has_rows=bool(batches))
        if polled is not None:
            events += self._append([polled])
            self._quiet = None  # only now: what another import fenced is written by the next step
            state.take(polled)
        following = state.following()
        if following:
            events += self._append(following)
            for event in following:
                state.take(event)
        if state.registry is not None:
            events += state.registry.write()
        # A source that is read in several looks is complete only once the last of them has found nothing more.
        done = state.completion() if look.is_last else []
        if done:
            events += self._append(done)
            for event in done:
                state.take(event)
        self._rows_since_saved += count
        if self._rows_since_saved >= max(SAVED_ROWS, state.seen.size() // 10):
            self._save()
        return Stepped(count, events, look.is_last, len(state.held.open_items()))

    def _look(self, state: SourceState) -> Look:
        """One look. A registry's changes are dated by the day of the look that found them (rule 4.1): one that midnight fell into is made again."""
        while True:
            look = self._source.look(state.seen, self._now_us())
            if state.registry is None or day_of(look.at) == day_of(self._now_us()):
                return look

    def _save(self) -> None:
        """Make a checkpoint of what the log holds."""
        if self._state is not None and self._plan.checkpoint is not None:
            self._state.save()
            self._rows_since_saved = 0

    def _brought_up(self) -> SourceState:
        """The state, with what others wrote meanwhile. The writer is opened first, so that what is read stays the newest, or the append is fenced."""
        if self._writer is None:
            self._writer = self._log.writer("ledger", self._pool)
        if self._state is None:
            self._state = SourceState(self._log, self._pool, self._plan)
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
        return self._writer.append([self._readable(event) for event in events])

    def _readable(self, event: Event) -> NewEvent:
        """The event for the log. Raises SourceError for one that nobody could read there (`unreadable-event`): all its rows would be lost, and the log keeps it."""
        record = encode(event)
        try:
            decode(record.value)
        except msgspec.MsgspecError as error:
            place = re.search(r"\[([0-9]+)\]", str(error))
            rows = event.rows if isinstance(event, SourceRows) and place else None
            row = "" if rows is None or place is None else f" ({rows.table[int(place[1])]} {rows.row_id[int(place[1])]})"
            what = message(
                "source {name}: gives what the log can't hold{row}: {error}; leave the column out, or mend the row",
                name=self._plan.name,
                row=row,
                error=str(error),
            )
            raise SourceError(what, is_retryable=True) from error
        return record

    def _next_polled(self, state: SourceState, look: Look, *, has_rows: bool) -> SourcePolled | None:
        """The event of this look; None while it is merged with the next."""
        before = state.seen.last_look()
        if self._quiet is not None and before is not None and before >= self._quiet[1]:
            self._quiet = None  # an append that failed was written all the same
        first, last, polls = self._quiet or (look.at, before if before is not None else look.at, 0)
        retention = self._plan.retention_s
        merged_us = min(MERGED_S, retention // 10 if retention else MERGED_S) * 1_000_000
        is_late = look.at - last > merged_us
        if is_late and self._quiet is not None:
            # A late look begins a run of its own, so that a hole can be told from the log.
            self._append([event := self._polled(first, last, polls, None)])
            self._quiet = None
            state.take(event)
            first, polls = look.at, 0
        if before is not None and not has_rows and not is_late and look.at - first < merged_us:
            self._quiet = (first, look.at, polls + 1)
            return None
        return self._polled(first, look.at, polls + 1, look.newest)

    def _polled(self, first: int, last: int, polls: int, newest: int | None) -> SourcePolled:
        name = f"source:{self._plan.name}:polled:{content_digest([first, last, polls, newest])}"
        return SourcePolled(id=name, source=self._plan.name, first_at=first, at=last, polls=polls, newest=newest)
