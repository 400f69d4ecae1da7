"""The top of the form's first page: who approved it, its title, its statements, the pool's fields (rule 7.6)."""

from __future__ import annotations

from typing import Final

from .document import Document
from .form import Language, form
from .pdf_page import GREY, INNER, MARGIN, TOP, WIDTH, Pages
from .pdf_text import BOLD, REGULAR, Wrapper

_SIZE: Final = 7.2
_LEADING: Final = 8.8
_TITLE_SIZE: Final = 11.0
_TITLE_LEADING: Final = 14.0
_BOX: Final = 12.5
"""Side of a box for one digit of the IIN/BIN."""


def draw_top(document: Document, language: Language, pages: Pages | None = None) -> float:
    """Draw the block on `pages`, or only measure it where there are none; the y below it."""
    text, y = form().text[language], TOP
    for line in (*text.approved, text.kind):
        y -= 3 if line == text.kind else 0
        if pages is not None:
            pages.write_line(WIDTH - MARGIN, y - 6, line, 6.8, align="right")
        y -= 8.4
    y -= 6
    for line in Wrapper(BOLD, _TITLE_SIZE).balanced(text.title, INNER * 0.8):
        if pages is not None:
            pages.write_line(WIDTH / 2, y - 10, line, _TITLE_SIZE, BOLD, "center")
        y -= _TITLE_LEADING
    if text.translation_note:
        if pages is not None:
            pages.write_line(WIDTH / 2, y - 8, text.translation_note, 7, align="center", grey=GREY)
        y -= 10
    y -= 8
    left = _draw_statements(document, language, pages, MARGIN, y, INNER * 0.5)
    right = _draw_pool(document, language, pages, MARGIN + INNER * 0.54, y, INNER * 0.46)
    return min(left, right) - 7


def _draw_statements(document: Document, language: Language, pages: Pages | None, x: float, y: float, width: float) -> float:
    """The form's own lines, label and value, each broken over lines where it must be."""
    labels, values = Wrapper(REGULAR, _SIZE), Wrapper(BOLD, _SIZE)
    value_x = width * 0.57
    for label, value in form().statements(language, document.month):
        left, right = labels.lines(label, value_x - 10), values.lines(value, width - value_x)
        if pages is not None:
            _write_lines(pages, x, y, left, REGULAR, GREY)
            _write_lines(pages, x + value_x, y, right, BOLD, 0)
        y -= _LEADING * max(len(left), len(right)) + 2.4
    return y


def _draw_pool(document: Document, language: Language, pages: Pages | None, x: float, y: float, width: float) -> float:
    """The pool's fields, underlined as on the paper form; its BIN in boxes, one digit each."""
    text, header = form().text[language], document.header
    labels, values = Wrapper(REGULAR, _SIZE), Wrapper(BOLD, _SIZE)
    value_x = width * 0.40
    for field in ("bin", "name", "address", "telephone", "email"):
        value = header.get(field, "")
        left = labels.lines(getattr(text, field), value_x - 8)
        has_boxes = field == "bin" and (not value or (len(value) == 12 and value.isascii() and value.isdigit()))
        right = [""] if has_boxes else values.lines(value, width - value_x - 4)
        if pages is not None:
            _write_lines(pages, x, y, left, REGULAR, GREY)
            pages.canvas.setStrokeGray(0)
            pages.canvas.setLineWidth(0.4)
            if has_boxes:
                _draw_boxes(pages, x + value_x, y - _BOX, value)
            else:
                _write_lines(pages, x + value_x + 2, y, right, BOLD, 0)
                rule_y = y - 9.2 - _LEADING * (len(right) - 1)
                pages.canvas.line(x + value_x, rule_y, x + width, rule_y)
        y -= max(_LEADING * len(left), _LEADING * len(right), _BOX if has_boxes else 0) + 5
    return y


def _write_lines(pages: Pages, x: float, y: float, lines: list[str], font: str, grey: float) -> None:
    for number, line in enumerate(lines):
        pages.write_line(x, y - _SIZE - _LEADING * number, line, _SIZE, font, grey=grey)


def _draw_boxes(pages: Pages, x: float, y: float, digits: str) -> None:
    pages.canvas.grid([x + _BOX * number for number in range(13)], [y, y + _BOX])
    for number, digit in enumerate(digits):
        pages.write_line(x + _BOX * (number + 0.5), y + 3.3, digit, 8.5, BOLD, "center")
