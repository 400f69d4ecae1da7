"""How the form's sheet looks: widths, sizes, paper, by layout (ADR 26).

What enters: the layout's number; for the headings and the paper the columns and their widths. What leaves: a `SheetLook`; which headings stand upright and how
high their row is; the paper on which text prints at seven points or more. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

import polars as pl

from .form import COLUMNS
from .xlsx_cells import LINE_PT, count_lines, widest_word

Paper = Literal[8, 9]
"""A3 and A4, by the numbers that workbooks have for them."""
LEAST_PT: Final = 7.0
"""Text prints at this size or larger."""
_BODY_PT: Final = 8.0
_A4_PT: Final = 841.9
"""The longer side of the paper in points; A3's is `_A4_PT` times the root of two."""
_SLACK: Final = 1.03
"""LibreOffice makes columns a little wider than Excel, and shrinks by whole percents."""
_TALLEST_PT: Final = 400.0
"""A row can be 409 points high."""
_UPRIGHT_PT: Final = 9.5
"""Between the lines of an upright heading."""


@dataclass(frozen=True)
class SheetLook:
    """Sizes and widths of one layout."""

    widths: tuple[float, ...]
    """Column widths in characters, in the form's order, before amounts widen them."""
    heading_pt: float
    small_pt: float
    """Of the order's approval, and of what stands below the signature lines."""
    hint_pt: float
    side_in: float
    """The margins on the left and the right, in inches."""
    names_and_wallets: tuple[float, float] | None
    """The widths of these two columns where a name would need more than three lines: wallets then take three."""
    is_even: bool = False
    """From layout 3 on: the rows stand in the same rows of the sheet in every language, and are the same bytes."""
    level: int = zlib.Z_DEFAULT_COMPRESSION
    """How hard zlib tries when it deflates such rows. Its default (6) is a third of a workbook's time; level 3, from layout 4 on, takes a third of that and an eighth more bytes."""
    is_fitted: bool = True
    """From layout 2 on: headings stand upright where a word is wider than its column, the paper is the one on which everything is readable, totals stand
    below the rows, and what people's names and roles need decides how high their lines are."""


_LOOKS: Final[dict[int, SheetLook]] = {
    1: SheetLook((5.5, 11.5, 23.5, 15, 9.5, 40, 9.5, 9.5, 11, 11, 9.5, 9.5, 11, 9, 10), 7.5, 7, 6.5, 0.4, None, is_fitted=False),
    # A wallet of 42 characters has two lines.
    2: SheetLook((4.1, 10.8, 15.6, 14.2, 7.9, 20.3, 7.9, 7.8, 11, 11, 7.9, 7.8, 11, 6.6, 8), 8, 8, 8, 0.3, (21.5, 14.8)),
}
_LOOKS[3] = replace(_LOOKS[2], is_even=True)
_LOOKS[4] = replace(_LOOKS[3], level=3)


def look_of(layout: int) -> SheetLook:
    """The look of a document's layout."""
    return _LOOKS[layout]


def column_widths(look: SheetLook, names: pl.Series) -> tuple[float, ...]:
    """The look's widths in characters, for a table with these names of miners."""
    name, wallet = COLUMNS.index("miner_name"), COLUMNS.index("wallet")
    distinct = names.drop_nulls().unique()
    longest = distinct.filter(distinct.str.len_chars() * 2 > distinct.str.len_chars().max()) if len(distinct) else distinct
    if look.names_and_wallets is None or all(count_lines(one, look.widths[name] - 1.6) <= 3 for one in longest):
        return look.widths
    widths = list(look.widths)
    widths[name], widths[wallet] = look.names_and_wallets
    return tuple(widths)


def paper_for(widths: Sequence[float], look: SheetLook) -> Paper:
    """A4 when columns of these widths, shrunk to its width, print at `LEAST_PT` or more, and A3 otherwise."""
    needed = sum(round(width * 7 + 5) for width in widths) * 0.75 * _SLACK
    return 9 if not look.is_fitted or (_A4_PT - 2 * 72 * look.side_in) / needed * _BODY_PT >= LEAST_PT else 8


def upright_headings(headings: Sequence[str], widths: Sequence[float]) -> tuple[list[bool], float]:
    """Which headings are turned to stand upright, since a word of theirs is wider than the column; and the height in points that all of them need."""
    upright = [widest_word(heading) > width * 7 - 3 for heading, width in zip(headings, widths, strict=True)]
    return upright, max(
        _upright_height(heading, width) if is_upright else LINE_PT * count_lines(heading, width) + 6
        for heading, width, is_upright in zip(headings, widths, upright, strict=True)
    )


@lru_cache(maxsize=256)
def _upright_height(heading: str, width: float) -> float:
    """The least height at which a turned heading needs no more lines than its column has room for."""
    room = max(1, int((width * 7 * 0.75 - 2) // _UPRIGHT_PT))
    height = widest_word(heading) * 0.75 + 8
    while height < _TALLEST_PT and count_lines(heading, (height - 6) / 0.75 / 7) > room:
        height += 4
    return min(height, _TALLEST_PT)
