"""A report's bytes, its rows and one of its files, each in one call: the product writes them in parts, and all files of a month by one printer."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from pipeline.render import Document, Format, Printer
from pipeline.render.canonical import check_rows, write_report_csv
from pipeline.render.csv_parts import read_text
from pipeline.render.form import Language


def report_csv(rows: pl.DataFrame) -> bytes:
    """The canonical report (rule 8.2) of the form's rows, whole."""
    file = io.BytesIO()
    write_report_csv([rows], file)
    return file.getvalue()


def read_report_csv(content: bytes) -> pl.DataFrame:
    """The rows of a canonical report, all strings, empty fields null."""
    rows = read_text(content)
    check_rows(rows)
    return rows


def render_one(document: Document, path: Path, *, format: Format, language: Language = "kk") -> None:
    """Write one file of a document: see `Printer.print`."""
    with Printer(document, path.parent) as printer:
        printer.print(path, format=format, language=language)
