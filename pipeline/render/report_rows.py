"""The rows of a printed report, taken a slice at a time: from a frame, or from `report.csv`, which is then never whole in memory.

Enters: a canonical report's file. Leaves: slices of it as frames of strings, null where empty. A frame of polars is such rows, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import polars as pl

from .canonical import check_rows
from .csv_parts import ROWS_AT_ONCE, header_of, read_text, whole_lines


class ReportRows(Protocol):
    """What documents are printed from; the methods are those of a frame."""

    @property
    def height(self) -> int:
        """How many rows."""

    def slice(self, offset: int, length: int | None = None) -> pl.DataFrame:
        """So many rows from that one on, from 0; all the rest when no length is given."""

    def iter_slices(self, n_rows: int = ROWS_AT_ONCE) -> Iterator[pl.DataFrame]:
        """All rows in order, so many at a time."""


def longest_values(rows: pl.DataFrame) -> dict[str, int]:
    """Of each column of strings the length of its longest value, in characters; 0 where all are empty."""
    return rows.select(pl.all().str.len_chars().max().fill_null(0)).row(0, named=True)


class ReportFile:
    """The rows of a canonical report in a file that does not change. Reading on from where the last slice ended reads no byte twice."""

    def __init__(self, path: Path) -> None:
        """Reads the file once, to learn where its rows stand. Raises OSError, or ValueError for a file that is no canonical report."""
        self._path = path
        self._header = b""
        self._starts: list[int] = []
        """The first row of each block."""
        self._places: list[tuple[int, int]] = []
        """Where each block stands in the file: offset and bytes."""
        self.height, offset = 0, 0
        with path.open("rb") as file:
            for lines in whole_lines(file):
                frame = read_text(self._header + lines)
                check_rows(frame)
                self._starts.append(self.height)
                self._places.append((offset, len(lines)))
                self._header = self._header or header_of(lines)
                self.height += frame.height
                offset += len(lines)
        if not self._places:
            raise ValueError("not a CSV: it is empty")
        self._read: tuple[int, pl.DataFrame] = (-1, pl.DataFrame())

    def slice(self, offset: int, length: int | None = None) -> pl.DataFrame:
        end = self.height if length is None else min(self.height, offset + length)
        number = max(bisect_right(self._starts, offset) - 1, 0)
        parts = [self._block(number).slice(offset - self._starts[number], max(end - offset, 0))]
        while (number := number + 1) < len(self._starts) and self._starts[number] < end:
            parts.append(self._block(number).head(end - self._starts[number]))
        return pl.concat(parts)

    def iter_slices(self, n_rows: int = ROWS_AT_ONCE) -> Iterator[pl.DataFrame]:
        return (self.slice(start, n_rows) for start in range(0, self.height, n_rows))

    def _block(self, number: int) -> pl.DataFrame:
        if self._read[0] != number:
            offset, size = self._places[number]
            with self._path.open("rb") as file:
                file.seek(offset)
                lines = file.read(size)
            self._read = (number, read_text(self._header + lines if number else lines))
        return self._read[1]


class RowSpan:
    """Some of a report's rows, one after another, themselves taken a slice at a time."""

    def __init__(self, rows: ReportRows, start: int, length: int) -> None:
        self._rows, self._start = rows, start
        self.height = max(0, min(length, rows.height - start))

    def slice(self, offset: int, length: int | None = None) -> pl.DataFrame:
        left = max(0, self.height - offset)
        return self._rows.slice(self._start + offset, left if length is None else min(length, left))

    def iter_slices(self, n_rows: int = ROWS_AT_ONCE) -> Iterator[pl.DataFrame]:
        return (self.slice(start, n_rows) for start in range(0, self.height, n_rows))
