"""Documents that former versions of their writers made, beside the same ones made here: other bytes, and the same to a reader.

The files are the first sixty rows of the example month in Kazakh, by reportlab 4.4.0 and XlsxWriter 3.2.0.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.render import Document
from pipeline.verify.pdf_seen import pdf_seen, same_pdf
from pipeline.verify.workbook import same_workbook, workbook_seen
from tests.reports import render_one

from ..unit.render.documents import example, of_rows

FILES = Path(__file__).parent / "files" / "other_writers"
PDF, XLSX = FILES / "reportlab-4.4.0.pdf", FILES / "xlsxwriter-3.2.0.xlsx"


@pytest.fixture(scope="module")
def document() -> Document:
    return of_rows(example().rows.head(60), layout=1)


def test_a_pdf_of_a_former_version_is_the_same_to_a_reader(document: Document, tmp_path: Path) -> None:
    ours = tmp_path / "report.pdf"
    render_one(document, ours, format="pdf", language="kk")
    assert ours.read_bytes() != PDF.read_bytes()
    seen = pdf_seen(ours)
    assert same_pdf(seen, pdf_seen(PDF)) is True
    assert len(seen.pages) == 3 and sum(step[0] == "text" for page in seen.pages for step in page.steps) > 900


def test_another_pdf_is_another_one_to_a_reader(document: Document, tmp_path: Path) -> None:
    other = tmp_path / "report.pdf"
    render_one(of_rows(example().rows.head(61), layout=1), other, format="pdf", language="kk")
    assert same_pdf(pdf_seen(other), pdf_seen(PDF)) is False
    render_one(document, tmp_path / "ru.pdf", format="pdf", language="ru")
    assert same_pdf(pdf_seen(tmp_path / "ru.pdf"), pdf_seen(PDF)) is False


def test_a_pdf_whose_pages_have_several_streams_is_read_whole(tmp_path: Path) -> None:
    """Of layout 3: its rows stand in a stream of their own."""
    made, other = of_rows(example().rows.head(60)), of_rows(example().rows.head(61).tail(60))
    for name, document in (("report", made), ("other", other)):
        render_one(document, tmp_path / f"{name}.pdf", format="pdf", language="en")
    seen = pdf_seen(tmp_path / "report.pdf")
    assert "Page 1 of 3" in seen.pages[0].words and all(wallet in seen.pages[0].words for wallet in made.rows.slice(0, 5)["wallet"])
    assert same_pdf(seen, pdf_seen(tmp_path / "other.pdf")) is False
    assert same_pdf(seen, pdf_seen(tmp_path / "report.pdf")) is True


def test_what_is_no_pdf_is_refused(tmp_path: Path) -> None:
    content = PDF.read_bytes()
    for number, spoiled in enumerate((b"", b"%PDF-1.4", content[: len(content) // 2])):
        path = tmp_path / f"{number}.pdf"
        path.write_bytes(spoiled)
        with pytest.raises(ValueError, match="is no PDF that can be read here"):
            pdf_seen(path)


def test_a_workbook_of_a_former_version_is_the_same_to_a_reader(document: Document, tmp_path: Path) -> None:
    ours = tmp_path / "report.xlsx"
    render_one(document, ours, format="xlsx", language="kk")
    assert ours.read_bytes() != XLSX.read_bytes()
    assert same_workbook(workbook_seen(ours), workbook_seen(XLSX)) is True
    render_one(of_rows(example().rows.head(61), layout=1), tmp_path / "other.xlsx", format="xlsx", language="kk")
    assert same_workbook(workbook_seen(tmp_path / "other.xlsx"), workbook_seen(XLSX)) is False
