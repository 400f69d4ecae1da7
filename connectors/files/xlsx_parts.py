"""The parts of an XLSX workbook (ECMA-376, part 1, section 18): which sheets it has, its shared texts, which styles are dates.

In: the file's bytes. Out: a `Workbook` that gives a sheet's XML as a stream. Against hostile files: the total unpacked size is limited,
document types (and so entities) are refused, part names can't lead out of the archive. Left out: formulas (their last values are
read), formatting other than dates.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from pipeline.model.message import message

from .sheets import SMALL_UNITS

MAX_UNPACKED_BYTES = 1 << 30
MAX_PARTS = 10_000
MAX_RATIO = 200
"""The greatest unpacking ratio of a workbook larger than `RATIO_FROM_BYTES`; real tables reach about 30."""
RATIO_FROM_BYTES = 64 << 20
MAX_TEXT = 32_767
"""Characters of a cell, as the format's own programs have it."""
_CHUNK_BYTES = 1 << 18
_BUILT_IN = {
    **dict.fromkeys((*range(14, 18), *range(27, 37), *range(50, 59)), "day"),
    **dict.fromkeys((*range(18, 23), *range(45, 48)), "date"),
    **dict.fromkeys((9, 10), message("a percentage")),
}
"""The built-in number formats that are dates, times or percentages (section 18.8.30)."""


class UnreadableWorkbook(Exception):
    """The workbook can't be read; the message says why, for a `Fault`."""


@dataclass(frozen=True)
class Sheet:
    name: str
    part: str
    is_hidden: bool


