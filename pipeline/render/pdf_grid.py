"""Draws the rows of a laid-out table on the pages: headings, numbered columns, cells, rules.

What enters: pages, a `Table` and its rows for this page. What leaves: the page, drawn down to its new `y`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from typing import Final

from .pdf_page import MARGIN, CellTexts, Paper, Placed, draw_rules
from .pdf_table import PAD_X, PAD_Y, Table, remember
from .pdf_text import REGULAR

EMPTY_HEIGHT: Final = 24.0
"""Of the line that says that there are no rows."""


Row = tuple[str | None, ...]
"""A row's values, one for each column."""


def draw_table(paper: Paper, table: Table, rows: Iterable[Row], heights: Sequence[float], *, has_headings: bool, no_rows: str) -> None:
    """The next of `rows`, as many as there are heights, below the headings where asked for and the numbered columns where the look has them.

    `no_rows` is written where there are none; "" where they follow on the next page.
    """
    frame = [paper.y]
    if has_headings:
        _draw_headings(paper, table)
        frame.append(paper.y)
    paper.draw_common(lambda: _draw_below_headings(paper, table, rows, heights, frame, no_rows))


def _draw_below_headings(
    paper: Paper, table: Table, rows: Iterable[Row], heights: Sequence[float], frame: list[float], no_rows: str
) -> None:
    """`frame`: the y of each thick rule so far; the table's top is the first."""
    top, canvas = frame[0], paper.canvas
    if table.look.numbers_height:
        paper.repeat((table, paper.y), lambda: _draw_numbers(paper, table))
        paper.y -= table.look.numbers_height
        frame.append(paper.y)
    if heights:
        rules = _draw_rows(paper, table, rows, heights)
        bottom = rules[-1]
    elif not no_rows:
        bottom, rules = paper.y, [paper.y]
    else:
        bottom, rules = frame[-1], [paper.y - EMPTY_HEIGHT]
        paper.write_line(MARGIN + table.width / 2, paper.y - 15, no_rows, 8, align="center")
    paper.y = rules[-1]
    canvas.setStrokeGray(0.35)
    canvas.setLineWidth(0.25)
    draw_rules(
        canvas,
        [(MARGIN, y, MARGIN + table.width, y) for y in rules] + [(MARGIN + x, top, MARGIN + x, bottom) for x in table.geometry.edges],
    )
    canvas.setStrokeGray(0)
    canvas.setLineWidth(0.6)
    draw_rules(canvas, [(MARGIN, y, MARGIN + table.width, y) for y in (*frame, paper.y)])
    draw_rules(canvas, [(x, top, x, paper.y) for x in (MARGIN, MARGIN + table.width)])


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
        paper.write_line(MARGIN + (left + right) / 2, paper.y - 7, str(number), 6.2, paper.rows_font, "center")


def _draw_rows(paper: Paper, table: Table, rows: Iterable[Row], heights: Sequence[float]) -> list[float]:
    """All cells of the page in one text object, which is what makes it quick; the y below each row."""
    look = table.look
    y, below = paper.y, []
    paper.canvas.setFillGray(0)
    drawn = CellTexts(paper.canvas, paper.rows_font, look.body_size, paper.encoded)
    add, placed = drawn.add, paper.encoded.placed.setdefault(table, [{} for _ in table.columns])
    for height, values in zip(heights, islice(rows, len(heights)), strict=True):
        base = y - PAD_Y - look.body_size * 0.9
        at = f"{base:.2f}"
        for number, value in enumerate(values):
            if value:
                lines = placed[number].get(value) or _place(table, number, value, drawn, placed[number])
                if len(lines) == 1:
                    before, _, after = lines[0]
                    add(before + at + after)
                else:
                    for before, down, after in lines:
                        add(f"{before}{base - down:.2f}{after}")
        y -= height
        below.append(y)
    paper.canvas.drawText(drawn)
    return below


def _place(table: Table, number: int, value: str, drawn: CellTexts, known: dict[str, list[Placed]]) -> list[Placed]:
    """A cell's lines as the page's content, remembered in `known`."""
    shape = table.shape(number, value)
    if shape is not None and (beginning := drawn.texts.plain.get((table, shape))) is not None:
        lines = [(beginning, 0.0, f" Tm {drawn.shown(value)}")]
        if table.columns[number].kind != "integer":  # a row's number never comes again
            remember(known, value, lines)
        return lines
    cell = table.cell(number, value)
    left, right, column = table.geometry.edges[number], table.geometry.edges[number + 1], table.columns[number]
    lines = []
    for index, (line, width) in enumerate(cell.lines):
        if column.kind == "amount":
            x = right - PAD_X - cell.off_right - width
        elif column.name in table.look.running:
            x = left + PAD_X
        else:
            x = (left + right - width) / 2
        lines.append((f"1 0 0 1 {MARGIN + x:.2f} ", index * table.look.body_leading, f" Tm {drawn.shown(line)}"))
    if shape is not None and len(lines) == 1:
        drawn.texts.plain[table, shape] = lines[0][0]
    remember(known, value, lines)
    return lines
