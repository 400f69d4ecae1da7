"""The pages of a PDF: size and margins, the canvas, page numbers and footers.

What enters: the document's metadata and footer texts, and a file. What leaves: pages to draw on; the same document gives the same bytes,
regardless of clock and environment. Sizes are in points, y grows upwards.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal, Self

from reportlab import rl_config
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.rl_accel import fp_str
from reportlab.pdfgen.canvas import Canvas
from reportlab.pdfgen.textobject import PDFTextObject

from .document import Document
from .form import Language, form
from .pdf_common import CommonRows
from .pdf_file import StoredPages
from .pdf_text import REGULAR, ROWS, fonts, printable

# Binary streams: a quarter smaller and quicker than the library's default, and not left to a machine's own settings.
rl_config.useA85 = 0

WIDTH, HEIGHT = landscape(A4)
MARGIN: Final = 28.0
TOP: Final = HEIGHT - 26.0
BOTTOM: Final = 34.0
INNER: Final = WIDTH - 2 * MARGIN
GREY: Final = 0.3
"""Of texts that explain; 0 is black."""

_FOOTER_Y: Final = 20.0
_FOOTER_SIZE: Final = 6.5

Align = Literal["left", "center", "right"]


@dataclass(frozen=True)
class PageMarks:
    """The document's footer texts and PDF metadata."""

    tag: str
    """Of its language (BCP 47)."""
    title: str
    author: str
    subject: str
    keywords: str
    footer: tuple[str, str]
    """On the left and in the middle; on the right stands the page's number."""
    page: Callable[[int, int], str]
    """`Page 1 of 3`."""
    at: int
    """The file's clock, Unix seconds."""
    identity: str
    """The file's identifier is made of it."""


class Paper:
    """The pages while they are drawn, from the top down; `y` is the upper edge of the next element. To be used as a context."""

    def __init__(self, marks: PageMarks, file: IO[bytes] | None, *, folder: Path | None = None, common: CommonRows | None = None) -> None:
        """`file` None: the pages are only counted, and never saved. `folder`: where they lie until the file is written (`StoredPages`).

        `common`: what the tables' rows are drawn to, or taken from where they were drawn already.
        """
        fonts()
        self._marks = marks
        self.canvas = Canvas(file, pagesize=(WIDTH, HEIGHT), pageCompression=1, invariant=1, lang=marks.tag, initialFontName=REGULAR)
        self._common = common
        contents = None if common is None else common.contents
        self._stored = StoredPages(file, folder, common=contents, compression=1, invariant=1, lang=marks.tag)
        self.canvas._doc = self._stored
        self.rows_font = REGULAR
        """Of what is the same in all languages."""
        if common is not None:
            self.rows_font = ROWS
            common.share_font(self._stored)
        self.y, self.page, self.pages = TOP, 1, 1
        self.encoded = EncodedTexts()
        self._repeated: dict[object, list[str]] = {}
        self._set_metadata()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stored.close()

    def next_page(self) -> None:
        self._draw_footer()
        self.canvas.showPage()
        self.page += 1
        self.y = TOP

    def save(self) -> None:
        """Close the last page and write the file. Asserts that the total printed on the pages was right."""
        assert self.page == self.pages, f"laid out {self.pages} pages, drew {self.page}"
        self._draw_footer()
        self.canvas.showPage()
        self.canvas.save()

    def write_line(
        self, x: float, y: float, content: str, size: float, font: str = REGULAR, align: Align = "left", grey: float = 0.0
    ) -> None:
        """One line of text; `x` is its left end, its middle or its right end."""
        self.canvas.setFont(font, size)
        self.canvas.setFillGray(grey)
        draw = {"left": self.canvas.drawString, "center": self.canvas.drawCentredString, "right": self.canvas.drawRightString}[align]
        draw(x, y, printable(content, font))

    def repeat(self, key: object, draw: Callable[[], None]) -> None:
        """Draw what stands on many pages at the same place: its content is made once for a key. It sets its own font, colours and line widths, and what follows sets its own."""
        code = self.canvas._code
        if (known := self._repeated.get(key)) is not None:
            code += known
            return
        start = len(code)
        draw()
        self._repeated[key] = code[start:]

    def draw_common(self, draw: Callable[[], None]) -> None:
        """Draw the rows of this page, or take them from `common`: there, `draw` is not called where they were drawn already."""
        common, code = self._common, self.canvas._code
        if common is None:
            draw()
            return
        above = code[:]
        code.clear()
        if not common.has(self.page):
            draw()
            common.add(self.page, code, self.y, self._stored)
            code.clear()
        self._stored.take_common(above)
        self.y = common.bottoms[self.page - 1]

    def _draw_footer(self) -> None:
        self.repeat("footer", self._draw_marks)
        page = self._marks.page(self.page, self.pages)
        self.write_line(WIDTH - MARGIN, _FOOTER_Y, page, _FOOTER_SIZE, align="right", grey=GREY)

    def _draw_marks(self) -> None:
        left, middle = self._marks.footer
        self.write_line(MARGIN, _FOOTER_Y, left, _FOOTER_SIZE, grey=GREY)
        self.write_line(WIDTH / 2, _FOOTER_Y, middle, _FOOTER_SIZE, align="center", grey=GREY)

    def _set_metadata(self) -> None:
        marks, canvas = self._marks, self.canvas
        canvas.setTitle(marks.title)
        canvas.setAuthor(marks.author)
        canvas.setSubject(marks.subject)
        canvas.setKeywords(marks.keywords)
        canvas.setCreator("Esep")
        canvas.setViewerPreference("DisplayDocTitle", "true")
        # The file's clock is the document's. The library has no setters: its own would be the environment's SOURCE_DATE_EPOCH, or the year 2000.
        stamp: Any = canvas._doc._timeStamp
        stamp.t, stamp.lt, stamp.tzname = marks.at, time.gmtime(marks.at), "UTC"
        stamp.YMDhms, stamp.dhh, stamp.dmm = tuple(stamp.lt)[:6], 0, 0
        canvas._doc.signature = hashlib.md5(marks.identity.encode(), usedforsecurity=False)