class Workbook:
    """An open workbook. Raises `UnreadableWorkbook` wherever it is not one."""

    def __init__(self, data: bytes) -> None:
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, RuntimeError) as error:
            raise UnreadableWorkbook(message("is not a sound XLSX workbook: {error}", error=error)) from error
        parts = self._archive.infolist()
        if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
            raise UnreadableWorkbook(
                message("unpacks to more than {max_unpacked_bytes} MiB: save the table as CSV", max_unpacked_bytes=MAX_UNPACKED_BYTES >> 20)
            )
        # Names of parts compare without case (ECMA-376, part 2, section 6.2.2.3): some programs write xl/SharedStrings.xml.
        self._names = {part.filename.casefold(): part.filename for part in parts}
        if len(self._names) < len(parts):
            raise UnreadableWorkbook(message("is not a sound XLSX workbook: it has two parts of one name"))
        unpacked = sum(part.file_size for part in parts)
        if unpacked > max(RATIO_FROM_BYTES, MAX_RATIO * len(data)):
            raise UnreadableWorkbook(
                message("unpacks to {unpacked} times its size: no honest table does; save the table as CSV", unpacked=unpacked // len(data))
            )
        main = self._main_part()
        self.is_1904 = False
        self.asks_calculation = False
        """Whether it is to be calculated when opened, so that the values of its formulas may be stale."""
        self.tells_calculation = False
        """Whether it says anything of calculation: every spreadsheet does; programs that only write workbooks may not, and then write 0."""
        self.sheets = self._read_sheets(main)
        kinds = {kind: target for kind, target in self._relations(main).values() if kind in ("sharedStrings", "styles")}
        self.texts = self._read_texts(kinds["sharedStrings"]) if self._has(kinds.get("sharedStrings")) else []
        self.struck: set[int] = set()
        """The cell styles that strike their text out."""
        self.shapes = self._read_styles(kinds["styles"]) if self._has(kinds.get("styles")) else []

    def _has(self, part: str | None) -> bool:
        return part is not None and part.casefold() in self._names

    def parse(
        self,
        part: str,
        *,
        start: Callable[[str, dict[str, str]], None],
        end: Callable[[str], None] | None = None,
        text: Callable[[str], None] | None = None,
    ) -> None:
        """Parse a part's XML with the handlers. Names of elements and attributes come without their prefix.

        Python's zipfile stops at the declared size and compares the checksum, so the sum of declared sizes checked in the constructor
        bounds what is inflated.
        """
        parser = expat.ParserCreate()
        parser.buffer_text = True

        def no_doctype(*_: Any) -> None:
            raise UnreadableWorkbook(message("{part} has a document type: workbooks have none; save the workbook anew", part=part))

        def first(name: str, attributes: dict[str, str]) -> None:
            # Names are prefixed throughout a part or not at all, and stripping each costs a third of the time.
            if ":" in name:
                parser.StartElementHandler = lambda name, attributes: start(name.rpartition(":")[2], attributes)
                if end is not None:
                    parser.EndElementHandler = lambda name: end(name.rpartition(":")[2])
            else:
                parser.StartElementHandler = start
                if end is not None:
                    parser.EndElementHandler = end
            start(name.rpartition(":")[2], attributes)

        parser.StartDoctypeDeclHandler = no_doctype
        parser.StartElementHandler = first
        if text is not None:
            parser.CharacterDataHandler = text
        try:
            with self._archive.open(self._names.get(part.casefold(), part)) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    parser.Parse(chunk)
            parser.Parse(b"", True)
        except KeyError:
            raise UnreadableWorkbook(message("is not a sound XLSX workbook: it has no part {part}", part=repr(part[:100]))) from None
        except (
            expat.ExpatError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            OSError,
            ValueError,
            LookupError,
        ) as error:
            raise UnreadableWorkbook(message("is not a sound XLSX workbook: {part}: {error}", part=part[:100], error=error)) from error

    def _main_part(self) -> str:
        for kind, target in self._relations("").values():
            if kind == "officeDocument":
                return target
        raise UnreadableWorkbook(message("is not an XLSX workbook: it names no main part"))

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """What a part refers to: kind and part, by id."""
        folder, name = posixpath.split(part)
        found: dict[str, tuple[str, str]] = {}

        def start(element: str, attributes: dict[str, str]) -> None:
            if element == "Relationship" and attributes.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", ""))).lstrip("/")
                found[attributes.get("Id", "")] = (attributes.get("Type", "").rpartition("/")[2], target)

        self.parse(posixpath.join(folder, "_rels", f"{name}.rels"), start=start)
        return found

    def _read_sheets(self, main: str) -> list[Sheet]:
        relations = self._relations(main)
        sheets: list[Sheet] = []

        def start(element: str, attributes: dict[str, str]) -> None:
            if element == "workbookPr":
                self.is_1904 = attributes.get("date1904") in ("1", "true")
            elif element == "calcPr":
                self.tells_calculation = True
                self.asks_calculation = attributes.get("fullCalcOnLoad") in ("1", "true") or attributes.get("calcCompleted") in (
                    "0",
                    "false",
                )
            elif element == "sheet":
                id_ = next((value for key, value in attributes.items() if key.rpartition(":")[2] == "id"), "")
                kind, target = relations.get(id_, ("", ""))
                if kind == "worksheet":
                    sheets.append(Sheet(attributes.get("name", ""), target, attributes.get("state", "visible") != "visible"))

        self.parse(main, start=start)
        return sheets

    def _read_texts(self, part: str) -> list[str]:
        """The shared texts: their runs joined, their phonetic readings left out."""
        texts: list[str] = []
        runs = Runs()

        def start(element: str, attributes: dict[str, str]) -> None:
            if element == "si":
                runs.clear()
            runs.start(element)

        def end(element: str) -> None:
            runs.end(element)
            if element == "si":
                texts.append(runs.text())

        self.parse(part, start=start, end=end, text=runs.add)
        return texts

    def _read_styles(self, part: str) -> list[str]:
        """How each cell style shows numbers: "date", "day" (without a time); a word for another number than the one held (`shape_of`); "" for plainly."""
        formats: dict[int, str] = {}
        shapes: list[str] = []
        fonts: list[bool] = []
        inside = ""

        def start(element: str, attributes: dict[str, str]) -> None:
            nonlocal inside
            if element == "numFmt":
                formats[_number(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
            elif element in ("fonts", "cellXfs"):
                inside = element
            elif element == "font" and inside == "fonts":
                fonts.append(False)
            elif element == "strike" and inside == "fonts" and fonts:
                fonts[-1] = attributes.get("val", "1") not in ("0", "false")
            elif element == "xf" and inside == "cellXfs":
                number, font = _number(attributes.get("numFmtId")), _number(attributes.get("fontId"))
                if font < len(fonts) and fonts[font]:
                    self.struck.add(len(shapes))
                shapes.append(shape_of(formats[number]) if number in formats else _BUILT_IN.get(number, ""))

        def end(element: str) -> None:
            nonlocal inside
            if element == inside:
                inside = ""

        self.parse(part, start=start, end=end)
        return shapes


class Runs:
    """The text of a string item: its `t` elements, without those of a phonetic reading (`rPh`)."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._is_text = False
        self._is_phonetic = False

    def clear(self) -> None:
        self._parts.clear()
        self._length = 0

    def start(self, element: str) -> None:
        if element == "rPh":
            self._is_phonetic = True
        elif element == "t":
            self._is_text = not self._is_phonetic

    def end(self, element: str) -> None:
        if element == "rPh":
            self._is_phonetic = False
        elif element == "t":
            self._is_text = False

    def add(self, text: str) -> None:
        if self._is_text:
            self._length += len(text)
            if self._length > MAX_TEXT:
                raise UnreadableWorkbook(message("has a text of more than {max_text} characters in one cell", max_text=MAX_TEXT))
            self._parts.append(text)

    def text(self) -> str:
        return unescaped("".join(self._parts))


def unescaped(text: str) -> str:
    """Characters that XML can't hold are written `_x000D_` (section 22.9.2.19)."""
    return re.sub(r"_x((?![Dd][89A-Fa-f])[0-9A-Fa-f]{4})_", lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _number(text: str | None) -> int:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,9}", text) else 0


def shape_of(code: str) -> str:
    """How a format code shows a number: "date", "day" (without a time), "a percentage", "thousands" (scaled), "0 \"sat\"" (with a small unit), or "" for plainly."""
    positive = code.split(";")[0]
    # Outside quotes, escapes and brackets: parts of a date or time.
    bare = re.sub(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', "", positive, flags=re.IGNORECASE)
    if re.search(r"[dmyhs]", bare, re.IGNORECASE) and bare.lower() != "general":
        return "date" if re.search(r"[hs]", bare, re.IGNORECASE) else "day"
    if "%" in bare:
        return message("a percentage")
    if re.search(r"[0#?],+(?![0#?])", bare):
        return message("thousands of it")
    # Text in quotes, escaped letters, and a currency's sign, which may be any text: [$mBTC-43F].
    words = "".join("".join(found) for found in re.findall(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]', positive))
    return words.strip()[:20] if re.search(SMALL_UNITS, words) else ""
