"""The form as a PDF: A4 landscape, embedded fonts, every page numbered and carrying the report's digest.

What enters: a `Document` and a language. What leaves: the form as the order heads it, the table with its numbered
columns repeated on each page, the month's totals, and the signature lines. Rows are read a slice at a
time, and drawn pages are put aside (`pdf_file`), so memory does not grow with them. Nothing is cut: long texts are broken over lines. Beyond `Document.pdf_rows` a
note stands in the table's place, with the files that have the rows. No arithmetic on amounts. Not tagged.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Final

import polars as pl

from .document import Document
from .file_names import file_name
from .form import LANGUAGES, Language, form
from .pdf_common import CommonRows
from .pdf_ending import Ending
from .pdf_grid import EMPTY_HEIGHT, Row, draw_table
from .pdf_page import BOTTOM, INNER, MARGIN, TOP, Pages
from .pdf_table import PAD_X, Headings, Measured, Table, TableStyle, measure, page_breaks
from .pdf_text import REGULAR, Wrapper
from .pdf_top import draw_top

_LOOK: Final = TableStyle(
    body_size=6.2,
    body_leading=7.5,
    heading_size=5.9,
    heading_leading=6.7,
    numbers_height=9.5,
    # A wallet of 42 characters, the commonest, has one line; one of 62 has two when room is short.
    widest={"miner_name": 91.5, "wallet": 155.0, "licence_number": 68.0},
    widest_amount=86.0,
    widest_other=58.0,
    least={"miner_name": 74.0, "wallet": 120.0},
    floor={"miner_name": 50.0, "wallet": 74.0},
    floor_amount=40.0,
    running=("miner_name", "wallet"),
    codes=("wallet",),
)
_NAME_LINES: Final = 3
"""From layout 2 on a name takes no more lines than this, if the column can be made wide enough for it."""
_NAME_WIDEST: Final = 190.0
_WALLET_BESIDE: Final = 84.0
"""The wallet's width when names need the room: 42 characters have two lines, 62 three."""
_NOTE_SIZE: Final = 8.0
_NOTE_LEADING: Final = 11.0
_NOTE_SPACE: Final = 10.0
"""The note in the table's place, and the space above and below it."""
_PAGES_BETWEEN: Final = 1_000
"""Pages between two reports of progress."""


def write_pdf(
    document: Document,
    file: IO[bytes],
    *,
    language: Language = "kk",
    on_progress: Callable[[int], None] = lambda _: None,
    folder: Path | None = None,
) -> None:
    """Write one PDF: see `FormPdfs` and its `write`."""
    with closing(FormPdfs(document, folder=folder)) as pdfs:
        pdfs.write(file, language=language, on_progress=on_progress)


@dataclass(frozen=True)
class _Placed:
    """Where the rows stand."""

    y: float
    """The table's upper edge on the first page."""
    lines: array[int]
    """Of each row's longest cell."""
    breaks: list[tuple[int, int]]
    left: float
    """The y below the last row."""


class FormPdfs:
    """A document's PDFs in all its languages: its rows are measured for the first of them, and from layout 3 on placed and drawn for it, too."""

    def __init__(self, document: Document, *, folder: Path | None = None) -> None:
        """`folder`: where drawn pages lie until all of a file are there, the system's temporary one when None."""
        self._document, self._folder = document, folder
        self._is_common = document.layout > 2 and document.rows.height > 0 and not document.pdf_rows
        self._kept: tuple[_Placed, CommonRows] | None = None

    def write(self, file: IO[bytes], *, language: Language, on_progress: Callable[[int], None] = lambda _: None) -> None:
        """Write the PDF to a binary file: lay everything out first, so that each page knows how many there are; then draw.

        `on_progress`: how many rows are drawn.
        """
        if not self._is_common:
            with Pages(self._document, file, language, folder=self._folder) as pages:
                if self._document.pdf_rows:
                    _write_without_rows(pages)
                else:
                    table = self.table(language)
                    _write_with_rows(pages, table, _place(table, draw_top(self._document, language)), on_progress)
            return
        table = self.table(language)
        placed, common = self._kept or (
            _place(table, min(draw_top(self._document, one) for one in LANGUAGES)),
            CommonRows(self._folder),
        )
        with ExitStack() as until_drawn:
            if self._kept is None:
                until_drawn.callback(common.close)
            with Pages(self._document, file, language, folder=self._folder, common=common) as pages:
                _write_with_rows(pages, table, placed, on_progress)
            until_drawn.pop_all()
        self._kept = placed, common

    def close(self) -> None:
        """Let go what was kept for another language."""
        if self._kept is not None:
            self._kept[1].close()
        self._kept = None

    def table(self, language: Language) -> Table:
        """The form's rows, laid out over the page's width."""
        look = replace(self._look, hyphenated=form().hyphenation[language])
        others = [
            Headings([column.heading(one) for column in form().column], form().hyphenation[one])
            for one in LANGUAGES
            if self._document.layout > 2 and one != language
        ]
        return Table(self._document.rows, form().printed_columns(language), look, INNER, self._measured, others)

    @cached_property
    def _measured(self) -> Measured:
        return measure(self._document.rows, form().printed_columns("kk"), self._look)

    @cached_property
    def _look(self) -> TableStyle:
        """With room for the names, in every language as much."""
        if self._document.layout > 1 and (needed := _name_width(self._document.names, _LOOK)) > _LOOK.least["miner_name"]:
            widest = {**_LOOK.widest, "miner_name": max(needed, _LOOK.widest["miner_name"])}
            return replace(_LOOK, widest=widest, least={"miner_name": needed, "wallet": _WALLET_BESIDE})
        return _LOOK


