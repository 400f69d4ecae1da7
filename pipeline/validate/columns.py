"""The columns that each file has, how its headings are told apart, and its cells turned into values, every fault by line.

In: a `RawTable` and the columns expected. Out: a frame of values with each row's `line`, and the faults. Leaves out what
spans rows (`ledger`, `registry`).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import polars as pl

from pipeline.model.rules import Asset

from .cells import TYPES, Kind, canonical_addresses, instants, value_of, why_bad
from .table import CellType, Fault, RawColumn, RawTable, shown


@dataclass(frozen=True)
class Column:
    """A column that a file has."""

    name: str
    kind: Kind
    is_nullable: bool = False
    """Its cells may be empty; then the file may also lack the column."""
    of: str = ""
    """AMOUNT, ADDRESS: the column with the asset, or with the chain, that it is read by."""
    pair: str = ""
    """The column that is filled in the same rows."""


@dataclass(frozen=True)
class Terms:
    """What cells are read by, from the settings."""

    assets: Mapping[str, Asset] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)
    """The network of each chain, by chain."""
    timezone: str | None = None
    """The wall clock of instants that carry no offset; None refuses them."""


ALLOCATIONS = (
    Column("allocation_id", Kind.ID),
    Column("account", Kind.ID),
    Column("asset", Kind.ASSET),
    Column("allocated_at", Kind.INSTANT),
    Column("amount", Kind.AMOUNT, of="asset"),
    Column("commission_asset", Kind.ASSET, is_nullable=True, pair="commission_amount"),
    Column("commission_amount", Kind.AMOUNT, is_nullable=True, of="commission_asset", pair="commission_asset"),
    Column("commission_currency", Kind.ID, is_nullable=True, pair="commission_currency_amount"),
    Column("commission_currency_amount", Kind.PLAIN, is_nullable=True, pair="commission_currency"),
)
PAYMENTS = (
    Column("payment_id", Kind.ID),
    Column("account", Kind.ID),
    Column("asset", Kind.ASSET),
    Column("address", Kind.ADDRESS, of="asset"),
    Column("amount", Kind.AMOUNT, of="asset"),
    Column("txid", Kind.TXID),
    Column("paid_at", Kind.INSTANT),
)
OPENINGS = (
    Column("account", Kind.ID),
    Column("asset", Kind.ASSET),
    Column("amount", Kind.AMOUNT, of="asset"),
    Column("owed_at", Kind.INSTANT),
)
MINERS = (Column("miner_id", Kind.MINER), Column("name", Kind.NAME))
LICENCES = (
    Column("miner_id", Kind.MINER),
    Column("licence_number", Kind.ID),
    Column("issue_date", Kind.DATE),
    Column("valid_from", Kind.DATE),
    Column("valid_to", Kind.DATE, is_nullable=True),
    Column("suspended_from", Kind.DATE, is_nullable=True),
    Column("suspended_to", Kind.DATE, is_nullable=True),
)
ACCOUNTS = (
    Column("account", Kind.ID),
    Column("miner_id", Kind.MINER),
    Column("valid_from", Kind.DATE),
    Column("valid_to", Kind.DATE, is_nullable=True),
)
WALLETS = (
    Column("address", Kind.ADDRESS, of="chain"),
    Column("chain", Kind.ID),
    Column("miner_id", Kind.MINER),
    Column("valid_from", Kind.DATE),
    Column("valid_to", Kind.DATE, is_nullable=True),
)
COUNTERPARTIES = (
    Column("address", Kind.ADDRESS, of="chain"),
    Column("chain", Kind.ID),
    Column("class", Kind.CLASS),
    Column("name", Kind.NAME, is_nullable=True),
)


def headings_of(columns: Collection[Column], mapping: Mapping[str, str]) -> dict[str, str]:
    """The heading expected for each column: as mapped in the settings, else the column's own name."""
    return {column.name: mapping.get(column.name, column.name) for column in columns}


def mapping_faults(columns: Collection[Column], mapping: Mapping[str, str]) -> list[str]:
    """What is wrong with a settings' table of headings: keys that are no columns, headings that are empty."""
    names = [column.name for column in columns]
    faults = [
        f"columns.{key}: there is no such column{_near(key, names)}; the columns are {', '.join(names)}"
        for key in mapping
        if key not in names
    ]
    return faults + [
        f"columns.{key}: the heading is empty: write the heading that the file has"
        for key, heading in mapping.items()
        if not heading.strip()
    ]


