"""Frames as canonical CSV bytes: UTF-8, a header line, LF, RFC 4180 quoting only where a field needs it.

What enters: a frame of strings, whole numbers, days and booleans; amounts are already printed (rule 2.2), and a float is refused
(law 7). What leaves: bytes that depend only on the values (rule 8.2). A field
is quoted when it holds a comma, a quote, CR or LF. Null and the empty string are both written as nothing.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, cast

import polars as pl

from .form import COLUMNS

if TYPE_CHECKING:
    from hashlib import _Hash

ROWS_AT_ONCE = 250_000
"""Rows formatted in memory at a time when a table goes to a file."""

_WRITABLE = (pl.String, pl.Date, pl.Boolean, pl.Null)


def write_report_csv(parts: Iterable[pl.DataFrame], file: IO[bytes]) -> str:
    """Write the canonical report (rule 8.2), given in parts in their order (one at least), to a binary file; the month's digest: the SHA-256 of what was written, hex.

    Raises ValueError when a part's columns are not the form's fifteen, in the form's order, all strings.
    """
    sha256 = hashlib.sha256()
    for number, rows in enumerate(parts):
        check_rows(rows)
        _write_part(rows, file, sha256, with_header=number == 0)
    return sha256.hexdigest()


def table_csv(frame: pl.DataFrame) -> bytes:
    """Any other table of the bundle in the same canonical form. Raises ValueError for a column that has no exact text."""
    buffer = io.BytesIO()
    write_table_csv(frame, buffer)
    return buffer.getvalue()


def write_table_csv(frame: pl.DataFrame, file: IO[bytes]) -> str:
    """Write a table to a binary file, a slice at a time; the SHA-256 of what was written, hex."""
    return write_table_parts([frame], file)


def write_table_parts(parts: Iterable[pl.DataFrame], file: IO[bytes]) -> str:
    """The same of a table given in parts in their order, one at least."""
    sha256 = hashlib.sha256()
    is_first = True
    for frame in parts:
        _check_table(frame)
        for start in range(0, max(frame.height, 1), ROWS_AT_ONCE):
            _write_part(frame.slice(start, ROWS_AT_ONCE), file, sha256, with_header=is_first)
            is_first = False
    return sha256.hexdigest()


def _check_table(frame: pl.DataFrame) -> None:
    """Raises ValueError for a column that has no exact text."""
    for name, dtype in frame.schema.items():
        if not (dtype in _WRITABLE or dtype.is_integer()):
            raise ValueError(f"column {name!r} is {dtype}: it has no exact text, print it before it is written as CSV")
    # A line of one empty field would be a blank line, which readers skip: such a table has no canonical form.
    if frame.width == 1:
        raise ValueError(f"a table of the one column {frame.columns[0]!r} can't tell an empty field from no row")


def _write_part(part: pl.DataFrame, file: IO[bytes], sha256: _Hash, *, with_header: bool) -> None:
    hashed = _Hashed(file, sha256)
    # polars quotes an empty string to tell it from null; here both are empty.
    rows = part.with_columns(pl.col(pl.String).replace("", None))
    try:
        rows.write_csv(
            cast("IO[bytes]", hashed),
            include_header=with_header,
            line_terminator="\n",
            quote_style="necessary",
            date_format="%Y-%m-%d",
        )
    except Exception:
        # A full disk is told as the file told it, not as polars tells of what it wrote to.
        if hashed.fault is not None:
            raise hashed.fault from None
        raise


class _Hashed:
    """A file for polars to write to, whose content is hashed on its way: held in memory first, it would be copied once more."""

    def __init__(self, file: IO[bytes], sha256: _Hash) -> None:
        self._file = file
        self._sha256 = sha256
        self.fault: OSError | None = None

    def write(self, content: bytes) -> int:
        try:
            written = self._file.write(content)
        except OSError as error:
            self.fault = error
            raise
        self._sha256.update(content)
        return written

    def flush(self) -> None:
        """The file's owner flushes it."""


def check_rows(rows: pl.DataFrame) -> None:
    """Raises ValueError unless `rows` has the form's fifteen columns, in order, all strings."""
    if tuple(rows.columns) != COLUMNS:
        raise ValueError(f"the report's columns are {', '.join(rows.columns)}; the form's are {', '.join(COLUMNS)}")
    wrong = [name for name, dtype in rows.schema.items() if dtype != pl.String]
    if wrong:
        raise ValueError(f"the report's columns {', '.join(wrong)} are not strings")
