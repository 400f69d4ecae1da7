"""Finds the row of headings below a title, and headings that stand in two rows.

In: the first rows of a table and the headings expected. Out: a message with the row of the headings. Left out: matching (`pipeline.validate.check`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pipeline.model.message import counted, message
from pipeline.validate.layout import Layout
from pipeline.validate.table import shown

SEARCHED_ROWS = 30
"""Rows below the first in which headings are looked for."""


def title_above(first: Collection[str], below: Iterable[tuple[int, Collection[str]]], expected: Collection[str], layout: Layout) -> str:
    """What to do about a title above the headings, or about headings in two rows; "" when the first row holds all that there are, or no row does.

    `below`: the rows after the first, each with its line.
    """
    wanted = set(expected)
    if found := wanted & set(first):
        return next(
            (_in_two_rows(found, sorted(more), line) for line, cells in below if len(more := (wanted - found) & set(cells)) > 1), ""
        )
    for line, cells in below:
        if len(wanted & set(cells)) >= min(2, len(wanted)):
            rows = counted("{count} row", "{count} rows", line - 1)
            return message(
                "the headings stand in row {line}, with a title above them: remove the {rows} above, or set rows_above = {line_2} in {place}",
                line=line,
                rows=rows,
                line_2=line - 1,
                place=layout.place,
            )
    return ""


def _in_two_rows(found: Collection[str], more: Sequence[str], line: int) -> str:
    """What to do where some headings stand in the first row and others below it, as under a heading of several columns."""
    return message(
        "the headings stand in more than one row: {found} in the first, {more} in row {line}: write them all in one row",
        found=", ".join(map(shown, sorted(found)[:3])),
        more=", ".join(map(shown, more[:3])),
        line=line,
    )


def column_letters(number: int) -> str:
    """The letters by which a sheet's column is known, counted from 0: column 2 is `C`."""
    letters = ""
    number += 1
    while number:
        number, remainder = divmod(number - 1, 26)
        letters = chr(65 + remainder) + letters
    return letters
