"""The tables that statements for miners are made from.

Enters: a month and, for a frozen one, the version. Leaves: `MonthTables`: of a frozen month from its bundle, of another from the current facts,
marked as a draft. Left out: selecting each miner's lines (`assess.statement`) and the formats (`render`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.assess.statement import MonthTables, draft_tables
from pipeline.log.events.months import Frozen
from pipeline.model.errors import MonthError, VerifyError
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.settings import Settings
from pipeline.verify.receipts import MinersReceipts, open_receipts
from pipeline.verify.tables import read_tables

from .months import PoolMonths
from .stores import Progress, Stores, no_progress


class Statements:
    """One pool's statements."""

    def __init__(self, settings: Settings, rules: Rules, stores: Stores, months: PoolMonths, now: Callable[[], int]) -> None:
        self._settings = settings
        self._rules = rules
        self._stores = stores
        self._months = months
        self._now = now

    def folder(self, month: Month) -> Path:
        """The default folder for a month's statements."""
        return self._settings.var / "statements" / str(month)

    def tables(self, month: Month, version: int | None = None, on_progress: Progress = no_progress) -> MonthTables:
        """The tables of a frozen version (None: the newest), or of a month that is not frozen, as a draft.

        A missing bundle is restored from the log. Raises MonthError for a version that does not exist, VerifyError for a bundle whose report is
        not the frozen one, or whose files differ from its manifest.
        """
        frozen = self._months.frozen(month)
        chosen = [event for event in frozen if version in (None, event.version)]
        if chosen:
            return self._frozen_tables(chosen[-1])
        if version is not None:
            have = (
                message("there is {frozen}", frozen=", ".join(f"v{event.version}" for event in frozen))
                if frozen
                else message("it is not frozen: without --version it is a draft")
            )
            raise MonthError(message("{month} has no frozen version {version}; {have}", month=month, version=version, have=have))
        with self._stores.current(on_progress) as store:
            state, assessed = self._months.assess(store, month)
        return draft_tables(state, assessed, month, self._rules, pool=self._settings.header(), at=self._now())

    def receipts(self, tables: MonthTables) -> MinersReceipts | None:
        """The receipts of the version that the tables are of; None for a draft, and for a version of editions 1 and 2, whose manifest states no root."""
        return open_receipts(self._months.folder_of(tables.month, tables.version)) if tables.version is not None else None

    def _frozen_tables(self, event: Frozen) -> MonthTables:
        folder = self._months.folder_of(Month.parse(event.month), event.version)
        if not folder.exists():
            folder = self._months.restore(event)
        tables = read_tables(folder)
        if tables.digest != event.digest:
            raise VerifyError(
                message(
                    "{folder} is not what was frozen: its SHA-256 is {digest}, the log says {digest2}; restore the bundle, or remove its folder and esep replay {month}",
                    folder=folder / "report.csv",
                    digest=tables.digest,
                    digest2=event.digest,
                    month=event.month,
                )
            )
        return tables
