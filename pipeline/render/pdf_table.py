"""The layout of a PDF's table: column widths, heading lines, row heights, page breaks.

What enters: a document's rows as strings, its columns, and a style. What leaves: a layout that is a pure function of them. The amounts
of a column are aligned at the decimal point; text is broken into lines, and a row is as high as its longest cell.
Sizes are in points.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import polars as pl

from .columns import PrintedColumn
from .form import Column
from .pdf_text import REGULAR, Wrapper, printable

PAD_X: Final = 2.2
PAD_Y: Final = 2.5
_SLACK: Final = 0.6
"""Beyond a column's longest text, so that rounding breaks nothing."""

_PLAIN: Final = r"^[0-9]+(\.[0-9]+)?$"

KNOWN_LIMIT: Final = 100_000
"""Broken texts remembered: most values of a form repeat."""

Shape = tuple[int, int, int]
"""Of a plain number: its column, its length, and where its point is, -1 for none. Digits are equally wide, so all of a shape stand at the same place."""


def shown(column: PrintedColumn | Column, value: str) -> str:
    """A value as the printed form shows it (rule 7.5)."""
    if column.kind == "date" and len(value) == 10 and value[4] == value[7] == "-":
        return f"{value[8:]}.{value[5:7]}.{value[:4]}"
    return value


@dataclass(frozen=True, kw_only=True)
class TableStyle:
    """The style of a table: font sizes, and the widths that each column wants and needs."""

    body_size: float
    body_leading: float
    heading_size: float
    heading_leading: float
    numbers_height: float
    """Of the line of numbered columns below the headings; 0 for none."""
    widest: Mapping[str, float]
    """The greatest width of a column of texts."""
    widest_amount: float
    widest_other: float
    least: Mapping[str, float]
    """Its width when space is short."""
    floor: Mapping[str, float]
    """Its width when amounts with many decimals take the space; amounts may then be broken too, down to the width below."""
    floor_amount: float
    running: Collection[str]
    """Columns of running text, which stands left; codes and dates are centred, amounts stand right."""
    codes: Collection[str]
    """Columns whose long values are cut into even parts: quicker to compare by eye."""
    hyphenated: Sequence[str] = ()
    """Words of headings with hyphens where they may be broken."""
    shown: Callable[[PrintedColumn, str], str] = shown
    """A value as this document prints it, every character of an amount's digits kept."""
    decimal_mark: str = "."
    """What `shown` puts before an amount's decimals."""


@dataclass(frozen=True)
class Cell:
    """One cell's lines, each with its width, and how far its text stands off the right edge (amounts: so that decimal points are in line)."""

    lines: list[tuple[str, float]]
    off_right: float = 0.0


@dataclass(frozen=True)
class Geometry:
    """The table's columns on the page."""

    edges: tuple[float, ...]
    """x co-ordinates from 0: one more than there are columns."""
    headings: list[list[str]]
    leading: float

    @property
    def heading_height(self) -> float:
        return max(len(lines) for lines in self.headings) * self.leading + 2 * PAD_Y

    def room(self, number: int) -> float:
        """The width that a column has for text."""
        return self.edges[number + 1] - self.edges[number] - 2 * PAD_X


