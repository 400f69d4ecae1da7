"""A miner's statement into files: CSV, XLSX, PDF.

What enters: a `Statement`, a folder, languages and formats. What leaves: `BIN-v1.csv` (data, in no language), `BIN-v1.xlsx` and `BIN-v1.pdf` in Kazakh,
`BIN-v1.ru.pdf` and the like in the others; `draft` stands for the version where the month is not frozen. A file appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Literal, get_args
from urllib.parse import quote

from pipeline.model.durable import atomic_file
from pipeline.texts import Language, texts

from .statement import Statement
from .statement_csv import statement_csv

StatementFormat = Literal["csv", "xlsx", "pdf"]
STATEMENT_FORMATS: tuple[StatementFormat, ...] = get_args(StatementFormat)
RECEIPT = "receipt"
"""Not a statement's format: what proves its rows (`assess.receipts`), beside it under the same name."""


def write_statement(statement: Statement, folder: Path, *, languages: Sequence[Language], formats: Sequence[StatementFormat]) -> list[Path]:
    """Write the statement in every format and language; the files written. Raises EsepError for a text that a workbook's cell can't hold."""
    written: list[Path] = []
    for one in formats:
        for language in languages:
            path = folder / statement_file(statement, one, language)
            if path not in written:
                with atomic_file(path, mode=None) as file:
                    _write(statement, file, one, language)
                written.append(path)
    return written


def statement_file(statement: Statement, format: StatementFormat, language: Language) -> str:
    """The file's name."""
    stem = _stem(statement)
    return f"{stem}.{format}" if format == "csv" or language == "kk" else f"{stem}.{language}.{format}"


def write_receipt(statement: Statement, content: bytes, folder: Path) -> Path:
    """Put a receipt beside the statement, `BIN-v1.receipt.json`; the file."""
    path = folder / f"{_stem(statement)}.{RECEIPT}.json"
    with atomic_file(path, mode=None) as file:
        file.write(content + b"\n")
    return path


def _stem(statement: Statement) -> str:
    """A number that is none is written so that it can't leave the folder."""
    return f"{quote(statement.miner_id, safe='')}-{statement.label}"


def _write(statement: Statement, file: IO[bytes], format: StatementFormat, language: Language) -> None:
    # Each library is loaded only when its format is asked for: the command line starts quicker.
    if format == "csv":
        file.write(statement_csv(statement))
    elif format == "xlsx":
        from .statement_xlsx import write_statement_xlsx

        write_statement_xlsx(statement, texts(language), file)
    else:
        from .statement_pdf import write_statement_pdf

        write_statement_pdf(statement, texts(language), file)
