"""Where everything in the PDF's table stands: column widths, heading lines, row heights, page breaks.

What enters: the report's rows as strings and the language of the headings. What leaves: a layout that is a pure function
of them. Amounts of a column share one decimal point; text is broken into lines, and a row is as high as its longest cell.
Sizes are in points.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import polars as pl

from .form import COLUMNS, Column, Language, form
from .pdf_text import REGULAR, Wrapper, printable

BODY_SIZE: Final = 6.2
BODY_LEADING: Final = 7.5
HEADING_SIZE: Final = 5.9
HEADING_LEADING: Final = 6.7
NUMBERS_HEIGHT: Final = 9.5
PAD_X: Final = 2.2
PAD_Y: Final = 2.5
_SLACK: Final = 0.6
"""Beyond a column's longest text, so that rounding breaks nothing."""

_KNOWN_LIMIT: Final = 100_000
"""Broken texts remembered: most values of a form repeat."""

_WIDEST: Final = {"miner_name": 91.5, "wallet": 155.0, "licence_number": 68.0}
"""How much room a column of texts takes at most; a wallet of 42 characters, the commonest, has one line."""
_WIDEST_AMOUNT: Final = 86.0
_WIDEST_OTHER: Final = 58.0
_LEAST: Final = {"miner_name": 74.0, "wallet": 120.0}
"""How much it keeps when room is short: a wallet of 62 characters has two lines."""
_FLOOR: Final = {"miner_name": 50.0, "wallet": 74.0}
"""How much it keeps when many decimals take the room; an amount may then be broken too, down to the one below."""
_FLOOR_AMOUNT: Final = 40.0


@dataclass(frozen=True)
class Cell:
    """One cell's lines, each with its width, and how far its text stands off the right edge (amounts: so that decimal points are in line)."""

    lines: list[tuple[str, float]]
    off_right: float = 0.0


@dataclass(frozen=True)
class Geometry:
    """The table's columns on the page."""

    edges: tuple[float, ...]
    """Sixteen x co-ordinates from 0."""
    headings: list[list[str]]

    @property
    def heading_height(self) -> float:
        return max(len(lines) for lines in self.headings) * HEADING_LEADING + 2 * PAD_Y

    def room(self, number: int) -> float:
        """The width that a column has for text."""
        return self.edges[number + 1] - self.edges[number] - 2 * PAD_X


