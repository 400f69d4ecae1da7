"""Restatements: which rows of a ledger file are new or changed, and the version that each gets.

In: a file's rows and the versions in the log. Out: the rows to append, each with its `version`: 1 for a new row, one more than the greatest
for a changed one. A row equal to the newest version is left out, so a re-import appends nothing, and a row that is changed and changed back
gets versions 1, 2, 3 (ADR 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Restated:
    """The rows to append, sorted by key, and the numbers of new, changed and unchanged rows in the file."""

    rows: pl.DataFrame
    new: int
    changed: int
    unchanged: int


def newest(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Of each key the row with the greatest `version`."""
    return rows.sort("version", descending=True, maintain_order=True).unique(list(key), keep="first")


def restate(rows: pl.DataFrame, held: pl.DataFrame, key: Sequence[str]) -> Restated:
    """`rows` (one a key) against `held`: the same columns and `version`, one row a key, the newest."""
    keys = list(key)
    content = [name for name in rows.columns if name not in keys]
    if held.is_empty():
        return Restated(_sorted(rows, keys).with_columns(version=pl.lit(1, pl.Int32)), len(rows), 0, 0)
    theirs = held.select(*keys, "version", *(pl.col(name).alias(f"{name}:held") for name in content))
    joined = rows.join(theirs, keys, "left", maintain_order="left")
    is_new = pl.col("version").is_null()
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}:held")) for name in content)
    counts = joined.select(new=is_new.sum(), changed=(~is_new & differs).sum()).row(0, named=True)
    changed = joined.filter(is_new | differs).with_columns(version=(pl.col("version").fill_null(0) + 1).cast(pl.Int32))
    appended = changed.select(*rows.columns, "version").sort(keys)
    return Restated(appended, counts["new"], counts["changed"], len(rows) - counts["new"] - counts["changed"])


def _sorted(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """The rows by their keys. Columns without a value, as most optional ones are, have no order."""
    empty = [name for name in rows.columns if name not in keys and rows[name].null_count() == rows.height]
    return rows.drop(empty).sort(keys).with_columns(rows.get_column(name) for name in empty).select(rows.columns)