class Pages(Paper):
    """The form's pages."""

    def __init__(
        self, document: Document, file: IO[bytes], language: Language, *, folder: Path | None = None, common: CommonRows | None = None
    ) -> None:
        self.document, self.language, self.text = document, language, form().text[language]
        text, name = self.text, f"{form().index} {document.month}"
        version = text.version.format(version=document.version)
        marks = PageMarks(
            tag=text.language_tag,
            title=f"{name}: {text.title}",
            author=document.header.get("name", ""),
            subject=f"{name}, {version}",
            keywords=f"SHA-256 {document.digest}",
            footer=(f"{form().index}   {document.month}   {version}", f"SHA-256  {document.digest}"),
            page=lambda page, pages: text.page.format(page=page, pages=pages),
            at=document.frozen_at,
            identity=document.digest,
        )
        super().__init__(marks, file, folder=folder, common=common)


Placed = tuple[str, float, str]
"""A cell's line as a page's content: what stands before y, how far it is below the row's first line, what stands after."""


class EncodedTexts:
    """A document's texts in one font and size, as a page's content has them; by their characters' codes once those are known."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        """Of characters in the font's first subset, which the library gives out as characters come up."""
        self.tried: set[str] = set()
        self.placed: dict[object, list[dict[str, list[Placed]]]] = {}
        """Of each table, by column, the values that were drawn already."""
        self.plain: dict[tuple[object, object], str] = {}
        """Of each table and shape of plain numbers on one line, what stands before y."""
        self.before = self.after = ""
        """What the library writes around the codes of a text in the first subset."""


class CellTexts(PDFTextObject):  # type: ignore[misc]
    """Many short texts of one font and size on one page.

    The library's own text object measures each text and formats each number again, which takes most of the time for a table.
    """

    def __init__(self, canvas: Any, font: str, size: float, texts: EncodedTexts) -> None:
        """`texts` is kept by the caller from page to page, for this canvas, font and size only."""
        super().__init__(canvas)
        self.setFont(font, size)
        self.texts = texts
        self.add = self._code.append
        """Add a piece of content, such as `shown` makes."""

    def shown(self, text: str) -> str:
        """The operators that show a text; it names its font itself, so that it can stand after any other."""
        texts = self.texts
        try:
            codes = "".join(map(texts.codes.__getitem__, text))
        except KeyError:
            encoded = self._by_library(text)
            for char in dict.fromkeys(text):
                self._learn(char)
            return encoded
        return f"{texts.before}{codes}{texts.after}"

    def _learn(self, char: str) -> None:
        texts = self.texts
        if char in texts.tried:
            return
        texts.tried.add(char)
        before, opening, rest = self._by_library(char).partition("(")
        code, closing, after = rest.rpartition(")")
        if before.partition(" ")[0].endswith("+0"):
            texts.before, texts.after = before + opening, closing + after
            texts.codes[char] = code

    def _by_library(self, text: str) -> str:
        self._curSubset = -1
        encoded: str = self._formatText(text)
        return encoded


_fp = functools.lru_cache(maxsize=20_000)(fp_str)


def draw_rules(canvas: Canvas, rules: Iterable[tuple[float, float, float, float]]) -> None:
    """Draw lines, each from x, y to x, y, as `Canvas.lines` does; numbers that come again are not formatted again."""
    canvas._code += ["n", *(f"{_fp(x)} {_fp(y)} m {_fp(to_x)} {_fp(to_y)} l" for x, y, to_x, to_y in rules), "S"]