class Table:
    """Rows of a document, broken into lines."""

    def __init__(self, rows: pl.DataFrame, columns: Sequence[PrintedColumn], look: TableStyle, width: float) -> None:
        """`rows`: strings, a column for each of `columns`."""
        self.rows, self.columns, self.look, self.width = rows, columns, look, width
        self.body = Wrapper(REGULAR, look.body_size)
        self.digit, self.point = self.body.width("0"), self.body.width(look.decimal_mark)
        self.decimals = {column.name: _most_decimals(rows, column) for column in columns}
        self.geometry = self._geometry(Wrapper(REGULAR, look.heading_size, look.hyphenated), width)
        self._known: list[dict[str, Cell]] = [{} for _ in columns]
        self._plain_widths: dict[tuple[int, bool], float] = {}

    def cell(self, number: int, value: str) -> Cell:
        """A value as printed: dates DD.MM.YYYY (rule 7.5), amounts aligned at the point."""
        known = self._known[number]
        if (cell := known.get(value)) is None:
            cell = self._lay(number, self.columns[number], value)
            if len(known) < KNOWN_LIMIT:
                known[value] = cell
        return cell

    def heights(self) -> array[float]:
        """The height of every row."""
        tallest = pl.repeat(1, self.rows.height, dtype=pl.UInt32, eager=True)
        for number, column in enumerate(self.columns):
            values = self.rows[column.name]
            distinct = self._without_numbers_of_one_line(number, values.unique())
            lines = [len(self.cell(number, value).lines) if value else 1 for value in distinct.to_list()]
            if max(lines, default=1) > 1:
                counted = pl.DataFrame({"value": distinct, "lines": pl.Series(lines, dtype=pl.UInt32)})
                mine = values.alias("value").to_frame().join(counted, on="value", how="left", nulls_equal=True, maintain_order="left")
                tallest = pl.select(pl.max_horizontal(tallest, mine["lines"].fill_null(1))).to_series()
        heights = {lines: lines * self.look.body_leading + 2 * PAD_Y for lines in tallest.unique()}
        return array("d", (heights[lines] for lines in tallest))

    def shape(self, number: int, value: str) -> Shape | None:
        """Of a number that is printed as it stands, digits with a point or without, its shape: where it stands in the column depends on nothing else. None for other values."""
        if self.look.shown is shown and value.isascii() and value.replace(".", "", 1).isdecimal():
            return number, len(value), value.find(".")
        return None

    def _without_numbers_of_one_line(self, number: int, distinct: pl.Series) -> pl.Series:
        """Some values of a column without the plain numbers of a shape that stands on one line."""
        if self.look.shown is not shown:
            return distinct
        value = pl.col("value")
        values = distinct.alias("value").to_frame().with_columns(length=value.str.len_bytes(), point=value.str.find(".", literal=True))
        shapes = ["length", "point"]
        plain = values.filter(value.str.contains(_PLAIN))
        short = plain.unique(shapes).filter(pl.col("value").map_elements(lambda one: len(self.cell(number, one).lines) == 1, pl.Boolean))
        return values.join(plain.join(short.select(shapes), on=shapes, how="semi", nulls_equal=True), on="value", how="anti")["value"]

    def _lay(self, number: int, column: PrintedColumn, value: str) -> Cell:
        room = self.geometry.room(number)
        text = printable(self.look.shown(column, value))
        if column.kind == "amount":
            off = self._off_right(column, value)
            if (width := self._plain_width(text)) is not None and width + off <= room:
                return Cell([(text, width)], off)
        lines = self.body.lines(text, room)
        if column.kind == "amount":
            if (width := self.body.width(text)) + off <= room:
                return Cell([(text, width)], off)
            whole, point, fraction = text.partition(self.look.decimal_mark)
            # Too long for the column: the decimals on a line of their own, if that is enough.
            if len(lines) > 1 and point and max(self.body.width(whole + point), self.body.width(fraction)) <= room:
                lines = [whole + point, fraction]
        elif column.name in self.look.codes:
            lines = _split_evenly(text, lines, self.body, room)
        return Cell([(line, self.body.width(line)) for line in lines])

    def _plain_width(self, text: str) -> float | None:
        """The width of digits with a point or without: digits are equally wide. None for other texts."""
        whole, point, fraction = text.partition(".")
        if not ((whole + fraction).isdecimal() and text.isascii()):
            return None
        shape = (len(text), bool(point))
        if (width := self._plain_widths.get(shape)) is None:
            width = self._plain_widths[shape] = self.body.width(text)
        return width

    def _off_right(self, column: PrintedColumn, value: str) -> float:
        """The room to the right of an amount that the column's longest fraction takes."""
        most, own = self.decimals[column.name], len(value.partition(".")[2])
        return (most - own) * self.digit + (self.point if most and not own else 0.0)

    def _geometry(self, headings: Wrapper, width: float) -> Geometry:
        look, columns = self.look, self.columns
        whole_words = Wrapper(headings.font, headings.size)
        rooms = []
        for column in columns:
            is_amount = column.kind == "amount"
            widest = look.widest_amount if is_amount else look.widest.get(column.name, look.widest_other)
            text = min(self._natural_width(column) + 2 * PAD_X + _SLACK, widest)
            broken, unbroken = (wrapper.narrowest(column.heading) + 2 * PAD_X + _SLACK for wrapper in (headings, whole_words))
            least = max(broken, min(text, look.least.get(column.name, text)))
            tight = max(broken, min(least, look.floor.get(column.name, least)))
            floor = max(broken, min(tight, look.floor_amount)) if is_amount else tight
            rooms.append(_Room(max(text, unbroken), max(text, broken), least, tight, floor))
        edges = [0.0]
        for one in _fit(rooms, width):
            edges.append(edges[-1] + one)
        lines = [headings.lines(column.heading, b - a - 2 * PAD_X) for column, (a, b) in zip(columns, pairwise(edges), strict=True)]
        return Geometry(tuple(edges), lines, look.heading_leading)

    def _natural_width(self, column: PrintedColumn) -> float:
        """The room in which the column's longest value stands on one line."""
        if column.kind == "amount":
            whole = self.rows[column.name].str.extract(r"^([^.]*)", 1).str.len_chars().max()
            most = self.decimals[column.name]
            digits = "0" * _count(whole)
            marks = self.body.width(printable(self.look.shown(column, digits))) - self.body.width(digits)  # between thousands
            return _count(whole) * self.digit + marks + (self.point + most * self.digit if most else 0.0)
        values = self.rows[column.name]
        longest = _count(values.str.len_chars().max())
        # Widths differ by letter: measure what could be the widest.
        candidates = values.filter(values.str.len_chars() * 2 > longest).unique(maintain_order=True).head(5_000)
        return max((self.body.width(self.look.shown(column, value)) for value in candidates if value), default=0.0)


