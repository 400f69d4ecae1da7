"""Keeps the registry of a source that has one: puts its rows beside what a person imported, and writes the next version when that changes (ADR 22).

Enters: the source's events, the registry's versions in the log, people's decisions. Leaves: items that wait, and events of topic `registry`. What is written follows from the log alone:
after a crash the next step writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipeline.chains.networks import AnyNetwork
from pipeline.log.events.parts import Event
from pipeline.log.events.registry import Registry
from pipeline.log.events.sources import SourceConfigured, SourceDecided, SourcePolled, SourceRows
from pipeline.log.protocol import EventLog
from pipeline.log.read import KeyReader, refuse_newer
from pipeline.log.registry_versions import RegistryVersions, digest_of

from .merge_registry import Merge
from .outputs import Item, day_of
from .registry_history import RegistryHistory


@dataclass(frozen=True)
class RegistryPlan:
    """Which tables of the registry a source keeps, and how addresses are read."""

    tables: Sequence[str]
    since: date
    """The first day (Almaty) of which the source keeps the registry."""
    networks: Mapping[str, AnyNetwork | str]
    """The network of each chain."""


class RegistryKeeper:
    """The registry of one source."""

    def __init__(self, log: EventLog, pool: str, source: str, plan: RegistryPlan, decisions: Mapping[str, SourceDecided]) -> None:
        self._log, self._pool, self._source, self._plan, self._decisions = log, pool, source, plan, decisions
        self._reader = KeyReader(log, "registry", pool, [Registry], on_unreadable=refuse_newer)
        self._versions = RegistryVersions()
        self._history = RegistryHistory()
        self._looked_at: int | None = None
        self._content: dict[str, list[dict[str, Any]]] | None = None
        self._items: dict[str, Item] = {}

    def take(self, event: Event) -> None:
        """Take an event of this source; one taken before changes nothing."""
        match event:
            case SourceConfigured():
                self._history.configured(event.settings)
            case SourceRows():
                if self._history.rows_changed(event):
                    self._content = None
            case SourcePolled():
                if self._looked_at is None or day_of(event.at) != day_of(self._looked_at):
                    self._content = None
                self._looked_at = max(event.at, self._looked_at or event.at)
                self._history.polled(event.at)

    def decided(self) -> None:
        """A person decided something."""
        self._content = None

    def dump(self) -> list[Any]:
        """What it knows of the source, for a checkpoint."""
        return [self._looked_at, self._history.dump()]

    def load(self, found: list[Any]) -> None:
        """Go on from what `dump` gave."""
        self._looked_at = found[0]
        self._history.load(found[1])

    def items(self) -> list[Item]:
        """What waits for a person."""
        self._merge()
        return list(self._items.values())

    def content(self) -> dict[str, list[dict[str, Any]]] | None:
        """The registry as it would be written now; None before the source was looked at."""
        self._merge()
        return self._content

    def write(self) -> int:
        """Write the next version, if it differs from the one in force; the number of events. Raises FencedError where an import came between: step again."""
        if self._is_written():
            return 0
        with self._log.writer("registry", self._pool) as writer:  # opened before the log is read, so that what is read stays the newest
            if self._is_written() or self._content is None:
                return 0
            return writer.append(list(self._versions.next(self._content, digest_of(self._content), self._source)))

    def _is_written(self) -> bool:
        self._merge()
        return self._content is None or digest_of(self._content) in (self._versions.newest.digest, digest_of({}))

    def _merge(self) -> None:
        imported = self._versions.imported
        for _, event in self._reader.new():
            self._versions.take(event)
        if self._looked_at is None or (self._content is not None and self._versions.imported is imported):
            return
        merge = Merge(self._plan.since, day_of(self._looked_at), self._plan.networks, self._decisions, self._plan.tables)
        self._content, self._items = merge.merge(self._versions.imported.content(), self._history), merge.items
