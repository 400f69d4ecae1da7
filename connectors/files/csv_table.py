"""CSV: from bytes to a table of texts, each row with the line of the file that it begins in.

UTF-8, with or without a byte order mark, unless the layout sets another encoding; the separator is the comma, semicolon or tab that makes
most headings known, unless the layout sets it; quotes as in RFC 4180. Refused: other encodings, stray quotes, rows with too few or too
many fields. Blank lines are ignored.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import islice

import polars as pl

from pipeline.model.message import message
from pipeline.validate.layout import OWN, Layout
from pipeline.validate.table import Fault, RawColumn, RawTable, unread

from .encodings import as_utf8, odd_encoding
from .heading import SEARCHED_ROWS, title_above

SEPARATORS = (",", ";", "\t")
_CHUNK_ROWS = 50_000


def read_csv(data: bytes, source: str, expected: Collection[str], layout: Layout = OWN) -> RawTable:
    """The table of a CSV file. `expected`: the headings by which the separator is detected. Faults are returned with the table."""
    odd = odd_encoding(data, layout)
    data, faults = _normal(data, layout)
    if not faults:
        data, faults = _without_top(data, expected, layout)
    if faults:
        return unread(source, *faults)
    is_quoted = b'"' in data
    table = _read_quoted(data.decode(), source, expected, layout) if is_quoted else _read_plain(data, source, expected, layout)
    table = _with_lost_letters(table, layout)
    return replace(table, odd=(*table.odd, odd)) if odd else table


def _normal(data: bytes, layout: Layout) -> tuple[bytes, list[Fault]]:
    """The file's bytes as UTF-8 without a mark, lines ended by LF; or what makes them unreadable."""
    data, faults = as_utf8(data, layout)
    if faults:
        return b"", faults
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\n" not in data:
            data = data.replace(b"\r", b"\n")
        if b"\r" in data:
            line = data.count(b"\n", 0, data.index(b"\r")) + 1
            return b"", [Fault(line, "", message("has a carriage return inside the line: end all lines alike, by LF or CRLF"))]
    return (data, []) if data and not data.isspace() else (b"", [Fault(None, "", message("is empty: a line of headings is expected"))])


def _without_top(data: bytes, expected: Collection[str], layout: Layout) -> tuple[bytes, list[Fault]]:
    """The file with the lines above its headings emptied, so that lines keep their numbers; or the fault found there."""
    if separator_line := re.match(rb"(?i)sep=(.)[ \t]*\n", data):
        separator = separator_line[1].decode("utf-8", errors="replace")
        if layout.delimiter != separator:
            cure = message("remove the line, or set delimiter = {separator} in {place}", separator=f'"{separator}"', place=layout.place)
            return b"", [
                Fault(
                    1,
                    "",
                    message(
                        "is {separator_line}, a line for Excel alone: {cure}",
                        separator_line=repr(separator_line[0].decode("utf-8", errors="replace").strip()),
                        cure=cure,
                    ),
                )
            ]
        data = data[separator_line.end() - 1 :]
    if layout.rows_above:
        lines = data.split(b"\n", layout.rows_above)
        if len(lines) <= layout.rows_above:
            return b"", [
                Fault(
                    None,
                    "",
                    message(
                        "has no line below the {rows_above} that {place} passes over (rows_above)",
                        rows_above=layout.rows_above,
                        place=layout.place,
                    ),
                )
            ]
        data = b"\n" * layout.rows_above + lines[-1]
    rows = [(line, _cells(text, expected, layout)) for line, text in islice(_written_lines(data[: 1 << 20]), SEARCHED_ROWS + 1)]
    title_fault = title_above(rows[0][1], rows[1:], expected, layout) if rows else ""
    return (b"", [Fault(rows[0][0], "", title_fault)]) if title_fault else (data, [])


def _written_lines(data: bytes) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    for line, raw in enumerate(io.BytesIO(data), 1):
        text = raw.decode("utf-8", errors="ignore").removesuffix("\n")
        if text.strip():
            yield line, text


def _cells(text: str, expected: Collection[str], layout: Layout) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=_separator(text, expected, layout)), [])]
    except csv.Error:
        return []


