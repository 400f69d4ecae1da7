"""Concatenates frames so that a month of millions of rows takes little memory.

Enters: parts of one shape in their order. Leaves: the same rows as one frame. A constant text column (the asset of a pool with one coin, an
unused commission currency) is stored as one value with a length: otherwise polars takes sixteen bytes for every text, even an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

FEW_ROWS = 1_000
"""Of fewer, no column is worth a look at whether it is constant: that takes ten times as long as putting them together."""


def combine(parts: Sequence[pl.DataFrame], shape: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    """The rows of all parts, one after another, in the columns of `shape`. The parts' own columns are not copied."""
    if not parts:
        return pl.DataFrame(schema=dict(shape))
    if sum(part.height for part in parts) < FEW_ROWS:
        return (pl.concat(parts) if len(parts) > 1 else parts[0]).select(list(shape))
    same = _constant_columns(parts, [name for name, dtype in shape.items() if dtype == pl.String])
    if len(same) == len(shape):
        same.popitem()  # a frame needs one column of its own, to know how many rows it has
    rest = pl.concat([part.select(pl.exclude(same)) for part in parts])
    return rest.with_columns(pl.lit(value, shape[name]).alias(name) for name, value in same.items()).select(list(shape))


def _constant_columns(parts: Sequence[pl.DataFrame], columns: Sequence[str]) -> dict[str, str | None]:
    """The columns with the same value (or null) in all rows, and that value."""
    same: dict[str, str | None] | None = None
    for part in parts:
        if part.is_empty() or same == {}:
            continue
        # As expressions: accessing a constant column directly would expand it in memory for good.
        is_one = part.select(pl.col(name).eq_missing(pl.col(name).first()).all() for name in columns).row(0)
        first = part.select(pl.col(name).first() for name in columns).row(0)
        said = {name: value for name, value, is_same in zip(columns, first, is_one, strict=True) if is_same}
        same = said if same is None else {name: value for name, value in same.items() if name in said and said[name] == value}
    return same or {}
