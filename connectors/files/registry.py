"""Imports the registry from files: miners, licences, accounts, wallets and counterparties, always as a whole version.

In: a folder, or a path for each table (CSV, XLSX, Parquet), and the log. Out: events of the topic `registry`: a new version if the content
(regardless of row order and file format) differs from the newest version; else none. What will become an issue by the rules is returned as
warnings and enters the log (law 3).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.chains.networks import AnyNetwork
from pipeline.log.events.registry import Registry
from pipeline.log.protocol import EventLog
from pipeline.log.read import events_of, refuse_newer
from pipeline.log.registry_versions import ROWS, RegistryVersions, digest_of
from pipeline.model.errors import InputRefused, SettingsError
from pipeline.model.message import joined, message
from pipeline.model.plain import plain_name
from pipeline.validate.columns import CellContext
from pipeline.validate.layout import OWN, Layout
from pipeline.validate.registry import (
    COLUMNS,
    REGISTRY_KINDS,
    RegistryKind,
    check_registry_table,
    headings,
    licence_warnings,
    reference_warnings,
)
from pipeline.validate.table import Fault, RawColumn, RawTable

from .sheets import NO_SHEET
from .tables import SUFFIXES, read_table


@dataclass(frozen=True)
class RegistryContent:
    """A registry as read from its files."""

    content: Mapping[RegistryKind, list[dict[str, Any]]]
    """Each table's rows as they go into the log: days as texts, in the order of all their values."""
    warnings: list[str]
    """`file:line: column: what`; none holds an IIN/BIN."""


@dataclass(frozen=True)
class RegistryImportResult:
    """The registry version now in force, whether this import created it, and the warnings (issues that enrichment will raise)."""

    version: int
    digest: str
    is_new: bool
    warnings: list[str]
    """`file:line: column: what`; none holds an IIN/BIN."""
    rows: dict[str, int]


def read_registry(
    where: Path | Mapping[RegistryKind, Path],
    *,
    networks: Mapping[str, AnyNetwork | str],
    columns: Mapping[RegistryKind, Mapping[str, str]] | None = None,
    ignored: Collection[str] = (),
    counterparties: RawTable | None = None,
    layouts: Mapping[RegistryKind, Layout] | None = None,
) -> RegistryContent:
    """A registry's tables, checked, as they would go into the log.

    `where`: a workbook with a sheet for each table, a folder with miners, licences, accounts, wallets and perhaps counterparties (`.csv`, `.xlsx`, `.parquet`), or a path for each.
    `columns`: for each table the file's heading by column, where it differs. `counterparties`: instead of a file of theirs
    (`counterparties_of_pool`). Raises `InputRefused` with the faults of all files, `SettingsError` for headings mapped to no column.
    """
    tables, warnings = _read(_paths(where), CellContext({}, networks), columns or {}, ignored, counterparties, layouts or {})
    return RegistryContent({kind: _normal(tables[kind], kind) if kind in tables else [] for kind in REGISTRY_KINDS}, warnings)


def import_registry(log: EventLog, pool_id: str, read: RegistryContent) -> RegistryImportResult:
    """Append the registry as a new version, if its content is new."""
    content: dict[str, list[dict[str, Any]]] = {str(kind): rows for kind, rows in read.content.items()}
    digest = digest_of(content)
    counts: dict[str, int] = {kind: len(rows) for kind, rows in read.content.items()}
    versions = RegistryVersions()
    with log.writer("registry", pool_id) as writer:  # opened before the log is read, as in `ledger.import_ledger`
        for _, event in events_of(log, "registry", pool_id, [Registry], on_unreadable=refuse_newer):
            versions.take(event)
        if (held := versions.holds(digest)) is not None:
            return RegistryImportResult(held.version, digest, False, read.warnings, counts)
        number = versions.greatest + 1
        writer.append(list(versions.next(content, digest)))
    return RegistryImportResult(number, digest, True, read.warnings, counts)


def counterparties_of_pool(content: Mapping[str, Any], source: str = "pool.json") -> RawTable:
    """The counterparties that a pool's description lists, as a table; the line is the entry's number, from 1.

    `content`: `{"chain": …, "counterparties": [{"address", "class", "name"}, …]}`, and whatever else. Raises `InputRefused` when
    they have another shape; their values are checked with the registry's.
    """
    names = [column.name for column in COLUMNS["counterparties"]]
    listed = content.get("counterparties", [])
    is_list = isinstance(listed, list) and all(isinstance(entry, Mapping) for entry in listed)
    entries = [{"chain": content.get("chain"), **entry} for entry in listed] if is_list else []
    if not is_list or any(not isinstance(entry.get(name) or "", str) for entry in entries for name in names):
        raise InputRefused(
            source, [message("{source}: counterparties: is not a list of tables of texts: address, class, name", source=source)]
        )
    cells = [
        RawColumn(name, pl.Series(name, [(entry.get(name) or "").strip() or None for entry in entries], dtype=pl.String)) for name in names
    ]
    return RawTable(source, None, pl.int_range(1, len(entries) + 1, dtype=pl.UInt32, eager=True), cells)


