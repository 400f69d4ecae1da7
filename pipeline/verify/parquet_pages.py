"""How much a Parquet file would unpack to, from the headers of its pages: nothing is unpacked to find out.

Enters: a file and its footer, read by pyarrow. Leaves: the bytes that all of its pages unpack to. A footer can say whatever its writer likes; a page's header says how many
bytes a reader must set aside before it unpacks the page, and how many values it has (Parquet's format, `PageHeader`, in Thrift's compact protocol).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

MAX_HEADER_BYTES = 64 << 10
"""Of one page's header: statistics in it may hold a text or two."""
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 12
_UNPACKED, _PACKED, _DATA, _DICTIONARY, _DATA_2 = 2, 3, 5, 7, 8
"""Fields of `PageHeader`."""
_DEPTH = 8


def unpacked_bytes(path: Path, metadata: Any) -> int:
    """The sum over all pages. Raises ValueError for pages that do not fit the footer: their place, their size, how many values they have."""
    total = 0
    size = path.stat().st_size
    with path.open("rb") as file:
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group)
            for column in range(rows.num_columns):
                chunk = rows.column(column)
                starts = [chunk.data_page_offset]
                if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                    starts.append(chunk.dictionary_page_offset)
                begin, packed = min(starts), chunk.total_compressed_size
                if begin < 4 or packed < 0 or begin + packed > size:
                    raise ValueError(f"{path.name}: a column lies outside the file")
                total += _chunk_bytes(file, begin, begin + packed, rows.num_rows, path.name)
    return total


def _chunk_bytes(file: BinaryIO, begin: int, end: int, rows: int, name: str) -> int:
    """Of one column of one row group, whose pages lie from `begin` to `end`."""
    unpacked = values = 0
    while begin < end:
        file.seek(begin)
        raw = file.read(min(MAX_HEADER_BYTES, end - begin))
        header, length = _read_struct(raw, 0, 0)
        of_page = header.get(_DATA) or header.get(_DATA_2)
        sizes = (header.get(_UNPACKED), header.get(_PACKED))
        if any(not isinstance(size, int) or size < 0 for size in sizes) or (of_page is None and header.get(_DICTIONARY) is None):
            raise ValueError(f"{name}: a page whose header says no sizes")
        count = of_page.get(1) if of_page is not None else 0
        if not isinstance(count, int) or count < 0:
            raise ValueError(f"{name}: a page whose header says no number of values")
        values += count
        unpacked += header[_UNPACKED]
        begin += length + header[_PACKED]
    if begin != end or values != rows:
        raise ValueError(f"{name}: the pages of a column have {values:,} values, its footer says {rows:,}")
    return unpacked


def _read_struct(raw: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct by their numbers, and the place after it. Raises ValueError."""
    if depth > _DEPTH:
        raise ValueError("not a sound Parquet file: a page's header is nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while True:
        head = _byte(raw, at)
        at += 1
        if head == 0:
            return fields, at
        step, kind = head >> 4, head & 0x0F
        if step:
            number += step
        else:
            number, at = _zigzag(raw, at)
        fields[number], at = _read_value(raw, at, kind, depth)


def _read_value(raw: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in (_I16, _I32, _I64):
        return _zigzag(raw, at)
    if kind == _STRUCT:
        return _read_struct(raw, at, depth + 1)
    if kind == _BINARY:
        length, at = _varint(raw, at)
        return None, at + length
    if kind in (_BYTE, _DOUBLE):
        return None, at + (1 if kind == _BYTE else 8)
    raise ValueError("not a sound Parquet file: a page's header has a field of a kind that none has")


def _zigzag(raw: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(raw, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = _byte(raw, at)
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError("not a sound Parquet file: a number in a page's header is too long")


def _byte(raw: bytes, at: int) -> int:
    if at >= len(raw):
        raise ValueError("not a sound Parquet file: a page's header ends too early")
    return raw[at]
