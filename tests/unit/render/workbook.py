"""A workbook read back by another library: the form's rows as strings again."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import openpyxl
from openpyxl.utils.escape import unescape

from pipeline.render import Document
from pipeline.render.form import COLUMNS, Language
from pipeline.render.xlsx import ROWS_PER_SHEET, write_xlsx


def workbook_bytes(document: Document, *, language: Language = "kk", rows_per_sheet: int = ROWS_PER_SHEET) -> bytes:
    file = io.BytesIO()
    write_xlsx(document, file, language=language, rows_per_sheet=rows_per_sheet)
    return file.getvalue()


def opened(content: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(content), rich_text=False)


def numbers_row(sheet: Any) -> int:
    """The row of the numbered columns, 1 to 15."""
    return next(row[0].row for row in sheet.iter_rows(max_col=15) if [cell.value for cell in row] == list(range(1, 16)))


def read_rows(sheet: Any) -> list[tuple[str | None, ...]]:
    """The form's rows below the numbered columns, as the canonical report has them."""
    rows = []
    for row in sheet.iter_rows(min_row=numbers_row(sheet) + 1, max_col=len(COLUMNS)):
        if not isinstance(row[0].value, int):
            break
        rows.append(tuple(as_text(cell) for cell in row))
    return rows


def as_text(cell: Any) -> str | None:
    """What a cell shows by its own number format, in the canonical report's way of writing."""
    value = cell.value
    if value is None:
        return None
    if isinstance(value, datetime):
        assert cell.number_format == "dd.mm.yyyy"
        return value.date().isoformat()
    if isinstance(value, str):
        return unescape(value)
    decimals = len(cell.number_format.partition(".")[2])
    return f"{value:.{decimals}f}"
