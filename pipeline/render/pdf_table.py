"""The layout of a PDF's table: column widths, heading lines, row heights, page breaks.

What enters: a document's rows as strings, taken a slice at a time, its columns, and a style. What leaves: a layout that is a pure function of them.
The amounts of a column are aligned at the decimal point; text is broken into lines, and a row is as high as its longest cell.
Sizes are in points.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final, NamedTuple, TypeVar

import polars as pl

from .columns import PrintedColumn
from .csv_parts import ROWS_AT_ONCE
from .form import Column
from .pdf_text import REGULAR, Wrapper, printable
from .report_rows import ReportRows

PAD_X: Final = 2.2
PAD_Y: Final = 2.5
_SLACK: Final = 0.6
"""Beyond a column's longest text, so that rounding breaks nothing."""

_PLAIN: Final = r"^[0-9]+(\.[0-9]+)?$"

KNOWN_LIMIT: Final = 5_000
"""Values of a column remembered as they are laid out: most repeat, and soon, as a form's rows are in the order of its miners. When there are more, all are dropped."""
_MEASURED: Final = 5_000
"""Values of a column that could be its widest, of which the widths are added up."""

_Made = TypeVar("_Made")

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
    heading_height: float

    def room(self, number: int) -> float:
        """The width that a column has for text."""
        return self.edges[number + 1] - self.edges[number] - 2 * PAD_X


class Headings(NamedTuple):
    """A table's headings in one language."""

    texts: Sequence[str]
    hyphenated: Sequence[str]
    """Words in them with hyphens where they may be broken."""


class _Longest(NamedTuple):
    """Of a column, in characters."""

    whole: int
    """Of an amount before its point, of other values altogether."""
    decimals: int
    """Of an amount behind its point."""


@dataclass(frozen=True)
class Measured:
    """What the values of each column need, whatever their heading: the same in all languages."""

    longest: Mapping[str, _Longest]
    natural: Mapping[str, float]
    """The room in which the column's longest value stands on one line."""


class Table:
    """Rows of a document, broken into lines."""

    def __init__(
        self,
        rows: ReportRows,
        columns: Sequence[PrintedColumn],
        look: TableStyle,
        width: float,
        measured: Measured | None = None,
        others: Sequence[Headings] = (),
    ) -> None:
        """`rows`: strings, a column for each of `columns`. `measured`: by `measure`, which reads the rows twice, where they were measured already.

        `others`: headings of other languages, which must have room, too, so that the rows stand at the same places.
        """
        self.rows, self.columns, self.look, self.width = rows, columns, look, width
        self.body = Wrapper(REGULAR, look.body_size)
        self.digit, self.point = self.body.width("0"), self.body.width(look.decimal_mark)
        self.measured = measure(rows, columns, look) if measured is None else measured
        self.decimals = {name: longest.decimals for name, longest in self.measured.longest.items()}
        self.geometry = self._geometry([Headings([column.heading for column in columns], look.hyphenated), *others], width)
        self._known: list[dict[str, Cell]] = [{} for _ in columns]
        self._plain_widths: dict[tuple[int, bool], float] = {}

    def cell(self, number: int, value: str) -> Cell:
        """A value as printed: dates DD.MM.YYYY (rule 7.5), amounts aligned at the point."""
        known = self._known[number]
        if (cell := known.get(value)) is None:
            cell = self._lay(number, self.columns[number], value)
            remember(known, value, cell)
        return cell

    def height(self, lines: int) -> float:
        """The height of a row whose longest cell has so many lines."""
        return lines * self.look.body_leading + 2 * PAD_Y

    def heights(self) -> array[float]:
        """The height of every row."""
        return array("d", map(self.height, self.lines()))

    def lines(self) -> array[int]:
        """How many lines the longest cell of every row has."""
        counts = array("I")
        for rows in self.rows.iter_slices(ROWS_AT_ONCE):
            counts.extend(self._lines(rows))
        return counts

    def _lines(self, rows: pl.DataFrame) -> pl.Series:
        tallest = pl.repeat(1, rows.height, dtype=pl.UInt32, eager=True)
        for number, column in enumerate(self.columns):
            values = rows[column.name]
            distinct = self._without_numbers_of_one_line(number, values.unique())
            lines = [len(self.cell(number, value).lines) if value else 1 for value in distinct.to_list()]
            if max(lines, default=1) > 1:
                counted = pl.DataFrame({"value": distinct, "lines": pl.Series(lines, dtype=pl.UInt32)})
                mine = values.alias("value").to_frame().join(counted, on="value", how="left", nulls_equal=True, maintain_order="left")
                tallest = pl.select(pl.max_horizontal(tallest, mine["lines"].fill_null(1))).to_series()
        return tallest

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

    def _geometry(self, headings: Sequence[Headings], width: float) -> Geometry:
        """`headings`: the table's own first."""
        look, columns = self.look, self.columns
        natural = self.measured.natural
        whole_words = Wrapper(REGULAR, look.heading_size)
        wrappers = [Wrapper(REGULAR, look.heading_size, one.hyphenated) for one in headings]
        rooms = []
        for number, column in enumerate(columns):
            is_amount = column.kind == "amount"
            widest = look.widest_amount if is_amount else look.widest.get(column.name, look.widest_other)
            text = min(natural[column.name] + 2 * PAD_X + _SLACK, widest)
            broken = max(wrapper.narrowest(one.texts[number]) for wrapper, one in zip(wrappers, headings, strict=True)) + 2 * PAD_X + _SLACK
            unbroken = max(whole_words.narrowest(one.texts[number]) for one in headings) + 2 * PAD_X + _SLACK
            least = max(broken, min(text, look.least.get(column.name, text)))
            tight = max(broken, min(least, look.floor.get(column.name, least)))
            floor = max(broken, min(tight, look.floor_amount)) if is_amount else tight
            rooms.append(_Room(max(text, unbroken), max(text, broken), least, tight, floor))
        edges = [0.0]
        for one in _fit(rooms, width):
            edges.append(edges[-1] + one)
        lines = [
            [wrapper.lines(text, b - a - 2 * PAD_X) for text, (a, b) in zip(one.texts, pairwise(edges), strict=True)]
            for wrapper, one in zip(wrappers, headings, strict=True)
        ]
        most = max(len(heading) for one in lines for heading in one)
        return Geometry(tuple(edges), lines[0], most * look.heading_leading + 2 * PAD_Y)


