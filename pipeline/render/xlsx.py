"""The form as an XLSX workbook.

What enters: a `Document` and a language. What leaves: the form's sheet (header block, headings, numbered columns, typed
rows, signature lines) and a sheet of totals. Cells are typed so that nothing is lost (`xlsx_cells`). The same document gives the
same bytes, whatever the clock.
No formulas, no arithmetic. Memory stays flat: rows go to disk as they are written.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final

import xlsxwriter

from .document import Document
from .form import Language, form
from .xlsx_cells import LINE_PT, Formats, TypedCells, amount_widths, count_lines, exact_decimals, number_format, write_fitting, write_text

ROWS_PER_SHEET: Final = 1_000_000
"""A sheet has 1,048,576 rows; the form's rows beyond this go on to another sheet with the same headings."""
_WIDTHS: Final = (5.5, 11.5, 23.5, 15, 9.5, 40, 9.5, 9.5, 11, 11, 9.5, 9.5, 11, 9, 10)
"""Column widths in characters, in the form's order."""
_LEFT: Final = ("miner_name", "wallet")
"""Columns of running text; codes and dates are centred, amounts stand right."""
ROWS_BETWEEN: Final = 100_000
"""Rows between two reports of progress."""
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
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the workbook to a binary file; `folder`: where rows lie until they are packed (None: the system's own), `on_progress`: how many are done.

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
            _FormSheet(book, document, language, name).write(start, rows_per_sheet, is_last=number == sheets - 1, on_progress=on_progress)
        _write_totals(book, document, language)


class _FormSheet:
    """One sheet of the form while it is written, from the top down."""

    def __init__(self, book: Any, document: Document, language: Language, name: str) -> None:
        self.document, self.language, self.text = document, language, form().text[language]
        self.where = f"{form().index} {document.month}"
        self.formats = Formats(book)
        self.cell = partial(self.formats, border=1, border_color="#808080")
        self.sheet = book.add_worksheet(name)
        self.row = 0
        self.columns = form().printed_columns(language)
        self.widths = amount_widths(_WIDTHS, self.columns, document.rows)
        self.cells = TypedCells(self.columns, self.widths, self.cell, running=_LEFT, where=self.where)

    def write(self, start: int, count: int, *, is_last: bool, on_progress: Callable[[int], None]) -> None:
        rows = self.document.rows.slice(start, count)
        for number, width in enumerate(self.widths):
            self.sheet.set_column(number, number, width, self.formats())
        self._write_top()
        self._write_headings()
        first = self.row
        for number, values in enumerate(rows.iter_rows(), start + 1):
            self.cells.write_row(self.sheet, self.row, values)
            self.row += 1
            if number % ROWS_BETWEEN == 0:
                on_progress(number)
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
        write_fitting(self.sheet, self.row, first, content, cell, where=self.where)

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
                lines = max(lines, count_lines(content, sum(self.widths[first:end]), bold=cell is value))
            self.sheet.set_row(self.row, LINE_PT * lines + 1.5)
            self.row += 1

    def _write_headings(self) -> None:
        heading = self.cell(bold=True, text_wrap=True, align="center", font_size=7.5, bg_color="#EDEDED")
        numbers = self.cell(align="center", bg_color="#EDEDED")
        columns = self.columns
        headings = [column.heading for column in columns]
        self.heading_row = self.row
        lines = max(count_lines(label, width, bold=True) for label, width in zip(headings, self.widths, strict=True))
        self.sheet.set_row(self.row, LINE_PT * lines + 6)
        for number, label in enumerate(headings):
            self.sheet.write_string(self.row, number, label, heading)
        self.row += 1
        for number in range(len(columns)):
            self.sheet.write_number(self.row, number, number + 1, numbers)
        self.row += 1
        self.sheet.freeze_panes(self.row, 0)

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


def _write_totals(book: Any, document: Document, language: Language) -> None:
    """The sheet of totals (rule 7.4): what the document is, and the month's totals apart."""
    text, formats = form().text[language], Formats(book)
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
            sheet.write_number(row, 2, float(amount), cell(num_format=number_format(decimals), align="right", indent=1))
        row += 1
    sheet.set_paper(9)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    page = text.page.format(page="&P", pages="&N")
    sheet.set_footer(f"&L&7{form().index} {document.month}&C&7SHA-256 {document.digest}&R&7{page}")
