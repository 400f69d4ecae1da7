"""The form as a PDF: A4 landscape, embedded fonts, every page numbered and carrying the report's digest.

What enters: a `Document` and a language. What leaves: the form as the order heads it, the table with its numbered
columns repeated on each page, the month's totals, and the signature lines. Pages are drawn straight on a canvas, so
memory grows by each page's compressed text only. Nothing is cut: long texts are broken over lines. No arithmetic on
amounts. Not tagged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import IO, Final

import polars as pl

from .document import Document
from .form import Language, form
from .pdf_ending import Ending
from .pdf_grid import EMPTY_HEIGHT, draw_table
from .pdf_page import BOTTOM, INNER, TOP, Pages
from .pdf_table import Table, TableStyle, page_breaks
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
_PAGES_BETWEEN: Final = 1_000
"""Pages between two reports of progress."""


def write_pdf(
    document: Document, file: IO[bytes], *, language: Language = "kk", on_progress: Callable[[int], None] = lambda _: None
) -> None:
    """Write the PDF to a binary file: lay everything out first, so that each page knows how many there are; then draw.

    `on_progress`: how many rows are drawn.
    """
    pages = Pages(document, file, language)
    table = form_table(document.rows, language)
    heights = table.heights()
    first_top = draw_top(pages, is_drawn=False) - table.geometry.heading_height - table.look.numbers_height
    next_top = TOP - table.look.numbers_height
    breaks = page_breaks(heights, first_top - BOTTOM, next_top - BOTTOM)
    start, end = breaks[-1]
    used = sum(heights[start:end]) if document.rows.height else EMPTY_HEIGHT
    ending = Ending(pages)
    pages.pages = len(breaks) + ending.more_pages((first_top if len(breaks) == 1 else next_top) - used)
    for number, (start, end) in enumerate(breaks):
        if number:
            pages.next_page()
        else:
            pages.y = draw_top(pages)
        draw_table(pages, table, start, heights[start:end], has_headings=number == 0, no_rows=pages.text.no_rows)
        if number % _PAGES_BETWEEN == _PAGES_BETWEEN - 1:
            on_progress(end)
    ending.draw()
    pages.save()


def form_table(rows: pl.DataFrame, language: Language) -> Table:
    """The form's rows, laid out over the page's width."""
    return Table(rows, form().printed_columns(language), replace(_LOOK, hyphenated=form().hyphenation[language]), INNER)
