"""A pool's ledger and registry from files into its log.

Enters: the settings, the log, files. Leaves: events of topics `ledger` and `registry`, or every fault of a file by line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from connectors.files import (
    Imported,
    RegistryImported,
    counterparties_of_pool,
    declare_complete,
    import_ledger,
    import_registry,
    review_ledger,
)
from pipeline.log.protocol import EventLog
from pipeline.model.rules import Rules
from pipeline.settings import Settings
from pipeline.validate.ledger import LedgerKind
from pipeline.validate.registry import REGISTRY_KINDS, RegistryKind
from pipeline.validate.review import Consent, Known, Review
from pipeline.validate.table import RawTable

__all__ = ["Imported", "Imports", "RegistryImported", "counterparties_of_pool"]


class Imports:
    """One pool's imports."""

    def __init__(self, settings: Settings, rules: Rules, log: EventLog, now: Callable[[], int]) -> None:
        self._settings = settings
        self._rules = rules
        self._log = log
        self._now = now

    def review(self, path: Path, kind: LedgerKind, *, sheet: str | None = None, may_move: bool = False) -> tuple[Review, pl.DataFrame]:
        """What importing a ledger file would do now, and the rows it would append; imports nothing. Raises InputRefused, by line."""
        return review_ledger(self._log, self._settings.pool.key, path, kind, **self._reading(kind, sheet), may_move=may_move)

    def ledger(self, path: Path, kind: LedgerKind, *, sheet: str | None = None, consent: Consent | None = None) -> Imported:
        """Append the rows of a ledger file that are new or changed. Raises InputRefused with every fault by line, ConsentNeeded for what is odd."""
        return import_ledger(self._log, self._settings.pool.key, path, kind, **self._reading(kind, sheet), consent=consent)

    def _reading(self, kind: LedgerKind, sheet: str | None) -> dict[str, Any]:
        """How a ledger file is read, and what it is judged by."""
        ledger = self._settings.ledger
        return {
            "known": Known(self._now() * 1_000_000, assets=self._rules.assets, supplies=self._settings.supplies()),
            "networks": self._rules.network,
            "columns": getattr(ledger.columns, kind),
            "ignored": ledger.ignored,
            "timezone": ledger.timezone,
            "sheet": sheet,
        }

    def registry(self, where: Path | Mapping[RegistryKind, Path], *, counterparties: RawTable | None = None) -> RegistryImported:
        """Append the registry's next version, if it differs from the last. Raises InputRefused with the faults of all its files."""
        registry = self._settings.registry
        return import_registry(
            self._log,
            self._settings.pool.key,
            where,
            networks=self._rules.network,
            columns={kind: getattr(registry.columns, kind) for kind in REGISTRY_KINDS},
            ignored=registry.ignored,
            counterparties=counterparties,
        )

    def declare_complete(self, through: date) -> bool:
        """Declare that the ledger holds everything through a day in Almaty (rule 8.1); whether that was new."""
        return declare_complete(self._log, self._settings.pool.key, through)
