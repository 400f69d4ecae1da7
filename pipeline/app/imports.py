"""A pool's ledger and registry from files into its log.

Enters: the settings, the log, files. Leaves: events of topics `ledger` and `registry`, or every fault of a file by line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl

from connectors.files import (
    ImportResult,
    ReadOptions,
    RegistryContent,
    RegistryImportResult,
    counterparties_of_pool,
    declare_complete,
    import_ledger,
    import_registry,
    read_registry,
    review_ledger,
)
from pipeline.log.protocol import EventLog
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.model.months import almaty_date
from pipeline.model.rules import Rules
from pipeline.settings import Settings
from pipeline.settings.files import TableProfile, table_settings
from pipeline.settings.load import template_path
from pipeline.validate.layout import Layout, Net
from pipeline.validate.ledger import COLUMNS as LEDGER_COLUMNS
from pipeline.validate.ledger import LedgerKind
from pipeline.validate.registry import COLUMNS as REGISTRY_COLUMNS
from pipeline.validate.registry import REGISTRY_KINDS, RegistryKind
from pipeline.validate.review import Consent, Review, ReviewContext
from pipeline.validate.table import RawTable

from .kept import Kept

__all__ = ["ImportResult", "Imports", "RegistryContent", "RegistryImportResult", "counterparties_of_pool"]


_PROFILES = template_path("assets.toml").parent / "profiles"


def layout_of(files: TableProfile, place: str, columns: Collection[str]) -> Layout:
    """The layout that a table's settings describe. Raises SettingsError for a constant or joined column that the table doesn't have."""
    strange = [name for name in (*files.constants, *files.joined) if name not in columns]
    if strange:
        faults: list[str] = [
            message(
                "{place}: {name} is no column of this table; the columns are {columns}",
                place=place,
                name=repr(name),
                columns=", ".join(columns),
            )
            for name in strange
        ]
        raise SettingsError(faults, source="esep import")
    if files.net and not {"amount", "commission_asset", "commission_amount"} <= set(columns):
        raise SettingsError(
            [message("{place}: net: this table has no amounts with a commission to take off", place=place)], source="esep import"
        )
    net = files.net
    return Layout(
        place=place,
        encoding=files.encoding,
        delimiter=files.delimiter,
        decimal=files.decimal,
        grouping=files.grouping,
        days=files.days,
        epoch=files.epoch,
        zone=files.zone,
        rows_above=files.rows_above,
        rows_below=files.rows_below,
        constants=files.constants,
        joined=files.joined,
        join_by=files.join_by,
        only=files.only,
        refused=files.refused,
        net=Net(net.column, net.of, net.same, net.order, net.commission) if net else None,
        warning=files.warning,
        is_in_base_units=files.base_units,
        factor=Decimal(files.factor) if files.factor else None,
        rounding=files.rounding,
        ids=files.ids,
    )


def day_to_come_fault(day: date, at: int) -> str | None:
    """Why the ledger can't be complete through a day, at an instant (Unix seconds): the day has not begun in Almaty; else None.

    A declaration is never taken back: a mistyped year would let months close whose ledger is still being filled (rule 8.1).
    """
    today = almaty_date(at)
    return message("{day} is still to come, today is {today}: no ledger holds that day yet", day=day, today=today) if day > today else None


class Imports:
    """One pool's imports."""

    def __init__(self, settings: Settings, rules: Rules, log: EventLog, now: Callable[[], int], *, kept: Kept) -> None:
        self._settings = settings
        self._rules = rules
        self._log = log
        self._now = now
        self._kept = kept

    def review(
        self, path: Path, kind: LedgerKind, *, sheet: str | None = None, profile: str | None = None, may_move: bool = False
    ) -> tuple[Review, pl.DataFrame]:
        """What importing a ledger file would do now, and the rows it would append; imports nothing. Raises InputRefused, with every fault by line."""
        reading = self._reading(kind, sheet, profile)
        return review_ledger(self._log, self._settings.pool.key, path, kind, reading, known=self._known(), may_move=may_move)

    def ledger(
        self, path: Path, kind: LedgerKind, *, sheet: str | None = None, profile: str | None = None, consent: Consent | None = None
    ) -> ImportResult:
        """Append the rows of a ledger file that are new or changed. Raises InputRefused with every fault by line, ConsentNeeded for oddities."""
        reading = self._reading(kind, sheet, profile)
        return import_ledger(self._log, self._settings.pool.key, path, kind, reading, known=self._known(), consent=consent, seen=self._kept)

    def _known(self) -> ReviewContext:
        return ReviewContext(self._now() * 1_000_000, supplies=self._settings.supplies())

    def _reading(self, kind: LedgerKind, sheet: str | None, profile: str | None) -> ReadOptions:
        """How a ledger file is read. `profile`: the name of a built-in profile, used instead of the one in the settings."""
        ledger = self._settings.ledger
        files = table_settings(_PROFILES, kind, getattr(ledger.files, kind), getattr(ledger.columns, kind), profile)
        return ReadOptions(
            assets=self._rules.assets,
            networks={chain: self._settings.network_of(chain) for chain in self._settings.chains},
            columns=files.columns,
            ignored=[*ledger.ignored, *files.ignored],
            layout=layout_of(files, f"[ledger.files.{kind}]", [column.name for column in LEDGER_COLUMNS[kind]]),
            timezone=ledger.timezone,
            sheet=sheet,
            on_chain_payers=self._rules.on_chain_payers(),
        )

    def read_registry(self, where: Path | Mapping[RegistryKind, Path], *, counterparties: RawTable | None = None) -> RegistryContent:
        """A registry's files, checked. Raises InputRefused with the faults of all of them."""
        registry = self._settings.registry
        files = {
            kind: table_settings(_PROFILES, kind, getattr(registry.files, kind), getattr(registry.columns, kind)) for kind in REGISTRY_KINDS
        }
        return read_registry(
            where,
            networks={chain: self._settings.network_of(chain) for chain in self._settings.chains},
            columns={kind: table.columns for kind, table in files.items()},
            ignored=[*registry.ignored, *(heading for table in files.values() for heading in table.ignored)],
            layouts={
                kind: layout_of(table, f"[registry.files.{kind}]", [column.name for column in REGISTRY_COLUMNS[kind]])
                for kind, table in files.items()
            },
            counterparties=counterparties,
        )

    def registry(self, where: Path | Mapping[RegistryKind, Path], *, counterparties: RawTable | None = None) -> RegistryImportResult:
        """Append the registry's next version, if it differs from the last. Raises InputRefused with the faults of all its files."""
        return import_registry(self._log, self._settings.pool.key, self.read_registry(where, counterparties=counterparties))

    def declare_complete(self, through: date) -> bool:
        """Declare that the ledger holds everything through a day in Almaty (rule 8.1); whether the declaration is new."""
        return declare_complete(self._log, self._settings.pool.key, through)
