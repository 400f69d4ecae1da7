"""Reads a file as a table: CSV, XLSX, ODS or Parquet, detected by its content, not by its name."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from pipeline.model.errors import InputRefused
from pipeline.model.message import message
from pipeline.model.plain import plain_name
from pipeline.model.system_words import system_words
from pipeline.validate.layout import OWN, Layout
from pipeline.validate.table import RawTable

from .csv_table import read_csv
from .kinds import kind_of

MAX_FILE_BYTES = 2 << 30
SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".ods", ".parquet")


def read_table(
    path: Path, expected: Collection[str], *, sheet: str | None = None, asked: str | None = None, layout: Layout = OWN
) -> RawTable:
    """The table in a file. `expected`: the headings looked for. `sheet`: which of a workbook's, when it has several; `asked`: that or none.

    `layout`: how the table is written. Raises `InputRefused` when the file can't be read at all; what is wrong inside comes with
    the table as faults.
    """
    return parse_table(read_bytes(path), plain_name(path.name), expected, sheet=sheet, asked=asked, layout=layout)


def parse_table(
    data: bytes, source: str, expected: Collection[str], *, sheet: str | None = None, asked: str | None = None, layout: Layout = OWN
) -> RawTable:
    """As `read_table`, from bytes."""
    kind, wrong = kind_of(data)
    match kind:
        case "xlsx":
            from .xlsx_table import read_xlsx

            return read_xlsx(data, source, expected, sheet, layout, asked=asked)
        case "ods":  # a library (odfpy): see ADR 11
            from .ods_table import read_ods

            return read_ods(data, source, expected, sheet, layout, asked=asked)
        case "parquet":
            from .parquet_table import read_parquet

            return read_parquet(data, source)
        case "csv":
            return read_csv(data, source, expected, layout)
        case _:
            raise InputRefused(source, [message("{source}: {wrong}", source=source, wrong=wrong)])


def read_bytes(path: Path) -> bytes:
    """A file's bytes. Raises `InputRefused` for what is no plain file, is a link that another user made, or has more than MAX_FILE_BYTES."""
    source = plain_name(path.name or str(path))
    try:
        if not path.is_file():
            what = message("is not a plain file") if path.exists() else message("there is no such file")
            raise InputRefused(source, [message("{source}: {what}: check the path", source=source, what=what)])
        if path.is_symlink() and path.lstat().st_uid not in (os.geteuid(), 0):
            raise InputRefused(
                source, [message("{source}: is a link that another user made: name the file that it stands for", source=source)]
            )
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputRefused(
                source,
                [
                    message(
                        "{source}: has {size} MiB, more than {max_file_bytes} are read at once: split it",
                        source=source,
                        size=size >> 20,
                        max_file_bytes=MAX_FILE_BYTES >> 20,
                    )
                ],
            )
        return path.read_bytes()
    except OSError as error:
        raise InputRefused(
            source, [message("{source}: can't be read: {strerror}", source=source, strerror=system_words(error) or error)]
        ) from error
