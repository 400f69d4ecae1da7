"""The form as an XLSX workbook.

What enters: a `Document` and a language. What leaves: the form's sheet (header block, headings, numbered columns, typed
rows, signature lines) and a sheet of totals. Cells are typed so that nothing is lost: a date is a date, an amount is a
number only when it has at most 15 significant digits (what a cell holds exactly) and exact text otherwise, everything
else is text and can never become a formula. The same document gives the same bytes, whatever the clock.
No formulas, no arithmetic. Memory stays flat: rows go to disk as they are written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final

import polars as pl
import xlsxwriter

from pipeline.model.errors import EsepError

from .document import Document
from .form import Language, form

ROWS_PER_SHEET: Final = 1_000_000
"""A sheet has 1,048,576 rows; the form's rows beyond this go on to another sheet with the same headings."""
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
"""Cells count days wrongly before this one: earlier dates are written as text."""

_FONT: Final = {"font_name": "Arial", "font_size": 8}
_LINE_PT: Final = 10.6
"""Height of a line in a cell of several lines."""
_NUMBER_LENGTH: Final = 2 + NUMBER_DECIMALS
"""Characters of the longest amount that is a number; a number that its column is too narrow for would show as ###."""
_DIGIT_PX: Final = 5.95
"""Width of a digit at 8 points, in pixels."""
_WIDTHS: Final = (5.5, 11.5, 23.5, 15, 9.5, 40, 9.5, 9.5, 11, 11, 9.5, 9.5, 11, 9, 10)
"""Column widths in characters, in the form's order."""
_LEFT: Final = ("miner_name", "wallet")
"""Columns of running text; codes and dates are centred, amounts stand right."""
_RUNNING: Final[dict[str, Any]] = {"align": "left", "indent": 1}
_CENTRED: Final[dict[str, Any]] = {"align": "center"}
_KNOWN_LIMIT: Final = 20_000
ROWS_BETWEEN: Final = 100_000
"""Rows between two words about how far it is."""
_LAST: Final = len(_WIDTHS) - 1
_LABEL_TO, _VALUE_TO, _POOL_LABEL_TO = 4, 6, 10
"""Where the header block's parts end: a statement, its value, the pool's field; the field's value takes the rest."""


