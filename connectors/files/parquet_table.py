"""Parquet: from bytes to a table of texts; the row's number is used as its line.

Text, whole numbers, decimals, days and timestamps are read exactly; columns of binary floating point, booleans, bytes and lists are
marked, and refused by the check. Limits: the number of rows, and the unpacked size in bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.model.message import message
from pipeline.validate.table import CellType, Fault, RawColumn, RawTable, unread

MAX_ROWS = 20_000_000
MAX_UNPACKED_BYTES = 4 << 30
MAX_COLUMNS = 1_000
_ROWS_A_BATCH = 1 << 18
_AS_IT_IS = "DELTA_LENGTH_BYTE_ARRAY"
_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_DAYS = (-719_162, 2_932_896)
"""The first and the last day of the years 1 to 9999, counted from 1970-01-01."""


def read_parquet(data: bytes, source: str) -> RawTable:
    """The table of a Parquet file. Faults come with the table, none is raised."""
    try:
        loaded = _load(data)
    except NotImplementedError as error:
        what = message(
            "has a column of a type that is not read ({error}): write amounts as decimals or text, and the others as text",
            error=str(error)[:200],
        )
        return unread(source, Fault(None, "", what))
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        what = message(
            "is not a sound Parquet file: {splitlines}",
            splitlines=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
        )
        return unread(source, Fault(None, "", what))
    if isinstance(loaded, str):
        return unread(source, Fault(None, "", loaded))
    schema, height, read_columns = loaded
    read = iter(read_columns)
    try:
        columns = [_column(field.name, next(read)) if _is_taken(field.type) else _refused(field, height) for field in schema]
    except (pa.ArrowException, pl.exceptions.PolarsError, ValueError) as error:
        return unread(source, Fault(None, "", message("has values that can't be read: {error}", error=str(error)[:200])))
    lines = pl.int_range(1, height + 1, dtype=pl.UInt32, eager=True).alias("line")
    return RawTable(source, None, lines, columns)


def _load(data: bytes) -> tuple[pa.Schema, int, list[pa.ChunkedArray]] | str:
    """The file's schema, its number of rows, and its columns of the types that are taken, texts still as dictionaries; or why it is not read.

    What a column takes is known or counted before it is kept: numbers and days by their width, texts batch by batch as they would be written out. Columns of
    other types are refused by their type, so their values are never read. The file's own word of its size is believed only where it is large.
    """
    file = pq.ParquetFile(io.BytesIO(data))
    metadata, schema = file.metadata, file.schema_arrow
    declared = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    taken = [field for field in schema if _is_taken(field.type)]
    least = metadata.num_rows * sum(_width(field.type) for field in taken)
    if metadata.num_rows > MAX_ROWS or max(declared, least) > MAX_UNPACKED_BYTES or metadata.num_columns > MAX_COLUMNS:
        size = max(declared, least)
        return message(
            "has {num_rows} rows, {num_columns} columns, {size} bytes unpacked: more than is read at once; split it",
            num_rows=metadata.num_rows,
            num_columns=metadata.num_columns,
            size=size,
        )
    names = [field.name for field in taken]
    if shared := sorted({field.name for field in schema if not _is_taken(field.type)} & set(names)):
        return message("has two columns called {shared}, one of them of another type: rename it", shared=repr(shared[0]))
    texts = [field.name for field in taken if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    groups = [_encodings(metadata.row_group(group), texts) for group in range(metadata.num_row_groups)]
    if odd := _not_read(groups):
        return message(
            "the column {column} is written in an encoding that is not read ({encoding}): write the file anew, as Parquet version 1",
            column=repr(odd[0]),
            encoding=odd[1],
        )
    batches, unpacked = [], 0
    for batch in _batches(data, groups, names, texts) if names else ():
        batch.validate(full=True)
        # A long dictionary text may be repeated in every row, so the written-out size is computed before writing it out.
        unpacked += sum(_written_out_bytes(column) for column in batch.columns)
        if unpacked > MAX_UNPACKED_BYTES:
            return message("has more than {unpacked} bytes of text and numbers: more than is read at once; split it", unpacked=unpacked)
        batches.append(batch)
    if not batches or not names:
        return schema, metadata.num_rows, [pa.chunked_array([], field.type) for field in taken]
    return schema, metadata.num_rows, pa.Table.from_batches(batches).columns


def _batches(data: bytes, groups: list[dict[str, set[str]]], names: list[str], texts: list[str]) -> Iterator[pa.RecordBatch]:
    """The file's rows, texts as dictionaries. `groups`: the encodings of each group of rows.

    Where a group of rows has a column in the encoding of version 2 that stores each text as it is (`DELTA_LENGTH_BYTE_ARRAY`, as DuckDB writes it), the
    library reads no dictionary: the column is read plainly there, and made one.
    """
    whole = pq.ParquetFile(io.BytesIO(data), read_dictionary=texts)
    if not any({_AS_IT_IS} in found.values() for found in groups):
        yield from whole.iter_batches(_ROWS_A_BATCH, columns=names, use_threads=False)
        return
    for group, found in enumerate(groups):
        stored = {name for name in texts if found.get(name) == {_AS_IT_IS}}
        reader = pq.ParquetFile(io.BytesIO(data), read_dictionary=[name for name in texts if name not in stored])
        for batch in reader.iter_batches(_ROWS_A_BATCH, row_groups=[group], columns=names, use_threads=False):
            columns = [
                column.dictionary_encode().cast(whole.schema_arrow.field(name).type) if name in stored else column
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _encodings(group: pq.RowGroupMetaData, texts: list[str]) -> dict[str, set[str]]:
    """How the values of the columns of texts are encoded in a group of rows."""
    chunks = (group.column(place) for place in range(group.num_columns))
    return {chunk.path_in_schema: set(chunk.encodings) - {"RLE", "BIT_PACKED"} for chunk in chunks if chunk.path_in_schema in texts}


def _not_read(groups: list[dict[str, set[str]]]) -> tuple[str, str] | None:
    """A column of texts in an encoding that can't be read within bounds, and which; None for none. One that repeats beginnings of texts tells no size."""
    for group in groups:
        for name, found in group.items():
            if "DELTA_BYTE_ARRAY" in found or (_AS_IT_IS in found and found != {_AS_IT_IS}):
                return name, ", ".join(sorted(found))
    return None


