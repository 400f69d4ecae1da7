"""A table's rows as a worksheet's XML, made by whole columns: many times faster than a call for each cell, and byte for byte what the library writes.

What enters: the rows as they were typed (`xlsx_typed`), and the sheet as the library wrote it with the landmarks only, which show what each format's number is and each
height. What leaves: the sheet with all rows in their places; where another language's landmarks are the same bytes, so are its rows, and they are made once, from layout 3 on also deflated. The landmarks
are made here, too, and compared with the library's: a version of it that writes otherwise is noticed in each file (`WrittenOtherwise`), and the rows are left to it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import IO, Final

import polars as pl

from .deflated import Deflated, add_member
from .xlsx_typed import TypedRows, spool

_ROW: Final = re.compile(rb'<row r="(\d+)"')
_HEIGHT: Final = re.compile(r'<row r="\d+"([^>]*)>')
_STYLES: Final = re.compile(r'<c r="[A-Z]+\d+" s="(\d+)"')
_ROW_END: Final = b"</row>"
_READ_AT_ONCE: Final = 1 << 20


class WrittenOtherwise(Exception):
    """The library writes a row in other bytes than this module."""


Whole = IO[bytes] | Deflated
"""The XML of a sheet's rows: in a file, open at its end, or deflated."""


class MadeRows:
    """The XML of sheets' rows in temporary files, for the next language whose landmarks are the same: of the sheet that was made last, or deflated, of all."""

    def __init__(self, folder: str | None, *, level: int | None) -> None:
        """`folder`: where they lie (None: the system's own). `level`: how hard zlib tries when it deflates them; None: they are not deflated."""
        self._folder, self._level = folder, level
        self._made: dict[TypedRows, tuple[bytes, IO[bytes], Whole]] = {}

    def get(self, sheet: TypedRows, key: bytes, make: Callable[[], Iterable[bytes]]) -> tuple[Whole, bool]:
        """The XML, and whether `make` made it anew. `key`: what it depends on."""
        if sheet in self._made and self._made[sheet][0] == key:
            return self._made[sheet][2], False
        if self._level is None:
            self.close()
        elif sheet in self._made:
            self._made.pop(sheet)[1].close()
        with ExitStack() as until_made:
            file = until_made.enter_context(spool(self._folder))
            whole: Whole = file
            if self._level is None:
                file.writelines(make())
            else:
                whole = Deflated(file, make(), self._level)
            until_made.pop_all()
        self._made[sheet] = key, file, whole
        return whole, True

    def close(self) -> None:
        """Remove what was kept."""
        for _, file, _ in self._made.values():
            file.close()
        self._made = {}