class Table:
    """The rows of the form, broken into lines."""

    def __init__(self, rows: pl.DataFrame, language: Language, width: float) -> None:
        self.rows = rows
        self.body = Wrapper(REGULAR, BODY_SIZE)
        self.digit, self.point = self.body.width("0"), self.body.width(".")
        self.decimals = {column.name: _most_decimals(rows, column) for column in form().column}
        self.geometry = self._geometry(Wrapper(REGULAR, HEADING_SIZE, form().hyphenation[language]), language, width)
        self._known: list[dict[str, Cell]] = [{} for _ in COLUMNS]

    def cell(self, number: int, value: str) -> Cell:
        """A value as printed: dates DD.MM.YYYY (rule 7.5), amounts aligned at the point."""
        known = self._known[number]
        if (cell := known.get(value)) is None:
            cell = self._lay(number, form().column[number], value)
            if len(known) < _KNOWN_LIMIT:
                known[value] = cell
        return cell

    def heights(self) -> array[float]:
        """The height of every row."""
        heights = array("d")
        for values in self.rows.iter_rows():
            lines = max(len(self.cell(number, value).lines) for number, value in enumerate(values) if value)
            heights.append(lines * BODY_LEADING + 2 * PAD_Y)
        return heights

    def _lay(self, number: int, column: Column, value: str) -> Cell:
        room = self.geometry.room(number)
        text = printable(shown(column, value))
        lines = self.body.lines(text, room)
        if column.kind == "amount":
            off = self._off_right(column, value)
            if (width := self.body.width(text)) + off <= room:
                return Cell([(text, width)], off)
            whole, point, fraction = text.partition(".")
            # Too long for the column: the decimals on a line of their own, if that is enough.
            if len(lines) > 1 and point and max(self.body.width(whole + point), self.body.width(fraction)) <= room:
                lines = [whole + point, fraction]
        elif column.name == "wallet":
            lines = _even(text, lines, self.body, room)
        return Cell([(line, self.body.width(line)) for line in lines])

    def _off_right(self, column: Column, value: str) -> float:
        """The room to the right of an amount that the column's longest fraction takes."""
        most, own = self.decimals[column.name], len(value.partition(".")[2])
        return (most - own) * self.digit + (self.point if most and not own else 0.0)

    def _geometry(self, headings: Wrapper, language: Language, width: float) -> Geometry:
        columns = form().column
        labels = [column.heading(language) for column in columns]
        whole_words = Wrapper(headings.font, headings.size)
        rooms = []
        for column, label in zip(columns, labels, strict=True):
            is_amount = column.kind == "amount"
            widest = _WIDEST_AMOUNT if is_amount else _WIDEST.get(column.name, _WIDEST_OTHER)
            text = min(self._natural(column) + 2 * PAD_X + _SLACK, widest)
            broken, unbroken = (wrapper.narrowest(label) + 2 * PAD_X + _SLACK for wrapper in (headings, whole_words))
            least = max(broken, min(text, _LEAST.get(column.name, text)))
            tight = max(broken, min(least, _FLOOR.get(column.name, least)))
            floor = max(broken, min(tight, _FLOOR_AMOUNT)) if is_amount else tight
            rooms.append(_Room(max(text, unbroken), max(text, broken), least, tight, floor))
        edges = [0.0]
        for one in _fit(rooms, width):
            edges.append(edges[-1] + one)
        lines = [headings.lines(label, b - a - 2 * PAD_X) for label, (a, b) in zip(labels, pairwise(edges), strict=True)]
        return Geometry(tuple(edges), lines)

    def _natural(self, column: Column) -> float:
        """The room in which the column's longest value stands on one line."""
        if column.kind == "amount":
            whole = self.rows[column.name].str.extract(r"^([^.]*)", 1).str.len_chars().max()
            most = self.decimals[column.name]
            return _count(whole) * self.digit + (self.point + most * self.digit if most else 0.0)
        values = self.rows[column.name]
        longest = _count(values.str.len_chars().max())
        # Widths differ by letter: measure what could be the widest.
        candidates = values.filter(values.str.len_chars() * 2 > longest).unique(maintain_order=True).head(5_000)
        return max((self.body.width(shown(column, value)) for value in candidates if value), default=0.0)


def shown(column: Column, value: str) -> str:
    """A value as the printed form shows it (rule 7.5)."""
    if column.kind == "date" and len(value) == 10 and value[4] == value[7] == "-":
        return f"{value[8:]}.{value[5:7]}.{value[:4]}"
    return value


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


def _even(address: str, lines: list[str], body: Wrapper, room: float) -> list[str]:
    """An address that takes several lines, cut into even parts: quicker to compare by eye."""
    size = -(-len(address) // len(lines))
    parts = [address[start : start + size] for start in range(0, len(address), size)]
    is_whole = "".join(lines) == address and all(body.width(part) <= room for part in parts)
    return parts if is_whole else lines


def _most_decimals(rows: pl.DataFrame, column: Column) -> int:
    if column.kind != "amount":
        return 0
    return _count(rows[column.name].str.extract(r"\.(.*)$", 1).str.len_chars().max())


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


class _Room(NamedTuple):
    """What a column asks for, from all it wants to the least it can live with."""

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
    """Widths that fill the page: each step down is taken by all columns, as far as it must be, before the next one."""
    widths, *steps = (list(step) for step in zip(*rooms, strict=True))
    for lower in steps:
        missing = sum(widths) - width
        if missing <= 0:
            break
        can_give = [now - then for now, then in zip(widths, lower, strict=True)]
        share = min(1.0, missing / sum(can_give)) if sum(can_give) else 0.0
        widths = [now - share * give for now, give in zip(widths, can_give, strict=True)]
    missing = sum(widths) - width
    # Free room is shared out; if even the floors were too much, all shrink alike and texts take more lines.
    return [one - missing / len(widths) for one in widths] if missing <= 0 else [one * width / sum(widths) for one in widths]
