"""The printed files' bytes depend on the document alone: not on the machine's clock, language, time zone or order of hashes."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import polars as pl
import pytest

from pipeline.render import pdf_file, pdf_table
from pipeline.render.pdf import write_pdf

from ..unit.render import test_statement
from ..unit.render.documents import example, hard, of_rows
from ..unit.render.test_pdf import pdf_bytes
from ..unit.render.test_statement import statement
from ..unit.render.workbook import workbook_bytes

PROGRAM = """
import io, sys
from pipeline.render.pdf import write_pdf
from pipeline.render.xlsx import write_xlsx
from tests.unit.render.documents import hard
for write in (write_pdf, write_xlsx):
    file = io.BytesIO()
    write(hard(), file, language="kk")
    sys.stdout.buffer.write(len(file.getvalue()).to_bytes(8, "big") + file.getvalue())
"""


STATEMENT = """
import sys
from tests.unit.render.test_statement import pdf_bytes, statement, xlsx_bytes
for made in (pdf_bytes(statement(), "ru"), xlsx_bytes(statement(), "ru")):
    sys.stdout.buffer.write(len(made).to_bytes(8, "big") + made)
"""


def elsewhere(program: str) -> list[bytes]:
    """Both files as a process in another environment makes them."""
    changed = {"SOURCE_DATE_EPOCH": "1", "TZ": "America/Los_Angeles", "PYTHONHASHSEED": "7", "LC_ALL": "C", "RL_useA85": "1"}
    root = Path(__file__).parents[2]
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env={**os.environ, **changed}, cwd=root).stdout
    size = int.from_bytes(made[:8], "big")
    return [made[8 : 8 + size], made[16 + size :]]


def test_bytes_depend_on_the_document_alone() -> None:
    assert elsewhere(PROGRAM) == [pdf_bytes(hard()), workbook_bytes(hard())]


def test_a_statement_s_bytes_depend_on_the_statement_alone() -> None:
    assert elsewhere(STATEMENT) == [test_statement.pdf_bytes(statement(), "ru"), test_statement.xlsx_bytes(statement(), "ru")]


def peak_of_pdf(times: int, folder: Path) -> int:
    """The most bytes that Python held while the example month, so many times over, was written as a PDF: without polars', which take turns in slices."""
    made = of_rows(pl.concat([example().rows.slice(0)] * times))
    with (folder / "report.pdf").open("wb") as file:
        tracemalloc.start()
        write_pdf(made, file, folder=folder)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def test_a_pdf_of_more_rows_takes_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_table, "KNOWN_LIMIT", 100)
    monkeypatch.setattr(pdf_file, "_IN_MEMORY", 1 << 16)
    peak_of_pdf(1, tmp_path)
    assert peak_of_pdf(4, tmp_path) - peak_of_pdf(1, tmp_path) < 200_000, (
        "4,300 rows more: 117 kB of line counts and page breaks, and no pages"
    )
