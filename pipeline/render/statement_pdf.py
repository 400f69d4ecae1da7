"""A miner's statement as a PDF: A4 landscape, embedded fonts, every page numbered and naming the miner and the version.

What enters: a `Statement` and its texts. What leaves: who and what it is, the debts by asset, the rows, and two lines to sign on. Amounts and days
are written as the language writes them, every digit kept. Nothing is cut: long texts are broken over lines. No arithmetic on amounts. Not tagged.
"""

from __future__ import annotations

from typing import IO, Final

from pipeline.texts import Texts

from .columns import PrintedColumn
from .pdf_grid import EMPTY_HEIGHT, draw_table
from .pdf_page import BOTTOM, GREY, INNER, MARGIN, TOP, PageMarks, Paper
from .pdf_table import Table, TableStyle, page_breaks
from .pdf_text import BOLD, REGULAR, Wrapper
from .statement import BALANCES, ROWS, Statement, StatementWords

_SIZE: Final = 7.4
_LEADING: Final = 9.2
_TITLE: Final = 13.0
_HEADING: Final = 9.0
_HINT: Final = 7.0
_HASH: Final = 153.0
"""Room in which a transaction's 64 hex digits stand on two lines."""
_BALANCES_WIDTH: Final = INNER * 0.8
_SIGN: Final = ((110.0, 400.0), (415.0, 560.0), (575.0, 680.0))
"""Where the lines for name, signature and date begin and end; the side stands before them."""
_SIGN_HEIGHT: Final = 36.0
_GAP: Final = 10.0
"""Below a table."""
_ROWS_KEPT: Final = 4
"""Rows kept on the page of the signatures, so that they are never alone on a page."""


def write_statement_pdf(statement: Statement, texts: Texts, file: IO[bytes]) -> None:
    """Write the PDF to a binary file: drawn once to see how many pages there are, then again with that number on each."""
    words = StatementWords(statement, texts)
    look = _style(texts)
    balances = Table(statement.debts, words.columns(BALANCES), look, _BALANCES_WIDTH)
    rows = Table(words.printed_rows(), words.columns(ROWS), look, INNER)
    with Paper(_marks(statement, words), None) as measured:
        _draw(measured, words, balances, rows)
    with Paper(_marks(statement, words), file) as paper:
        paper.pages = measured.page
        _draw(paper, words, balances, rows)
        paper.save()


def _style(texts: Texts) -> TableStyle:
    def shown(column: PrintedColumn, value: str) -> str:
        return texts.day(value) if column.kind == "date" else texts.amount(value) if column.kind == "amount" else value

    return TableStyle(
        body_size=7.0,
        body_leading=8.5,
        heading_size=7.0,
        heading_leading=8.2,
        numbers_height=0.0,
        widest={"allocation_id": 95.0, "txid": _HASH, "wallet": 180.0},
        widest_amount=106.0,
        widest_other=61.5,
        least={"allocation_id": 63.0, "txid": 106.0, "wallet": 95.0},
        floor={"allocation_id": 46.0, "txid": 78.0, "wallet": 70.0},
        floor_amount=42.0,
        running=("wallet",),
        codes=("wallet", "txid"),
        shown=shown,
        decimal_mark=texts.decimal_mark,
    )


def _marks(statement: Statement, words: StatementWords) -> PageMarks:
    return PageMarks(
        tag=words.texts.tag,
        title=words.title,
        author=statement.pool.get("name", ""),
        subject=words.subject,
        keywords=f"SHA-256 {statement.digest}" if statement.digest else words.version,
        footer=(words.file, f"SHA-256  {statement.digest}" if statement.digest else ""),
        page=lambda page, pages: words.page(page, pages),
        at=statement.at,
        identity=f"{statement.month} {statement.label} {statement.digest} {statement.miner_id}",
    )


def _draw(paper: Paper, words: StatementWords, balances: Table, rows: Table) -> None:
    _draw_top(paper, words)
    _draw_section(paper, words.balances, balances, words.no_balances)
    _draw_section(paper, f"{words.rows}: {words.count}", rows, words.no_rows, after=_ending_height(words))
    _draw_ending(paper, words)


