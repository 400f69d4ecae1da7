"""Lossless typed cells for the program's workbooks.

What enters: printed values and what their column holds. What leaves: contents and formats of cells. A date is a date, an amount is a number only
when it has at most 15 significant digits (what a cell holds exactly) and exact text otherwise, everything else is text and can never become a formula.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Final

from pipeline.model.errors import EsepError
from pipeline.model.message import message

from .columns import PrintedColumn

CELL_LIMIT: Final = 32_767
"""Characters that a cell holds."""
NUMBER_DIGITS: Final = 15
"""Significant decimal digits that a cell's number keeps exactly."""
NUMBER_DECIMALS: Final = 30
"""Decimals that a number format can show."""

_AMOUNT = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH = date(1899, 12, 30).toordinal()
_FIRST_DAY = date(1900, 3, 1).toordinal()
"""Spreadsheets count days wrongly before this one (1900 as a leap year): earlier dates are written as text."""

FONT: Final = {"font_name": "Arial", "font_size": 8}
LINE_PT: Final = 10.6
"""Height of a line in a cell of several lines."""
_NUMBER_LENGTH: Final = 2 + NUMBER_DECIMALS
"""Characters of the longest amount that is a number; a number that its column is too narrow for would show as ###."""
_DIGIT_PX: Final = 5.95
"""Width of a digit at 8 points, in pixels."""
RUNNING: Final[dict[str, Any]] = {"align": "left", "indent": 1}
CENTRED: Final[dict[str, Any]] = {"align": "center"}
RIGHT: Final[dict[str, Any]] = {"align": "right", "indent": 1}
KNOWN_LIMIT: Final = 20_000


class Formats:
    """The workbook's cell formats, made when first asked for."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._made: dict[tuple[tuple[str, Any], ...], Any] = {}

    def __call__(self, **properties: Any) -> Any:
        key = tuple(sorted(properties.items()))
        if key not in self._made:
            self._made[key] = self._book.add_format({**FONT, "valign": "vcenter", **properties})
        return self._made[key]


class TypedCells:
    """The values of a table's rows as cells; cached, since most values of a form repeat."""

    def __init__(
        self, columns: Sequence[PrintedColumn], widths: Sequence[float], cell: Callable[..., Any], *, running: Collection[str], where: str
    ) -> None:
        """`widths` in characters; `cell` makes a format of properties; `running`: columns of running text, which stands left; codes are centred.

        `where` names the document in errors.
        """
        self.columns, self._widths, self._cell, self._running, self._where = columns, widths, cell, running, where
        self.blank = cell()
        """The format of a cell without a value."""
        self._known: list[dict[str, tuple[str | float, Any, int]]] = [{} for _ in columns]

    def __call__(self, number: int, value: str) -> tuple[str | float, Any, int]:
        """A cell's content, format and lines: a number for a date or an amount that a cell holds exactly, or else the text."""
        known = self._known[number]
        if (typed := known.get(value)) is None:
            typed = self._typed(self.columns[number], value, self._widths[number])
            if len(known) < KNOWN_LIMIT:
                known[value] = typed
        return typed

    def write_row(self, sheet: Any, row: int, values: Sequence[str | None]) -> None:
        """Write one row of the table, as high as its cells need. Raises EsepError for a text that no cell holds."""
        lines = 1
        for number, value in enumerate(values):
            if not value:
                sheet.write_blank(row, number, None, self.blank)
                continue
            content, cell, tall = self(number, value)
            lines = max(lines, tall)
            if isinstance(content, str):
                write_fitting(sheet, row, number, content, cell, where=self._where)
            else:
                sheet.write_number(row, number, content, cell)
        if lines > 1:
            # Spreadsheets do not fit the height by themselves when they open the file: lines would be hidden.
            sheet.set_row(row, min(409.0, LINE_PT * lines + 3))

    def number_format(self, column: PrintedColumn, decimals: int) -> Any:
        """The format of a number of an amount's column, or of one of whole numbers."""
        return (
            self._cell(num_format="0", align="center")
            if column.kind == "integer"
            else self._cell(num_format=number_format(decimals), **RIGHT)
        )

    def _typed(self, column: PrintedColumn, value: str, width: float) -> tuple[str | float, Any, int]:
        if column.kind == "date" and (day := _day(value)) is not None:
            return day, self._cell(num_format="dd.mm.yyyy", align="center"), 1
        if column.kind == "integer" and exact_decimals(value) == 0:
            return int(value), self.number_format(column, 0), 1
        if column.kind == "amount" and (decimals := exact_decimals(value)) is not None:
            return float(value), self.number_format(column, decimals), 1
        align = RIGHT if column.kind == "amount" else RUNNING if column.name in self._running else CENTRED
        # A prefix keeps a spreadsheet from making a formula of it when somebody edits the cell.
        prefix = {"quote_prefix": True} if value[0] in "=+-@\t\r" else {}
        return (
            value,
            self._cell(num_format="@", text_wrap=True, **align, **prefix),
            count_lines(value, width - 1.6 * align.get("indent", 0)),
        )


