"""A pool's ledger and registry from files into its log.

Enters: the settings, the log, files. Leaves: events of topics `ledger` and `registry`, or every fault of a file by line.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from connectors.files import Imported, RegistryImported, counterparties_of_pool, declare_complete, import_ledger, import_registry
from pipeline.log.protocol import EventLog
from pipeline.model.rules import Rules
from pipeline.settings import Settings
from pipeline.validate.ledger import LedgerKind
from pipeline.validate.registry import REGISTRY_KINDS, RegistryKind
from pipeline.validate.table import RawTable

__all__ = ["Imported", "Imports", "RegistryImported", "counterparties_of_pool"]


class Imports:
    """One pool's imports."""

    def __init__(self, settings: Settings, rules: Rules, log: EventLog) -> None:
        self._settings = settings
        self._rules = rules
        self._log = log

    def ledger(self, path: Path, kind: LedgerKind, *, sheet: str | None = None) -> Imported:
        """Append the rows of a ledger file that are new or changed. Raises InputRefused with every fault by line."""
        ledger = self._settings.ledger
        return import_ledger(
            self._log,
            self._settings.pool.key,
            path,
            kind,
            assets=self._rules.assets,
            networks=self._rules.network,
            columns=getattr(ledger.columns, kind),
            ignored=ledger.ignored,
            timezone=ledger.timezone,
            sheet=sheet,
        )

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
