"""The printed documents say what `report.csv` says: each is rendered anew and compared (rule 8.2).

Enters: a bundle. Leaves: faults, what was seen, what could not be compared. With the writers' same versions the bytes must be equal. With others they
may differ, and what a reader sees is compared: all of `report.json`, every cell of a workbook, every line of text of a PDF that can be read here.
"""

from __future__ import annotations

import tempfile
import zipfile
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

from pipeline.model.errors import VerifyError
from pipeline.render import Document, render_one
from pipeline.render.form import LANGUAGES, Language
from pipeline.render.formats import FORMATS, Format, file_name

from .files import digest_of
from .finding import Finding
from .opened import OpenBundle
from .shapes import strict_json

WRITERS: dict[str, tuple[str, ...]] = {"json": ("esep",), "xlsx": ("esep", "xlsxwriter"), "pdf": ("esep", "reportlab")}
"""The programs whose versions decide a document's bytes."""
MAX_DOCUMENT_BYTES = 4 << 30


def check_documents(bundle: OpenBundle) -> Finding:
    """Every document in every language that the manifest names."""
    languages = cast("list[Language]", bundle.manifest["languages"])
    if not languages or set(languages) - set(LANGUAGES) or len(set(languages)) != len(languages):
        raise VerifyError(f"the manifest names the languages {languages}")
    document = Document.load(bundle.folder)
    expected = {file_name(format, language): (format, language) for format in FORMATS for language in languages}
    named = {name for name in bundle.manifest["files"] if name.startswith("report.") and name != "report.csv"}
    faults = [f"{name} is no document of this version" for name in sorted(named - set(expected))]
    faults += [f"{name} is missing" for name in sorted(set(expected) - named)]
    undecided = []
    with tempfile.TemporaryDirectory(prefix="esep-verify-") as folder:
        for name, (format, language) in expected.items():
            if name not in named:
                continue
            again = Path(folder) / name
            render_one(document, again, format=format, language=language)
            if digest_of(again) == digest_of(bundle.folder / name):
                continue
            writers = _other_writers(bundle.manifest["software"], format)
            if not writers:
                faults.append(f"{name} says something else than report.csv: rendered anew it comes out different")
                continue
            is_same = _says_the_same(again, bundle.folder / name, format)
            if is_same is None:
                undecided.append(f"{name} was written by {writers}: its text can't be read here to compare it")
            elif not is_same:
                faults.append(f"{name} says something else than report.csv")
    return Finding(faults, f"{', '.join(sorted(expected))} say what report.csv says, rendered anew", undecided="; ".join(undecided))


def _other_writers(software: dict[str, str], format: Format) -> str:
    """The programs that wrote the document in versions that are not here, in words; "" when all are the same."""
    others = [f"{name} {software.get(name, 'unknown')}" for name in WRITERS[format] if software.get(name) != version_of(name)]
    return " and ".join(others)


def _says_the_same(ours: Path, theirs: Path, format: Format) -> bool | None:
    """Whether a reader sees the same in both; None where that can't be told here."""
    if format == "json":
        return cast("bool", strict_json(ours.read_bytes()) == strict_json(theirs.read_bytes()))
    if format == "xlsx":
        return _workbook(ours) == _workbook(theirs)
    return None


def _workbook(path: Path) -> dict[str, Any]:
    """The cells of each sheet, by place, as a reader sees them; formulas, links, hidden sheets and whatever else may show something are named, too."""
    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        if len(sizes) != len(archive.infolist()) or sum(sizes.values()) > max(64 << 20, 200 * path.stat().st_size):
            raise ValueError(f"{path.name}: unpacks to more than it may, or has a part twice")
        parts = {name: archive.read(name) for name in sizes if name.endswith((".xml", ".rels"))}
    if any(b"<!DOCTYPE" in part or b"<!ENTITY" in part or b"\0" in part for part in parts.values()):
        raise ValueError(f"{path.name}: has a document type, or text that is not UTF-8")
    texts = [
        "".join(text.text or "" for text in item.iter(_of("t"))) for item in _xml(parts["xl/sharedStrings.xml"]).iter(_of("si"))
    ] if "xl/sharedStrings.xml" in parts else []  # fmt: skip
    seen: dict[str, Any] = {"parts": sorted(sizes)}
    for name, part in parts.items():
        if name.startswith("xl/worksheets/"):
            seen[name] = [(cell.get("r"), _cell(cell, texts), cell.find(_of("f")) is not None) for cell in _xml(part).iter(_of("c"))]
    seen["sheets"] = [(sheet.get("name"), sheet.get("state")) for sheet in _xml(parts["xl/workbook.xml"]).iter(_of("sheet"))]
    return seen


def _cell(cell: ElementTree.Element, texts: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return "".join(text.text or "" for text in cell.iter(_of("t")))
    value = cell.findtext(_of("v")) or ""
    return texts[int(value)] if cell.get("t") == "s" else value


def _xml(part: bytes) -> ElementTree.Element:
    """Without document types and of bounded size: checked before."""
    return ElementTree.fromstring(part)  # noqa: S314 - no document types: refused before


def _of(tag: str) -> str:
    return "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}" + tag
