"""What a reader of the PDF sees, as a value to compare: for documents that another version of their writer made.

Enters: a file. Leaves, page by page, everything that is drawn, in its order: each text in its font, size and place, each line, each colour; what else the file has that
shows, hides or starts something; and each font whole, its shapes by a digest. Numbers are compared to a thousandth of a point; how the file is packed, ordered and dated is left
out. Raises ValueError for a file that is none, or larger than is read here.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

MAX_PDF_BYTES = 64 << 20
MAX_PAGES = 20_000
_OF_PAGE = {"/Type", "/Parent", "/Contents", "/Resources", "/MediaBox", "/Rotate", "/Trans", "/CropBox"}
_OF_CATALOG = {"/PageMode", "/Outlines", "/Lang", "/Metadata", "/ViewerPreferences", "/Version"}
_OF_PACKING = {"/Length", "/Filter", "/DecodeParms", "/Parent"}
_SUBSET = re.compile(r"/[A-Z]{6}\+")
_OF_RESOURCES = {"/Font", "/ProcSet"}
_SHOWS_TEXT = {b"Tj", b"TJ", b"'", b'"'}


class Seen(NamedTuple):
    """A PDF as a reader sees it."""

    pages: list[Page]
    more: list[str]
    """Whatever the file has besides pages of text and lines: forms, scripts, notes, attachments; pictures stand in their pages."""
    opened: dict[str, Any]
    """How the catalog says that the file is to be shown, whole: its language, its outline."""


class Page:
    """A page: equal to another one that draws the same. What is drawn is worked out only where the bytes that draw it, or their fonts, differ."""

    def __init__(self, place: list[Any], fonts: dict[str, _Font], content: Any, reader: Any) -> None:
        self.place = place
        """Its size, what of it is shown, its turn."""
        self._fonts, self._content, self._reader = fonts, content, reader
        self._bytes: bytes = content.get_data() if content is not None else b""

    @cached_property
    def steps(self) -> list[list[Any]]:
        """What is drawn, in its order. Raises ValueError for a page that can't be read."""
        with _refused("a page"):
            return list(self._drawn())

    def _drawn(self) -> Iterator[list[Any]]:
        from pypdf.generic import ContentStream

        font: _Font | None = None
        for operands, operator in ContentStream(self._content, self._reader).operations if self._content is not None else ():
            if operator == b"Tf":
                font = self._fonts[str(operands[0])]
                yield ["Tf", font.name, font.look, _plain(operands[1])]
            elif operator in _SHOWS_TEXT:
                if font is None:
                    raise ValueError("text without a font")
                yield ["text", font.name, [font.text(part) for part in _parts(operands)]]
            elif operator == b"INLINE IMAGE":
                yield ["picture"]
            else:
                yield [operator.decode("latin-1"), *map(_plain, operands)]

    @property
    def words(self) -> str:
        """All text in the order in which it is drawn."""
        return "".join(part for step in self.steps if step[0] == "text" for part in step[2] if isinstance(part, str))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Page):
            return NotImplemented
        is_same_bytes = self._bytes == other._bytes and self._fonts == other._fonts
        return self.place == other.place and (is_same_bytes or self.steps == other.steps)

    __hash__ = None  # type: ignore[assignment]


def pdf_seen(path: Path) -> Seen:
    """The document by its pages."""
    from pypdf import PdfReader

    if path.stat().st_size > MAX_PDF_BYTES:
        raise ValueError(f"{path.name}: more than {MAX_PDF_BYTES:,} bytes")
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    with _refused(path.name):
        reader = PdfReader(path, strict=True)
        if reader.is_encrypted or len(reader.pages) > MAX_PAGES:
            raise ValueError(f"{path.name}: is encrypted, or has more than {MAX_PAGES:,} pages")
        catalog: Any = reader.trailer["/Root"]
        more = [f"catalog {key}" for key in catalog if key not in _OF_CATALOG | {"/Type", "/Pages"}]
        known: dict[tuple[int, int], _Font] = {}
        pages = [_page(page, reader, number, more, known) for number, page in enumerate(reader.pages, start=1)]
        reached = {
            (place.idnum, place.generation): number
            for number, page in enumerate(reader.pages, start=1)
            if (place := page.indirect_reference)
        }
        opened = {key: _whole(catalog.raw_get(key), reached) for key in catalog if key in _OF_CATALOG}
    return Seen(pages, sorted(more), opened)


