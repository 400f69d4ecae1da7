"""The months' books: where pages and commands read a month's rows, sums and stories from without assessing the month again.

Enters: a month. Leaves: `Book`: of a frozen version its own `month.duckdb`, opened once; of an open month its enriched tables in a store, with what was assessed of it. Left out: what
is read (`explain`, `month_figures`).
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.assess.condition import Condition
from pipeline.assess.debts import DEBTS_CSV, printed_debts
from pipeline.assess.month import Assessment
from pipeline.enrich.frames import DEBTS
from pipeline.log.events.months import Frozen
from pipeline.log.protocol import Positions
from pipeline.model.errors import MonthError, VerifyError
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.form_index import FormIndex
from pipeline.store.month_rows import MonthFile, MonthRows

from .months import PoolMonths
from .stores import Progress, Stores, no_progress
from .story import BookFacts

KEPT_FORMS = 4
"""Frozen versions whose forms stay in memory: about 130 MB each for a million rows."""
ROWS_AT_ONCE = 200_000
"""Rows of a form that a request reads by itself; a larger one is a task."""
_FORM = "form"
FOLDER = "books"
"""Below `var`: copies of older versions' files in today's tables. All of it can be deleted."""


@dataclass(frozen=True)
class Book:
    """One month, ready to be read."""

    month: Month
    version: int | None
    """None: a draft."""
    digest: str
    """SHA-256 of the report; empty for a draft."""
    rules: Rules
    """Those in force: of a frozen version, those that it was frozen under."""
    positions: Positions
    """How far of the log it comes from."""
    at: int
    """When it was frozen, or the draft made: Unix seconds."""
    by: str
    """Who froze it; empty for a draft."""
    conditions: list[Condition]
    """Those for closing (rule 8.1); of a draft only."""
    rows: MonthRows = field(repr=False)
    debts: pl.DataFrame = field(repr=False)
    """Each miner's debts as printed (`debts.csv`), all strings."""

    figures: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was worked out of it once (`month_figures`, `Books.form`)."""

    @property
    def decimals(self) -> dict[str, int]:
        """Decimals of each asset."""
        return {name: asset.decimals for name, asset in self.rules.assets.items()}


class Books:
    """One pool's books. Thread-safe. `close` it."""

    def __init__(self, settings: Settings, rules: Rules, stores: Stores, months: PoolMonths) -> None:
        self._settings, self._rules, self._stores, self._months = settings, rules, stores, months
        self._lock = threading.Lock()
        self._files: dict[tuple[str, int], tuple[MonthFile, Book]] = {}
        self._building = threading.RLock()
        self._forms: OrderedDict[tuple[str, int], Book] = OrderedDict()
        """Frozen versions whose form is in memory, the one used last at the end."""

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            for file, _ in self._files.values():
                file.close()
            self._files = {}

    @contextlib.contextmanager
    def open(self, month: Month, version: int | None = None, on_progress: Progress = no_progress, *, at: int = 0) -> Iterator[Book]:
        """The newest frozen version (or that `version`); of an open month its draft by the log as it is now, assessed for this. For commands.

        Raises MonthError for a version that does not exist, VerifyError for a bundle that is damaged.
        """
        frozen = self.frozen(month, version)
        if frozen is not None:
            yield frozen
            return
        with self._stores.current(on_progress) as store, store.lock:
            _, assessed = self._months.assess(store, month)
            self._months.write_enriched(store, month, assessed)
            yield self.draft(MonthRows(month, lambda: contextlib.nullcontext(store.connection)), assessed, store.positions(), at)

    def frozen(self, month: Month, version: int | None = None) -> Book | None:
        """The newest frozen version, or that `version`; None for a month that is not frozen. Errors as `open`."""
        versions = self._months.frozen(month)
        if version is not None and all(event.version != version for event in versions):
            raise MonthError(message("{month} has no frozen version {version}", month=month, version=version))
        return self._of_version(next(event for event in reversed(versions) if version in (None, event.version))) if versions else None

    def draft(self, rows: MonthRows, assessed: Assessment, positions: Positions, at: int) -> Book:
        """The book of an open month whose enriched tables can be read through `rows`."""
        debts = printed_debts(assessed.enriched.debts, self._rules).cast(pl.String)
        return Book(rows.month, None, "", self._rules, positions, at, "", assessed.conditions, rows, debts)

    def form(self, book: Book, on_rows: Callable[[int], None] = lambda _: None) -> FormIndex:
        """The book's form in memory, ready for pages; read at the first call, which takes about two seconds for a million rows. `on_rows`: as in `FormIndex`."""
        with self._building:
            held = book.figures.get(_FORM)
            found = held if isinstance(held, FormIndex) else self.index_form(book, book.rows.form_slices(), on_rows)
            if book.version is not None:
                key = str(book.month), book.version
                self._forms[key] = book
                self._forms.move_to_end(key)
                while len(self._forms) > KEPT_FORMS:
                    self._forms.popitem(last=False)[1].figures.pop(_FORM, None)
            return found

    def index_form(self, book: Book, slices: Iterable[pl.DataFrame], on_rows: Callable[[int], None] = lambda _: None) -> FormIndex:
        """Make the book's form from its rows, and keep it with the book."""
        found = book.figures[_FORM] = FormIndex(slices, on_rows)
        return found

    def is_form_ready(self, book: Book) -> bool:
        """Whether pages of the form need not wait: it is in memory, or is small."""
        return _FORM in book.figures or book.rows.rows("form.count")[0]["n_rows"] <= ROWS_AT_ONCE

    def facts_of(self, book: Book) -> BookFacts:
        """What a row's story needs to know of the book."""
        explorers = {name: chain.explorer for name, chain in self._settings.chains.items() if chain.explorer}
        return BookFacts(book.month, book.version, book.digest, book.rules, explorers)

    def _of_version(self, event: Frozen) -> Book:
        month = Month.parse(event.month)
        with self._lock:
            held = self._files.get((event.month, event.version))
            if held is not None:
                return held[1]
            folder = self._months.folder_of(month, event.version)
            if not folder.exists():
                folder = self._months.restore(event)
            file = self._open_file(folder / "month.duckdb", event)
            rules, debts = Rules.from_json(event.rules), _debts_of(folder)
            book = Book(month, event.version, event.digest, rules, event.positions, event.at, event.by, [], file, debts)
            self._files[event.month, event.version] = file, book
            return book

    def _open_file(self, path: Path, event: Frozen) -> MonthFile:
        """The version's file; one of older tables as a copy, brought up to date."""
        month = Month.parse(event.month)
        with contextlib.suppress(ValueError):
            return MonthFile(path, month)
        copy = self._settings.var / FOLDER / f"{event.month}-v{event.version}.duckdb"
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy.unlink(missing_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o600)
        with Store.open(copy):
            pass
        return MonthFile(copy, month)


def _debts_of(folder: Path) -> pl.DataFrame:
    """`debts.csv` of a bundle, all strings; without rows where the version is older than that file."""
    path = folder / DEBTS_CSV
    if not path.exists():
        return pl.DataFrame(schema=dict.fromkeys(DEBTS, pl.String))
    try:
        return pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise VerifyError(message("{path} can't be read: {why}", path=str(path), why=str(error))) from error
