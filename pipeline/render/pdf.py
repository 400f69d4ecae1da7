"""The form as a PDF: A4 landscape, embedded fonts, every page numbered and carrying the report's digest.

What enters: a `Document` and a language. What leaves: the form as the order heads it, the table with its numbered
columns repeated on each page, the month's totals, and the signature lines. Pages are drawn straight on a canvas, so
memory grows by each page's compressed text only. Nothing is cut: long texts are broken over lines. No arithmetic on
amounts. Not tagged.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from itertools import pairwise
from typing import IO, Final

from .document import Document
from .form import Language, form
from .pdf_ending import Ending
from .pdf_page import BOTTOM, INNER, MARGIN, TOP, WIDTH, CellTexts, Pages
from .pdf_table import (
    BODY_LEADING,
    BODY_SIZE,
    HEADING_LEADING,
    HEADING_SIZE,
    NUMBERS_HEIGHT,
    PAD_X,
    PAD_Y,
    Table,
    page_breaks,
)
from .pdf_text import REGULAR
from .pdf_top import draw_top

_EMPTY_HEIGHT: Final = 24.0
"""Of the line that says that there are no rows."""
_LEFT: Final = ("miner_name", "wallet")
"""Columns of running text; codes and dates are centred, amounts stand right."""
_PAGES_BETWEEN: Final = 1_000
"""Pages between two words about how far it is."""


def write_pdf(document: Document, file: IO[bytes], *, language: Language = "kk", tell: Callable[[int], None] = lambda _: None) -> None:
    """Write the PDF to a binary file: lay everything out first, so that each page knows how many there are; then draw.

    `tell`: how many rows are drawn.
    """
    pages = Pages(document, file, language)
    table = Table(document.rows, language, INNER)
    heights = table.heights()
    first_top = draw_top(pages, is_drawn=False) - table.geometry.heading_height - NUMBERS_HEIGHT
    next_top = TOP - NUMBERS_HEIGHT
    breaks = page_breaks(heights, first_top - BOTTOM, next_top - BOTTOM)
    start, end = breaks[-1]
    used = sum(heights[start:end]) if document.rows.height else _EMPTY_HEIGHT
    ending = Ending(pages)
    pages.pages = len(breaks) + ending.more_pages((first_top if len(breaks) == 1 else next_top) - used)
    for number, (start, end) in enumerate(breaks):
        if number:
            pages.next_page()
        else:
            pages.y = draw_top(pages)
        _draw_table(pages, table, start, heights[start:end], has_headings=number == 0)
        if number % _PAGES_BETWEEN == _PAGES_BETWEEN - 1:
            tell(end)
    ending.draw()
    pages.save()


def _draw_table(pages: Pages, table: Table, start: int, heights: array[float], *, has_headings: bool) -> None:
    """The rows of one page from `start`, below the headings (first page) and the numbered columns (every page)."""
    top, canvas = pages.y, pages.canvas
    frame = [top]
    if has_headings:
        _draw_headings(pages, table)
        frame.append(pages.y)
    _draw_numbers(pages, table)
    frame.append(pages.y)
    if heights:
        rules = _draw_rows(pages, table, start, heights)
        bottom = rules[-1]
    else:
        bottom, rules = frame[-1], [pages.y - _EMPTY_HEIGHT]
        pages.write_line(WIDTH / 2, pages.y - 15, pages.text.no_rows, 8, align="center")
    pages.y = rules[-1]
    canvas.setStrokeGray(0.35)
    canvas.setLineWidth(0.25)
    canvas.lines([(MARGIN, y, MARGIN + INNER, y) for y in rules] + [(MARGIN + x, top, MARGIN + x, bottom) for x in table.geometry.edges])
    canvas.setStrokeGray(0)
    canvas.setLineWidth(0.6)
    canvas.lines([(MARGIN, y, MARGIN + INNER, y) for y in (*frame, pages.y)])
    canvas.lines([(x, top, x, pages.y) for x in (MARGIN, MARGIN + INNER)])


def _shade(pages: Pages, height: float) -> None:
    pages.canvas.setFillGray(0.93)
    pages.canvas.rect(MARGIN, pages.y - height, INNER, height, stroke=0, fill=1)


def _draw_headings(pages: Pages, table: Table) -> None:
    geometry = table.geometry
    _shade(pages, geometry.heading_height)
    for lines, (left, right) in zip(geometry.headings, pairwise(geometry.edges), strict=True):
        y = pages.y - (geometry.heading_height - len(lines) * HEADING_LEADING) / 2 - HEADING_SIZE * 0.93
        for number, line in enumerate(lines):
            pages.write_line(MARGIN + (left + right) / 2, y - number * HEADING_LEADING, line, HEADING_SIZE, REGULAR, "center")
    pages.y -= geometry.heading_height


def _draw_numbers(pages: Pages, table: Table) -> None:
    _shade(pages, NUMBERS_HEIGHT)
    for number, (left, right) in enumerate(pairwise(table.geometry.edges), 1):
        pages.write_line(MARGIN + (left + right) / 2, pages.y - 7, str(number), 6.2, align="center")
    pages.y -= NUMBERS_HEIGHT


def _draw_rows(pages: Pages, table: Table, start: int, heights: array[float]) -> list[float]:
    """All cells of the page in one text object, which is what makes it quick; the y below each row."""
    edges, columns = table.geometry.edges, form().column
    y, below = pages.y, []
    pages.canvas.setFillGray(0)
    drawn = CellTexts(pages.canvas, REGULAR, BODY_SIZE, pages.encoded)
    for height, values in zip(heights, table.rows.slice(start, len(heights)).iter_rows(), strict=True):
        base = y - PAD_Y - BODY_SIZE * 0.9
        for number, value in enumerate(values):
            if not value:
                continue
            cell, column = table.cell(number, value), columns[number]
            for index, (line, width) in enumerate(cell.lines):
                if column.kind == "amount":
                    x = edges[number + 1] - PAD_X - cell.off_right - width
                elif column.name in _LEFT:
                    x = edges[number] + PAD_X
                else:
                    x = (edges[number] + edges[number + 1] - width) / 2
                drawn.place(MARGIN + x, base - index * BODY_LEADING, line)
        y -= height
        below.append(y)
    pages.canvas.drawText(drawn)
    return below
