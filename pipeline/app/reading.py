"""One store for many readers, kept at the log's end: what the console's pages are made from (ADR 24).

Enters: a pool's `App`. Leaves: read-only connections for threads that answer, and a `Snapshot` for each change of the log: the state of everything, computed once
by the thread that fills. A decision is seen as soon as it is in the log, whatever was published. Left out: pages (`web`), and functions that read rows.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import duckdb

from pipeline.assess.month import Assessment
from pipeline.closing.calendar import public_holidays
from pipeline.log.protocol import Positions
from pipeline.model.errors import EsepError, MonthError, StoreError
from pipeline.model.journal import Journal
from pipeline.model.message import message, text_of
from pipeline.model.months import Month, almaty_date
from pipeline.store import Store
from pipeline.store.facts import lay_enriched
from pipeline.store.month_rows import MonthRows

from .app import App
from .books import Book
from .filed_months import FiledMonths
from .issues import IssueGroup, issue_groups
from .month_figures import month_figures
from .overview import Overview, months_shown, overview
from .previews import Preview, preview_of
from .reconciliation import SourceFacts, read_sources

WAIT_S = 1.0
"""Seconds that the thread that fills waits for new events before it checks whether to stop."""
FRESH_S = 600
"""Seconds after which a snapshot is made anew although the log is the same: days pass."""
MOST_COMPARED = 4
"""Months whose reports each snapshot says (`Reading.compare`)."""
BEGIN_S = 120.0
"""Seconds that a request waits for the first snapshot."""

_journal = Journal("esep")

TroubleOf = Callable[[str], dict[str, Any] | None]
"""What keeps a chain from being followed, by its name; None where nothing does."""


@dataclass(frozen=True)
class Snapshot:
    """Where everything stood at one moment of the log."""

    number: int
    """Grows with each snapshot of this process, from 1."""
    positions: Positions
    """The log's positions that it shows."""
    at: int
    """When it was made, Unix seconds."""
    overview: Overview
    books: Mapping[Month, Book]
    """Of each open month its draft, which is read at this snapshot and at no other; frozen ones are `App.books`'."""
    groups: Mapping[Month, list[IssueGroup]]
    """Of each month of the overview its issues by the facts of now, alike ones together."""
    sources: SourceFacts
    """What is held of the ledger's sources."""
    reports: Mapping[Month, Preview] = field(default_factory=dict)
    """What a freeze would make now of each month that is compared (`Reading.compare`)."""


class Moved(StoreError):
    """What was to be read belongs to an earlier snapshot: the reader starts again with the newest one."""