class BulkRows:
    """The rows of one sheet in one language."""

    def __init__(self, typed: TypedRows, *, first_row: int) -> None:
        """`first_row`: where the first of the rows stands in the sheet, from 0."""
        self._typed, self._first_row = typed, first_row
        self._styles: dict[int, str] = {}
        """A format's code to its number in the workbook, as the landmarks show it."""
        self._heights: dict[int, str] = {}

    def landmarks(self) -> Iterator[tuple[int, tuple[str | None, ...]]]:
        """The rows that the library writes, in order: the number in the sheet, and the values."""
        for place, values in self._typed.landmark_rows():
            yield self._first_row + place, values

    def spliced(self, sheet: IO[bytes], made: MadeRows, on_rows: Callable[[int], None]) -> tuple[bytes, Whole, bytes]:
        """The sheet, which has the landmarks, with all rows: what stands before them, they, and what stands behind. `on_rows`: how many are done. Raises WrittenOtherwise."""
        around: list[list[bytes]] = [[], []]
        digest = hashlib.sha256()
        for is_landmark, part in self._parts(sheet):
            if is_landmark:
                digest.update(part)
                around[0], around[1] = around[0] or around[1], []
            else:
                around[1].append(part)
        sheet.seek(0)
        rows, is_new = made.get(self._typed, digest.digest(), lambda: self._made(sheet, on_rows))
        if not is_new:
            on_rows(self._typed.rows.height)
        return b"".join(around[0]), rows, b"".join(around[1])

    def _parts(self, sheet: IO[bytes]) -> Iterator[tuple[bool, bytes]]:
        """The library's sheet in pieces, and which of them are landmarks: it has no other rows between the first and the last."""
        first, last = self._first_row + 1, self._first_row + self._typed.rows.height
        return ((number is not None and first <= number <= last, part) for number, part in _rows_of(sheet))

    def _made(self, sheet: IO[bytes], on_rows: Callable[[int], None]) -> Iterator[bytes]:
        library = (part for is_landmark, part in self._parts(sheet) if is_landmark)
        landmarks = iter(self._typed.landmarks)
        wanted = next(landmarks, None)
        for start in self._typed.chunks():
            typed = self._typed.chunk(start)
            theirs: dict[int, str] = {}
            while wanted is not None and wanted < start + typed.height:
                theirs[wanted - start] = next(library).decode()
                wanted = next(landmarks, None)
            yield self._chunk(typed, theirs)
            on_rows(start + typed.height)

    def _chunk(self, typed: pl.DataFrame, theirs: Mapping[int, str]) -> bytes:
        """The XML of a chunk's rows; `theirs`: the library's, by their place in the chunk."""
        codes = typed.select(pl.col("^code.*$"))
        for place, xml in theirs.items():
            self._styles.update(zip(codes.row(place), _STYLES.findall(xml), strict=True))
            self._heights[typed["lines"][place]] = _HEIGHT.match(xml)[1]  # type: ignore[index]
        ours = typed.select(self._xml(codes.width)).to_series().to_list()
        usual = typed["is_unusual"].not_()
        for place, xml in theirs.items():
            if usual[place] and ours[place] != xml:
                raise WrittenOtherwise(xml)
            ours[place] = xml
        return "".join(ours).encode()

    def _xml(self, columns: int) -> pl.Expr:
        row = (pl.col("place") + self._first_row + 1).cast(pl.String)
        pieces: list[pl.Expr] = [pl.lit('<row r="'), row, pl.lit('"'), pl.col("lines").replace_strict(self._heights), pl.lit(">")]
        for number in range(columns):
            style = pl.col(f"code{number}").replace_strict(self._styles)
            pieces += [pl.lit(f'<c r="{chr(ord("A") + number)}'), row, pl.lit('" s="'), style, pl.lit('"'), pl.col(f"tail{number}")]
        return pl.concat_str(*pieces, pl.lit("</row>"))


def splice_sheets(
    book: IO[bytes], file: IO[bytes], sheets: Collection[BulkRows], made: MadeRows, *, on_progress: Callable[[int], None]
) -> None:
    """Copy a workbook to `file`, its first sheets with all their rows. Raises WrittenOtherwise."""
    bulk = {f"xl/worksheets/sheet{number}.xml": sheet for number, sheet in enumerate(sheets, 1)}
    done = 0
    with zipfile.ZipFile(book) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            with source.open(info) as part:
                rows = bulk.get(info.filename)
                before = done

                def say(count: int, before: int = before) -> None:
                    nonlocal done
                    done = before + count
                    on_progress(done)

                if rows is None:
                    _pack(info, part.read(), None, b"", target)
                else:
                    _pack(info, *rows.spliced(part, made, say), target)


def _pack(info: zipfile.ZipInfo, head: bytes, whole: Whole | None, tail: bytes, target: zipfile.ZipFile) -> None:
    """Add a part to the archive under its name, date and mode."""
    made = zipfile.ZipInfo(info.filename, info.date_time)
    made.external_attr, made.create_system, made.compress_type = info.external_attr, info.create_system, info.compress_type
    if isinstance(whole, Deflated):
        add_member(target, made, head, whole, tail)
        return
    made.file_size = len(head) + (whole.seek(0, 2) if whole is not None else 0) + len(tail)
    with target.open(made, "w") as packed:
        packed.write(head)
        if whole is not None:
            whole.seek(0)
            shutil.copyfileobj(whole, packed, 1 << 16)
        packed.write(tail)


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
