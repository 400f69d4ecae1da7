"""The printed files' bytes depend on the document alone: not on the machine's clock, language, time zone or order of hashes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ..unit.render import test_statement
from ..unit.render.documents import hard
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