def check_columns(
    table: RawTable, columns: Collection[Column], mapping: Mapping[str, str], ignored: Collection[str], terms: Terms
) -> tuple[pl.DataFrame, list[Fault]]:
    """The values of a table's cells: a frame with `line` and every column (Int128 base units, Int64 µs, Date, String).

    `mapping`: heading by column, where it is not the column's name. `ignored`: headings to pass over. A value is null where
    its cell is empty or faulty, so the frame counts only when no faults come with it.
    """
    faults = list(table.faults)
    found, heading_faults = _match(table, columns, mapping, ignored)
    faults += heading_faults
    texts, usable = _texts(table, columns, found, faults)
    values = _values(texts, columns, terms)
    for column in columns:
        if column.name in found and column.name in usable:
            faults += _cell_faults(texts, values, column, found[column.name].heading, terms)
    return values.select("line", *(column.name for column in columns)), faults


def _match(
    table: RawTable, columns: Collection[Column], mapping: Mapping[str, str], ignored: Collection[str]
) -> tuple[dict[str, RawColumn], list[Fault]]:
    """Which of the file's columns is which."""
    expected = headings_of(columns, mapping)
    wanted = set(expected.values())
    by_heading: dict[str, RawColumn] = {}
    faults = []
    unknown = []
    for number, raw in enumerate(table.columns, 1):
        if raw.heading in by_heading:
            faults.append(Fault(table.heading_line, raw.heading, "the heading stands twice: remove or rename one of the columns"))
        elif raw.heading in wanted:
            by_heading[raw.heading] = raw
        elif raw.heading == "":
            if raw.values.null_count() < len(raw.values):
                faults.append(Fault(table.heading_line, f"column {number}", "has values but no heading: give it one, or empty it"))
        elif raw.heading not in ignored:
            unknown.append(raw.heading)
    absent = [expected[column.name] for column in columns if expected[column.name] not in by_heading]
    missing = [
        column
        for column in columns
        if expected[column.name] in absent and (not column.is_nullable or expected.get(column.pair, "") in by_heading)
    ]
    for heading in unknown:
        what = f"unknown column {shown(heading)}{_near(heading, absent)}; expected {', '.join(expected.values())}"
        faults.append(Fault(table.heading_line, "", f"{what}; other headings are mapped, or ignored, in the settings"))
    for column in missing:
        heading = expected[column.name]
        faults.append(Fault(table.heading_line, heading, f"the column is missing{_near(heading, unknown)}"))
    return {name: by_heading[heading] for name, heading in expected.items() if heading in by_heading}, faults


def _near(word: str, words: Collection[str]) -> str:
    plain = {other.casefold().replace(" ", "_").replace("-", "_"): other for other in words}
    close = difflib.get_close_matches(word.casefold().replace(" ", "_").replace("-", "_"), list(plain), 1, 0.6)
    return f" (is it {shown(plain[close[0]])}?)" if close else ""


def _texts(
    table: RawTable, columns: Collection[Column], found: Mapping[str, RawColumn], faults: list[Fault]
) -> tuple[pl.DataFrame, set[str]]:
    """The cells' texts by column; those of a type that the column can't have are faults, and neither value nor missing."""
    series = [table.lines.alias("line")]
    usable = set()
    for column in columns:
        raw = found.get(column.name)
        if raw is None:
            series.append(pl.Series(column.name, [None], dtype=pl.String).new_from_index(0, len(table.lines)))
            continue
        series.append(raw.values.alias(column.name))
        if isinstance(raw.types, CellType):
            if raw.types in TYPES[column.kind]:
                usable.add(column.name)
            else:
                faults.append(Fault(None, raw.heading, _why_type(raw.types, "", raw.declared)))
                continue
        else:
            usable.add(column.name)
    frame = pl.DataFrame(series)
    for column in columns:
        raw = found.get(column.name)
        if raw is None or column.name not in usable:
            continue
        bad = _bad_types(raw, column)
        if bad is not None:
            for line, kind, text in frame.select("line", kind=raw.types, text=column.name).filter(bad).iter_rows():
                faults.append(Fault(line, raw.heading, _why_type(CellType(kind), text or "", raw.declared)))
            frame = frame.with_columns(bad.alias(f"{column.name}:type"))
    return frame, usable


def _bad_types(raw: RawColumn, column: Column) -> pl.Series | None:
    """Which cells have a type that the column can't have; None when all are fine."""
    if raw.types is CellType.TEXT or len(raw.values) == 0:
        return None
    types = (
        raw.types if isinstance(raw.types, pl.Series) else pl.Series([raw.types.value], dtype=pl.UInt8).new_from_index(0, len(raw.values))
    )
    frame = pl.DataFrame({"type": types, "text": raw.values})
    is_bad = ~pl.col("type").is_in([int(kind) for kind in TYPES[column.kind]])
    is_number = pl.col("type") == CellType.NUMBER
    if column.kind is Kind.MINER:
        is_bad |= is_number & ~pl.col("text").str.contains("^[0-9]{12}$")
    elif column.kind not in (Kind.AMOUNT, Kind.PLAIN):
        is_bad |= is_number & ~pl.col("text").str.contains("^[0-9]+$")
    bad = frame.select((is_bad & pl.col("text").is_not_null()).fill_null(False)).to_series()
    return bad if bad.any() else None