def _paths(where: Path | Mapping[RegistryKind, Path]) -> dict[RegistryKind, Path]:
    """The file of each table. Raises `InputRefused` when one is missing, or there are two."""
    if isinstance(where, Mapping):
        strange = [str(kind) for kind in where if kind not in REGISTRY_KINDS]
        if strange:
            raise SettingsError(
                [
                    message(
                        "{kind}: the registry has no such table; it has {registry_kinds}",
                        kind=kind,
                        registry_kinds=", ".join(REGISTRY_KINDS),
                    )
                    for kind in strange
                ],
                source=message("registry files"),
            )
        paths = {kind: Path(path) for kind, path in where.items()}
        faults = [
            message("{kind}: no file is named for it", kind=kind)
            for kind in REGISTRY_KINDS
            if kind not in paths and kind != "counterparties"
        ]
        source = "registry"
    elif where.is_file():  # one workbook with a sheet for each table
        return dict.fromkeys(REGISTRY_KINDS, where)
    elif not where.is_dir():
        raise InputRefused(str(where), [message("{where}: there is no such folder or workbook: check the path", where=where)])
    else:
        folder, paths, faults = Path(where), {}, []
        source = plain_name(folder.name or str(folder))
        for kind in REGISTRY_KINDS:
            present = [path for path in (folder / f"{kind}{suffix}" for suffix in SUFFIXES) if path.is_file()]
            if len(present) > 1:
                faults.append(
                    message(
                        "{source}: {name} are both there: leave the one that counts",
                        source=source,
                        name=joined(message(" and "), [path.name for path in present]),
                    )
                )
            elif present:
                paths[kind] = present[0]
            elif kind != "counterparties":
                faults.append(
                    message(
                        "{source}: has no {kind}.csv (or .xlsx, .parquet); a table without rows is a file of headings only",
                        source=source,
                        kind=kind,
                    )
                )
    if faults:
        raise InputRefused(source, faults)
    return paths


def _read(
    paths: Mapping[RegistryKind, Path],
    terms: CellContext,
    columns: Mapping[RegistryKind, Mapping[str, str]],
    ignored: Collection[str],
    counterparties: RawTable | None,
    layouts: Mapping[RegistryKind, Layout],
) -> tuple[dict[RegistryKind, pl.DataFrame], list[str]]:
    """All tables' rows, and the warnings. Raises `InputRefused` with the faults of all of them."""
    rows: dict[RegistryKind, pl.DataFrame] = {}
    sources: dict[RegistryKind, str] = {}
    faults: list[str] = []
    refused: dict[str, None] = {}
    warnings: list[str] = []
    for kind in REGISTRY_KINDS:
        mapping = columns.get(kind, {})
        layout = layouts.get(kind, OWN)
        if kind == "counterparties" and counterparties is not None:
            table = counterparties
        elif kind in paths:
            is_shared = list(paths.values()).count(paths[kind]) > 1
            table = read_table(paths[kind], headings(kind, mapping), sheet=kind, asked=kind if is_shared else None, layout=layout)
            if kind == "counterparties" and any(fault.what.startswith(NO_SHEET) for fault in table.faults):
                continue  # the one table that may be missing
        else:
            continue
        is_sheet = bool(table.columns) and kind in paths and list(paths.values()).count(paths[kind]) > 1
        sources[kind] = f"{table.source} ({kind})" if is_sheet else table.source  # a line's number alone does not say of which sheet
        rows[kind], found, warned = check_registry_table(table, kind, terms=replace(terms, layout=layout), mapping=mapping, ignored=ignored)
        faults += _fault_lines(found, sources[kind])
        refused |= {table.source: None} if found else {}
        warnings += _fault_lines(warned, sources[kind])
    if faults:
        raise InputRefused(", ".join(refused), faults)
    for kind in ("licences", "accounts", "wallets"):
        heading = columns.get(kind, {}).get("miner_id", "miner_id")
        warnings += _fault_lines(reference_warnings(kind, rows[kind], rows["miners"], heading), sources[kind])
    warnings += _fault_lines(licence_warnings(rows["miners"], rows["licences"]), sources["miners"])
    return rows, warnings


def _fault_lines(faults: Collection[Fault], source: str) -> list[str]:
    return [fault.at(source) for fault in sorted(faults, key=lambda fault: (fault.line is not None, fault.line or 0))]


def _normal(rows: pl.DataFrame, kind: RegistryKind) -> list[dict[str, Any]]:
    """The rows as they go into the log: days as texts, in the order of all their values, whatever the file's order."""
    named = rows.drop("line").rename({"class": "outflow_class"}, strict=False).select(ROWS[kind].__struct_fields__)
    texts = named.with_columns(pl.col(pl.Date).dt.strftime("%Y-%m-%d"))
    if "name" in texts.columns:
        texts = texts.with_columns(pl.col("name").fill_null(""))
    return texts.sort(texts.columns, nulls_last=True).to_dicts()
