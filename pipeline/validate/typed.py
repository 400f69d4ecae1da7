"""A table's cells as texts: what the file says each cell is, whether the column may be that, and the text as the program writes it.

In: a `RawTable` and the columns found in it. Out: a frame with each column's texts and `COLUMN:written`, and the faults of cells that can't
be what their column is. Left out: values (`check`, `cells`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from pipeline.model.message import message

from .cells import TYPES, TYPES_OF_WORKBOOKS, Kind
from .columns import Column
from .layout import Layout, as_amounts, as_days, scaled, with_midnight
from .table import EXACT_DIGITS, CellType, Fault, RawColumn, RawTable, shown, shown_amount


def structure_faults(lines_read: pl.Series, raw: RawColumn) -> list[Fault]:
    """Merged cells, and formulas that may be stale, in a column that is read."""
    lines = set(lines_read.to_list()) if raw.merged or raw.uncertain else set()
    faults = [
        Fault(
            merged.first,
            raw.heading,
            message("the cells {range} are merged, so all but the first are empty: unmerge them, fill each", range=merged.range),
        )
        for merged in raw.merged
        if any(line in lines for line in range(merged.first, merged.last + 1))
    ]
    return faults + [fault for fault in raw.uncertain if fault.line in lines]


def texts_of(
    table: RawTable, columns: Collection[Column], found: Mapping[str, RawColumn], layout: Layout, faults: list[Fault]
) -> tuple[pl.DataFrame, set[str]]:
    """The cells' texts by column, and `COLUMN:written`, the same as the program writes them.

    Those of a type that the column can't have are faults, and neither value nor missing.
    """
    series = [table.lines.alias("line")]
    usable = set()
    for column in columns:
        raw = found.get(column.name)
        if raw is None:
            series.append(pl.Series(column.name, [None], dtype=pl.String).new_from_index(0, len(table.lines)))
            continue
        series.append(raw.values.alias(column.name))
        if isinstance(raw.types, CellType):
            if raw.types in _types_of(column, raw, layout):
                usable.add(column.name)
            else:
                faults.append(Fault(None, raw.heading, _why_type(raw.types, "", raw.declared, column.kind)))
                continue
        else:
            usable.add(column.name)
    frame = pl.DataFrame(series)
    for column in columns:
        raw = found.get(column.name)
        if raw is None or column.name not in usable:
            continue
        bad = _bad_types(raw, column, layout)
        if bad is not None:
            for line, kind, text in frame.select("line", kind=raw.types, text=column.name).filter(bad).iter_rows():
                is_person = column.kind is Kind.MINER
                faults.append(
                    Fault(line, raw.heading, _why_type(CellType(kind), "" if is_person else text or "", raw.declared, column.kind))
                )
            frame = frame.with_columns(bad.alias(f"{column.name}:type"))
    return with_written(frame, columns, found, layout), usable


def with_written(texts: pl.DataFrame, columns: Collection[Column], found: Mapping[str, RawColumn], layout: Layout) -> pl.DataFrame:
    """`COLUMN:written`: texts as the program writes them. Numbers and moments of typed cells are written so already."""
    written = []
    for column in columns:
        text = texts[column.name]
        if column.kind in (Kind.AMOUNT, Kind.PLAIN):
            new = texts.select(as_amounts(pl.col(column.name), layout)).to_series()
        elif column.kind in (Kind.DATE, Kind.INSTANT):
            new = as_days(text, layout)
        else:
            new = text
        raw = found.get(column.name)
        types = _type_of_each(raw, len(text))
        if new is not text and types is not None:
            new = (
                pl.DataFrame({"type": types, "new": new, "text": text})
                .select(pl.when(pl.col("type") == CellType.TEXT.value).then(pl.col("new")).otherwise(pl.col("text")))
                .to_series()
            )
        if column.kind is Kind.INSTANT and (layout.days or types is not None):
            # A cell that the file itself calls a day may be one alone; a text only where the settings say how days are written.
            is_day = types == CellType.MOMENT.value if types is not None and not layout.days else pl.repeat(True, len(text), eager=True)
            new = with_midnight(new, is_day)
        if column.kind is Kind.AMOUNT and layout.factor is not None:
            new = scaled(new, layout.factor)
        if f"{column.name}:type" in texts.columns:
            is_bad = texts[f"{column.name}:type"]
            new = pl.DataFrame({"new": new, "bad": is_bad}).select(pl.when("bad").then(None).otherwise(pl.col("new"))).to_series()
        written.append(new.cast(pl.String).alias(f"{column.name}:written"))
    return texts.with_columns(written)


def _type_of_each(raw: RawColumn | None, rows: int) -> pl.Series | None:
    """The type of each cell; None where all are text."""
    if raw is None or raw.types is CellType.TEXT:
        return None
    return raw.types if isinstance(raw.types, pl.Series) else pl.Series([int(raw.types)], dtype=pl.UInt8).new_from_index(0, rows)


def _types_of(column: Column, raw: RawColumn, layout: Layout) -> frozenset[CellType]:
    """The cell types that a column may come in."""
    types = (TYPES if raw.declared else TYPES_OF_WORKBOOKS)[column.kind]
    return types | {CellType.NUMBER} if column.kind is Kind.INSTANT and layout.epoch else types


def _bad_types(raw: RawColumn, column: Column, layout: Layout) -> pl.Series | None:
    """Which cells have a type that the column can't have; None when all are fine."""
    if raw.types is CellType.TEXT or len(raw.values) == 0:
        return None
    types = (
        raw.types if isinstance(raw.types, pl.Series) else pl.Series([raw.types.value], dtype=pl.UInt8).new_from_index(0, len(raw.values))
    )
    frame = pl.DataFrame({"type": types, "text": raw.values})
    is_bad = ~pl.col("type").is_in([int(kind) for kind in _types_of(column, raw, layout)])
    is_number = pl.col("type") == CellType.NUMBER
    if column.kind is Kind.MINER:
        is_bad |= is_number & ~pl.col("text").str.contains("^[0-9]{12}$")
    elif column.kind not in (Kind.AMOUNT, Kind.PLAIN):
        is_bad |= is_number & ~pl.col("text").str.contains("^[0-9]+$")
    bad = frame.select((is_bad & pl.col("text").is_not_null()).fill_null(False)).to_series()
    return bad if bad.any() else None


