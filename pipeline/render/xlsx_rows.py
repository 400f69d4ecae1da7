"""A table's rows as a worksheet's XML, made by whole columns: many times faster than a call for each cell, and byte for byte what the library writes.

What enters: the printed rows, their `TypedCells`, and the sheet as the library wrote it with a few rows only, the landmarks: each format and height once, the first
and the last row, and texts that the library escapes in ways of its own. What leaves: the sheet with all rows in their places. The landmarks are made here, too, and
compared with the library's: a version of it that writes otherwise is noticed in each file (`WrittenOtherwise`), and the rows are left to it.
"""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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
_ROW: Final = re.compile(rb'<row r="(\d+)"')
_HEIGHT: Final = re.compile(r'<row r="\d+"([^>]*)>')
_STYLES: Final = re.compile(r'<c r="[A-Z]+\d+" s="(\d+)"')
_ROW_END: Final = b"</row>"
_READ_AT_ONCE: Final = 1 << 20
_TYPED: Final = {"value": pl.String, "code": pl.UInt32, "tail": pl.String, "lines": pl.UInt32, "is_unusual": pl.Boolean}


class WrittenOtherwise(Exception):
    """The library writes a row in other bytes than this module."""


class BulkRows:
    """The rows of one sheet."""

    def __init__(self, rows: ReportRows, cells: TypedCells, *, first_row: int) -> None:
        """`first_row`: where the first of `rows` stands in the sheet, from 0."""
        self._rows, self._cells, self._first_row = rows, cells, first_row
        self._codes: dict[int, int] = {}
        """A format, by its identity, to its number here; `_styles` has its number in the workbook, as the landmarks show it."""
        self._styles: dict[int, str] = {}
        self._heights: dict[int, str] = {}
        self._landmarks: list[int] = []

    def landmarks(self) -> Iterator[tuple[int, tuple[str | None, ...]]]:
        """The rows that the library writes, in order: the number in the sheet, and the values."""
        found = {0, self._rows.height - 1}
        seen: set[tuple[str, int]] = set()
        for start in range(0, self._rows.height, CHUNK):
            typed = self._typed(start)
            found.update(typed.filter("is_unusual")["place"])
            for name in ("lines", *(name for name in typed.columns if name.startswith("code"))):
                for kind, place in typed.group_by(name).agg(pl.col("place").min()).iter_rows():
                    if (name, kind) not in seen:
                        seen.add((name, kind))
                        found.add(place)
        self._landmarks = sorted(found)
        for place in self._landmarks:
            yield self._first_row + place, self._rows.slice(place, 1).row(0)

    def spliced(self, sheet: IO[bytes], on_rows: Callable[[int], None]) -> Iterator[bytes]:
        """The sheet's XML, which has the landmarks, with all rows. `on_rows`: how many are done. Raises WrittenOtherwise."""
        parts = _rows_of(sheet)
        landmarks = iter(self._landmarks)
        wanted = next(landmarks, None)
        for number, part in parts:
            if wanted is not None and number == self._first_row + wanted + 1:
                parts = itertools.chain([(number, part)], parts)
                break
            yield part
        for start in range(0, self._rows.height, CHUNK):
            stop = min(start + CHUNK, self._rows.height)
            theirs: dict[int, str] = {}
            while wanted is not None and wanted < stop:
                theirs[wanted - start] = next(parts)[1].decode()
                wanted = next(landmarks, None)
            yield self._chunk(start, theirs)
            on_rows(stop)
        for _, part in parts:
            yield part

    def _chunk(self, start: int, theirs: Mapping[int, str]) -> bytes:
        """The XML of a chunk's rows; `theirs`: the library's, by their place in the chunk."""
        typed = self._typed(start)
        codes = typed.select(pl.col("^code.*$")).rows()
        for place, xml in theirs.items():
            self._styles.update(zip(codes[place], _STYLES.findall(xml), strict=True))
            self._heights[typed["lines"][place]] = _HEIGHT.match(xml)[1]  # type: ignore[index]
        ours = typed.select(self._xml()).to_series().to_list()
        usual = typed["is_unusual"].not_()
        for place, xml in theirs.items():
            if usual[place] and ours[place] != xml:
                raise WrittenOtherwise(xml)
            ours[place] = xml
        return "".join(ours).encode()

    def _xml(self) -> pl.Expr:
        row = (pl.col("place") + self._first_row + 1).cast(pl.String)
        pieces: list[pl.Expr] = [pl.lit('<row r="'), row, pl.lit('"'), pl.col("lines").replace_strict(self._heights), pl.lit(">")]
        for number in range(len(self._cells.columns)):
            style = pl.col(f"code{number}").replace_strict(self._styles)
            pieces += [pl.lit(f'<c r="{chr(ord("A") + number)}'), row, pl.lit('" s="'), style, pl.lit('"'), pl.col(f"tail{number}")]
        return pl.concat_str(*pieces, pl.lit("</row>"))

    def _typed(self, start: int) -> pl.DataFrame:
        """A chunk's rows: of each cell the format's code and the XML after it, of each row its lines and whether the library must write it."""
        rows = self._rows.slice(start, CHUNK)
        columns = [pl.int_range(start, start + rows.height, dtype=pl.UInt32, eager=True).alias("place")]
        lines, unusual = [], []
        for number, column in enumerate(self._cells.columns):
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
        typed = pl.concat([numbers, pl.DataFrame([self._other(number, value) for value in others], _TYPED, orient="row")])
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
            pl.Series("tail", [f"><v>{float(one):.16G}</v></c>" for one in found["value"]], pl.String),
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

    def _code(self, cell: Any) -> int:
        return self._codes.setdefault(id(cell), len(self._codes))


