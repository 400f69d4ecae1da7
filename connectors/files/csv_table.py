"""CSV: from bytes to a table of texts, each row with the line of the file that it begins in.

UTF-8, with or without a byte order mark; fields apart by comma, semicolon or tab, whichever makes the header's headings known;
quotes as RFC 4180 has them. Refused: other encodings, stray quotes, rows with too few or too many fields. Blank lines don't count.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection

import polars as pl

from pipeline.validate.table import Fault, RawColumn, RawTable

SEPARATORS = (",", ";", "\t")
_CHUNK_ROWS = 50_000


def read_csv(data: bytes, source: str, expected: Collection[str]) -> RawTable:
    """The table of a CSV file. `expected`: the headings that tell the separator. Faults come with the table, none is raised."""
    data, faults = _normal(data)
    if faults:
        return _nothing(source, faults)
    if b'"' in data:
        return _read_quoted(data.decode("utf-8"), source, expected)
    return _read_plain(data, source, expected)


def _nothing(source: str, faults: list[Fault]) -> RawTable:
    return RawTable(source, None, pl.Series("line", [], dtype=pl.UInt32), [], faults)


def _normal(data: bytes) -> tuple[bytes, list[Fault]]:
    """The file's bytes as UTF-8 without a mark, lines ended by LF; or what makes them unreadable."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data:
        return b"", [Fault(None, "", "is not UTF-8 text (UTF-16, or not text at all): save it as CSV UTF-8")]
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return b"", [Fault(line, "", "is not UTF-8 (Windows-1251, perhaps): save the file as CSV UTF-8")]
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\n" not in data:
            data = data.replace(b"\r", b"\n")
        if b"\r" in data:
            line = data.count(b"\n", 0, data.index(b"\r")) + 1
            return b"", [Fault(line, "", "has a carriage return inside the line: end all lines alike, by LF or CRLF")]
    return (data, []) if data.strip() else (b"", [Fault(None, "", "is empty: a line of headings is expected")])


def _separator(heading_line: str, expected: Collection[str]) -> str:
    """The separator that makes most headings known; a comma when none does."""

    def known(separator: str) -> int:
        return len({cell.strip() for cell in next(csv.reader([heading_line], delimiter=separator), [])} & set(expected))

    return max(SEPARATORS, key=known)


def _read_plain(data: bytes, source: str, expected: Collection[str]) -> RawTable:
    """A file without any quote: a row a line, all of it in polars."""
    lines = pl.read_lines(io.BytesIO(data), row_index_name="line", row_index_offset=1, name="text").with_columns(
        pl.col("line").cast(pl.UInt32)
    )
    lines = lines.filter(pl.col("text").str.contains(r"\S"))
    heading_line, heading = lines.row(0)
    separator = _separator(heading, expected)
    headings = [cell.strip() for cell in heading.split(separator)]
    lines = lines.slice(1).with_columns(fields=pl.col("text").str.count_matches(separator, literal=True) + 1)
    ragged = lines.filter(pl.col("fields") != len(headings)).select("line", "fields")
    faults = [_ragged(line, fields, len(headings)) for line, fields in ragged.iter_rows()]
    if faults:
        lines = lines.filter(pl.col("fields") == len(headings))
    cells = lines.select(pl.col("text").str.split_exact(separator, len(headings) - 1)).to_series().struct.unnest()
    return _table(source, heading_line, headings, lines["line"], cells, faults)


def _read_quoted(text: str, source: str, expected: Collection[str]) -> RawTable:
    """A file with quotes: fields may hold separators and line ends, so the standard library's reader takes it apart."""
    heading = next(line for line in text.split("\n") if line.strip())
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(heading, expected), strict=True)
    headings: list[str] = []
    heading_line = 0
    starts: list[int] = []
    faults: list[Fault] = []
    chunks: list[pl.DataFrame] = []
    waiting: list[list[str]] = []
    start = 1
    try:
        for row in reader:
            if len(row) == len(headings):
                starts.append(start)
                waiting.append(row)
                if len(waiting) == _CHUNK_ROWS:
                    chunks.append(_frame(waiting, len(headings)))
                    waiting = []
            elif "".join(row).strip():
                if headings:
                    faults.append(_ragged(start, len(row), len(headings)))
                else:
                    heading_line, headings = start, [cell.strip() for cell in row]
            start = reader.line_num + 1
    except csv.Error as error:
        faults.append(Fault(start, "", f"has a stray or unclosed quote ({error}): the lines after it were not read"))
    chunks.append(_frame(waiting, len(headings)))
    lines = pl.Series("line", starts, dtype=pl.UInt32)
    return _table(source, heading_line or None, headings, lines, pl.concat(chunks), faults)


def _frame(rows: list[list[str]], width: int) -> pl.DataFrame:
    columns = zip(*rows, strict=True) if rows else ((),) * width
    return pl.DataFrame([pl.Series(f"field_{place}", cells, dtype=pl.String) for place, cells in enumerate(columns)])


def _ragged(line: int, fields: int, expected: int) -> Fault:
    return Fault(line, "", f"has {fields} fields, the headings are {expected}: quote a field that holds the separator")


def _table(
    source: str, heading_line: int | None, headings: list[str], lines: pl.Series, cells: pl.DataFrame, faults: list[Fault]
) -> RawTable:
    trimmed = cells.select(pl.all().str.strip_chars().replace("", None))
    if len(trimmed) and trimmed.width:
        is_row = trimmed.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
        if not is_row.all():
            trimmed, lines = trimmed.filter(is_row), lines.filter(is_row)
    columns = [RawColumn(heading, trimmed[name]) for heading, name in zip(headings, trimmed.columns, strict=True)]
    return RawTable(source, heading_line, lines, columns, faults)
