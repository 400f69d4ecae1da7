"""Converts a table's cells to values, and reports every fault with its line.

In: a `RawTable` and the columns expected. Out: a frame of values with each row's `line`, the faults, and notes on the reading (`Notes`).
Left out: checks across rows (`ledger`, `registry`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import polars as pl

from pipeline.model.message import message

from .arrange import arrange
from .cells import (
    ID_CHARACTERS,
    Kind,
    canonical_addresses,
    column_units,
    epoch_instants,
    instants,
    is_finer,
    value_of,
    why_invalid,
)
from .columns import CellContext, Column, headings_of, near, no_headings
from .forms import one_fault
from .layout import Layout
from .references import why_no_reference, with_payment_hashes
from .table import CellType, Fault, RawColumn, RawTable, masked, shown
from .texts import garbled, is_ascii, look_alikes
from .typed import cut_numbers, structure_faults, texts_of, with_written
from .whole import are_plain_ids, has_offset, only_text
from .zones import zone_for

OWN_OFFSET = message("their own offset from UTC")


@dataclass(frozen=True)
class Notes:
    """Notes on reading a table, for the user."""

    zones: dict[str, int] = field(default_factory=dict)
    """How many instants were read in which zone."""
    rounded: dict[str, int] = field(default_factory=dict)
    """How many amounts of a column were finer than their asset, and rounded by the layout's rule."""
    passed_over: int = 0
    """Number of rows skipped by the layout's filters."""
    netted: dict[str, int] = field(default_factory=dict)
    """Number of rows subtracted from others, by their kind."""
    days: int = 0
    """Instants that were days without a time, read as 00:00."""
    odd: list[str] = field(default_factory=list)
    """What a person should check before importing."""
    warnings: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Checked:
    """A table's values: a frame with `line` and every column (Int128 base units, Int64 µs, Date, String), its faults and notes."""

    rows: pl.DataFrame
    faults: list[Fault]
    notes: Notes


def check_columns(
    table: RawTable, columns: Collection[Column], mapping: Mapping[str, str], ignored: Collection[str], terms: CellContext
) -> Checked:
    """The values of a table's cells.

    `mapping`: heading by column, where it is not the column's name. `ignored`: headings to pass over. A value is null where
    its cell is empty or faulty, so the frame counts only when no faults come with it.
    """
    if not table.columns and table.faults:
        return Checked(_no_rows(columns, terms), list(table.faults), Notes())
    faults = list(table.faults)
    names = headings_of(columns, mapping)
    required = [names[column.name] for column in columns if not column.is_nullable]
    whole, arranged = table, arrange(table, names, terms.layout, required)
    table = arranged.table
    faults += arranged.faults
    found, heading_faults = _match(table, columns, names, {*ignored, *terms.layout.headings}, terms)
    faults += heading_faults
    for raw in {id(raw): raw for raw in found.values()}.values():
        faults += structure_faults(table.lines, raw)
    for raw in whole.columns:
        if raw.heading in terms.layout.headings and raw.heading not in names.values():
            faults += structure_faults(arranged.lines, raw)
    texts, usable = texts_of(table, columns, found, terms.layout, faults)
    zones, zone_faults = _zones(columns, found, terms, table.heading_line)
    faults += zone_faults
    values = _values(texts, columns, terms, {name: zone for name, (zone, _) in zones.items()})
    days, day_faults = _days(texts, values, columns, found, zones)
    faults += day_faults
    said = [Fault(None, "", terms.layout.warning)] if terms.layout.warning else []
    if arranged.passed_over and table.lines.is_empty():
        said.append(
            Fault(
                None,
                "",
                message("every row is passed over by {place} only: does the file have other words there?", place=terms.layout.place),
            )
        )
    notes = Notes(
        _zone_counts(texts, values, zones, terms.layout),
        _rounded(texts, columns, terms),
        arranged.passed_over,
        arranged.netted,
        days,
        [*whole.odd, *cut_numbers(texts, values, columns, found, terms.layout)],
        said,
    )
    for column in columns:
        if column.name in found and column.name in usable:
            heading = found[column.name].heading
            faults += _cell_faults(texts, values, column, found[column.name], terms)
            if column.kind in (Kind.ID, Kind.MINER, Kind.NAME) and not is_ascii(values[column.name]):
                faults += garbled(values[column.name], values["line"], heading, is_shown=column.kind is not Kind.MINER)
                if column.kind is not Kind.NAME:
                    notes.warnings.extend(look_alikes(values[column.name], values["line"], heading, is_shown=column.kind is not Kind.MINER))
    return Checked(values.select("line", *(column.name for column in columns)), list(dict.fromkeys(faults)), notes)