def page_breaks(heights: array[float], first_room: float, room: float) -> list[tuple[int, int]]:
    """Rows by page, first and past-the-last: as many as there is room for, at least one a page."""
    pages: list[tuple[int, int]] = []
    start, left = 0, first_room
    for number, height in enumerate(heights):
        if height > left and (number > start or not pages):
            pages.append((start, number))
            start, left = number, room
        left -= height
    pages.append((start, len(heights)))
    return pages


def _split_evenly(address: str, lines: list[str], body: Wrapper, room: float) -> list[str]:
    """An address that takes several lines, cut into even parts: quicker to compare by eye."""
    size = -(-len(address) // len(lines))
    parts = [address[start : start + size] for start in range(0, len(address), size)]
    is_whole = "".join(lines) == address and all(body.width(part) <= room for part in parts)
    return parts if is_whole else lines


def _most_decimals(rows: pl.DataFrame, column: PrintedColumn) -> int:
    if column.kind != "amount":
        return 0
    return _count(rows[column.name].str.extract(r"\.(.*)$", 1).str.len_chars().max())


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


class _Room(NamedTuple):
    """The widths of a column, from the natural one to the smallest possible."""

    wanted: float
    text: float
    """The rows' texts are whole, the heading's words may be hyphenated."""
    least: float
    """Amounts, dates and codes are whole; names and wallets take more lines."""
    tight: float
    """Names and wallets take many lines."""
    floor: float
    """Even amounts are broken."""


def _fit(rooms: list[_Room], width: float) -> list[float]:
    """Column widths that fill the page. All columns shrink towards their next smaller width before any shrinks further."""
    widths, *steps = (list(step) for step in zip(*rooms, strict=True))
    for lower in steps:
        missing = sum(widths) - width
        if missing <= 0:
            break
        can_give = [now - then for now, then in zip(widths, lower, strict=True)]
        share = min(1.0, missing / sum(can_give)) if sum(can_give) else 0.0
        widths = [now - share * give for now, give in zip(widths, can_give, strict=True)]
    missing = sum(widths) - width
    # Spare width is distributed; if even the floors are too wide, all columns shrink in proportion and texts take more lines.
    return [one - missing / len(widths) for one in widths] if missing <= 0 else [one * width / sum(widths) for one in widths]