def _place(table: Table, y: float) -> _Placed:
    lines = table.lines()
    next_top = TOP - table.look.numbers_height
    first_top = y - table.geometry.heading_height - table.look.numbers_height
    breaks = page_breaks(map(table.height, lines), first_top - BOTTOM, next_top - BOTTOM)
    start, end = breaks[-1]
    used = sum(map(table.height, lines[start:end])) if lines else EMPTY_HEIGHT
    return _Placed(y, lines, breaks, (first_top if len(breaks) == 1 else next_top) - used)


def _write_with_rows(pages: Pages, table: Table, placed: _Placed, on_progress: Callable[[int], None]) -> None:
    document, ending = pages.document, Ending(pages)
    pages.pages = len(placed.breaks) + ending.more_pages(placed.left)
    # Layouts 1 and 2 say so, too, where the first row is too high for the first page.
    no_rows = "" if document.layout > 2 and document.rows.height else pages.text.no_rows
    rows = _read(document)
    for number, (start, end) in enumerate(placed.breaks):
        if number:
            pages.next_page()
        else:
            draw_top(document, pages.language, pages)
            pages.y = placed.y
        heights = list(map(table.height, placed.lines[start:end]))
        draw_table(pages, table, rows, heights, has_headings=number == 0, no_rows=no_rows)
        if number % _PAGES_BETWEEN == _PAGES_BETWEEN - 1:
            on_progress(end)
    ending.draw()
    pages.save()


def _read(document: Document) -> Iterator[Row]:
    """The rows, none of which is read before it is asked for."""
    for part in document.rows.iter_slices():
        yield from part.iter_rows()


def _write_without_rows(pages: Pages) -> None:
    """The form without its rows: head, a note that says in which files they are, totals and signatures (rule 7.6)."""
    document = pages.document
    note = pages.text.rows_elsewhere.format(rows=document.rows.height, xlsx=file_name("xlsx", pages.language))
    lines = Wrapper(REGULAR, _NOTE_SIZE).lines(note, INNER)
    height = _NOTE_LEADING * len(lines) + 2 * _NOTE_SPACE
    ending = Ending(pages)
    pages.pages = 1 + ending.more_pages(draw_top(document, pages.language) - height)
    pages.y = draw_top(document, pages.language, pages)
    for number, line in enumerate(lines):
        pages.write_line(MARGIN, pages.y - _NOTE_SPACE - _NOTE_SIZE - _NOTE_LEADING * number, line, _NOTE_SIZE)
    pages.y -= height
    ending.draw()
    pages.save()


def _name_width(names: pl.Series, look: TableStyle) -> float:
    """The least width, in steps of two points, at which every name has `_NAME_LINES` lines at most; `_NAME_WIDEST` where even that is too narrow."""
    body, width = Wrapper(REGULAR, look.body_size), look.floor["miner_name"]
    for name in names.drop_nulls().unique(maintain_order=True):
        while width < _NAME_WIDEST and len(body.lines(name, width - 2 * PAD_X)) > _NAME_LINES:
            width += 2.0
    return width