def _no_rows(columns: Collection[Column], terms: CellContext) -> pl.DataFrame:
    texts = pl.DataFrame(schema={"line": pl.UInt32, **{column.name: pl.String for column in columns}})
    return _values(with_written(texts, columns, {}, terms.layout), columns, terms, {}).select("line", *(c.name for c in columns))


def _match(
    table: RawTable, columns: Collection[Column], expected: Mapping[str, str], ignored: Collection[str], terms: CellContext
) -> tuple[dict[str, RawColumn], list[Fault]]:
    """Which of the file's columns is which."""
    wanted = set(expected.values())
    by_heading: dict[str, RawColumn] = {}
    faults = []
    unknown = []
    for number, raw in enumerate(table.columns, 1):
        if raw.heading in by_heading:
            faults.append(Fault(table.heading_line, raw.heading, message("the heading stands twice: remove or rename one of the columns")))
        elif raw.heading in wanted:
            by_heading[raw.heading] = raw
        elif raw.heading == "":
            if raw.values.null_count() < len(raw.values):
                faults.append(
                    Fault(
                        table.heading_line,
                        message("column {number}", number=number),
                        message("has values but no heading: give it one, or empty it"),
                    )
                )
        elif raw.heading not in ignored:
            unknown.append(raw.heading)
    absent = [expected[column.name] for column in columns if expected[column.name] not in by_heading]
    missing = [
        column
        for column in columns
        if expected[column.name] in absent and (not column.is_nullable or expected.get(column.pair, "") in by_heading)
    ]
    if missing and unknown and not by_heading:
        hint = message(", or set delimiter") if len(table.columns) == 1 else no_headings(unknown)
        what = message(
            "none of the headings is known, {unknown} first; expected {expected}: write which is which into {place}, as in {example}{hint}",
            unknown=shown(unknown[0]),
            place=_columns_place(terms),
            example=f'{missing[0].name} = "{masked(unknown[0])}"',
            expected=", ".join(expected.values()),
            hint=hint,
        )
        return {}, [Fault(table.heading_line, "", what)]
    for heading in unknown:
        what = message(
            "unknown column {heading}{near}; expected {expected}",
            heading=shown(heading),
            near=near(heading, absent),
            expected=", ".join(expected.values()),
        )
        faults.append(
            Fault(
                table.heading_line,
                "",
                message("{what}; other headings are mapped in {place}, or passed over (ignored)", what=what, place=_columns_place(terms)),
            )
        )
    for column in missing:
        heading = expected[column.name]
        faults.append(Fault(table.heading_line, heading, message("the column is missing{near}", near=near(heading, unknown))))
    return {name: by_heading[heading] for name, heading in expected.items() if heading in by_heading}, faults


def _columns_place(terms: CellContext) -> str:
    """The table of the settings that says which of a file's headings is which column."""
    place = terms.layout.place
    return place.replace(".files.", ".columns.") if ".files." in place else place


def _zones(
    columns: Collection[Column], found: Mapping[str, RawColumn], terms: CellContext, heading_line: int | None
) -> tuple[dict[str, tuple[str | None, str]], list[Fault]]:
    """For each column of instants the zone of those that name none, and how it is told."""
    zones: dict[str, tuple[str | None, str]] = {}
    faults = []
    for column in columns:
        if column.kind is Kind.INSTANT:
            heading = found[column.name].heading if column.name in found else ""
            zone, told, wrong = zone_for(heading, terms.layout.zone, terms.timezone, terms.layout.place)
            zones[column.name] = zone, told
            if wrong:
                faults.append(Fault(heading_line, heading, message("the heading {wrong}", wrong=wrong)))
                zones[column.name] = terms.timezone, ""
    return zones, faults


