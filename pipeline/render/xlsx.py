"""The form as an XLSX workbook.

What enters: a `Document` and a language. What leaves: the form's sheet (header block, headings, numbered columns, typed
rows, signature lines) and a sheet of totals. Cells are typed so that nothing is lost (`xlsx_cells`). The same document gives the
same bytes, whatever the clock.
No formulas, no arithmetic. Memory stays flat: rows go to disk as they are written.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final, cast

import xlsxwriter

from .document import Document
from .form import COLUMNS, Language, form
from .report_rows import RowSpan
from .xlsx_cells import (
    LINE_PT,
    RIGHT,
    Formats,
    TypedCells,
    amount_widths,
    count_lines,
    exact_decimals,
    number_format,
    write_fitting,
    write_text,
)
from .xlsx_look import column_widths, look_of, paper_for, upright_headings
from .xlsx_rows import BulkRows, MadeRows, WrittenOtherwise, splice_sheets
from .xlsx_typed import SPOOLED, TypedRows

ROWS_PER_SHEET: Final = 1_000_000
"""A sheet has 1,048,576 rows; the form's rows beyond this go on to another sheet with the same headings."""
_LEFT: Final = ("miner_name", "wallet")
"""Columns of running text; codes and dates are centred, amounts stand right."""
ROWS_BETWEEN: Final = 100_000
"""Rows between two reports of progress."""
_LAST: Final = len(COLUMNS) - 1
_NO_NOTE_PT: Final = 3.0
"""Of the note's row where there is none, so that the rows stand at the same places in every language."""
_LABEL_TO, _VALUE_TO, _POOL_LABEL_TO = 4, 6, 10
"""Where the header block's parts end: a statement, its value, the pool's field; the field's value takes the rest."""
_NAME_TO, _UNIT_TO, _AMOUNT_TO = 6, 8, 11
"""Where the parts of a total end: its name, its asset or currency, its amount."""