def _is_taken(kind: pa.DataType) -> bool:
    """Whether values of the type are read; dictionaries by what stands in them."""
    return _cell_type(_value_type(kind)) in (CellType.TEXT, CellType.NUMBER, CellType.MOMENT)


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _width(kind: pa.DataType) -> int:
    """Bytes that each value takes at least: of a text its place in a dictionary."""
    kind = _value_type(kind)
    if pa.types.is_null(kind):
        return 1
    return kind.bit_width // 8 if pa.types.is_primitive(kind) or pa.types.is_decimal(kind) else 4


def _written_out_bytes(chunk: pa.Array) -> int:
    if not pa.types.is_dictionary(chunk.type):
        return int(chunk.nbytes)
    if pa.types.is_primitive(chunk.type.value_type) or pa.types.is_decimal(chunk.type.value_type):
        return len(chunk) * int(chunk.type.value_type.bit_width // 8)
    lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
    return pc.sum(lengths.take(chunk.indices)).as_py() or 0


def _refused(field: pa.Field, rows: int) -> RawColumn:
    """A column of a type that is not taken: marked, without its values."""
    empty = pl.Series(field.name, [None], dtype=pl.String).new_from_index(0, rows)
    return RawColumn(field.name.strip(), empty, _cell_type(_value_type(field.type)), str(field.type))


def _column(heading: str, column: pa.ChunkedArray) -> RawColumn:
    """A column as texts, and what its type says of its cells."""
    declared, kind = str(column.type), _value_type(column.type)
    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], type=kind)
    if pa.types.is_timestamp(kind) and kind.tz:  # an instant in any zone is held in UTC; polars knows fewer zones than writers do
        column = column.cast(pa.timestamp(kind.unit, "UTC"))
    series = pl.Series(pl.from_arrow(column)).alias(heading)
    return RawColumn(heading.strip(), _texts(series).str.strip_chars().replace("", None), _cell_type(kind), declared)


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
        return _moments(series, "%Y-%m-%dT%H:%M:%S%.f", "timestamp") + ("Z" if series.dtype.time_zone else "")
    if series.dtype == pl.Date:
        return _moments(series, "%Y-%m-%d", "date")
    return series.cast(pl.String)


def _moments(series: pl.Series, form: str, kind: str) -> pl.Series:
    """Days or instants as texts; those outside the years 1 to 9999, for which polars panics, as the bare number, which no check takes for a moment."""
    numbers = series.to_physical()
    a_day = _A_DAY[series.dtype.time_unit] if isinstance(series.dtype, pl.Datetime) else 1
    is_far = ~(numbers // a_day).is_between(*_DAYS)
    if not is_far.any():
        return series.dt.strftime(form)
    near = series.set(is_far, None).dt.strftime(form)
    return near.zip_with(~is_far.fill_null(False), pl.select(pl.format(f"{kind} {{}}", numbers)).to_series()).alias(series.name)