def _with_lost_letters(table: RawTable, layout: Layout) -> RawTable:
    """Windows-1251, KOI8-R and code page 866 have no Kazakh letters: programs write ? for them. Such a cell is a fault where it is read."""
    if layout.encoding not in ("windows-1251", "koi8-r", "cp866"):
        return table
    columns = []
    for column in table.columns:
        lost = table.lines.filter(column.values.str.contains(r"\p{Cyrillic}\?|\?\p{Cyrillic}").fill_null(False))
        what = message(
            "has a ? among its letters: {encoding} has no Kazakh letters, so they were lost; save the file as CSV UTF-8",
            encoding=layout.encoding,
        )
        columns.append(replace(column, uncertain=tuple(Fault(line, column.heading, what) for line in lost)))
    return replace(table, columns=columns)


def _separator(heading_line: str, expected: Collection[str], layout: Layout) -> str:
    """The layout's separator, else the one that makes most headings known; where none does, the one that stands most often among the headings, a comma first."""
    if layout.delimiter:
        return layout.delimiter

    def known(separator: str) -> tuple[int, int]:
        cells = next(csv.reader([heading_line], delimiter=separator), [])
        return len({cell.strip() for cell in cells} & set(expected)), len(cells)

    return max(SEPARATORS, key=known)


def _read_plain(data: bytes, source: str, expected: Collection[str], layout: Layout) -> RawTable:
    """A file without quotes: one row per line, parsed in polars."""
    heading_line, heading = next(_written_lines(data))
    separator = _separator(heading, expected, layout)
    headings = [cell.strip() for cell in heading.split(separator)]
    if (cells := _even(data, heading_line, separator, len(headings))) is not None:
        lines = pl.int_range(heading_line + 1, heading_line + 1 + cells.height, dtype=pl.UInt32, eager=True).alias("line")
        return _table(source, heading_line, headings, lines, _trimmed(cells, data, separator), [])
    return _read_uneven(data, source, expected, layout)


def _start_of_line(data: bytes, line: int) -> int:
    place = 0
    for _ in range(line - 1):
        place = data.find(b"\n", place) + 1
        if not place:
            return len(data)
    return place


def _even(data: bytes, heading_line: int, separator: str, width: int) -> pl.DataFrame | None:
    """The cells below the headings, where no line is blank and each has as many fields as there are headings; None where that is not so."""
    mark, start = separator.encode(), _start_of_line(data, heading_line + 1)
    height = data.count(b"\n", start) + (not data.endswith(b"\n"))
    if width < 2 or len(mark) != 1 or start == len(data) or data.count(mark, start) != height * (width - 1):
        return None
    names = [f"field_{place}" for place in range(width)]
    try:
        cells = pl.read_csv(
            io.BytesIO(data),
            has_header=False,
            skip_lines=heading_line,
            schema=dict.fromkeys(names, pl.String),
            separator=separator,
            quote_char=None,
        )
    except pl.exceptions.PolarsError:  # a line has more fields, and another one fewer
        return None
    if cells.height != height:
        return None
    # polars passes over one field too many that is empty: then another line has fewer fields, and its last cell is null.
    if cells[names[-1]].null_count() and (data.find(mark + b"\n", start) >= 0 or data.endswith(mark)):
        return None
    return cells


def _trimmed(cells: pl.DataFrame, data: bytes, separator: str) -> pl.DataFrame:
    """As `_stripped`, the cells that polars read of `data`; columns without white space at a cell's ends are not written anew."""
    if not data.isascii():
        return _stripped(cells)
    spaces = [space for space in " \t\x0b\x0c" if space != separator and space.encode() in data]
    padded: set[str] = set()
    for space in spaces:
        is_padded = cells.select((pl.all().str.starts_with(space) | pl.all().str.ends_with(space)).any())
        padded.update(name for name, found in is_padded.row(0, named=True).items() if found)
    return _stripped(cells, padded) if padded else cells


def _stripped(cells: pl.DataFrame, names: Collection[str] | None = None) -> pl.DataFrame:
    """The cells without white space around them, empty ones null. `names`: of the columns in which there may be any; None for all."""
    columns = pl.all() if names is None else pl.col(sorted(names))
    return cells.with_columns(columns.str.strip_chars().replace("", None))


