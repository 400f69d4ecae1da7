"""Draws the rows of a laid-out table on the pages: headings, numbered columns, cells, rules.

What enters: pages, a `Table` and the rows for this page. What leaves: the page, drawn down to its new `y`.
"""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import Final

from .pdf_page import MARGIN, CellTexts, Paper
from .pdf_table import PAD_X, PAD_Y, Table
from .pdf_text import REGULAR

EMPTY_HEIGHT: Final = 24.0
"""Of the line that says that there are no rows."""


def draw_table(paper: Paper, table: Table, start: int, heights: array[float], *, has_headings: bool, no_rows: str) -> None:
    """The rows of one page from `start`, below the headings where asked for and the numbered columns where the look has them.

    `no_rows` is written where there are none.
    """
    top, canvas = paper.y, paper.canvas
    frame = [top]
    if has_headings:
        _draw_headings(paper, table)
        frame.append(paper.y)
    if table.look.numbers_height:
        _draw_numbers(paper, table)
        frame.append(paper.y)
    if heights:
        rules = _draw_rows(paper, table, start, heights)
        bottom = rules[-1]
    else:
        bottom, rules = frame[-1], [paper.y - EMPTY_HEIGHT]
        paper.write_line(MARGIN + table.width / 2, paper.y - 15, no_rows, 8, align="center")
    paper.y = rules[-1]
    canvas.setStrokeGray(0.35)
    canvas.setLineWidth(0.25)
    canvas.lines(
        [(MARGIN, y, MARGIN + table.width, y) for y in rules] + [(MARGIN + x, top, MARGIN + x, bottom) for x in table.geometry.edges]
    )
    canvas.setStrokeGray(0)
    canvas.setLineWidth(0.6)
    canvas.lines([(MARGIN, y, MARGIN + table.width, y) for y in (*frame, paper.y)])
    canvas.lines([(x, top, x, paper.y) for x in (MARGIN, MARGIN + table.width)])


def _shade(paper: Paper, width: float, height: float) -> None:
    paper.canvas.setFillGray(0.93)
    paper.canvas.rect(MARGIN, paper.y - height, width, height, stroke=0, fill=1)


def _draw_headings(paper: Paper, table: Table) -> None:
    geometry, look = table.geometry, table.look
    _shade(paper, table.width, geometry.heading_height)
    for lines, (left, right) in zip(geometry.headings, pairwise(geometry.edges), strict=True):
        y = paper.y - (geometry.heading_height - len(lines) * look.heading_leading) / 2 - look.heading_size * 0.93
        for number, line in enumerate(lines):
            paper.write_line(MARGIN + (left + right) / 2, y - number * look.heading_leading, line, look.heading_size, REGULAR, "center")
    paper.y -= geometry.heading_height


def _draw_numbers(paper: Paper, table: Table) -> None:
    _shade(paper, table.width, table.look.numbers_height)
    for number, (left, right) in enumerate(pairwise(table.geometry.edges), 1):
        paper.write_line(MARGIN + (left + right) / 2, paper.y - 7, str(number), 6.2, align="center")
    paper.y -= table.look.numbers_height


def _draw_rows(paper: Paper, table: Table, start: int, heights: array[float]) -> list[float]:
    """All cells of the page in one text object, which is what makes it quick; the y below each row."""
    edges, columns, look = table.geometry.edges, table.columns, table.look
    y, below = paper.y, []
    paper.canvas.setFillGray(0)
    drawn = CellTexts(paper.canvas, REGULAR, look.body_size, paper.encoded)
    for height, values in zip(heights, table.rows.slice(start, len(heights)).iter_rows(), strict=True):
        base = y - PAD_Y - look.body_size * 0.9
        for number, value in enumerate(values):
            if not value:
                continue
            cell, column = table.cell(number, value), columns[number]
            for index, (line, width) in enumerate(cell.lines):
                if column.kind == "amount":
                    x = edges[number + 1] - PAD_X - cell.off_right - width
                elif column.name in look.running:
                    x = edges[number] + PAD_X
                else:
                    x = (edges[number] + edges[number + 1] - width) / 2
                drawn.place(MARGIN + x, base - index * look.body_leading, line)
        y -= height
        below.append(y)
    paper.canvas.drawText(drawn)
    return below