def splice_sheets(
    book: IO[bytes], file: IO[bytes], sheets: Collection[BulkRows], *, folder: str | None, on_progress: Callable[[int], None]
) -> None:
    """Copy a workbook to `file`, its first sheets with all their rows. `folder`: where a sheet lies until it is packed. Raises WrittenOtherwise."""
    bulk = {f"xl/worksheets/sheet{number}.xml": sheet for number, sheet in enumerate(sheets, 1)}
    done = 0
    with zipfile.ZipFile(book) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            with source.open(info) as part, tempfile.SpooledTemporaryFile(SPOOLED, dir=folder) as whole:
                rows = bulk.get(info.filename)
                before = done

                def say(count: int, before: int = before) -> None:
                    nonlocal done
                    done = before + count
                    on_progress(done)

                whole.writelines(part if rows is None else rows.spliced(part, say))
                _pack(info, cast("IO[bytes]", whole), target)


def _pack(info: zipfile.ZipInfo, whole: IO[bytes], target: zipfile.ZipFile) -> None:
    """Add a part to the archive under its name, date and mode."""
    made = zipfile.ZipInfo(info.filename, info.date_time)
    made.external_attr, made.create_system, made.compress_type = info.external_attr, info.create_system, info.compress_type
    made.file_size = whole.tell()
    whole.seek(0)
    with target.open(made, "w") as packed:
        shutil.copyfileobj(whole, packed, 1 << 16)


def _rows_of(sheet: IO[bytes]) -> Iterator[tuple[int | None, bytes]]:
    """A sheet's XML in pieces, in order: each row with its number, from 1, and what stands between."""
    held = b""
    chunks: Iterable[bytes] = iter(lambda: sheet.read(_READ_AT_ONCE), b"")
    for chunk in chunks:
        *rows, held = (held + chunk).split(_ROW_END)
        for row in rows:
            start = _ROW.search(row)
            assert start is not None  # what ends as a row began as one
            if start.start():
                yield None, row[: start.start()]
            yield int(start[1]), row[start.start() :] + _ROW_END
    yield None, held
