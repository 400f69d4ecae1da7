"""The rows of a table that count: totals, filters, and the columns that the settings make.

In: a `RawTable` as read, and a `Layout`. Out: the same without the rows that are passed over, with constant and joined columns, and the faults.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import polars as pl

from .layout import Layout
from .table import CellType, Fault, RawColumn, RawTable, shown
from .texts import TOTAL


def arrange(table: RawTable, names: Mapping[str, str], layout: Layout, required: Collection[str]) -> tuple[RawTable, list[Fault], int]:
    """The table with the rows that count, and with constant and joined columns; its faults; how many rows were passed over by `only`.

    `names`: the heading expected for each column. `required`: the headings whose cells must be filled.
    """
    faults: list[Fault] = []
    have = {column.heading: column for column in table.columns}
    for heading in sorted(layout.headings - have.keys()):
        faults.append(Fault(table.heading_line, heading, f"the column is missing, which {layout.place} reads rows by"))
    for column in (*layout.constants, *layout.joined):
        if names[column] in have and names[column] not in layout.joined.get(column, ()):
            faults.append(Fault(table.heading_line, names[column], f"stands in the file, and {layout.place} makes it, too: leave one"))
    if faults:
        return table, faults, 0
    table, faults = _without_totals(table, layout, required)
    before = len(table.lines)
    for heading, texts in layout.refused.items():
        values = filled_in(table, heading)
        for line, text in pl.DataFrame({"line": table.lines, "text": values}).filter(pl.col("text").is_in(list(texts))).iter_rows():
            faults.append(Fault(line, heading, f"is {shown(text)}: {layout.place} can't read files with such rows rightly"))
    for heading, texts in layout.only.items():
        table = filter_rows(table, filled_in(table, heading).is_in(list(texts)).fill_null(False))
    made = [
        RawColumn(names[column], pl.Series([text], dtype=pl.String).new_from_index(0, len(table.lines)))
        for column, text in layout.constants.items()
    ]
    for column, headings in layout.joined.items():
        joined, wrong = _joined(table, names[column], headings, layout)
        faults += wrong
        made.append(joined)
    new = {column.heading for column in made}
    return replace(table, columns=[c for c in table.columns if c.heading not in new] + made), faults, before - len(table.lines)


def filled_in(table: RawTable, heading: str) -> pl.Series:
    return next(column.values for column in table.columns if column.heading == heading)


def filter_rows(table: RawTable, is_kept: pl.Series) -> RawTable:
    """The table's rows where `is_kept`."""
    if is_kept.all():
        return table
    columns = [
        replace(
            column,
            values=column.values.filter(is_kept),
            types=column.types.filter(is_kept) if isinstance(column.types, pl.Series) else column.types,
        )
        for column in table.columns
    ]
    return replace(table, lines=table.lines.filter(is_kept), columns=columns)


def _joined(table: RawTable, heading: str, headings: tuple[str, ...], layout: Layout) -> tuple[RawColumn, list[Fault]]:
    parts = pl.DataFrame([filled_in(table, name).alias(name) for name in headings])
    faults = []
    for name in headings:
        column = next(column for column in table.columns if column.heading == name)
        if isinstance(column.types, pl.Series) and not column.declared:
            numbers = table.lines.filter((column.types != CellType.TEXT) & column.values.is_not_null())
            faults += [Fault(line, name, f"is a number, and part of {heading}: format the column as text") for line in numbers]
        holds = parts[name].str.contains(layout.join_by, literal=True) | parts[name].is_null()
        what = f"is missing, or holds {layout.join_by!r}, by which {layout.place} joins {heading}: choose another join_by"
        faults += [Fault(line, name, what) for line in table.lines.filter(holds)]
    return RawColumn(heading, parts.select(pl.concat_str(list(headings), separator=layout.join_by)).to_series()), faults


def _without_totals(table: RawTable, layout: Layout, required: Collection[str]) -> tuple[RawTable, list[Fault]]:
    """The table without the totals below it: as many rows as the settings say, each of which must look like one."""
    rows = len(table.lines)
    cells = [column for column in table.columns if column.heading in required]
    if not cells or not rows:
        return table, []
    filled = pl.DataFrame([column.values.alias(str(place)) for place, column in enumerate(cells)])
    is_full = filled.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    below = min(layout.rows_below, rows)
    faults = [
        Fault(line, "", f"is a row like the others, and {layout.place} passes over {below} rows below: set rows_below to what the file has")
        for line, full in zip(table.lines[rows - below :], is_full[rows - below :], strict=True)
        if full
    ]
    table = filter_rows(table, pl.int_range(0, rows, eager=True) < rows - below)
    rows -= below
    is_odd = ~is_full[:rows]
    totals = [place for place in is_odd.arg_true().to_list() if _is_total(table, place)]
    if not totals:
        return table, faults
    at_end = totals[-1] - totals[0] == rows - 1 - totals[0] and totals == list(range(totals[0], rows))
    cure = f"remove it, or set rows_below = {below + len(totals)} in {layout.place}" if at_end else "remove it"
    faults += [Fault(table.lines[place], "", f"looks like a row of totals: {cure}") for place in totals]
    return filter_rows(table, ~pl.int_range(0, rows, eager=True).is_in(totals)), faults


def _is_total(table: RawTable, place: int) -> bool:
    first = next((column.values[place] for column in table.columns if column.values[place] is not None), "")
    return bool(TOTAL.match(first))
