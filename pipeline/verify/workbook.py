"""What a reader of an XLSX workbook sees, as a value to compare: for workbooks that another version of their writer made.

Enters: a file. Leaves: its sheets, the text of every cell with the format that decides how it looks, and whatever may show, hide or cover something; and beside it all parts whole,
since no list of what a program of spreadsheets heeds is complete. Nothing is unpacked before its size is known; no document types.
"""

from __future__ import annotations

import re
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
FREE_BYTES, MAX_GROWTH = 64 << 20, 200
_TOLD = (
    "headerFooter",
    "mergeCells",
    "conditionalFormatting",
    "dataValidations",
    "hyperlinks",
    "autoFilter",
    "protectedRanges",
    "drawing",
    "legacyDrawing",
    "picture",
)
"""Parts of a sheet that are compared whole."""


_NOT_SHOWN = ("docProps/",)
_SIZES = {"ht", "width"}
_IS_SIZE = re.compile(r"[0-9]{1,6}(\.[0-9]*)?")


class Seen(NamedTuple):
    """A workbook as a reader sees it."""

    told: dict[str, Any]
    """Its sheets, cells, looks and what may hide or cover them: where these differ, something else is said."""
    whole: dict[str, Any]
    """Every part but who wrote it and when; heights and widths to a pixel."""


def same_workbook(ours: Seen, theirs: Seen) -> bool | None:
    """Whether a reader sees the same in both: None where the same is told, and something else in the files differs."""
    if ours.told != theirs.told:
        return False
    return True if ours.whole == theirs.whole else None


def workbook_seen(path: Path) -> Seen:
    """The workbook by its parts. Raises ValueError, zipfile.BadZipFile, KeyError, ElementTree.ParseError for what is no sound workbook."""
    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        if len(sizes) != len(archive.infolist()) or sum(sizes.values()) > max(FREE_BYTES, MAX_GROWTH * path.stat().st_size):
            raise ValueError(f"{path.name}: unpacks to more than it may, or has a part twice")
        contents = {name: archive.read(name) for name in sizes}
    parts = {name: content for name, content in contents.items() if name.endswith((".xml", ".rels"))}
    if any(b"<!DOCTYPE" in part or b"<!ENTITY" in part or b"\0" in part for part in parts.values()):
        raise ValueError(f"{path.name}: has a document type, or text that is not UTF-8")
    texts = []
    if "xl/sharedStrings.xml" in parts:
        texts = [
            "".join(text.text or "" for text in item.iter(_MAIN + "t")) for item in _xml(parts["xl/sharedStrings.xml"]).iter(_MAIN + "si")
        ]
    looks = _looks(_xml(parts["xl/styles.xml"]))
    book = _xml(parts["xl/workbook.xml"])
    told = {
        "parts": sorted(sizes),
        "sheets": [(sheet.get("name"), sheet.get("state")) for sheet in book.iter(_MAIN + "sheet")],
        "names": [(name.get("name"), name.text) for name in book.iter(_MAIN + "definedName")],
        **{
            name: _sheet(_xml(part), texts, looks)
            for name, part in parts.items()
            if name.startswith("xl/worksheets/") and name.endswith(".xml")
        },
        **{name: _as_told(_xml(part)) for name, part in parts.items() if name.endswith(".rels")},
    }
    others = {name: sha256(content).hexdigest() for name, content in contents.items() if name not in parts}
    return Seen(told, others | {name: _as_told(_xml(part)) for name, part in parts.items() if not name.startswith(_NOT_SHOWN)})


def _sheet(sheet: ElementTree.Element, texts: list[str], looks: list[Any]) -> dict[str, Any]:
    """Every cell by its place, with its text, its look and whether it is computed; hidden rows and columns; what is told apart."""
    return {
        "cells": [
            (cell.get("r"), _cell(cell, texts), looks[int(cell.get("s", "0"))], cell.find(_MAIN + "f") is not None)
            for cell in sheet.iter(_MAIN + "c")
        ],
        "hidden": [
            (part.tag, part.get("r") or part.get("min"), part.get("max"))
            for tag in ("row", "col")
            for part in sheet.iter(_MAIN + tag)
            if part.get("hidden") in ("1", "true") or part.get("ht") == "0" or part.get("width") == "0"
        ],
        **{name: [_as_told(part) for part in sheet.iter(_MAIN + name)] for name in _TOLD},
    }


def _looks(styles: ElementTree.Element) -> list[Any]:
    """For each format of cells: the code that numbers are shown by, the size and colour of its font, and its ground."""
    codes = {code.get("numFmtId"): code.get("formatCode") for code in styles.iter(_MAIN + "numFmt")}
    fonts = [
        [_as_told(part) for part in font if part.tag in (_MAIN + "color", _MAIN + "sz")]
        for group in styles.iter(_MAIN + "fonts")
        for font in group
    ]
    fills = [[_as_told(part) for part in fill.iter(_MAIN + "fgColor")] for group in styles.iter(_MAIN + "fills") for fill in group]
    return [
        (
            codes.get(form.get("numFmtId"), form.get("numFmtId")),
            fonts[int(form.get("fontId", "0"))],
            fills[int(form.get("fillId", "0"))],
        )
        for group in styles.iter(_MAIN + "cellXfs")
        for form in group
    ]


def _as_told(part: ElementTree.Element) -> tuple[Any, ...]:
    """An element with all within it."""
    attributes = ((name, _in_pixels(value) if name in _SIZES else value) for name, value in part.attrib.items())
    return part.tag, tuple(sorted(attributes)), (part.text or "").strip(), tuple(_as_told(inner) for inner in part)


def _in_pixels(size: str) -> str:
    """In whole pixels of 96 to an inch: XlsxWriter rounds heights down to them since some version after 3.2.0."""
    return str(int(float(size) / 0.75)) if _IS_SIZE.fullmatch(size) else size


def _cell(cell: ElementTree.Element, texts: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return "".join(text.text or "" for text in cell.iter(_MAIN + "t"))
    value = cell.findtext(_MAIN + "v") or ""
    return texts[int(value)] if cell.get("t") == "s" else value


def _xml(part: bytes) -> ElementTree.Element:
    """Without document types and of bounded size: checked before."""
    return ElementTree.fromstring(part)  # noqa: S314 - no document types: refused before
