"""A miner's statement as an XLSX workbook of one sheet.

What enters: a `Statement` and its texts. What leaves: who and what it is, the debts by asset, the rows, and two lines to sign on. Cells are typed as the
form's (`xlsx_cells`): nothing is lost, nothing becomes a formula. The same statement gives the same bytes, whatever the clock. No arithmetic.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import IO, Any, Final

import polars as pl
import xlsxwriter

from pipeline.model.errors import EsepError
from pipeline.model.message import message
from pipeline.texts import Texts

from .columns import PrintedColumn
from .report_rows import longest_values
from .statement import BALANCES, ROWS, Statement, StatementWords
from .xlsx_cells import LINE_PT, Formats, TypedCells, amount_widths, count_lines, write_fitting

MOST_ROWS: Final = 1_000_000
_WIDTHS: Final = {
    "n": 5, "allocation_date": 9.5, "allocation_id": 11, "is_carried": 10, "asset": 8, "amount": 10.5, "transfer_date": 9.5, "txid": 29.5,
    "wallet": 31, "transfer_amount": 11.5, "commission_asset": 9, "commission_asset_amount": 10.5, "commission_currency": 9,
    "commission_currency_amount": 9.5,
}  # fmt: skip
"""Column widths of the rows in characters."""
_BALANCES_AT: Final = (0, 3, 7, 8, 9, 11)
"""The columns of the sheet at which the balances' columns begin."""
_LAST: Final = len(ROWS) - 1


def write_statement_xlsx(statement: Statement, texts: Texts, file: IO[bytes]) -> None:
    """Write the workbook to a binary file. Raises EsepError when a text or the rows are more than a sheet can hold: nothing is ever cut short."""
    if statement.rows.height > MOST_ROWS:
        raise EsepError(
            message(
                "{month}: a statement of {height} rows; a sheet holds {most_rows}: leave XLSX out of the formats (--format csv,pdf)",
                month=statement.month,
                height=statement.rows.height,
                most_rows=MOST_ROWS,
            )
        )
    words = StatementWords(statement, texts)
    with xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        book.set_properties(
            {
                "title": words.title,
                "subject": words.subject,
                "author": statement.pool.get("name", ""),
                "comments": f"SHA-256 {statement.digest}" if statement.digest else words.status,
                "created": datetime.fromtimestamp(statement.at, UTC).replace(tzinfo=None),
            }
        )
        _Sheet(book, statement, words).write()


