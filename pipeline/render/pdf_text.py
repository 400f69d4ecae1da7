"""Text for the PDF: the embedded fonts, widths, and breaking a text into lines.

What enters: text and the width it has. What leaves: lines that fit, with every character of the text in them except the
spaces at which it was broken; nothing is ever cut off or runs over. Sizes are in points.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import copy
from functools import cache
from importlib import resources
from typing import Any, Final
from weakref import WeakKeyDictionary

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR: Final = "DejaVuSansCondensed"
BOLD: Final = "DejaVuSansCondensed-Bold"
ROWS: Final = "DejaVuSansCondensed-Rows"
"""The regular face once more, for what is the same in all languages: its characters' codes follow from nothing else (layout 3, ADR 26)."""
SOFT_HYPHEN: Final = "\u00ad"


@cache
def fonts() -> dict[str, Any]:
    """The packaged fonts, registered: both have every letter of Kazakh and the tenge sign. Subset when embedded."""
    loaded = {}
    for name in (REGULAR, BOLD):
        with resources.as_file(resources.files(__package__) / "fonts" / f"{name}.ttf") as path:
            loaded[name] = TTFont(name, str(path), asciiReadable=False)
    rows = loaded[ROWS] = copy(loaded[REGULAR])
    rows.fontName, rows.face, rows.state = ROWS, copy(rows.face), WeakKeyDictionary()
    rows.face.name += b"-Rows"  # the library tells fonts apart by their faces' names
    rows._asciiReadable = True  # a digit is one byte of a page's content, not the four of an escaped code
    for font in loaded.values():
        pdfmetrics.registerFont(font)
    return loaded


class _Widths(dict[str, float]):
    """Widths of one font's characters, in thousandths of the size; each is looked up once."""

    def __init__(self, font: str) -> None:
        super().__init__()
        self._face = fonts()[font].face

    def __missing__(self, char: str) -> float:
        self[char] = self._face.charWidths.get(ord(char), self._face.defaultWidth)
        return self[char]


_widths = cache(_Widths)


def width_pt(text: str, size: float, font: str = REGULAR) -> float:
    """The width of a line of text, as reportlab's `TTFont.stringWidth` adds it up, in half the time."""
    return 0.001 * size * sum(map(_widths(font).__getitem__, text))


def printable(text: str, font: str = REGULAR) -> str:
    """The text with each character that the font lacks, or that has no glyph, replaced by its code point: `[U+91D1]`.

    Line breaks and tabs become spaces: a cell is one paragraph.
    """
    if text.isascii() and text.isprintable():
        return text
    glyphs = fonts()[font].face.charToGlyph
    return "".join(
        " " if char in "\t\n\r\x0b\x0c\x85\u2028\u2029" else char if ord(char) in glyphs and char.isprintable() else f"[U+{ord(char):04X}]"
        for char in text.replace("\r\n", "\n").replace("\u00a0", " ").replace("\u202f", " ")
    )


class Wrapper:
    """Breaks texts into lines of one font and size: at spaces, slashes, hyphens and the hyphenation given, else anywhere."""

    def __init__(self, font: str, size: float, hyphenated: Iterable[str] = ()) -> None:
        """`hyphenated` are words written with hyphens where they may be broken in print."""
        self.font, self.size = font, size
        self._parts = {word.replace("-", ""): word.split("-") for word in hyphenated}

    def width(self, text: str) -> float:
        return width_pt(text, self.size, self.font)

    def lines(self, text: str, room: float) -> list[str]:
        """The text's lines, each at most `room` wide (or one character); at least one line."""
        text = printable(text, self.font)
        if self.width(text) <= room:
            return [text]
        lines: list[str] = []
        line, glue = "", ""
        for atom, after in self._atoms(text):
            joined = f"{line} {atom}" if glue == " " else line + atom
            if line and self.width(joined + _hyphen(after)) > room:
                lines.append(line + _hyphen(glue))
                joined = atom
            while len(joined) > 1 and self.width(joined + _hyphen(after)) > room:
                count = self._count_that_fits(joined, room)
                lines.append(joined[:count])
                joined = joined[count:]
            line, glue = joined, after
        return [*lines, line]

    def balanced(self, text: str, room: float) -> list[str]:
        """As few lines as `lines` makes, of lengths as even as they can be: no single word is left over at the end."""
        lines = self.lines(text, room)
        low, high = room / len(lines), room
        while len(lines) > 1 and high - low > 1:
            middle = (low + high) / 2
            tried = self.lines(text, middle)
            if len(tried) > len(lines) or any(self.width(line) > middle for line in tried):
                low = middle
            else:
                lines, high = tried, middle
        return lines

    def narrowest(self, text: str) -> float:
        """The least room in which no piece of the text is broken where it should not be."""
        return max(self.width(atom + _hyphen(after)) for atom, after in self._atoms(printable(text, self.font)))

    def _atoms(self, text: str) -> Iterator[tuple[str, str]]:
        """The pieces that should not be broken, each with what follows it: a space, a soft hyphen, or nothing."""
        for word in text.split(" "):
            pieces = re.findall(r"[^/-]*[/-]+|[^/-]+", word) or [""]
            for piece in pieces:
                before, core, behind = _CORE.fullmatch(piece).groups()  # type: ignore[union-attr]
                parts = list(self._parts.get(core, [core]))
                parts[0] = before + parts[0]
                parts[-1] += behind
                for part in parts[:-1]:
                    yield part, SOFT_HYPHEN
                yield parts[-1], " " if piece is pieces[-1] else ""

    def _count_that_fits(self, text: str, room: float) -> int:
        """How many leading characters fit, at least one."""
        used = 0.0
        for count, char in enumerate(text):
            used += self.width(char)
            if used > room:
                return max(1, count)
        return len(text)


_CORE = re.compile(r"(\W*)(.*?)(\W*)", re.DOTALL)
"""A piece's leading marks, its word, its trailing marks."""


def _hyphen(after: str) -> str:
    return "-" if after == SOFT_HYPHEN else ""