def _write_lines(
    paper: Paper, x: float, content: str, room: float, *, font: str = REGULAR, size: float = _SIZE, grey: float = 0.0
) -> float:
    """Draw a text broken into lines below `paper.y`, which is not changed; its height."""
    lines = Wrapper(font, size).lines(content, room)
    leading = size * _LEADING / _SIZE
    for number, line in enumerate(lines):
        paper.write_line(x, paper.y - size - leading * number, line, size, font, grey=grey)
    return leading * len(lines)


def _draw_top(paper: Paper, words: StatementWords) -> None:
    """Title, version, and the two parties side by side."""
    paper.y -= _write_lines(paper, MARGIN, words.title, INNER, font=BOLD, size=_TITLE) + 1
    paper.y -= _write_lines(paper, MARGIN, words.subject, INNER, grey=GREY) + 1
    paper.y -= _write_lines(paper, MARGIN, words.status, INNER, font=BOLD) + 9
    top, lowest = paper.y, paper.y
    for x, (party, facts) in zip((MARGIN, MARGIN + INNER * 0.5), words.parties, strict=True):
        paper.y = top
        paper.y -= _write_lines(paper, x, party, INNER * 0.46, font=BOLD, size=_HEADING) + 1
        for name, content in facts:
            taken = _write_lines(paper, x, name, 68.0, grey=GREY)
            paper.y -= max(taken, _write_lines(paper, x + 72.0, content, INNER * 0.46 - 72.0)) + 1
        lowest = min(lowest, paper.y)
    paper.y = lowest - 6


def _draw_section(paper: Paper, heading: str, table: Table, no_rows: str, *, after: float = 0.0) -> None:
    """A table under its heading, with its column headings on every page; the heading is kept with the first rows.

    `after`: the height of what follows. If that needs another page, the last rows move there too.
    """
    heights = table.heights()
    first = heights[0] if heights else EMPTY_HEIGHT
    above = _HEADING * 2
    if paper.y - above - table.geometry.heading_height - first < BOTTOM:
        paper.next_page()
    _write_lines(paper, MARGIN, heading, INNER, font=BOLD, size=_HEADING)
    paper.y -= above
    room = table.geometry.heading_height + BOTTOM
    breaks = page_breaks(heights, paper.y - room, TOP - room)
    start, end = breaks[-1]
    left = (paper.y if len(breaks) == 1 else TOP) - room - sum(heights[start:end]) - _GAP
    if left < after and end - start > _ROWS_KEPT:
        breaks[-1:] = [(start, end - _ROWS_KEPT), (end - _ROWS_KEPT, end)]
    for number, (start, end) in enumerate(breaks):
        if number:
            paper.next_page()
        here = heights[start:end]
        draw_table(paper, table, table.rows.slice(start, len(here)).iter_rows(), here, has_headings=True, no_rows=no_rows)
    paper.y -= _GAP


def _notes(words: StatementWords) -> list[str]:
    return [words.note] + ([f"{words.digest}: {words.statement.digest}"] if words.statement.digest else [])


def _ending_height(words: StatementWords) -> float:
    lines = sum(len(Wrapper(REGULAR, _SIZE).lines(note, INNER)) for note in _notes(words))
    return _LEADING * lines + _SIGN_HEIGHT * len(words.sides) + 4


def _draw_ending(paper: Paper, words: StatementWords) -> None:
    """The note and both lines to sign on stay together."""
    if paper.y - _ending_height(words) < BOTTOM:
        paper.next_page()
    for note in _notes(words):
        paper.y -= _write_lines(paper, MARGIN, note, INNER, grey=GREY)
    for side in words.sides:
        base = paper.y - _SIGN_HEIGHT + 12
        paper.write_line(MARGIN, base, side, _SIZE, BOLD)
        paper.canvas.setStrokeGray(0)
        paper.canvas.setLineWidth(0.4)
        for (left, right), hint in zip(_SIGN, words.hints, strict=True):
            paper.canvas.line(MARGIN + left, base - 2.4, MARGIN + right, base - 2.4)
            paper.write_line(MARGIN + (left + right) / 2, base - 9.4, hint, _HINT, align="center", grey=GREY)
        paper.y -= _SIGN_HEIGHT