def cut_numbers(
    texts: pl.DataFrame, values: pl.DataFrame, columns: Collection[Column], found: Mapping[str, RawColumn], layout: Layout
) -> list[str]:
    """What is asked about numbers of a workbook with as many digits as it keeps, where the asset has room for more: the spreadsheet may have cut them.

    What was typed or pasted with 18 decimals into a cell that is not text is cut when it is entered, or when LibreOffice saves it, and then looks exact.
    """
    asked = []
    for column in columns:
        raw = found.get(column.name)
        if column.kind is not Kind.AMOUNT or raw is None or not isinstance(raw.types, pl.Series) or layout.net is not None:
            continue
        units = values[column.name].cast(pl.String)
        digits = units.str.strip_chars_end("0").str.len_bytes()
        is_cut = (raw.types == CellType.NUMBER.value) & (digits >= EXACT_DIGITS) & (digits < units.str.len_bytes())
        cut = pl.DataFrame({"line": texts["line"], "text": texts[column.name]}).filter(is_cut)
        if not cut.is_empty():
            asked.append(
                message(
                    "{count} number(s) of {heading} have {digits} digits, all that a workbook keeps of a number, and the asset has more decimals: they may have been cut (line {line}, {amount}); format the column as text and fill it from the source anew",
                    count=cut.height,
                    heading=shown(raw.heading),
                    digits=EXACT_DIGITS,
                    line=cut["line"][0],
                    amount=shown_amount(cut["text"][0]),
                )
            )
    return asked


def _why_type(kind: CellType, text: str, declared: str, column: Kind) -> str:
    return (_why_odd(kind, text, column) if text else "") or _why_other_type(kind, text, declared)


def _why_odd(kind: CellType, text: str, column: Kind) -> str:
    """What is wrong with a cell of an instant or an amount that a workbook shows as the other; "" where the type alone says it."""
    if column in (Kind.INSTANT, Kind.DATE) and kind in (CellType.NUMBER, CellType.INEXACT):
        return message("{text} is a number, and no date: format the cells as a date and time, or write it as text", text=shown(text))
    if column in (Kind.AMOUNT, Kind.PLAIN) and kind is CellType.MOMENT:
        return message("{text} is a date: give the cell a plain number format, and look at its value", text=shown(text))
    return ""


def _why_other_type(kind: CellType, text: str, declared: str) -> str:
    match kind:
        case CellType.INEXACT:
            return message(
                "{text} is a number of more than 15 digits, of which the workbook keeps 15: round it in the sheet (ROUND), or format the column as text and fill it from the source anew",
                text=shown(text),
            )
        case CellType.NUMBER:
            what = message("{text} is a number", text=shown(text)) if text else message("is a number")
            return message(
                "{what}, so leading zeros or last digits may be lost: format the column as text and fill it from the source anew", what=what
            )
        case CellType.MOMENT:
            return message("{text} is a date: format the column as text", text=shown(text))
        case CellType.BOOLEAN:
            return (
                message("{text} is a truth value: format the column as text, and write the value itself", text=shown(text))
                if text
                else message("is a column of truth values ({declared}): write it as text", declared=declared)
            )
        case CellType.ERROR:
            return message(
                "{text} is an error, or a formula without a value: calculate and save the workbook anew, or paste values",
                text=shown(text) if text else message("the cell"),
            )
        case CellType.FLOAT:
            return message(
                "is a column of binary floating point numbers ({declared}), which hold no exact values: write decimals or text",
                declared=declared,
            )
        case _ if not declared:
            return message("{text} is no text, number or date: format the column as text, and write the value itself", text=shown(text))
        case _:
            return message("is a column of {declared}: write it as text", declared=declared)