def write_xlsx(
    document: Document,
    file: IO[bytes],
    *,
    language: Language = "kk",
    rows_per_sheet: int = ROWS_PER_SHEET,
    folder: Path | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Write one workbook: see `Workbooks` and its `write`."""
    with closing(Workbooks(document, rows_per_sheet=rows_per_sheet, folder=folder)) as books:
        books.write(file, language=language, on_progress=on_progress)


class Workbooks:
    """A document's workbooks, one language after another: rows are typed once for all of them."""

    def __init__(self, document: Document, *, rows_per_sheet: int = ROWS_PER_SHEET, folder: Path | None = None) -> None:
        """`folder`: where rows lie until they are packed, and for the next language (None: the system's own)."""
        self._document, self._folder = document, str(folder) if folder else None
        columns = form().printed_columns("kk")  # of any language: widths and cells do not depend on headings
        look = look_of(document.layout)
        self._widths = amount_widths(column_widths(look, document.names), columns, document.longest)
        self._sheets = [
            TypedRows(
                RowSpan(document.rows, number * rows_per_sheet, rows_per_sheet), columns, self._widths, running=_LEFT, folder=self._folder
            )
            for number in range(max(1, -(-document.rows.height // rows_per_sheet)))
        ]
        self._made = MadeRows(self._folder, level=look.level if look.is_even else None)

    def write(self, file: IO[bytes], *, language: Language = "kk", on_progress: Callable[[int], None] = lambda _: None) -> None:
        """Write the workbook to a binary file; `on_progress`: how many rows are done.

        Raises EsepError when a text is longer than a cell can hold (32,767 characters): it is never cut short.
        """
        with tempfile.SpooledTemporaryFile(SPOOLED, dir=self._folder) as spooled:
            written = cast("IO[bytes]", spooled)
            try:
                splice_sheets(written, file, self.write_book(written, language), self._made, on_progress=_every(ROWS_BETWEEN, on_progress))
            except WrittenOtherwise:
                # A version of the library that this program does not know: it writes each row itself, which takes longer.
                file.seek(0)
                file.truncate()
                self.write_book(file, language, is_whole=True)

    def write_book(self, file: IO[bytes], language: Language, *, is_whole: bool = False) -> list[BulkRows]:
        """Write the workbook with the landmarks of each sheet's rows, or with all rows (`is_whole`); the sheets' rows."""
        document, text = self._document, form().text[language]
        options: dict[str, Any] = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "tmpdir": self._folder,
        }
        if look_of(document.layout).is_fitted:
            # Column widths are counted in digits of this font: one that every office has, or one as wide in its place; a digit has seven pixels.
            options["default_format_properties"] = {"font_name": "Arial", "font_size": 9.5, "font_scheme": "none"}
        bulk = []
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
            for number, typed in enumerate(self._sheets):
                name = form().index if number == 0 else f"{form().index} ({number + 1})"
                sheet = _FormSheet(book, document, language, name, self._widths)
                bulk.append(sheet.write(typed, is_last=typed is self._sheets[-1], is_whole=is_whole))
            _write_totals(book, document, language)
        return bulk

    def close(self) -> None:
        """Remove what was kept for another language."""
        self._made.close()
        for typed in self._sheets:
            typed.close()


def _every(rows: int, tell: Callable[[int], None]) -> Callable[[int], None]:
    """Tell of progress only when another `rows` are done."""
    told = 0

    def on_progress(done: int) -> None:
        nonlocal told
        if done // rows > told:
            told = done // rows
            tell(told * rows)

    return on_progress


class _FormSheet:
    """One sheet of the form while it is written, from the top down."""

    def __init__(self, book: Any, document: Document, language: Language, name: str, widths: list[float]) -> None:
        self.document, self.language, self.text = document, language, form().text[language]
        self.where = f"{form().index} {document.month}"
        self.look = look_of(document.layout)
        self.formats = Formats(book)
        self.cell = partial(self.formats, border=1, border_color="#808080")
        self.sheet = book.add_worksheet(name)
        self.row = 0
        self.columns = form().printed_columns(language)
        self.widths = widths
        self.cells = TypedCells(self.columns, self.widths, self.cell, running=_LEFT, where=self.where)

    def write(self, typed: TypedRows, *, is_last: bool, is_whole: bool) -> BulkRows:
        rows = typed.rows
        for number, width in enumerate(self.widths):
            self.sheet.set_column(number, number, width, self.formats())
        self._write_top()
        self._write_headings()
        first = self.row
        bulk = BulkRows(typed, first_row=first)
        if rows.height:
            for row, values in (
                enumerate(itertools.chain.from_iterable(part.iter_rows() for part in rows.iter_slices()), first)
                if is_whole
                else bulk.landmarks()
            ):
                self.cells.write_row(self.sheet, row, values)
            self.row += rows.height
            self.sheet.autofilter(first - 1, 0, self.row - 1, _LAST)
            self.sheet.ignore_errors({"number_stored_as_text": f"A{first + 1}:O{self.row}"})
        else:
            self._merge(0, _LAST, self.text.no_rows, self.cell(align="center"))
            self.row += 1
        if is_last:
            if self.look.is_fitted:
                self._write_form_totals()
            self._write_signatures()
        self._set_up_page(first)
        return bulk

    def _merge(self, first: int, last: int, content: str, cell: Any) -> None:
        """Merged cells of this row; a text is never taken for anything else."""
        self.sheet.merge_range(self.row, first, self.row, last, "", cell)
        write_fitting(self.sheet, self.row, first, content, cell, where=self.where)

    def _write_top(self) -> None:
        """Title, who approved it, the form's statements and the pool's fields (rule 7.6), in few rows: they stay in view."""
        text, document = self.text, self.document
        approved = " ".join(text.approved) + ". " + text.kind
        height = 34.0
        if self.look.is_fitted:
            height = max(height, 4 + LINE_PT * count_lines(approved, sum(self.widths[_POOL_LABEL_TO:])))
        self.sheet.set_row(0, height)
        self._merge(0, _POOL_LABEL_TO - 1, text.title, self.formats(bold=True, font_size=10, text_wrap=True, align="left"))
        self._merge(_POOL_LABEL_TO, _LAST, approved, self.formats(text_wrap=True, align="right", font_size=self.look.small_pt))
        self.row += 1
        if self.look.is_even and not text.translation_note:
            self.sheet.set_row(self.row, _NO_NOTE_PT)
        if self.look.is_even or text.translation_note:
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
        heading: dict[str, Any] = {
            "bold": True,
            "text_wrap": True,
            "align": "center",
            "font_size": self.look.heading_pt,
            "bg_color": "#EDEDED",
        }
        numbers = self.cell(align="center", bg_color="#EDEDED")
        headings = [column.heading for column in self.columns]
        self.heading_row = self.row
        if self.look.is_fitted:
            heading["bold"] = False
            upright, height = upright_headings(headings, self.widths)
        else:
            lines = max(count_lines(label, width, bold=True) for label, width in zip(headings, self.widths, strict=True))
            upright, height = [False] * len(headings), LINE_PT * lines + 6
        self.sheet.set_row(self.row, height)
        for number, (label, is_upright) in enumerate(zip(headings, upright, strict=True)):
            self.sheet.write_string(self.row, number, label, self.cell(**heading, **({"rotation": 90} if is_upright else {})))
        self.row += 1
        for number in range(len(headings)):
            self.sheet.write_number(self.row, number, number + 1, numbers)
        self.row += 1
        self.sheet.freeze_panes(self.row, 0)

    def _write_form_totals(self) -> None:
        """The month's totals below the rows (rule 7.4), by asset, as the PDF has them: label, unit, amount."""
        text, document = self.text, self.document
        self.row += 1
        self._merge(0, _LAST, text.totals, self.formats(bold=True, font_size=10, align="left"))
        self.row += 1
        for name, unit, amount in [(text.rows, "", str(document.rows.height)), *form().printed_totals(document.totals, self.language)]:
            room = sum(self.widths[_UNIT_TO:_AMOUNT_TO])
            decimals = exact_decimals(amount)
            lines = max(count_lines(name, sum(self.widths[:_NAME_TO]) - 2), 1 if decimals is not None else count_lines(amount, room - 2))
            if lines > 1:
                self.sheet.set_row(self.row, LINE_PT * lines + 3)
            self._merge(0, _NAME_TO - 1, name, self.cell(text_wrap=True, indent=1, align="left"))
            self._merge(_NAME_TO, _UNIT_TO - 1, unit, self.cell(align="center"))
            if decimals is None:
                self._merge(_UNIT_TO, _AMOUNT_TO - 1, amount, self.cell(num_format="@", text_wrap=True, bold=True, **RIGHT))
            else:
                shown = self.cell(num_format=number_format(decimals), bold=True, **RIGHT)
                self.sheet.merge_range(self.row, _UNIT_TO, self.row, _AMOUNT_TO - 1, "", shown)
                self.sheet.write_number(self.row, _UNIT_TO, float(amount), shown)
            self.row += 1

    def _write_signatures(self) -> None:
        """The note and the two signatures, after the rows, as the order puts them."""
        text, header, is_fitted = self.text, self.document.header, self.look.is_fitted
        self.row += 1
        self.sheet.set_row(self.row, max(24.0, LINE_PT * count_lines(text.note, sum(self.widths)) + 3) if is_fitted else 24)
        self._merge(0, _LAST, text.note, self.formats(text_wrap=True))
        wrapped = {"text_wrap": True} if is_fitted else {}
        line = self.formats(bottom=1, bold=True, **wrapped)
        hint = self.formats(font_size=self.look.hint_pt, font_color="#595959", valign="top", align="center", **wrapped)
        people = (
            (text.executor, header.get("executor_name", ""), header.get("executor_telephone", "")),
            (text.head, header.get("head_name", ""), None),
        )
        for role, name, telephone in people:
            self.row += 2
            self._fit_line((0, 3, role), (3, 6, name), (11, _LAST + 1, telephone or ""))
            self._merge(0, 2, role, self.formats(**wrapped))
            self._merge(3, 5, name, line)
            self._merge(7, 9, "", line)
            if telephone is not None:
                self._merge(11, _LAST, telephone, line)
            self.row += 1
            self._fit_line((3, 6, text.full_name))
            self._merge(3, 5, text.full_name, hint)
            self._merge(7, 9, text.signature, hint)
            if telephone is not None:
                self._merge(11, _LAST, text.signature_telephone, hint)
        self.row += 1

    def _fit_line(self, *contents: tuple[int, int, str]) -> None:
        """Make this row as high as its texts need, each in its merged columns: first and past-the-last."""
        lines = max(count_lines(content, sum(self.widths[first:end]), bold=True) for first, end, content in contents)
        if self.look.is_fitted and lines > 1:
            self.sheet.set_row(self.row, LINE_PT * lines + 3)

    def _set_up_page(self, first: int) -> None:
        """Landscape, one page wide, headings repeated, page x of y and the digest below; A4, or A3 where A4 is too small to read."""
        sheet = self.sheet
        sheet.set_paper(paper_for(self.widths, self.look))
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=self.look.side_in, right=self.look.side_in, top=0.4, bottom=0.6)
        sheet.repeat_rows(self.heading_row, first - 1)
        sheet.print_area(0, 0, self.row, _LAST)
        page = self.text.page.format(page="&P", pages="&N")
        # The footer does not shrink with the rows.
        scaled = {"scale_with_doc": False} if self.look.is_fitted else {}
        sheet.set_footer(f"&L&7{form().index} {self.document.month}&C&7SHA-256 {self.document.digest}&R&7{page}", {"margin": 0.3, **scaled})


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