class Reading:
    """A store that one thread fills and many read. Thread-safe; `run` belongs to the thread that fills."""

    def __init__(self, app: App, trouble_of: TroubleOf = lambda _: None) -> None:
        self._app = app
        self._trouble_of = trouble_of
        self._changed = threading.Condition()
        self._store: Store | None = None
        self._snapshot: Snapshot | None = None
        self._compared: tuple[Month, ...] = ()
        self._filed = FiledMonths(app, time.monotonic)
        self.trouble: str | None = None
        """Why the store can't be brought to the log's end now; None while it can."""

    def run(self, stop: threading.Event) -> None:
        """Keep the store at the log's end until `stop`. A log or store that fails is told as `trouble` and tried again."""
        while not stop.is_set():
            try:
                with self._app.stores.for_readers() as store:
                    self._keep_filled(store, stop)
            except EsepError as error:
                self.trouble = text_of(error)
                _journal.error("console-can-not-read", error=str(error))
                stop.wait(WAIT_S)

    def _keep_filled(self, store: Store, stop: threading.Event) -> None:
        shown: Positions | None = None
        shown_at = 0
        try:
            while not stop.is_set():
                self._app.stores.fill(store)
                if store.positions() != shown or self._app.now() - shown_at > FRESH_S or self._filed.look(store, self._shown()):
                    shown, shown_at = self._show(store), self._app.now()
                self.trouble = None
                self._app.log.wait(store.positions(), WAIT_S)
        finally:
            with self._changed:
                self._store = None

    def _show(self, store: Store) -> Positions:
        """Assess what is open and make the next snapshot of it."""
        app, now = self._app, self._app.now()
        months = sorted({*months_shown(app, store), *self._filed.differing}, key=str)
        open_months = app.months.open_months(store)
        if sum(app.decisions.record_settings_waivers(app.months, store, month) for month in months):
            app.stores.fill(store)
        positions, assessments, groups = store.positions(), dict[Month, Assessment](), dict[Month, list[IssueGroup]]()
        for month in months:
            state, assessed = app.months.assess(store, month)
            assessments[month] = assessed
            groups[month] = issue_groups(month, state, assessed, app.rules)
        found = overview(app, store, months or None, self._trouble_of, assessments)
        drafts = {month: assessments[month] for month in open_months if month in assessments}
        held, number = read_sources(store.connection), self.number + 1
        self._filed.settled(view.month for view in found.months if not view.is_undecided)
        reports = {
            month: preview_of(app, month, self._by_rules_of_now(store, month, assessments), positions)
            for month in self._compared
            if month in assessments or app.months.frozen(month)
        }
        with contextlib.ExitStack() as publishing:
            with store.transaction() as connection:
                for month, assessed in drafts.items():
                    lay_enriched(connection, str(month), assessed.enriched)
                books = {month: self._draft(month, assessed, positions, number, connection) for month, assessed in drafts.items()}
                # Held from before the commit until the snapshot is there: a reader sees either both or neither.
                publishing.enter_context(self._changed)
            self._store, self._snapshot = store, Snapshot(number, positions, now, found, books, groups, held, reports)
            self._changed.notify_all()
        for month in months:
            self._prepare(month)
        public_holidays(almaty_date(now).year)  # the calendar's, before a page waits for it
        return positions

    def _by_rules_of_now(self, store: Store, month: Month, assessments: Mapping[Month, Assessment]) -> Assessment:
        """What a freeze would make of the month, whether or not the board shows it: by the newest edition of the rules (rule 8.4)."""
        months = self._app.months
        if month in assessments and months.rules_of(store, month) == self._app.rules:
            return assessments[month]
        return months.assess(store, month, edition=self._app.rules.edition)[1]

    def _shown(self) -> list[Month]:
        """The months of the newest snapshot."""
        return [view.month for view in self._snapshot.overview.months] if self._snapshot else []

    def _draft(self, month: Month, assessed: Assessment, positions: Positions, number: int, connection: duckdb.DuckDBPyConnection) -> Book:
        """The draft of this snapshot, with its figures and its form worked out before anybody asks."""
        books, now = self._app.books, self._app.now()
        book = books.draft(MonthRows(month, lambda: contextlib.nullcontext(connection)), assessed, positions, now)
        month_figures(book)
        books.index_form(book, assessed.enriched.reported.slices())
        return replace(book, rows=MonthRows(month, partial(self.connection, number)))

    def _prepare(self, month: Month) -> None:
        """Work out a frozen month's figures and form while nobody waits for them. A bundle that can't be read is told by its own page."""
        with contextlib.suppress(EsepError):
            book = self._app.books.frozen(month)
            if book is not None:
                month_figures(book)
                self._app.books.form(book)

    def compare(self, *months: Month) -> None:
        """Let each snapshot from now on say what these months' reports come to, so that a page can say that what it shows of one is old. Called before that is worked out.

        The `MOST_COMPARED` asked for last are: each is worked out with every snapshot.
        """
        with self._changed:
            self._compared = (*(month for month in self._compared if month not in months), *months)[-MOST_COMPARED:]

    @property
    def number(self) -> int:
        """The newest snapshot's number; 0 before the first."""
        return self._snapshot.number if self._snapshot else 0

    def snapshot(self, after: int = 0, timeout_s: float = BEGIN_S) -> Snapshot:
        """The newest snapshot, once its number is above `after` or the time is over. Raises StoreError where there is none at all yet."""
        with self._changed:
            self._changed.wait_for(lambda: self._snapshot is not None and self._snapshot.number > after, timeout_s)
            if self._snapshot is None:
                raise StoreError(self.trouble or message("the log is still being read: look again in a moment"))
            return self._snapshot

    def book(self, month: Month, version: int | None = None) -> Book:
        """The month's newest frozen version (or that `version`), or its draft as of the newest snapshot. Raises MonthError for a month that has neither."""
        found = self._app.books.frozen(month, version) or self.snapshot().books.get(month)
        if found is None:
            raise MonthError(message("{month} has no rows yet, or is not among the months that are worked out", month=month))
        return found

    def wait_for(self, positions: Positions, timeout_s: float) -> bool:
        """Wait until the snapshot shows the log's positions; whether it does. For an answer that should show what was just decided."""

        def is_shown() -> bool:
            shown = self._snapshot.positions if self._snapshot else {}
            return all(shown.get(place, 0) >= offset for place, offset in positions.items())

        with self._changed:
            return self._changed.wait_for(is_shown, timeout_s)

    @contextlib.contextmanager
    def connection(self, number: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of the caller's own that sees one moment and changes nothing; with `number`, the moment of that snapshot.

        Raises StoreError while there is no store, `Moved` where a newer snapshot has replaced that one.
        """
        self.snapshot()
        with self._changed:
            if self._store is None:
                raise StoreError(self.trouble or message("the log is still being read: look again in a moment"))
            cursor = self._store.connection.cursor()
            try:
                cursor.execute("SET TimeZone = 'UTC'")
                cursor.execute("BEGIN TRANSACTION READ ONLY")
                cursor.execute("SELECT version FROM store_version").fetchall()  # its first read fixes the moment that a transaction sees
                if number is not None and number != self.number:
                    raise Moved(message("the facts have changed while the page was made: load it again"))
            except BaseException:
                cursor.close()
                raise
        with cursor:
            yield cursor