def _why_type(kind: CellType, text: str, declared: str) -> str:
    match kind:
        case CellType.INEXACT:
            return f"{shown(text)} is a number of more than 15 digits, of which the workbook keeps 15: format the column as text"
        case CellType.NUMBER:
            return "is a number, so leading zeros or digits may be lost: format the column as text"
        case CellType.MOMENT:
            return f"{shown(text)} is a date: format the column as text"
        case CellType.BOOLEAN:
            return f"{shown(text)} is a truth value" if text else f"is a column of truth values ({declared}): write it as text"
        case CellType.ERROR:
            return f"{shown(text)} is an error, or a formula without a value: calculate and save the workbook anew, or paste values"
        case CellType.FLOAT:
            return f"is a column of binary floating point numbers ({declared}), which hold no exact values: write decimals or text"
        case _:
            return f"is a column of {declared or kind.name.lower()}: write it as text"


def _values(texts: pl.DataFrame, columns: Collection[Column], terms: Terms) -> pl.DataFrame:
    texts = texts.with_columns(
        pl.when(pl.col(f"{c.name}:type")).then(None).otherwise(pl.col(c.name)).alias(c.name)
        for c in columns
        if f"{c.name}:type" in texts.columns
    )
    # Lazily, so that polars evaluates what several expressions share once.
    expressions = [_value(column, terms) for column in columns if column.kind not in (Kind.ADDRESS, Kind.INSTANT)]
    values = texts.lazy().select("line", *expressions).collect()
    for column in columns:
        if column.kind is Kind.INSTANT:
            values = values.with_columns(instants(texts[column.name], terms.timezone))
        elif column.kind is Kind.ADDRESS:
            values = values.with_columns(canonical_addresses(texts[column.name], _chains(texts, column, terms), terms.networks))
    return values


def _value(column: Column, terms: Terms) -> pl.Expr:
    if column.kind is Kind.ASSET:
        return pl.when(pl.col(column.name).is_in(sorted(terms.assets))).then(pl.col(column.name)).alias(column.name)
    return value_of(column.kind, column.name, decimals=_decimals(column, terms) if column.kind is Kind.AMOUNT else None)


def _decimals(column: Column, terms: Terms) -> pl.Expr:
    """The decimals of each row's asset; those of an unknown one, whose row is faulty anyway, are null."""
    decimals = {name: asset.decimals for name, asset in terms.assets.items()}
    return pl.col(column.of).replace_strict(decimals, default=None, return_dtype=pl.UInt32) if decimals else pl.lit(None, pl.UInt32)


def _chains(texts: pl.DataFrame, column: Column, terms: Terms) -> pl.Series:
    """The chain of each row's address: its own column, or its asset's."""
    if column.of != "asset":
        return texts[column.of]
    chains = {name: asset.chain for name, asset in terms.assets.items()}
    return texts[column.of].replace_strict(chains, default=None, return_dtype=pl.String)


def _cell_faults(texts: pl.DataFrame, values: pl.DataFrame, column: Column, heading: str, terms: Terms) -> list[Fault]:
    """Cells that are missing, and texts that give no value."""
    text, value = texts[column.name], values[column.name]
    typed = texts[f"{column.name}:type"] if f"{column.name}:type" in texts.columns else None
    is_bad = text.is_not_null() & value.is_null()
    if typed is not None:
        is_bad &= ~typed
    faults = []
    if not column.is_nullable:
        faults = [Fault(line, heading, "is missing") for line in texts["line"].filter(text.is_null())]
    elif column.pair:
        lonely = texts["line"].filter(text.is_null() & texts[column.pair].is_not_null())
        faults = [Fault(line, heading, f"is missing, though {column.pair} is given") for line in lonely]
    if not is_bad.any():
        return faults
    of = texts[column.of] if column.of else pl.Series([None], dtype=pl.String).new_from_index(0, len(text))
    for line, cell, by in pl.DataFrame({"line": texts["line"], "text": text, "of": of}).filter(is_bad).iter_rows():
        what = _why(column, cell, by, terms)
        if what:
            faults.append(Fault(line, heading, what))
    return faults


def _why(column: Column, cell: str, by: str | None, terms: Terms) -> str:
    """What is wrong with a cell; "" when only the cell that it is read by is wrong."""
    if column.kind is Kind.ASSET:
        return f"{shown(cell)} is no asset of the settings{_near(cell, terms.assets)}; those are {', '.join(sorted(terms.assets))}"
    asset = terms.assets.get(by or "")
    if column.kind is Kind.AMOUNT:
        if asset is None:
            return ""
        return why_bad(column.kind, cell, decimals=asset.decimals)
    chain = (asset.chain if asset else None) if column.of == "asset" else by
    return why_bad(column.kind, cell, has_timezone=terms.timezone is not None, network_name=terms.networks.get(chain or ""))