def page_breaks(heights: Iterable[float], first_room: float, room: float) -> list[tuple[int, int]]:
    """Rows by page, first and past-the-last: as many as there is room for, at least one a page."""
    pages: list[tuple[int, int]] = []
    start, end, left = 0, 0, first_room
    for number, height in enumerate(heights):
        end = number + 1
        if height > left and (number > start or not pages):
            pages.append((start, number))
            start, left = number, room
        left -= height
    pages.append((start, end))
    return pages


def remember(known: dict[str, _Made], value: str, made: _Made) -> None:
    """Keep what was made of a value, `KNOWN_LIMIT` of them at most."""
    if len(known) >= KNOWN_LIMIT:
        known.clear()
    known[value] = made


def _split_evenly(address: str, lines: list[str], body: Wrapper, room: float) -> list[str]:
    """An address that takes several lines, cut into even parts: quicker to compare by eye."""
    size = -(-len(address) // len(lines))
    parts = [address[start : start + size] for start in range(0, len(address), size)]
    is_whole = "".join(lines) == address and all(body.width(part) <= room for part in parts)
    return parts if is_whole else lines


def measure(rows: ReportRows, columns: Sequence[PrintedColumn], look: TableStyle) -> Measured:
    """Measure the values of all rows."""
    longest, body = _longest(rows, columns), Wrapper(REGULAR, look.body_size)
    candidates = _candidates(rows, {column.name: longest[column.name].whole for column in columns if column.kind != "amount"})
    natural = {}
    for column in columns:
        if column.kind == "amount":
            natural[column.name] = _amount_width(column, longest[column.name], look, body)
        else:
            widths = (body.width(look.shown(column, value)) for value in candidates[column.name] if value)
            natural[column.name] = max(widths, default=0.0)
    return Measured(longest, natural)


def _amount_width(column: PrintedColumn, longest: _Longest, look: TableStyle, body: Wrapper) -> float:
    whole, most = longest
    digits = "0" * whole
    marks = body.width(printable(look.shown(column, digits))) - body.width(digits)  # between thousands
    return whole * body.width("0") + marks + (body.width(look.decimal_mark) + most * body.width("0") if most else 0.0)


def _candidates(rows: ReportRows, longest: Mapping[str, int]) -> dict[str, pl.Series]:
    """Widths differ by letter: of each column, given with its longest value's length, the values that could be the widest."""
    found = {name: pl.Series(name, [], pl.String) for name in longest}
    for part in rows.iter_slices(ROWS_AT_ONCE):
        for name, values in found.items():
            if values.len() < _MEASURED:
                more = part[name].filter(part[name].str.len_chars() * 2 > longest[name])
                found[name] = pl.concat([values, more]).unique(maintain_order=True).head(_MEASURED)
    return found


def _longest(rows: ReportRows, columns: Sequence[PrintedColumn]) -> dict[str, _Longest]:
    """What each column's longest value has."""
    amounts = [column.name for column in columns if column.kind == "amount"]
    others = [column.name for column in columns if column.kind != "amount"]
    measures = [
        pl.col(amounts).str.extract(r"^([^.]*)", 1).str.len_chars().max(),
        pl.col(amounts).str.extract(r"\.(.*)$", 1).str.len_chars().max().name.prefix("decimals of "),
        pl.col(others).str.len_chars().max(),
    ]
    parts = chain([rows.slice(0, 0)], rows.iter_slices(ROWS_AT_ONCE))
    found = pl.concat([part.select(measures) for part in parts]).max().fill_null(0).row(0, named=True)
    return {column.name: _Longest(found[column.name], found.get(f"decimals of {column.name}", 0)) for column in columns}


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