@contextlib.contextmanager
def _refused(name: str) -> Iterator[None]:
    """What can't be read is a ValueError that names it."""
    from pypdf.errors import PyPdfError

    try:
        yield
    except (PyPdfError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{name}: is no PDF that can be read here: {type(error).__name__}: {error}") from error


def same_pdf(ours: Seen, theirs: Seen) -> bool | None:
    """Whether a reader sees the same in both: False where words differ, or something stands in theirs that ours has not; None where the same words are drawn otherwise."""
    if len(ours.pages) != len(theirs.pages) or ours.more != theirs.more:
        return False
    differing = [(mine, other) for mine, other in zip(ours.pages, theirs.pages, strict=True) if mine != other]
    if any(mine.words != other.words or _pictures(mine) != _pictures(other) for mine, other in differing):
        return False
    return None if differing or ours.opened != theirs.opened else True


def _pictures(page: Page) -> int:
    return page.steps.count(["picture"])


def _page(page: Any, reader: Any, number: int, more: list[str], known: dict[tuple[int, int], _Font]) -> Page:
    from pypdf.generic import IndirectObject

    more += [f"page {number} {key}" for key in page if key not in _OF_PAGE]
    resources = page["/Resources"].get_object()
    for key in resources:
        if key not in _OF_RESOURCES and resources[key].get_object():
            more.append(f"page {number} resources {key}")
    fonts: dict[str, _Font] = {}
    listed = resources.get("/Font", {}).get_object()
    for name in listed:
        raw = listed.raw_get(name)
        if not isinstance(raw, IndirectObject):
            fonts[str(name)] = _Font(raw)
            continue
        place = raw.idnum, raw.generation
        if place not in known:  # mostly the same in every page
            known[place] = _Font(raw.get_object())
        fonts[str(name)] = known[place]
    sides = [_plain(list(page.mediabox)), _plain(list(page.cropbox)), int(page.get("/Rotate", 0)), _whole(page.get("/Trans"), {})]
    return Page(sides, fonts, page.get_contents(), reader)


def _parts(operands: Any) -> list[Any]:
    """Texts and the moves between them, flat."""
    return [part for operand in operands for part in (operand if isinstance(operand, list) else [operand])]


class _Font:
    """A font of a page: its name, what its codes stand for, and all that decides how they look (its shapes, their widths, what picks them), by a digest."""

    def __init__(self, font: Any) -> None:
        self.name = _SUBSET.sub("/", str(font["/BaseFont"])).removeprefix("/")
        self._is_wide = font["/Subtype"] == "/Type0"
        self._texts: dict[int, str] = {}
        if "/ToUnicode" in font:
            self._texts = _codes(font["/ToUnicode"].get_data())
        self.look = hashlib.sha256(repr(_whole(font, {})).encode()).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Font) and (self.name, self.look) == (other.name, other.look)

    __hash__ = None  # type: ignore[assignment]

    def text(self, part: Any) -> Any:
        """What a string shows; a number, a move between strings, as it is."""
        raw = getattr(part, "original_bytes", None)
        if raw is None:
            return _plain(part)
        step = 2 if self._is_wide else 1
        codes = [int.from_bytes(raw[place : place + step], "big") for place in range(0, len(raw), step)]
        return "".join(self._texts.get(code, f"\\{code}") if self._texts else chr(code) for code in codes)


def _codes(cmap: bytes) -> dict[int, str]:
    """What a ToUnicode map says of each code."""
    found: dict[int, str] = {}
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
        for code, text in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block):
            found[int(code, 16)] = bytes.fromhex(text.decode()).decode("utf-16-be")
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", cmap, re.DOTALL):
        for first, last, inner in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*(\[[^\]]*\]|<[0-9A-Fa-f]+>)", block):
            texts = [bytes.fromhex(text.decode()).decode("utf-16-be") for text in re.findall(rb"<([0-9A-Fa-f]+)>", inner)]
            for place in range(min(int(last, 16), 0xFFFF) - int(first, 16) + 1):
                if inner.startswith(b"["):
                    found[int(first, 16) + place] = texts[place]
                else:
                    found[int(first, 16) + place] = texts[0][:-1] + chr(ord(texts[0][-1]) + place)
    return found


def _whole(value: Any, reached: dict[tuple[int, int], int]) -> Any:
    """A value with all that it refers to, as values to compare: streams unpacked, by their digest; a subset's tag, and the way back to a parent, are left out.

    `reached`: the numbers of the objects that are not gone into again; those met here join it.
    """
    from pypdf.generic import IndirectObject, StreamObject

    if isinstance(value, IndirectObject):
        place = value.idnum, value.generation
        if place in reached:
            return ["reached", reached[place]]
        reached[place] = len(reached) + 1
        return _whole(value.get_object(), reached)
    if isinstance(value, dict):
        inner = [[str(key), _whole(value.raw_get(key), reached)] for key in sorted(value) if key not in _OF_PACKING]  # type: ignore[attr-defined]
        return [*inner, hashlib.sha256(value.get_data()).hexdigest()] if isinstance(value, StreamObject) else inner
    if isinstance(value, list):
        return [_whole(one, reached) for one in value]
    return _SUBSET.sub("/", _plain(value)) if isinstance(value, str) else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (int, float)) or type(value).__name__ in ("FloatObject", "NumberObject"):
        return round(float(value), 3)
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return str(value)