def exact_decimals(value: str) -> int | None:
    """How many decimals an amount shows, if a number in a cell keeps all of it; None when it must stay text.

    `exact_decimals("0.01234560") == 8`; None for 16 significant digits or more, for what is not plainly printed
    (a sign, leading zeros, an exponent), and for more decimals than a number format shows.
    """
    match = _AMOUNT.fullmatch(value)
    if not match:
        return None
    decimals = len(match[2] or "")
    significant = len((match[1] + (match[2] or "")).lstrip("0"))
    return decimals if significant <= NUMBER_DIGITS and decimals <= NUMBER_DECIMALS else None


def write_text(sheet: Any, row: int, column: int, value: str, cell: Any) -> None:
    """Write a text as a text: never a formula, a link, a number or markup."""
    if value.startswith("<r>") and value.endswith("</r>"):
        # The library would interpret such a string as its own markup; as rich-text runs it is escaped.
        sheet.write_rich_string(row, column, value[:1], value[1:2], value[2:], cell)
    else:
        sheet.write_string(row, column, value, cell)


def write_fitting(sheet: Any, row: int, column: int, value: str, cell: Any, *, where: str) -> None:
    """Write a text as a text. Raises EsepError, naming the place in `where`, when it is longer than a cell can hold: it is never cut short."""
    if len(value) > CELL_LIMIT:
        raise EsepError(
            message(
                "{where}, sheet row {row}, column {column}: a text of {count} characters; a cell of a workbook holds {cell_limit}: shorten it at its source, or leave XLSX out of the formats",
                where=where,
                row=row + 1,
                column=column + 1,
                count=len(value),
                cell_limit=CELL_LIMIT,
            )
        )
    write_text(sheet, row, column, value, cell)


def _day(value: str) -> int | None:
    """The cell's number of a date, or None when no cell can hold it exactly."""
    try:
        ordinal = date.fromisoformat(value).toordinal() if _DAY.fullmatch(value) else 0
    except ValueError:
        return None
    return ordinal - _EPOCH if ordinal >= _FIRST_DAY else None


def number_format(decimals: int) -> str:
    """The number format that shows all the decimals."""
    return "0." + "0" * decimals if decimals else "0"


def amount_widths(widths: Sequence[float], columns: Sequence[PrintedColumn], longest: Mapping[str, int]) -> list[float]:
    """Column widths in characters: wide enough for every amount that is a number. `longest`: of each column, its longest value's length."""
    wide = list(widths)
    for number, column in enumerate(columns):
        if column.kind == "amount" and longest[column.name]:
            wide[number] = max(wide[number], (min(longest[column.name], _NUMBER_LENGTH) * _DIGIT_PX + 18) / 7)
    return wide


def count_lines(content: str, width: float, *, bold: bool = False) -> int:
    """The number of lines of a text in a column `width` characters wide, broken at spaces; rounded up."""
    room = width * 7 - 3
    lines = 0
    for paragraph in content.splitlines() or [""]:
        left = 0.0
        for word in paragraph.split():
            size = sum(map(_px, word)) * (1.08 if bold else 1.0)
            if size > left:
                # A word longer than a line fills several.
                lines += max(1, math.ceil(size / room))
                left = room * max(1, math.ceil(size / room))
            left -= size + _px(" ")
        lines += not paragraph.split()
    return max(1, lines)


def widest_word(content: str) -> float:
    """The width of a text's widest word, in pixels: what a column needs so that no word is broken."""
    return max((sum(map(_px, word)) for word in content.split()), default=0.0)


@lru_cache(maxsize=4096)
def _px(char: str) -> float:
    """About how wide a character is at 8 points, in pixels."""
    if char in " .,:;'|!()[]/\\-fijlrtI1":
        return _DIGIT_PX if char == "1" else 3.4
    if char.isascii():
        return 9.0 if char in "mwMW@%" else 7.2 if char.isupper() else _DIGIT_PX
    return 11.0 if ord(char) > 0x2000 and char not in "–—№…₸" else 7.6 if char.isupper() else 6.4
