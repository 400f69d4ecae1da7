"""Parquet: from bytes to a table of texts; the row's number is used as its line.

Text, whole numbers, decimals, days and timestamps are read exactly; columns of binary floating point, booleans, bytes and lists are
marked, and refused by the check. Limits: the number of rows, and the unpacked size in bytes.
"""

from __future__ import annotations

import io

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.validate.table import CellType, Fault, RawColumn, RawTable

MAX_ROWS = 20_000_000
MAX_UNPACKED_BYTES = 4 << 30
MAX_COLUMNS = 1_000


def read_parquet(data: bytes, source: str) -> RawTable:
    """The table of a Parquet file. Faults come with the table, none is raised."""
    try:
        table = _load(data)
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        return _nothing(source, f"is not a sound Parquet file: {str(error).splitlines()[0][:200] if str(error) else type(error).__name__}")
    if isinstance(table, str):
        return _nothing(source, table)
    try:
        columns = [_column(name, table.column(place)) for place, name in enumerate(table.column_names)]
    except (pa.ArrowException, pl.exceptions.PolarsError, ValueError) as error:
        return _nothing(source, f"has values that can't be read: {str(error)[:200]}")
    lines = pl.int_range(1, table.num_rows + 1, dtype=pl.UInt32, eager=True).alias("line")
    return RawTable(source, None, lines, columns)


def _nothing(source: str, what: str) -> RawTable:
    return RawTable(source, None, pl.Series("line", [], dtype=pl.UInt32), [], [Fault(None, "", what)])


def _load(data: bytes) -> pa.Table | str:
    """The file's columns, texts still as dictionaries; or why it is not read."""
    file = pq.ParquetFile(io.BytesIO(data))
    metadata = file.metadata
    unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    if metadata.num_rows > MAX_ROWS or unpacked > MAX_UNPACKED_BYTES or metadata.num_columns > MAX_COLUMNS:
        return (
            f"has {metadata.num_rows} rows, {metadata.num_columns} columns, {unpacked} bytes unpacked: more than is read at once; split it"
        )
    texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    file = pq.ParquetFile(io.BytesIO(data), read_dictionary=texts)
    table = file.read(use_threads=False)
    table.validate(full=True)
    # A long dictionary text may be repeated in every row, so the written-out size is computed before writing it out.
    unpacked = sum(_written_out_bytes(chunk) for column in table.columns for chunk in column.chunks)
    if unpacked > MAX_UNPACKED_BYTES:
        return f"has {unpacked} bytes of text: more than is read at once; split it"
    return table


def _written_out_bytes(chunk: pa.Array) -> int:
    if not (pa.types.is_dictionary(chunk.type) and pa.types.is_string(chunk.type.value_type)):
        return 0
    lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
    return pc.sum(lengths.take(chunk.indices)).as_py() or 0


def _column(heading: str, column: pa.ChunkedArray) -> RawColumn:
    """A column as texts, and what its type says of its cells."""
    declared = str(column.type)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    cell_type = _cell_type(kind)
    if cell_type in (CellType.FLOAT, CellType.BOOLEAN, CellType.OTHER):
        return RawColumn(heading.strip(), pl.Series(heading, [None], dtype=pl.String).new_from_index(0, len(column)), cell_type, declared)
    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], type=kind)
    series = pl.Series(pl.from_arrow(column)).alias(heading)
    return RawColumn(heading.strip(), _texts(series).str.strip_chars().replace("", None), cell_type, declared)


def _cell_type(kind: pa.DataType) -> CellType:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return CellType.TEXT
    if pa.types.is_integer(kind) or (pa.types.is_decimal128(kind) and kind.scale >= 0):
        return CellType.NUMBER
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return CellType.MOMENT
    if pa.types.is_floating(kind):
        return CellType.FLOAT
    return CellType.BOOLEAN if pa.types.is_boolean(kind) else CellType.OTHER


def _texts(series: pl.Series) -> pl.Series:
    if isinstance(series.dtype, pl.Datetime):
        if series.dtype.time_zone is None:
            return series.dt.strftime("%Y-%m-%dT%H:%M:%S%.f")
        return series.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.f") + "Z"
    if series.dtype == pl.Date:
        return series.dt.strftime("%Y-%m-%d")
    return series.cast(pl.String)
