"""A canonical CSV read from its file in parts, so that a table of millions of rows is never whole in memory.

Enters: a file's path. Leaves: frames of strings, empty fields null, in order: together what reading the whole file gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import polars as pl

ROWS_AT_ONCE: Final = 50_000
"""Rows in memory at a time."""
_BLOCK: Final = 4 << 20
"""Bytes read at a time."""


def csv_parts(path: Path, rows: int = ROWS_AT_ONCE, *, block: int = _BLOCK) -> Iterator[pl.DataFrame]:
    """The table in parts of `rows` rows, the last of fewer: one part at least, of no rows where there are none. `block`: bytes read at a time.

    Raises OSError, or ValueError for a file that is no CSV.
    """
    header, held = b"", pl.DataFrame()
    with path.open("rb") as file:
        for lines in whole_lines(file, block):
            frame = read_text(header + lines)
            if header:
                held = pl.concat([held, frame])
            else:
                header, held = header_of(lines), frame
            while held.height > rows:
                yield held.head(rows)
                held = held.slice(rows)
    if not header:
        raise ValueError("not a CSV: it is empty")
    yield held


def whole_lines(file: IO[bytes], block: int = _BLOCK) -> Iterator[bytes]:
    """The file's bytes in pieces that end where a line does; a line end within quotes is none."""
    held: list[bytes] = []
    is_quoted = False
    while piece := file.read(block):
        is_quoted ^= piece.count(b'"') % 2 == 1
        end = _last_line_end(piece, is_quoted=is_quoted)
        if end:
            yield b"".join([*held, piece[:end]])
            held = []
        held.append(piece[end:])
    if rest := b"".join(held):
        yield rest


def header_of(lines: bytes) -> bytes:
    """A table's first line with its end, which is the first outside quotes; all of it where there is none."""
    end, since, quotes = -1, 0, 0
    while (end := lines.find(b"\n", end + 1)) >= 0:
        quotes += lines.count(b'"', since, end)
        if quotes % 2 == 0:
            return lines[: end + 1]
        since = end
    return lines


def read_text(content: bytes | Path) -> pl.DataFrame:
    """A CSV with its header, all columns strings, empty fields null. Raises OSError, ValueError."""
    try:
        return pl.read_csv(content, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"not a CSV: {error}") from error


def _last_line_end(piece: bytes, *, is_quoted: bool) -> int:
    """Past the last line end outside quotes, 0 for none. `is_quoted`: whether a quoted field is open at the end of the piece."""
    until = len(piece)
    while (end := piece.rfind(b"\n", 0, until)) >= 0:
        is_quoted ^= piece.count(b'"', end, until) % 2 == 1
        if not is_quoted:
            return end + 1
        until = end
    return 0
