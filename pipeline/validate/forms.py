"""A column of amounts written otherwise than the settings say: one sentence for all of it, with the settings that would read every one.

In: the amounts that can't be read, the others of the column, and the layout. Out: the fault of the first, and for which lines it speaks.
A cure is named only when it reads all amounts of the column; of several that do, all are named, and a person chooses. Left out: single
amounts that no settings read (`cells.why_invalid`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

import polars as pl

from pipeline.model.message import counted, joined, message

from .layout import Layout, as_amounts
from .table import Fault, shown_amount

_Way = tuple[Literal[".", ",", "either"], str]
"""What stands before decimals, and between groups of thousands."""
_EITHER: tuple[_Way, ...] = (("either", ""), ("either", " "), ("either", "'"))
_GROUPINGS = ("", " ", "'", ".", ",")
_HOLDS_SIGNS = r"^[0-9][0-9 \u00a0\u2009\u202f'.,]*[0-9]$"
_PLAIN = r"^[0-9]+(?:\.[0-9]+)?$"


def one_fault(bad: pl.DataFrame, others: pl.Series, heading: str, layout: Layout) -> tuple[Fault | None, list[int]]:
    """The fault that stands for all of `bad` (`line`, `text`) that are amounts in another form, and their lines.

    `others`: the texts of the column that are read. None where no settings would read all of them.
    """
    if layout.decimal == "either":  # what is not read could be thousands, or decimals: no settings decide that
        return None, []
    text = pl.col("text")
    read = as_amounts(text, layout)
    odd = bad.filter(text.str.contains(_HOLDS_SIGNS) & ~read.str.contains(_PLAIN).fill_null(False))
    if odd.is_empty():
        return None, []
    ways = _fitting(pl.concat([odd["text"], others.drop_nulls()]).alias("text"), layout)
    if not ways:
        return None, []
    line, first = odd.select("line", "text").row(0)
    rest = odd.height - 1
    more = (
        counted(" ({count} more of the column is not plain, either)", " ({count} more of the column are not plain, either)", rest)
        if rest
        else ""
    )
    cures = joined(message(" or "), [_said(way, layout) for way in ways])
    choice = message("whichever it is, ") if len(ways) > 1 else ""
    sign = message("a dot") if layout.decimal == "." else message("a comma")
    what = message(
        "{shown_amount} {reason}{more}: set {choice}{cures} in {place}, or write digits with {sign} before the decimals",
        shown_amount=shown_amount(first),
        reason=_reason(first, layout),
        more=more,
        choice=choice,
        cures=cures,
        place=layout.place,
        sign=sign,
    )
    return Fault(line, heading, what), odd["line"].to_list()


def _reason(text: str, layout: Layout) -> str:
    if re.search(r"[^0-9.,]", text) or len(re.findall("[.,]", text)) > 1:
        return message("has thousands separators") if not layout.grouping else message("has other separators than are set")
    return message("has a comma") if "," in text else message("has a dot")


def _fitting(texts: pl.Series, layout: Layout) -> list[_Way]:
    """The simplest ways of writing that read every text; where none does, those that take either decimal sign."""
    found: list[_Way] = []
    for grouping in dict.fromkeys((layout.grouping, *_GROUPINGS)):
        for decimal in dict.fromkeys((layout.decimal, ".", ",")):
            is_simpler = any(decimal == d or (grouping == g and d == layout.decimal) for d, g in found)
            if decimal != grouping and not is_simpler and _reads(texts, (decimal, grouping), layout):
                found.append((decimal, grouping))
    if found:
        return found
    return [way for way in _EITHER if _reads(texts, way, layout)][:1]


def _reads(texts: pl.Series, way: _Way, layout: Layout) -> bool:
    tried = replace(layout, decimal=way[0], grouping=way[1])
    written = texts.to_frame().select(as_amounts(pl.col("text"), tried)).to_series()
    return bool(written.str.contains(_PLAIN).fill_null(False).all())


def _said(way: _Way, layout: Layout) -> str:
    keys = [message('decimal = "{way}"', way=way[0])] if way[0] != layout.decimal else []
    if way[1] != layout.grouping:
        keys.append(message('grouping = "{way}"', way=way[1]))
    return joined(message(" and "), keys)
