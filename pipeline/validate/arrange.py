"""Applies a layout to a table: removes totals and filtered rows, and adds the columns that the settings define.

In: a `RawTable` as read, and a `Layout`. Out: the table without the skipped rows, with constant and joined columns, and the faults.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from pipeline.model.message import message

from .layout import Layout
from .net import netted
from .table import CellType, Fault, RawColumn, RawTable, column_of, filter_rows, shown
from .texts import NOT_AN_ID, TOTAL, why_not_a_value


@dataclass(frozen=True)
class Arranged:
    """The rows of a table that are read, and notes on the others."""

    table: RawTable
    faults: list[Fault]
    lines: pl.Series
    """Lines of all rows except totals, including skipped rows."""
    passed_over: int = 0
    """Number of rows skipped by `only`."""
    netted: dict[str, int] = field(default_factory=dict)
    """Number of rows subtracted from others, by their kind."""


def arrange(table: RawTable, names: Mapping[str, str], layout: Layout, required: Collection[str]) -> Arranged:
    """The table without skipped rows, with constant and joined columns and net amounts.

    `names`: the heading expected for each column. `required`: the headings whose cells must be filled.
    """
    faults: list[Fault] = []
    have = {column.heading: column for column in table.columns}
    for heading in sorted(layout.headings - have.keys()):
        faults.append(Fault(table.heading_line, heading, message("the column is missing, which {place} reads rows by", place=layout.place)))
    made_columns = {**layout.constants, **layout.joined, **(dict.fromkeys(("commission_asset", "commission_amount")) if layout.net else {})}
    for column in made_columns:
        if names[column] in have and names[column] not in layout.joined.get(column, ()):
            faults.append(
                Fault(
                    table.heading_line,
                    names[column],
                    message("stands in the file, and {place} makes it, too: leave one", place=layout.place),
                )
            )
    if faults:
        return Arranged(table, faults, table.lines)
    table, faults = _without_totals(table, layout, required)
    lines = table.lines
    faults += _unreadable(table, layout)
    for heading, texts in layout.refused.items():
        values = column_of(table, heading).values
        for line, text in pl.DataFrame({"line": table.lines, "text": values}).filter(pl.col("text").is_in(list(texts))).iter_rows():
            faults.append(
                Fault(
                    line,
                    heading,
                    message("is {text}: {place} can't read files with such rows rightly", text=shown(text), place=layout.place),
                )
            )
    table = _with(table, [_constant(names[column], text, len(table.lines)) for column, text in layout.constants.items()])
    counts: dict[str, int] = {}
    if layout.net and {names["amount"], names["asset"]} <= {column.heading for column in table.columns}:
        table, wrong, counts = netted(table, names, layout)
        faults += wrong
    before = len(table.lines)
    for heading, texts in layout.only.items():
        table = filter_rows(table, column_of(table, heading).values.is_in(list(texts)).fill_null(False))
    joined = []
    for column, headings in layout.joined.items():
        made, wrong = _joined(table, names[column], headings, layout)
        joined.append(made)
        faults += wrong
    return Arranged(_with(table, joined), faults, lines, before - len(table.lines), counts)


def _unreadable(table: RawTable, layout: Layout) -> list[Fault]:
    """Error values in the columns that say which rows count: a row would be passed over for one."""
    faults = []
    for heading in sorted({*layout.only, *layout.refused, *(layout.net.headings if layout.net else ())}):
        column = column_of(table, heading)
        if isinstance(column.types, pl.Series):
            wrong = table.lines.filter(column.types == CellType.ERROR.value)
            faults += [
                Fault(line, heading, message("is an error, and {place} reads rows by it: mend the cell", place=layout.place))
                for line in wrong
            ]
    return faults


def _constant(heading: str, text: str, rows: int) -> RawColumn:
    return RawColumn(heading, pl.Series([text], dtype=pl.String).new_from_index(0, rows))


def _with(table: RawTable, made: Collection[RawColumn]) -> RawTable:
    """The table with columns that the settings make, each instead of one of its heading."""
    new = {column.heading for column in made}
    return replace(table, columns=[column for column in table.columns if column.heading not in new] + list(made))


def _joined(table: RawTable, heading: str, headings: tuple[str, ...], layout: Layout) -> tuple[RawColumn, list[Fault]]:
    parts = pl.DataFrame([column_of(table, name).values.alias(name) for name in headings])
    faults = []
    for name in headings:
        column = column_of(table, name)
        if isinstance(column.types, pl.Series) and not column.declared:
            numbers = table.lines.filter((column.types != CellType.TEXT) & column.values.is_not_null())
            faults += [
                Fault(line, name, message("is a number, and part of {heading}: format the column as text", heading=heading))
                for line in numbers
            ]
        holds = parts[name].str.contains(layout.join_by, literal=True) | parts[name].is_null()
        what = message(
            "is missing, or holds {join_by}, by which {place} joins {heading}: choose another join_by",
            join_by=repr(layout.join_by),
            place=layout.place,
            heading=heading,
        )
        faults += [Fault(line, name, what) for line in table.lines.filter(holds)]
        debris = parts[name].str.contains(NOT_AN_ID).fill_null(False)
        for line, text in pl.DataFrame({"line": table.lines, "text": parts[name]}).filter(debris).iter_rows():
            faults.append(Fault(line, name, why_not_a_value(text, is_id=True)))
    return RawColumn(heading, parts.select(pl.concat_str(list(headings), separator=layout.join_by, ignore_nulls=True)).to_series()), faults


def _without_totals(table: RawTable, layout: Layout, required: Collection[str]) -> tuple[RawTable, list[Fault]]:
    """The table without the totals below it: the number of rows in the settings, each of which must look like a total."""
    rows = len(table.lines)
    cells = [column for column in table.columns if column.heading in required]
    if not cells or not rows:
        return table, []
    filled = pl.DataFrame([column.values.alias(str(place)) for place, column in enumerate(cells)])
    is_full = filled.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    below = min(layout.rows_below, rows)
    faults = [
        Fault(
            line,
            "",
            message(
                "is a row like the others, and {place} passes over {below} rows below: set rows_below to what the file has",
                place=layout.place,
                below=below,
            ),
        )
        for line, full in zip(table.lines[rows - below :], is_full[rows - below :], strict=True)
        if full
    ]
    table = filter_rows(table, pl.int_range(0, rows, eager=True) < rows - below)
    rows -= below
    odd = (~is_full[:rows]).arg_true().to_list()
    counts = filled.select(pl.sum_horizontal(pl.all().is_not_null())).to_series()
    totals = {place for place in odd if _is_total(table, place)}
    told = [column_of(table, heading).values for heading in (*layout.only, *([layout.net.column] if layout.net else ()))]
    scraps = {
        place
        for place in odd
        # A row that says what it is counts, or is passed over, by that.
        if place not in totals and counts[place] * 2 < filled.width and all(values[place] is None for values in told)
    }
    found = sorted(totals | scraps)
    if not found:
        return table, faults
    at_end = found == list(range(found[0], rows))
    cure = (
        message("remove it, or set rows_below = {below} in {place}", below=below + len(found), place=layout.place)
        if at_end
        else message("remove it")
    )
    for place in found:
        what = (
            message("looks like a row of totals")
            if place in totals
            else message("fills {counts} of the {width} columns that a row must fill", counts=counts[place], width=filled.width)
        )
        faults.append(Fault(table.lines[place], "", message("{what}: {cure}", what=what, cure=cure)))
    return filter_rows(table, ~pl.int_range(0, rows, eager=True).is_in(found)), faults


def _is_total(table: RawTable, place: int) -> bool:
    first = next((column.values[place] for column in table.columns if column.values[place] is not None), "")
    return bool(TOTAL.match(first))
