"""Rows of a frame as the JSON of an event's columns, written by polars, a batch at a time.

Enters: a frame of texts and whole numbers. Leaves: for each batch of rows the bytes that msgspec writes for the struct of the same lists; a
million rows never become objects of Python. A column with texts that JSON escapes is written text by text, one that has one value alone once.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import polars as pl

BATCHES_AT_ONCE = 100
"""How many batches are held as text beside the rows."""


def columns_json(rows: pl.DataFrame, rows_at_once: int) -> Iterator[msgspec.Raw]:
    """`{"column":[…],…}` of every `rows_at_once` rows, columns in the frame's order; null where a cell has no value. Columns are texts or whole numbers."""
    for part in rows.iter_slices(rows_at_once * BATCHES_AT_ONCE):
        lists = [_lists(part[name], rows_at_once) for name in part.columns]
        heads = [f'{"," if place else "{"}"{name}":[' for place, name in enumerate(part.columns)]
        for batch in zip(*lists, strict=True):
            pieces = [piece for head, values in zip(heads, batch, strict=True) for piece in (head, values, "]")]
            yield msgspec.Raw("".join([*pieces, "}"]).encode())


def _lists(column: pl.Series, rows_at_once: int) -> list[str]:
    """The column's values as JSON, those of each batch with commas between them."""
    nulls = column.null_count()
    if len(column) and (nulls == len(column) or (not nulls and (column == column[0]).all())):
        return _repeated(msgspec.json.encode(column[0]).decode(), len(column), rows_at_once)
    if column.dtype != pl.String:
        return _joined(column.cast(pl.String).fill_null("null"), ",", rows_at_once)
    if nulls:
        if _has_escaped(column.drop_nulls().str.join('","').to_list(), len(column) - nulls):
            return _each(column, rows_at_once)
        quoted = column.to_frame().select(pl.concat_str(pl.lit('"'), pl.col(column.name), pl.lit('"')).fill_null("null"))
        return _joined(quoted.to_series(), ",", rows_at_once)
    lists = _joined(column, '","', rows_at_once)
    return _each(column, rows_at_once) if _has_escaped(lists, len(column)) else [f'"{texts}"' for texts in lists]


def _each(texts: pl.Series, rows_at_once: int) -> list[str]:
    written = pl.Series([msgspec.json.encode(text).decode() for text in texts], dtype=pl.String)
    return _joined(written, ",", rows_at_once)


def _has_escaped(lists: list[str], cells: int) -> bool:
    """Whether JSON escapes anything in texts joined by `","` but those marks between `cells` cells: then it is longer by more than them."""
    between = cells - len(lists)
    longer = sum(len(msgspec.json.encode(texts)) - (len(texts) if texts.isascii() else len(texts.encode())) for texts in lists)
    return longer != 2 * between + 2 * len(lists)


def _repeated(value: str, rows: int, rows_at_once: int) -> list[str]:
    """One value of every row."""
    whole, left = divmod(rows, rows_at_once)
    return [",".join([value] * rows_at_once)] * whole + ([",".join([value] * left)] if left else [])


def _joined(texts: pl.Series, between: str, rows_at_once: int) -> list[str]:
    even = len(texts) // rows_at_once * rows_at_once
    parts = texts[:even].reshape((-1, rows_at_once)).arr.join(between).to_list() if even else []
    return parts + (texts[even:].str.join(between).to_list() if even < len(texts) else [])
