"""The printed files' bytes depend on the document alone: not on the machine's clock, language, time zone or order of hashes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ..unit.render.documents import hard
from ..unit.render.test_pdf import pdf_bytes
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


def test_bytes_depend_on_the_document_alone() -> None:
    changed = {"SOURCE_DATE_EPOCH": "1", "TZ": "America/Los_Angeles", "PYTHONHASHSEED": "7", "LC_ALL": "C", "RL_useA85": "1"}
    root = Path(__file__).parents[2]
    made = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, env={**os.environ, **changed}, cwd=root).stdout
    size = int.from_bytes(made[:8], "big")
    assert made[8 : 8 + size] == pdf_bytes(hard())
    assert made[16 + size :] == workbook_bytes(hard())
