"""Versions of the registry in the log (topic `registry`): which one is in force, which one a person imported last, and the events of the next one.

Enters: `registry` events, or a registry's content. Leaves: versions put together from their parts, and new events. A source that keeps the registry (ADR 22) writes versions
of its own: what a person imported last, with the source's rows; they name the source, so that both stay apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from .events import content_digest, encode
from .events.registry import AccountRow, CounterpartyRow, LicenceRow, MinerRow, Registry, WalletRow
from .records import NewEvent

PART_BYTES = 500_000
ROWS: dict[str, type[msgspec.Struct]] = {
    "miners": MinerRow,
    "licences": LicenceRow,
    "accounts": AccountRow,
    "wallets": WalletRow,
    "counterparties": CounterpartyRow,
}
"""The tables of a registry, in the order in which a version has them."""
Content = Mapping[str, Sequence[Mapping[str, Any]]]
"""Each table's rows as they go into the log: days as texts, in the order of all their values."""


@dataclass(frozen=True)
class RegistryVersion:
    """A complete version."""

    version: int = 0
    digest: str = ""
    source: str = ""
    """The source that wrote it; "" for an import by a person."""
    parts: tuple[Registry, ...] = ()

    def content(self) -> dict[str, list[dict[str, Any]]]:
        """Its rows, by table."""
        return {kind: [msgspec.to_builtins(row) for part in self.parts for row in getattr(part, kind)] for kind in ROWS}


NONE = RegistryVersion()


class RegistryVersions:
    """The versions that a log holds; of each only the newest is kept."""

    def __init__(self) -> None:
        self.newest = self.imported = NONE
        """The version in force, and the newest one that a person imported."""
        self.greatest = 0
        """The greatest version number seen, also of one that is not complete."""
        self._parts: dict[tuple[int, str, int], dict[int, Registry]] = {}

    def take(self, event: Registry) -> None:
        """Take an event; one taken before changes nothing."""
        self.greatest = max(self.greatest, event.version)
        place = event.version, event.digest, event.parts
        held = self._parts.setdefault(place, {})
        held[event.part] = event
        if len(held) < event.parts:
            return
        found = RegistryVersion(event.version, event.digest, event.source, tuple(held[part] for part in sorted(held)))
        del self._parts[place]
        if (found.version, found.digest) > (self.newest.version, self.newest.digest):
            self.newest = found
        if not found.source and (found.version, found.digest) > (self.imported.version, self.imported.digest):
            self.imported = found

    def holds(self, digest: str) -> RegistryVersion | None:
        """The version that makes an import with this digest needless: the one in force, or the one that a source's rows were added to."""
        if self.newest.digest == digest:
            return self.newest
        return self.imported if self.newest.source and self.imported.digest == digest else None

    def next(self, content: Content, digest: str, source: str = "") -> Iterator[NewEvent]:
        """The events of the next version, each of about `PART_BYTES`."""
        version = self.greatest + 1
        parts: list[dict[str, list[Mapping[str, Any]]]] = [{}]
        size = 0
        for kind, rows in content.items():
            for row in rows:
                row_bytes = len(msgspec.json.encode(row)) + 1
                if size + row_bytes > PART_BYTES and parts[-1]:
                    parts.append({})
                    size = 0
                parts[-1].setdefault(kind, []).append(row)
                size += row_bytes
        for number, part in enumerate(parts):
            typed: dict[str, Any] = {kind: [ROWS[kind](**row) for row in rows] for kind, rows in part.items()}
            name = f"registry:{version}:{number}"
            yield encode(Registry(id=name, version=version, digest=digest, part=number, parts=len(parts), source=source, **typed))


def in_order(rows: Sequence[Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Rows of a table as a version has them: every column, in the order of all their values, empty ones last; each row once."""
    columns = ROWS[kind].__struct_fields__
    full = [{name: row.get(name) for name in columns} for row in rows]
    ordered = {tuple((row[name] is None, row[name] or "") for name in columns): row for row in full}
    return [ordered[place] for place in sorted(ordered)]


def digest_of(content: Content) -> str:
    """Names a content."""
    return content_digest({kind: list(content.get(kind, ())) for kind in ROWS})
