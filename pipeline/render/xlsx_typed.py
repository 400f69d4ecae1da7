"""A sheet's rows typed by whole columns, once for the workbooks of all languages: row numbers and the formats' numbers are not in it.

What enters: the printed rows, and how wide their columns are. What leaves: by chunks, of each cell the format's code and the XML after it, and of each row its lines;
and the landmarks, which the library must write. A format's code stands for its properties, as `TypedCells` asks for them. What was typed lies compressed in a temporary file.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import IO, Any, Final, cast

import polars as pl

from .columns import PrintedColumn
from .report_rows import ReportRows
from .xlsx_cells import CELL_LIMIT, NUMBER_DECIMALS, NUMBER_DIGITS, TypedCells

CHUNK: Final = 20_000
"""Rows whose XML is in memory at a time."""
SPOOLED: Final = 16 << 20
"""Bytes of a workbook, or of a part of it, from which on it lies on disk while it is written."""
_NUMBER: Final = r"^(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$"
_UNUSUAL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]|_x[0-9A-Fa-f]{4}_|^\s|\s$|^<r>")
_TYPED: Final = {"value": pl.String, "code": pl.UInt32, "tail": pl.String, "lines": pl.UInt32, "is_unusual": pl.Boolean}


def _spooled(folder: str | None) -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(SPOOLED, dir=folder)


def spool(folder: str | None) -> IO[bytes]:
    """A temporary file, on disk in `folder` (None: the system's own) once it is large."""
    return cast("IO[bytes]", _spooled(folder))


class TypedRows:
    """The rows of one sheet."""

    def __init__(
        self, rows: ReportRows, columns: Sequence[PrintedColumn], widths: Sequence[float], *, running: Collection[str], folder: str | None
    ) -> None:
        """`widths`, `running`: see `TypedCells`; `folder`: where what was typed lies (None: the system's own)."""
        self.rows, self._columns, self._chunk = rows, columns, CHUNK
        self._cells = TypedCells(columns, widths, lambda **properties: tuple(sorted(properties.items())), running=running, where="")
        self._codes: dict[Any, int] = {}
        self._file = spool(folder)
        self._places: list[tuple[int, int]] = []
        """Where each chunk stands in the file: offset and bytes."""
        self._landmark_places: list[tuple[int, int]] = []
        """Where the landmarks of each chunk stand in it, as they were read."""

    @cached_property
    def landmarks(self) -> list[int]:
        """The rows that the library writes, in order, from 0: each format and number of lines once, the first and the last row, and texts that it escapes in ways of its own."""
        landmarks: list[int] = []
        seen: set[tuple[str, int]] = set()
        for start in range(0, self.rows.height, self._chunk):
            rows = self.rows.slice(start, self._chunk)
            typed = self._typed(start, rows)
            found = {0, self.rows.height - 1} & set(range(start, start + rows.height))
            found.update(typed.filter("is_unusual")["place"])
            for name in ("lines", *(name for name in typed.columns if name.startswith("code"))):
                for kind, place in typed.group_by(name).agg(pl.col("place").min()).iter_rows():
                    if (name, kind) not in seen:
                        seen.add((name, kind))
                        found.add(place)
            self._places.append(self._keep(typed))
            self._landmark_places.append(self._keep(rows[[place - start for place in sorted(found)]]))
            landmarks += sorted(found)
        return landmarks

    def landmark_rows(self) -> Iterator[tuple[int, tuple[str | None, ...]]]:
        """The landmarks with their values; the report's rows are not read for them again."""
        landmarks = iter(self.landmarks)
        for place in self._landmark_places:
            for values in self._kept(place).iter_rows():
                yield next(landmarks), values

    def chunks(self) -> Sequence[int]:
        """The number of each chunk's first row, from 0; the landmarks must be known."""
        return range(0, self.rows.height, self._chunk)

    def chunk(self, start: int) -> pl.DataFrame:
        """A chunk as it was typed: `place`, the row's number from 0, `lines`, `is_unusual`, and by column of the form, from 0, `code` and `tail`."""
        return self._kept(self._places[start // self._chunk])

    def close(self) -> None:
        """Remove what was kept."""
        self._file.close()

    def _keep(self, frame: pl.DataFrame) -> tuple[int, int]:
        written = io.BytesIO()
        frame.write_ipc_stream(written, compression="lz4")
        offset = self._file.seek(0, io.SEEK_END)
        return offset, self._file.write(written.getbuffer())

    def _kept(self, place: tuple[int, int]) -> pl.DataFrame:
        offset, size = place
        self._file.seek(offset)
        return pl.read_ipc_stream(io.BytesIO(self._file.read(size)))

    def _typed(self, start: int, rows: pl.DataFrame) -> pl.DataFrame:
        columns = [pl.int_range(start, start + rows.height, dtype=pl.UInt32, eager=True).alias("place")]
        lines, unusual = [], []
        for number, column in enumerate(self._columns):
            typed = self._column(number, column, rows[column.name].fill_null("").alias("value"))
            columns += [typed["code"].alias(f"code{number}"), typed["tail"].alias(f"tail{number}")]
            lines.append(typed["lines"].alias(f"lines{number}"))
            unusual.append(typed["is_unusual"].alias(f"unusual{number}"))
        return pl.DataFrame(columns).with_columns(
            pl.DataFrame(lines).max_horizontal().alias("lines"),
            pl.DataFrame(unusual).select(pl.any_horizontal(pl.all())).to_series().alias("is_unusual"),
        )

    def _column(self, number: int, column: PrintedColumn, values: pl.Series) -> pl.DataFrame:
        """`_TYPED` of each value. Numbers are typed by whole columns, which `TypedCells` would type alike; all else once a value."""
        distinct = values.unique()
        numbers = self._numbers(column, distinct)
        others = distinct.filter(~distinct.is_in(numbers["value"].implode())) if numbers.height else distinct
        typed = pl.concat([numbers, pl.DataFrame([self._other(number, value) for value in others.to_list()], _TYPED, orient="row")])
        return values.to_frame().join(typed, on="value", how="left", maintain_order="left")

    def _numbers(self, column: PrintedColumn, distinct: pl.Series) -> pl.DataFrame:
        """Those of the values that a cell holds as numbers."""
        if column.kind not in ("amount", "integer"):
            return pl.DataFrame(schema=_TYPED)
        value = pl.col("value")
        digits = value.str.replace(".", "", literal=True).str.strip_chars_start("0").str.len_bytes()
        decimals = value.str.len_bytes() - value.str.find(".", literal=True) - 1
        found = (
            distinct.to_frame()
            .filter(value.str.contains(_NUMBER) & (digits <= NUMBER_DIGITS))
            .with_columns(decimals.fill_null(0).alias("decimals"))
            .filter(pl.col("decimals") <= (0 if column.kind == "integer" else NUMBER_DECIMALS))
        )
        codes = {count: self._code(self._cells.number_format(column, count)) for count in found["decimals"].unique().sort()}
        return found.select(
            value,
            pl.col("decimals").replace_strict(codes, return_dtype=pl.UInt32).alias("code") if codes else pl.lit(0, pl.UInt32).alias("code"),
            pl.Series("tail", [f"><v>{float(one):.16G}</v></c>" for one in found["value"].to_list()], pl.String),
            pl.lit(1, pl.UInt32).alias("lines"),
            pl.lit(False).alias("is_unusual"),
        )

    def _other(self, number: int, value: str) -> tuple[str, int, str, int, bool]:
        if not value:
            return value, self._code(self._cells.blank), "/>", 1, False
        content, cell, lines = self._cells(number, value)
        if not isinstance(content, str):
            return value, self._code(cell), f"><v>{content:.16G}</v></c>", lines, False
        escaped = content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        is_unusual = len(content) > CELL_LIMIT or _UNUSUAL.search(content) is not None
        return value, self._code(cell), f' t="inlineStr"><is><t>{escaped}</t></is></c>', lines, is_unusual

    def _code(self, properties: Any) -> int:
        return self._codes.setdefault(properties, len(self._codes))