def _days(
    texts: pl.DataFrame,
    values: pl.DataFrame,
    columns: Collection[Column],
    found: Mapping[str, RawColumn],
    zones: Mapping[str, tuple[str | None, str]],
) -> tuple[int, list[Fault]]:
    """How many instants were days without a time; and a fault for each whose 00:00 lies on another day in Almaty (rule 1.2)."""
    count, faults = 0, []
    for column in columns:
        if column.kind is not Kind.INSTANT or column.name not in found:
            continue
        written = texts[f"{column.name}:written"]
        is_midnight = written.str.ends_with("T00:00:00")
        read = pl.DataFrame({"line": texts["line"], "text": texts[column.name], "at": values[column.name], "written": written})
        read = read.filter(is_midnight).filter(~pl.col("text").str.contains(":") & pl.col("at").is_not_null())
        count += read.height
        day = pl.from_epoch("at", "us").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Almaty").dt.strftime("%Y-%m-%d")
        for line, text in read.filter(day != pl.col("written").str.slice(0, 10)).select("line", "text").iter_rows():
            what = message(
                "{text} has no time, and its 00:00 in {zones} is another day in Almaty: write the time, too",
                text=shown(text),
                zones=zones[column.name][1],
            )
            faults.append(Fault(line, found[column.name].heading, what))
    return count, faults


def _zone_counts(texts: pl.DataFrame, values: pl.DataFrame, zones: Mapping[str, tuple[str | None, str]], layout: Layout) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name, (_, told) in zones.items():
        read = texts[f"{name}:written"].filter(values[name].is_not_null())
        is_number = read.str.contains("^[0-9]+$") if layout.epoch else False
        zoned = int((has_offset(read) | is_number).sum())
        counts += Counter({OWN_OFFSET: zoned, told: len(read) - zoned})
    return dict(counts)


def _rounded(texts: pl.DataFrame, columns: Collection[Column], terms: CellContext) -> dict[str, int]:
    if terms.layout.rounding == "none":
        return {}
    amounts = [column for column in columns if column.kind is Kind.AMOUNT]
    finer = texts.select(is_finer(pl.col(f"{c.name}:written"), _decimals(c, terms)).sum().alias(c.name) for c in amounts)
    return {name: count for name, count in finer.row(0, named=True).items() if count}


def _values(texts: pl.DataFrame, columns: Collection[Column], terms: CellContext, zones: Mapping[str, str | None]) -> pl.DataFrame:
    written = texts.select("line", *(pl.col(f"{column.name}:written").alias(column.name) for column in columns))
    # Lazily, so that polars evaluates shared subexpressions once.
    others = [column for column in columns if column.kind not in (Kind.ADDRESS, Kind.INSTANT, Kind.AMOUNT)]
    expressions = [pl.col(column.name) if _are_sound(written[column.name], column, terms) else _value(column, terms) for column in others]
    values = written.lazy().select("line", *expressions).collect()
    for column in columns:
        if column.kind is Kind.AMOUNT:
            is_empty = written[column.name].null_count() == written.height
            decimals = pl.Series([], dtype=pl.UInt32) if is_empty else _decimals_of(written, column, terms)
            values = values.with_columns(column_units(written[column.name], decimals, terms.layout.rounding))
        elif column.kind is Kind.INSTANT:
            values = values.with_columns(_instants(written[column.name], zones.get(column.name), terms.layout))
        elif column.kind is Kind.ADDRESS:
            values = values.with_columns(canonical_addresses(written[column.name], _chains(written, column, terms), terms.networks))
    for column in columns:
        if column.free_by:
            free = written.select(value_of(Kind.REFERENCE, column.name)).to_series()
            if column.kind is Kind.TXID:
                free = with_payment_hashes(written[column.name], free)
            values = values.with_columns(values[column.name].zip_with(~_is_free(written, column, terms), free))
    return values


def _are_sound(texts: pl.Series, column: Column, terms: CellContext) -> bool:
    """Whether one look at the column tells that each text is its own value."""
    if texts.null_count() == len(texts) and column.kind is not Kind.DATE:
        return True
    if column.kind is Kind.ASSET:
        return only_text(texts) in terms.assets
    return column.kind in (Kind.ID, Kind.MINER) and are_plain_ids(texts, ID_CHARACTERS)


def _is_free(texts: pl.DataFrame, column: Column, terms: CellContext) -> pl.Series:
    """Which rows of the column are a REFERENCE."""
    if not column.free_by:
        return pl.Series([False], dtype=pl.Boolean).new_from_index(0, texts.height)
    payer = pl.col(column.free_by)
    return texts.select(payer.is_not_null() & ~payer.is_in(sorted(terms.on_chain_payers))).to_series()


def _instants(texts: pl.Series, zone: str | None, layout: Layout) -> pl.Series:
    if not layout.epoch:
        return instants(texts, zone)
    is_number = texts.str.contains("^[0-9]+$").fill_null(False)
    typed = instants(texts, zone) if not is_number.all() else pl.Series(texts.name, [None], dtype=pl.Int64).new_from_index(0, len(texts))
    return (
        pl.DataFrame({"epoch": epoch_instants(texts, layout.epoch), "typed": typed, "is_number": is_number})
        .select(pl.when("is_number").then(pl.col("epoch")).otherwise(pl.col("typed")).alias(texts.name))
        .to_series()
    )