def write_xlsx(
    document: Document,
    file: IO[bytes],
    *,
    language: Language = "kk",
    rows_per_sheet: int = ROWS_PER_SHEET,
    folder: Path | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the workbook to a binary file; `folder`: where rows lie until they are packed (None: the system's own), `tell`: how many are done.

    Raises EsepError when a text is longer than a cell can hold (32,767 characters): it is never cut short.
    """
    text = form().text[language]
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "tmpdir": str(folder) if folder else None}
    with xlsxwriter.Workbook(file, options) as book:
        book.use_zip64()  # a sheet of a million rows with long texts passes two gigabytes before it is packed
        book.set_properties(
            {
                "title": f"{form().index} {document.month}",
                "subject": text.title,
                "author": document.header.get("name", ""),
                "comments": f"SHA-256 {document.digest}",
                "created": datetime.fromtimestamp(document.frozen_at, UTC).replace(tzinfo=None),
            }
        )
        book.set_size(2400, 1400)
        sheets = max(1, -(-document.rows.height // rows_per_sheet))
        for number in range(sheets):
            name = form().index if number == 0 else f"{form().index} ({number + 1})"
            start = number * rows_per_sheet
            _FormSheet(book, document, language, name).write(start, rows_per_sheet, is_last=number == sheets - 1, tell=tell)
        _write_totals(book, document, language)


class _Formats:
    """The workbook's cell formats, made when first asked for."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._made: dict[tuple[tuple[str, Any], ...], Any] = {}

    def __call__(self, **properties: Any) -> Any:
        key = tuple(sorted(properties.items()))
        if key not in self._made:
            self._made[key] = self._book.add_format({**_FONT, "valign": "vcenter", **properties})
        return self._made[key]


class _FormSheet:
    """One sheet of the form while it is written, from the top down."""

    def __init__(self, book: Any, document: Document, language: Language, name: str) -> None:
        self.document, self.language, self.text = document, language, form().text[language]
        self.formats = _Formats(book)
        self.cell = partial(self.formats, border=1, border_color="#808080")
        self.sheet = book.add_worksheet(name)
        self.row = 0
        self.known: list[dict[str, tuple[str | float, Any, int]]] = [{} for _ in _WIDTHS]
        """By column, the cells of values already met: most values of a form repeat."""

    def write(self, start: int, count: int, *, is_last: bool, tell: Callable[[int], None]) -> None:
        rows = self.document.rows.slice(start, count)
        self.widths = _widths(self.document.rows)
        for number, width in enumerate(self.widths):
            self.sheet.set_column(number, number, width, self.formats())
        self._write_top()
        self._write_headings()
        first = self.row
        for number, values in enumerate(rows.iter_rows(), start + 1):
            self._write_row(values)
            if number % ROWS_BETWEEN == 0:
                tell(number)
        if rows.height:
            self.sheet.autofilter(first - 1, 0, self.row - 1, _LAST)
            self.sheet.ignore_errors({"number_stored_as_text": f"A{first + 1}:O{self.row}"})
        else:
            self._merge(0, _LAST, self.text.no_rows, self.cell(align="center"))
            self.row += 1
        if is_last:
            self._write_signatures()
        self._set_up_page(first)

    def _merge(self, first: int, last: int, content: str, cell: Any) -> None:
        """Merged cells of this row; a text is never taken for anything else."""
        self.sheet.merge_range(self.row, first, self.row, last, "", cell)
        self._write_text(first, content, cell)

    def _write_top(self) -> None:
        """Title, who approved it, the form's statements and the pool's fields (rule 7.6), in few rows: they stay in view."""
        text, document = self.text, self.document
        self.sheet.set_row(0, 34)
        self._merge(0, _POOL_LABEL_TO - 1, text.title, self.formats(bold=True, font_size=10, text_wrap=True, align="left"))
        approved = " ".join(text.approved) + ". " + text.kind
        self._merge(_POOL_LABEL_TO, _LAST, approved, self.formats(text_wrap=True, align="right", font_size=7))
        self.row += 1
        if text.translation_note:
            self._merge(0, _LAST, text.translation_note, self.formats(italic=True, font_color="#595959"))
            self.row += 1
        header = document.header
        pool = [
            (text.bin, header.get("bin", "")),
            (text.name, header.get("name", "")),
            (text.address, header.get("address", "")),
            (text.telephone, header.get("telephone", "")),
            (text.email, header.get("email", "")),
            (f"{form().index} {document.month}", text.version.format(version=document.version)),
            ("SHA-256", document.digest),
        ]
        label, value = self.formats(font_color="#404040", text_wrap=True), self.formats(bold=True, text_wrap=True)
        for (left, stated), (right, given) in zip(form().statements(self.language, document.month), pool, strict=True):
            lines = 1
            edges = (0, _LABEL_TO, _VALUE_TO, _POOL_LABEL_TO, _LAST + 1)
            for (first, end), content, cell in zip(pairwise(edges), (left, stated, right, given), (label, value) * 2, strict=True):
                self._merge(first, end - 1, content, cell)
                lines = max(lines, _lines(content, sum(self.widths[first:end]), bold=cell is value))
            self.sheet.set_row(self.row, _LINE_PT * lines + 1.5)
            self.row += 1

    def _write_headings(self) -> None:
        heading = self.cell(bold=True, text_wrap=True, align="center", font_size=7.5, bg_color="#EDEDED")
        numbers = self.cell(align="center", bg_color="#EDEDED")
        columns = form().column
        headings = [column.heading(self.language) for column in columns]
        self.heading_row = self.row
        lines = max(_lines(label, width, bold=True) for label, width in zip(headings, self.widths, strict=True))
        self.sheet.set_row(self.row, _LINE_PT * lines + 6)
        for number, label in enumerate(headings):
            self.sheet.write_string(self.row, number, label, heading)
        self.row += 1
        for number in range(len(columns)):
            self.sheet.write_number(self.row, number, number + 1, numbers)
        self.row += 1
        self.sheet.freeze_panes(self.row, 0)

    def _write_row(self, values: tuple[str | None, ...]) -> None:
        sheet, row, blank = self.sheet, self.row, self.cell()
        lines = 1
        for number, value in enumerate(values):
            if not value:
                sheet.write_blank(row, number, None, blank)
                continue
            content, cell, tall = self.known[number].get(value) or self._typed(number, value)
            lines = max(lines, tall)
            if isinstance(content, str):
                self._write_text(number, content, cell)
            else:
                sheet.write_number(row, number, content, cell)
        if lines > 1:
            # Spreadsheets do not fit the height by themselves when they open the file: lines would be hidden.
            sheet.set_row(row, min(409.0, _LINE_PT * lines + 3))
        self.row += 1

    def _typed(self, number: int, value: str) -> tuple[str | float, Any, int]:
        """A cell's content, format and lines: a number for a date or an amount that a cell holds exactly, or else the text."""
        column = form().column[number]
        typed: tuple[str | float, Any, int]
        right: dict[str, Any] = {"align": "right", "indent": 1}
        if column.kind == "date" and (day := _day(value)) is not None:
            typed = day, self.cell(num_format="dd.mm.yyyy", align="center"), 1
        elif column.kind == "integer" and exact_decimals(value) == 0:
            typed = int(value), self.cell(num_format="0", align="center"), 1
        elif column.kind == "amount" and (decimals := exact_decimals(value)) is not None:
            typed = float(value), self.cell(num_format=_shown(decimals), **right), 1
        else:
            align = right if column.kind == "amount" else _RUNNING if column.name in _LEFT else _CENTRED
            # A prefix keeps a spreadsheet from making a formula of it when somebody edits the cell.
            prefix = {"quote_prefix": True} if value[0] in "=+-@\t\r" else {}
            lines = _lines(value, self.widths[number] - 1.6 * align.get("indent", 0))
            typed = value, self.cell(num_format="@", text_wrap=True, **align, **prefix), lines
        if len(self.known[number]) < _KNOWN_LIMIT:
            self.known[number][value] = typed
        return typed

    def _write_text(self, number: int, value: str, cell: Any) -> None:
        if len(value) > CELL_LIMIT:
            raise EsepError(
                f"{form().index} {self.document.month}, sheet row {self.row + 1}, column {number + 1}: a text of {len(value)} characters; "
                f"a cell of a workbook holds {CELL_LIMIT}: shorten it at its source, or leave XLSX out of the formats"
            )
        write_text(self.sheet, self.row, number, value, cell)

    def _write_signatures(self) -> None:
        """The note and the two signatures, after the rows, as the order puts them."""
        text, header = self.text, self.document.header
        self.row += 1
        self.sheet.set_row(self.row, 24)
        self._merge(0, _LAST, text.note, self.formats(text_wrap=True))
        line, hint = self.formats(bottom=1, bold=True), self.formats(font_size=6.5, font_color="#595959", valign="top", align="center")
        people = (
            (text.executor, header.get("executor_name", ""), header.get("executor_telephone", "")),
            (text.head, header.get("head_name", ""), None),
        )
        for role, name, telephone in people:
            self.row += 2
            self._merge(0, 2, role, self.formats())
            self._merge(3, 5, name, line)
            self._merge(7, 9, "", line)
            if telephone is not None:
                self._merge(11, _LAST, telephone, line)
            self.row += 1
            self._merge(3, 5, text.full_name, hint)
            self._merge(7, 9, text.signature, hint)
            if telephone is not None:
                self._merge(11, _LAST, text.signature_telephone, hint)
        self.row += 1

    def _set_up_page(self, first: int) -> None:
        """A4 landscape, one page wide, headings repeated, page x of y and the digest below."""
        sheet = self.sheet
        sheet.set_paper(9)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.4, right=0.4, top=0.4, bottom=0.6)
        sheet.repeat_rows(self.heading_row, first - 1)
        sheet.print_area(0, 0, self.row, _LAST)
        page = self.text.page.format(page="&P", pages="&N")
        sheet.set_footer(f"&L&7{form().index} {self.document.month}&C&7SHA-256 {self.document.digest}&R&7{page}", {"margin": 0.3})


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
        # The library takes such a string for markup of its own; in runs it is escaped like any other.
        sheet.write_rich_string(row, column, value[:1], value[1:2], value[2:], cell)
    else:
        sheet.write_string(row, column, value, cell)


def _day(value: str) -> int | None:
    """The cell's number of a date, or None when no cell can hold it exactly."""
    try:
        ordinal = date.fromisoformat(value).toordinal() if _DAY.fullmatch(value) else 0
    except ValueError:
        return None
    return ordinal - _EPOCH if ordinal >= _FIRST_DAY else None


def _shown(decimals: int) -> str:
    """The number format that shows all the decimals."""
    return "0." + "0" * decimals if decimals else "0"


def _widths(rows: pl.DataFrame) -> list[float]:
    """Column widths in characters: wide enough for every amount that is a number."""
    widths = list(_WIDTHS)
    for number, column in enumerate(form().column):
        longest = rows[column.name].str.len_chars().max() if column.kind == "amount" else None
        if isinstance(longest, int):
            widths[number] = max(widths[number], (min(longest, _NUMBER_LENGTH) * _DIGIT_PX + 18) / 7)
    return widths


def _lines(content: str, width: float, *, bold: bool = False) -> int:
    """Lines that a text takes in a column `width` characters wide, broken at spaces, rather one too many than one too few."""
    room = width * 7 - 3
    lines = 0
    for paragraph in content.splitlines() or [""]:
        left = 0.0
        for word in paragraph.split():
            size = sum(_px(char) for char in word) * (1.08 if bold else 1.0)
            if size > left:
                # A word longer than a line fills several.
                lines += max(1, math.ceil(size / room))
                left = room * max(1, math.ceil(size / room))
            left -= size + _px(" ")
        lines += not paragraph.split()
    return max(1, lines)


def _px(char: str) -> float:
    """About how wide a character is at 8 points, in pixels."""
    if char in " .,:;'|!()[]/\\-fijlrtI1":
        return _DIGIT_PX if char == "1" else 3.4
    if char.isascii():
        return 9.0 if char in "mwMW@%" else 7.2 if char.isupper() else _DIGIT_PX
    return 11.0 if ord(char) > 0x2000 and char not in "–—№…₸" else 7.6 if char.isupper() else 6.4


def _write_totals(book: Any, document: Document, language: Language) -> None:
    """The sheet of totals (rule 7.4): what the document is, and the month's totals apart."""
    text, formats = form().text[language], _Formats(book)
    sheet = book.add_worksheet(text.sheet_totals)
    sheet.set_column(0, 0, 62, formats())
    sheet.set_column(1, 1, 14, formats())
    sheet.set_column(2, 2, 42, formats())
    label, value = formats(), formats(num_format="@", bold=True)
    sheet.write_string(0, 0, f"{form().index}. {text.totals}", formats(bold=True, font_size=11))
    facts = [
        (text.period[0], text.reporting_period(document.month)),
        (text.bin, document.header.get("bin", "")),
        (text.name, document.header.get("name", "")),
        (f"{form().index} {document.month}", text.version.format(version=document.version)),
        (text.digest, document.digest),
        (text.rows, str(document.rows.height)),
    ]
    row = 2
    for name, content in facts:
        sheet.write_string(row, 0, name, label)
        write_text(sheet, row, 2, content, value)
        row += 1
    row += 1
    cell = partial(formats, border=1, border_color="#808080")
    for name, unit, amount in form().printed_totals(document.totals, language):
        sheet.write_string(row, 0, name, cell(text_wrap=True, indent=1))
        write_text(sheet, row, 1, unit, cell(align="center"))
        decimals = exact_decimals(amount)
        if decimals is None:
            write_text(sheet, row, 2, amount, cell(num_format="@", align="right", indent=1))
        else:
            sheet.write_number(row, 2, float(amount), cell(num_format=_shown(decimals), align="right", indent=1))
        row += 1
    sheet.set_paper(9)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    page = text.page.format(page="&P", pages="&N")
    sheet.set_footer(f"&L&7{form().index} {document.month}&C&7SHA-256 {document.digest}&R&7{page}")
