"""Documents that show something else than they say, compared by what a reader sees: as verify does where another version of their writer made them.

In each the text of every cell and every page is the honest one. What a program of spreadsheets or a reader of PDFs makes of the rest is no list that can be complete: whatever
differs is told as undecided, never as the same.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, FloatObject, NameObject, NumberObject, TextStringObject

from pipeline.verify.pdf_seen import pdf_seen, same_pdf
from pipeline.verify.workbook import same_workbook, workbook_seen
from tests.reports import render_one

from ..forgery.test_manifest import repacked
from ..unit.render.documents import example, of_rows

SHEET, BOOK, STYLES, THEME = "xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml", "xl/theme/theme1.xml"
X14 = (
    b'<extLst><ext uri="{78C0D931-6437-407d-A8EE-F0AAD7539E65}" xmlns:x14="http://schemas.microsoft.com/office/spreadsheetml/2009/9/main"><x14:conditionalFormattings>'
    b'<x14:conditionalFormatting/></x14:conditionalFormattings></ext></extLst></worksheet>'
)  # fmt: skip


def _sheets_swapped(book: bytes) -> bytes:
    return book.replace(b'r:id="rId1"', b'r:id="rId0"').replace(b'r:id="rId2"', b'r:id="rId1"').replace(b'r:id="rId0"', b'r:id="rId2"')


WORKBOOKS: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("text in the ground's colour, by the theme", THEME, lambda x: x.replace(b'lastClr="000000"', b'lastClr="FFFFFF"', 1)),
    ("text in the ground's colour, within a cell", SHEET, lambda x: re.sub(rb"<is><t>([^<]+)</t></is>", rb'<is><r><rPr><color rgb="FFFFFFFF"/></rPr><t>\1</t></r></is>', x, count=1)),
    ("zeros not shown", SHEET, lambda x: x.replace(b"<sheetView ", b'<sheetView showZeros="0" ')),
    ("rows of no height by default", SHEET, lambda x: x.replace(b"<sheetFormatPr ", b'<sheetFormatPr zeroHeight="1" ')),
    ("a row of a tenth of a point", SHEET, lambda x: re.sub(rb'<row r="7"( ht="[0-9.]*")?', b'<row r="7" ht="0.1"', x)),
    ("a column of a tenth", SHEET, lambda x: re.sub(rb'width="[0-9.]+"', b'width="0.1"', x, count=1)),
    ("digits of another alphabet", STYLES, lambda x: x.replace(b'<name val="Arial"/>', b'<name val="Wingdings"/>')),
    ("struck through", STYLES, lambda x: x.replace(b"<font><sz", b"<font><strike/><sz")),
    ("pushed out of the cell", STYLES, lambda x: re.sub(rb"<alignment ", rb'<alignment indent="250" ', x, count=1)),
    ("rows of a sheet under another's name", BOOK, _sheets_swapped),
    ("what a later program colours", SHEET, lambda x: x.replace(b"</worksheet>", X14)),
    ("a number shown as a truth", SHEET, lambda x: re.sub(rb'(<c r="[A-Z]+[0-9]+" s="[0-9]+")><v>', rb'\1 t="b"><v>', x, count=1)),
    ("another kind of file", "[Content_Types].xml", lambda x: x.replace(b"sheet.main+xml", b"template.main+xml")),
]  # fmt: skip


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a document of sixty rows, as a workbook and as a PDF."""
    folder, document = tmp_path_factory.mktemp("honest"), of_rows(example().rows.head(60))
    render_one(document, folder / "report.xlsx", format="xlsx", language="en")
    render_one(document, folder / "report.pdf", format="pdf", language="en")
    return folder


@pytest.mark.parametrize(("part", "change"), [forged[1:] for forged in WORKBOOKS], ids=[forged[0] for forged in WORKBOOKS])
def test_a_workbook_that_shows_something_else_is_undecided(
    honest: Path, tmp_path: Path, part: str, change: Callable[[bytes], bytes]
) -> None:
    with zipfile.ZipFile(honest / "report.xlsx") as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    forged = change(parts[part])
    assert forged != parts[part]
    with zipfile.ZipFile(tmp_path / "forged.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (parts | {part: forged}).items():
            archive.writestr(name, content)
    assert same_workbook(workbook_seen(honest / "report.xlsx"), workbook_seen(tmp_path / "forged.xlsx")) is None


def _fonts(writer: PdfWriter) -> list[DictionaryObject]:
    return [font.get_object() for font in writer.pages[0]["/Resources"]["/Font"].values()]  # type: ignore[index]


def _other_glyphs(writer: PdfWriter) -> None:
    """Each code stands for the letter that it stood for, and is drawn as the next one."""
    for font in _fonts(writer):
        font[NameObject("/Encoding")] = DictionaryObject(
            {NameObject("/Differences"): ArrayObject([NumberObject(49), NameObject("/nine"), NameObject("/one")])}
        )


def _drawn_glyphs(writer: PdfWriter) -> None:
    for font in _fonts(writer):
        font[NameObject("/Subtype")] = NameObject("/Type3")
        font[NameObject("/CharProcs")] = DictionaryObject()


def _glyphs_of_no_width(writer: PdfWriter) -> None:
    for font in _fonts(writer):
        font[NameObject("/Widths")] = ArrayObject([NumberObject(0) for _ in font["/Widths"]])  # type: ignore[attr-defined]


def _cropped(writer: PdfWriter) -> None:
    writer.pages[0][NameObject("/CropBox")] = ArrayObject([FloatObject(side) for side in (0, 0, 842, 200)])


def _outline(writer: PdfWriter) -> None:
    runs = DictionaryObject({NameObject("/S"): NameObject("/JavaScript"), NameObject("/JS"): TextStringObject("app.alert('paid')")})
    item = writer._add_object(DictionaryObject({NameObject("/Title"): TextStringObject("Paid"), NameObject("/A"): runs}))
    writer.root_object[NameObject("/Outlines")] = DictionaryObject({NameObject("/First"): item, NameObject("/Last"): item})


PDFS = [_other_glyphs, _drawn_glyphs, _glyphs_of_no_width, _cropped, _outline]


@pytest.mark.parametrize("forge", PDFS, ids=lambda forge: forge.__name__.strip("_"))
def test_a_pdf_that_shows_something_else_is_undecided(honest: Path, tmp_path: Path, forge: Callable[[PdfWriter], None]) -> None:
    shutil.copyfile(honest / "report.pdf", tmp_path / "forged.pdf")
    repacked(tmp_path / "forged.pdf", lambda _: None)
    assert same_pdf(pdf_seen(honest / "report.pdf"), pdf_seen(tmp_path / "forged.pdf")) is True
    repacked(tmp_path / "forged.pdf", forge)
    assert same_pdf(pdf_seen(honest / "report.pdf"), pdf_seen(tmp_path / "forged.pdf")) is None