class _Sheet:
    """The sheet while it is written, from the top down."""

    def __init__(self, book: Any, statement: Statement, words: StatementWords) -> None:
        self.statement, self.words = statement, words
        self.formats = Formats(book)
        self.cell = partial(self.formats, border=1, border_color="#808080")
        self.sheet = book.add_worksheet(words.sheet[:31])
        self.where = f"{words.sheet} {statement.month}"
        self.columns = words.columns(ROWS)
        self.widths = amount_widths([_WIDTHS[column.name] for column in ROWS], self.columns, longest_values(statement.rows))
        self.row = 0

    def write(self) -> None:
        for number, width in enumerate(self.widths):
            self.sheet.set_column(number, number, width, self.formats())
        self._write_top()
        self._write_balances()
        self._write_rows()
        self._write_signatures()
        self._set_up_page()

    def _merge(self, first: int, last: int, content: str, cell: Any) -> None:
        """Merged cells of this row; a text is never taken for anything else."""
        if last > first:
            self.sheet.merge_range(self.row, first, self.row, last, "", cell)
        write_fitting(self.sheet, self.row, first, content, cell, where=self.where)

    def _line(self, content: str, **properties: Any) -> None:
        """A line over the sheet's whole width, as high as it needs."""
        lines = count_lines(content, sum(self.widths), bold=bool(properties.get("bold")))
        self.sheet.set_row(self.row, max(LINE_PT * lines, 1.3 * properties.get("font_size", 8)) + 2)
        self._merge(0, _LAST, content, self.formats(text_wrap=True, align="left", **properties))
        self.row += 1

    def _write_top(self) -> None:
        words = self.words
        self._line(words.title, bold=True, font_size=13)
        self._line(words.subject)
        self._line(words.status, bold=True, **({"font_color": "#C00000"} if words.is_draft else {}))
        if self.statement.digest:
            self._line(f"{words.digest}: {self.statement.digest}", font_color="#595959")
        self.row += 1
        label, value, heading = (
            self.formats(font_color="#404040"),
            self.formats(bold=True, text_wrap=True),
            self.formats(font_color="#404040", bold=True),
        )
        for party, facts in words.parties:
            for number, (name, content) in enumerate(facts):
                if number == 0:
                    self._merge(0, 2, party, heading)
                self._merge(3, 5, name, label)
                lines = count_lines(content, sum(self.widths[6:]), bold=True)
                self.sheet.set_row(self.row, LINE_PT * lines + 1.5)
                self._merge(6, _LAST, content, value)
                self.row += 1
            self.row += 1

    def _heading_row(self, columns: list[PrintedColumn], edges: list[int]) -> None:
        heading = self.cell(bold=True, text_wrap=True, align="center", font_size=7.5, bg_color="#EDEDED")
        lines = 1
        for column, (first, end) in zip(columns, pairwise(edges), strict=True):
            self._merge(first, end - 1, column.heading, heading)
            lines = max(lines, count_lines(column.heading, sum(self.widths[first:end]), bold=True))
        self.sheet.set_row(self.row, LINE_PT * lines + 6)
        self.row += 1

    def _write_balances(self) -> None:
        """The debts by asset, over merged columns of the rows' table below."""
        words, debts = self.words, self.statement.debts
        self._line(words.balances, bold=True, font_size=10)
        columns = words.columns(BALANCES)
        edges = [*_BALANCES_AT, len(ROWS)]
        self._heading_row(columns, edges)
        cells = TypedCells(columns, [sum(self.widths[a:b]) for a, b in pairwise(edges)], self.cell, running=(), where=self.where)
        for values in debts.iter_rows():
            for number, value in enumerate(values):
                content, cell, _ = cells(number, value)
                first, last = edges[number], edges[number + 1] - 1
                self._merge(first, last, content if isinstance(content, str) else "", cell)
                if not isinstance(content, str):
                    self.sheet.write_number(self.row, first, content, cell)
            self.row += 1
        if debts.is_empty():
            self._merge(0, _LAST, words.no_balances, self.cell(align="center"))
            self.row += 1
        self.row += 1

    def _write_rows(self) -> None:
        words = self.words
        self._line(f"{words.rows}: {words.count}", bold=True, font_size=10)
        self.heading_row = self.row
        self._heading_row(self.columns, list(range(len(ROWS) + 1)))
        first = self.row
        cells = TypedCells(self.columns, self.widths, self.cell, running=("wallet",), where=self.where)
        rows: pl.DataFrame = words.printed_rows()
        for values in rows.iter_rows():
            cells.write_row(self.sheet, self.row, values)
            self.row += 1
        if rows.height:
            self.sheet.ignore_errors({"number_stored_as_text": f"A{first + 1}:N{self.row}"})
        else:
            self._merge(0, _LAST, words.no_rows, self.cell(align="center"))
            self.row += 1

    def _write_signatures(self) -> None:
        words = self.words
        self.row += 1
        self._line(words.note, font_color="#595959")
        line, hint = self.formats(bottom=1), self.formats(font_size=6.5, font_color="#595959", valign="top", align="center")
        places = ((3, 6), (7, 7), (8, 8))
        for side in words.sides:
            self.row += 1
            self.sheet.set_row(self.row, 20)
            self._merge(0, 2, side, self.formats(bold=True, valign="bottom"))
            for first, last in places:
                self._merge(first, last, "", line)
            self.row += 1
            for (first, last), text in zip(places, words.hints, strict=True):
                self._merge(first, last, text, hint)
        self.row += 1

    def _set_up_page(self) -> None:
        """A4 landscape, one page wide, the rows' headings repeated, page x of y and the digest below."""
        sheet, words = self.sheet, self.words
        sheet.set_paper(9)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.4, right=0.4, top=0.4, bottom=0.6)
        sheet.repeat_rows(self.heading_row)
        sheet.print_area(0, 0, self.row, _LAST)
        middle = f"SHA-256 {self.statement.digest}" if self.statement.digest else ""
        sheet.set_footer(f"&L&7{words.file.replace('&', '&&')}&C&7{middle}&R&7{words.page('&P', '&N')}", {"margin": 0.3})
