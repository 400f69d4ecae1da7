"""Frames put together from parts so that a month of millions of rows takes little room.

Enters: parts of one shape in their order. Leaves: the same rows as one frame. A column that says the same in every row (the asset of a pool with one
coin, a commission's currency that nobody uses) is kept as one value with a length: polars counts sixteen bytes for a text wherever it
stands, an empty one too. Nobody who reads the frame sees a difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl


def put_together(parts: Sequence[pl.DataFrame], shape: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    """The rows of all parts, one after another, in the columns of `shape`. The parts' own columns are not copied."""
    if not parts:
        return pl.DataFrame(schema=dict(shape))
    same = _said_throughout(parts, [name for name, dtype in shape.items() if dtype == pl.String])
    rest = pl.concat([part.select(pl.exclude(same)) for part in parts])
    return rest.with_columns(pl.lit(value, shape[name]).alias(name) for name, value in same.items()).select(list(shape))


def _said_throughout(parts: Sequence[pl.DataFrame], columns: Sequence[str]) -> dict[str, str | None]:
    """The columns that have one value (or null) in all rows, with it."""
    # Asked as expressions: a column that is one value already is not spelt out to be looked at.
    same: dict[str, str | None] | None = None
    for part in parts:
        if part.is_empty() or same == {}:
            continue
        said = {name: part[0, name] for name in columns if part.select(_is_one(name)).item()}
        same = said if same is None else {name: value for name, value in same.items() if name in said and said[name] == value}
    return same or {}


def _is_one(name: str) -> pl.Expr:
    return pl.col(name).eq_missing(pl.col(name).first()).all()
