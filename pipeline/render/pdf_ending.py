"""The end of the form, after its rows: the month's totals (rule 7.4), the note, the two signature lines (rule 7.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .form import form
from .pdf_page import BOTTOM, GREY, INNER, MARGIN, TOP, Pages
from .pdf_text import BOLD, REGULAR, Wrapper

_SIZE: Final = 7.2
_LEADING: Final = 8.8
_HINT: Final = 5.8
_LABEL_WIDTH: Final = 330.0
_UNIT_WIDTH: Final = 60.0
_AMOUNT_WIDTH: Final = 190.0
_SIGN_X: Final = (0.0, 172.0, 432.0, 612.0)
"""Where a signature line's role, name, signature and telephone begin."""
_SIGN_TO: Final = (162.0, 420.0, 600.0, INNER)
_SIGN_HEIGHT: Final = 30.5
"""Of a signature line whose texts take one line each."""
_WITH_SIGNATURES: Final = 3
"""Totals that stay with the signatures, whatever else is too much for a page."""


_Block = tuple[float, Callable[[float], None]]
"""A block's height, and what draws it below a given y."""


def _joined(blocks: list[_Block]) -> list[_Block]:
    """All as one block, so that who signs sees the totals on the same page; the last `_WITH_SIGNATURES` totals only, where all do not fit one page."""
    first = 0 if sum(height for height, _ in blocks) <= TOP - BOTTOM else max(0, len(blocks) - 1 - _WITH_SIGNATURES)
    joined = blocks[first:]

    def draw(y: float) -> None:
        for height, draw_one in joined:
            draw_one(y)
            y -= height

    return [*blocks[:first], (sum(height for height, _ in joined), draw)]


class Ending:
    """Blocks that are kept whole: a new page begins before one that does not fit."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        text, document = pages.text, pages.document
        totals = [(text.rows, "", str(document.rows.height)), *form().printed_totals(document.totals, pages.language)]
        self._decimals = max(len(amount.partition(".")[2]) for _, _, amount in totals)
        self._labels, self._bold = Wrapper(REGULAR, _SIZE), Wrapper(BOLD, _SIZE)
        self._blocks: list[_Block] = []
        self._add_totals(totals)
        self._add_signatures()
        if document.layout > 1:
            self._blocks = _joined(self._blocks)

    def more_pages(self, y: float) -> int:
        """How many pages are needed beyond the one that is drawn down to `y`."""
        more = 0
        for height, _ in self._blocks:
            if y - height < BOTTOM:
                more, y = more + 1, TOP
            y -= height
        return more

    def draw(self) -> None:
        for height, draw in self._blocks:
            if self.pages.y - height < BOTTOM:
                self.pages.next_page()
            draw(self.pages.y)
            self.pages.y -= height

    def _add_totals(self, totals: list[tuple[str, str, str]]) -> None:
        # The heading stays with the lines below it.
        heading, (first_height, draw_first) = 23.0, self._total(*totals[0])

        def draw_heading(y: float) -> None:
            self.pages.write_line(MARGIN, y - 17.5, self.pages.text.totals, 8, BOLD)
            draw_first(y - heading)

        self._blocks.append((heading + first_height, draw_heading))
        self._blocks += [self._total(*total) for total in totals[1:]]

    def _total(self, label: str, unit: str, amount: str) -> _Block:
        """One line of the totals: decimal points in line, whatever the asset's decimals."""
        own = len(amount.partition(".")[2])
        off = self._bold.width("0") * (self._decimals - own) + (self._bold.width(".") if self._decimals and not own else 0.0)
        left = self._labels.lines(label, _LABEL_WIDTH - 8)
        units = self._labels.lines(unit, _UNIT_WIDTH - 4)
        if self._bold.width(amount) + off > _AMOUNT_WIDTH:
            off = 0.0
        right = self._bold.lines(amount, _AMOUNT_WIDTH)
        height = _LEADING * max(len(left), len(units), len(right)) + 2.4
        right_x = MARGIN + _LABEL_WIDTH + _UNIT_WIDTH + _AMOUNT_WIDTH - off

        def draw(y: float) -> None:
            base = y - _SIZE - 0.9
            for number, line in enumerate(left):
                self.pages.write_line(MARGIN, base - _LEADING * number, line, _SIZE)
            for number, line in enumerate(units):
                self.pages.write_line(MARGIN + _LABEL_WIDTH, base - _LEADING * number, line, _SIZE)
            for number, line in enumerate(right):
                self.pages.write_line(right_x, base - _LEADING * number, line, _SIZE, BOLD, "right")
            self.pages.canvas.setStrokeGray(0.6)
            self.pages.canvas.setLineWidth(0.25)
            self.pages.canvas.line(MARGIN, y - height, MARGIN + _LABEL_WIDTH + _UNIT_WIDTH + _AMOUNT_WIDTH, y - height)

        return height, draw

    def _add_signatures(self) -> None:
        """The note and both signature lines, kept on one page."""
        text, header = self.pages.text, self.pages.document.header
        digest = Wrapper(REGULAR, _SIZE).lines(f"{text.digest}: {self.pages.document.digest}", INNER)
        note = [*digest, *Wrapper(REGULAR, _SIZE).lines(text.note, INNER)]
        note_height = _LEADING * len(note) + 10

        people = (
            (text.executor, [header.get("executor_name", ""), "", header.get("executor_telephone", "")]),
            (text.head, [header.get("head_name", ""), ""]),
        )
        signatures = [self._signature(role, contents) for role, contents in people]

        def draw(y: float) -> None:
            for number, line in enumerate(note):
                self.pages.write_line(MARGIN, y - 8 - _SIZE - _LEADING * number, line, _SIZE, grey=GREY)
            y -= note_height
            for height, sign in signatures:
                sign(y)
                y -= height

        self._blocks.append((note_height + sum(height for height, _ in signatures) + 4, draw))

    def _signature(self, role: str, contents: list[str]) -> _Block:
        """A line to sign on: role, full name, signature and, for the executor, a telephone; long texts grow upwards."""
        text = self.pages.text
        hints = (text.full_name, text.signature, text.signature_telephone)
        role_lines = self._labels.lines(role, _SIGN_TO[0])
        columns = [self._bold.lines(content, _SIGN_TO[n] - _SIGN_X[n]) for n, content in enumerate(contents, 1)]
        height = _SIGN_HEIGHT + _LEADING * (max(len(lines) for lines in (role_lines, *columns)) - 1)

        def draw(y: float) -> None:
            base = y - height + _SIGN_HEIGHT - 19
            for number, line in enumerate(role_lines, 1 - len(role_lines)):
                self.pages.write_line(MARGIN, base - _LEADING * number, line, _SIZE)
            self.pages.canvas.setStrokeGray(0)
            self.pages.canvas.setLineWidth(0.4)
            for column, lines in enumerate(columns, 1):
                left, right = MARGIN + _SIGN_X[column], MARGIN + _SIGN_TO[column]
                for number, line in enumerate(lines, 1 - len(lines)):
                    self.pages.write_line((left + right) / 2, base - _LEADING * number, line, _SIZE, BOLD, "center")
                self.pages.canvas.line(left, base - 2.4, right, base - 2.4)
                self.pages.write_line((left + right) / 2, base - 9.2, hints[column - 1], _HINT, align="center", grey=GREY)

        return height, draw