def _read_uneven(data: bytes, source: str, expected: Collection[str], layout: Layout) -> RawTable:
    """As `_read_plain`, line by line: with blank lines, and with those that have too few or too many fields."""
    lines = pl.read_lines(io.BytesIO(data), row_index_name="line", row_index_offset=1, name="text").with_columns(
        pl.col("line").cast(pl.UInt32)
    )
    lines = lines.filter(pl.col("text").str.contains(r"\S"))
    heading_line, heading = lines.row(0)
    separator = _separator(heading, expected, layout)
    headings = [cell.strip() for cell in heading.split(separator)]
    lines = lines.slice(1).with_columns(fields=pl.col("text").str.count_matches(separator, literal=True) + 1)
    ragged = lines.filter(pl.col("fields") != len(headings)).select("line", "fields")
    faults = [_ragged(line, fields, len(headings)) for line, fields in ragged.iter_rows()]
    if faults:
        lines = lines.filter(pl.col("fields") == len(headings))
    cells = lines.select(pl.col("text").str.split_exact(separator, len(headings) - 1)).to_series().struct.unnest()
    return _table(source, heading_line, headings, lines["line"], _stripped(cells), faults)


def _read_quoted(text: str, source: str, expected: Collection[str], layout: Layout) -> RawTable:
    """A file with quotes, where fields may contain separators and line ends: parsed by the standard library."""
    heading = next(line for line in text.split("\n") if line.strip())
    separator = _separator(heading, expected, layout)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    headings: list[str] = []
    heading_line = 0
    starts: list[int] = []
    faults: list[Fault] = []
    chunks: list[pl.DataFrame] = []
    waiting: list[list[str]] = []
    start = 1
    try:
        for row in reader:
            if headings and len(row) == len(headings):
                starts.append(start)
                waiting.append(row)
                if len(waiting) == _CHUNK_ROWS:
                    chunks.append(_frame(waiting, len(headings)))
                    faults += _quote_faults(chunks[-1], starts[-len(waiting) :], headings, separator)
                    waiting = []
            elif "".join(row).strip():
                if headings:
                    faults.append(_ragged(start, len(row), len(headings)))
                else:
                    heading_line, headings = start, [cell.strip() for cell in row]
            start = reader.line_num + 1
    except csv.Error as error:
        faults.append(Fault(start, "", message("has a stray or unclosed quote ({error}): the lines after it were not read", error=error)))
    chunks.append(_frame(waiting, len(headings)))
    faults += _quote_faults(chunks[-1], starts[len(starts) - len(waiting) :], headings, separator)
    lines = pl.Series("line", starts, dtype=pl.UInt32)
    return _table(source, heading_line or None, headings, lines, _stripped(pl.concat(chunks)), faults)


def _frame(rows: list[list[str]], width: int) -> pl.DataFrame:
    columns = zip(*rows, strict=True) if rows else ((),) * width
    return pl.DataFrame([pl.Series(f"field_{place}", cells, dtype=pl.String) for place, cells in enumerate(columns)])


def _quote_faults(cells: pl.DataFrame, starts: list[int], headings: list[str], separator: str) -> list[Fault]:
    """A quote after a space, which would stay in the value; and a pair of quotes around whole rows, which would be lost in it."""
    faults = []
    lines = pl.Series("line", starts, dtype=pl.UInt32)
    for heading, name in zip(headings, cells.columns, strict=True):
        odd = cells[name].str.contains(r'^\s+"|\n')
        for line, text in pl.DataFrame({"line": lines, "text": cells[name]}).filter(odd).iter_rows():
            if re.match(r'\s+"', text):
                faults.append(Fault(line, heading, message("has a space before its quote: begin the field with the quote")))
            elif text.count(separator) >= len(headings) - 1:
                faults.append(
                    Fault(
                        line,
                        heading,
                        message("a pair of quotes holds the end of this row and the begin of another: remove the stray quotes"),
                    )
                )
    return faults


def _ragged(line: int, fields: int, expected: int) -> Fault:
    return Fault(
        line,
        "",
        message(
            "has {fields} fields, the headings are {expected}: quote a field that holds the separator", fields=fields, expected=expected
        ),
    )


def _table(
    source: str, heading_line: int | None, headings: list[str], lines: pl.Series, cells: pl.DataFrame, faults: list[Fault]
) -> RawTable:
    if cells.width and all(column.null_count() for column in cells):
        is_row = cells.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
        if not is_row.all():
            cells, lines = cells.filter(is_row), lines.filter(is_row)
    columns = [RawColumn(heading, cells[name]) for heading, name in zip(headings, cells.columns, strict=True)]
    return RawTable(source, heading_line, lines, columns, faults)
