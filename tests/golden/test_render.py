"""The printed month, frozen in text: the report's bytes, the workbook cell by cell, the PDF's words, the JSON and its schema."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pypdf import PdfReader

from pipeline.render import Document
from pipeline.render.form import LANGUAGES, Language
from pipeline.render.json_report import report_schema
from pipeline.render.pdf import write_pdf

from ..reports import report_csv
from ..unit.render.documents import EXPECTED, example, of_rows, report_json
from ..unit.render.workbook import opened, workbook_bytes

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"


def some_rows() -> Document:
    """Every thirtieth row of the example month, and all that are unsettled or carried: each miner, each kind of address."""
    rows = example().rows
    is_special = pl.col("transfer_date").is_null() | (pl.col("allocation_date") < "2026-10-01")
    return of_rows(rows.with_row_index("at").filter((pl.col("at") % 30 == 0) | is_special).drop("at"))


def cells(sheet: Any) -> str:
    """A sheet as text: each cell that holds something, with its number format where it is not the usual one."""
    lines = [f"# {sheet.title}: frozen at {sheet.freeze_panes}, filter {sheet.auto_filter.ref}, titles {sheet.print_title_rows}"]
    lines += [f"# merged {', '.join(sorted(str(area) for area in sheet.merged_cells.ranges))}"]
    for row in sheet.iter_rows():
        for cell in row:
            if cell.value is not None:
                shown = "" if cell.number_format == "General" else f"   [{cell.number_format}]"
                lines.append(f"{cell.coordinate} {cell.value!r}{shown}")
    return "\n".join(lines) + "\n"


def test_the_example_months_report_is_the_expected_one() -> None:
    # Never rewritten: an independent program made it.
    assert report_csv(example().rows) == (EXPECTED / "report.csv").read_bytes()


def test_the_digest_is_the_expected_one() -> None:
    assert example().digest == json.loads((EXPECTED / "summary.json").read_bytes())["report_sha256"]


def test_json(same_as_kept: Callable[..., None]) -> None:
    same_as_kept("report.json", report_json(some_rows()).decode())


def test_json_schema(same_as_kept: Callable[..., None]) -> None:
    same_as_kept(SCHEMA, json.dumps(report_schema(), ensure_ascii=False, indent=1) + "\n")


@pytest.mark.parametrize("language", LANGUAGES)
def test_xlsx(same_as_kept: Callable[..., None], language: Language) -> None:
    book = opened(workbook_bytes(some_rows(), language=language))
    same_as_kept(f"report.{language}.xlsx.txt", "\n".join(cells(sheet) for sheet in book.worksheets))


@pytest.mark.parametrize("language", LANGUAGES)
def test_pdf(same_as_kept: Callable[..., None], language: Language) -> None:
    file = io.BytesIO()
    write_pdf(some_rows(), file, language=language)
    pages = PdfReader(file).pages
    text = "".join(f"--- page {number}\n{page.extract_text()}\n" for number, page in enumerate(pages, 1))
    same_as_kept(f"report.{language}.pdf.txt", text)