def _value(column: Column, terms: CellContext) -> pl.Expr:
    if column.kind is Kind.ASSET:
        return pl.when(pl.col(column.name).is_in(sorted(terms.assets))).then(pl.col(column.name)).alias(column.name)
    return value_of(column.kind, column.name)


def _decimals(column: Column, terms: CellContext) -> pl.Expr:
    """The decimals of each row's asset, 0 for amounts in base units; those of an unknown asset, whose row is faulty anyway, are null."""
    decimals = {name: 0 if terms.layout.is_in_base_units else asset.decimals for name, asset in terms.assets.items()}
    return pl.col(column.of).replace_strict(decimals, default=None, return_dtype=pl.UInt32) if decimals else pl.lit(None, pl.UInt32)


def _decimals_of(texts: pl.DataFrame, column: Column, terms: CellContext) -> pl.Series:
    """`_decimals` as a column."""
    if only_text(texts[column.of]) is not None:
        return texts.head(1).select(_decimals(column, terms)).to_series().new_from_index(0, texts.height)
    return texts.select(_decimals(column, terms)).to_series()


def _chains(texts: pl.DataFrame, column: Column, terms: CellContext) -> pl.Series:
    """The chain of each row's address: its own column, or its asset's."""
    if column.of != "asset":
        return texts[column.of]
    chains = {name: asset.chain for name, asset in terms.assets.items()}
    return texts[column.of].replace_strict(chains, default=None, return_dtype=pl.String)


def _cell_faults(texts: pl.DataFrame, values: pl.DataFrame, column: Column, raw: RawColumn, terms: CellContext) -> list[Fault]:
    """Cells that are missing, and texts that give no value."""
    heading = raw.heading
    text, value = texts[column.name], values[column.name]
    typed = texts[f"{column.name}:type"] if f"{column.name}:type" in texts.columns else None
    is_bad = text.is_not_null() & value.is_null()
    if typed is not None:
        is_bad &= ~typed
    faults = []
    if not column.is_nullable:
        faults = [Fault(line, heading, message("is missing")) for line in texts["line"].filter(text.is_null())]
    elif column.pair:
        lonely = texts["line"].filter(text.is_null() & texts[column.pair].is_not_null())
        faults = [Fault(line, heading, message("is missing, though {pair} is given", pair=column.pair)) for line in lonely]
    if not is_bad.any():
        return faults
    if column.kind in (Kind.AMOUNT, Kind.PLAIN):
        is_text = raw.types == CellType.TEXT.value if isinstance(raw.types, pl.Series) else pl.repeat(True, len(text), eager=True)
        cells = pl.DataFrame({"line": texts["line"], "text": text})
        fault, lines = one_fault(cells.filter(is_bad & is_text), cells.filter(~is_bad & is_text)["text"], heading, terms.layout)
        faults += [fault] if fault else []
        is_bad &= ~texts["line"].is_in(lines)
    of = texts[column.of] if column.of else pl.Series([None], dtype=pl.String).new_from_index(0, len(text))
    is_free = _is_free(texts, column, terms)
    for line, cell, by, free in pl.DataFrame({"line": texts["line"], "text": text, "of": of, "free": is_free}).filter(is_bad).iter_rows():
        what = why_no_reference(column.kind, cell) if free else _why(column, cell, by, terms)
        if what:
            faults.append(Fault(line, heading, what))
    return faults


def _why(column: Column, cell: str, by: str | None, terms: CellContext) -> str:
    """What is wrong with a cell; "" when only the cell it depends on is wrong."""
    if column.kind is Kind.ASSET:
        return message(
            "{cell} is no asset of the settings{near}; those are {assets}",
            cell=shown(cell),
            near=near(cell, terms.assets),
            assets=", ".join(sorted(terms.assets)),
        )
    asset = terms.assets.get(by or "")
    if column.kind is Kind.AMOUNT:
        if asset is None:
            return ""
        return why_invalid(column.kind, cell, decimals=0 if terms.layout.is_in_base_units else asset.decimals, layout=terms.layout)
    chain = (asset.chain if asset else None) if column.of == "asset" else by
    has_timezone = terms.timezone is not None or terms.layout.zone is not None
    network = terms.networks.get(chain or "")
    return why_invalid(column.kind, cell, has_timezone=has_timezone, network=network, layout=terms.layout)
