"""Settlement, first in, first out, for each miner and asset (rule 6).

Allocations and credits are put on one line of cumulative amounts; the points where an allocation or a credit ends cut the line
into portions. So a million rows settle by sorting and filling, without a loop or a quadratic join.
"""

from __future__ import annotations

import polars as pl

from .frames import UNITS

ACCOUNT = ["miner_id", "asset"]


def settle(allocations: pl.DataFrame, credits: pl.DataFrame) -> pl.DataFrame:
    """Settle each miner's allocations first in, first out by its credits (rule 6.1).

    Both sides: row, miner_id, asset, amount, in the order of settlement: allocations by (`allocated_at`, `allocation_id`), credits by
    (transfer instant, txid, address, `payment_id`). Leaves portions: allocation (row), credit (row), amount > 0. What is left of either
    side: `with_left`.
    """
    lines = pl.concat([allocations.select(ACCOUNT), credits.select(ACCOUNT)]).unique().with_row_index("line")
    owed = _cumulative_ends(allocations, lines).select(
        "line", "end", pl.col("row").alias("allocation"), pl.lit(None, pl.UInt32).alias("credit")
    )
    paid = _cumulative_ends(credits, lines).select(
        "line", "end", pl.lit(None, pl.UInt32).alias("allocation"), pl.col("row").alias("credit")
    )
    points = pl.concat([owed, paid]).sort("line", "end")
    here = pl.col("line")
    start = pl.when(here == here.shift(1)).then(pl.col("end").shift(1)).otherwise(pl.lit(0, UNITS)).fill_null(pl.lit(0, UNITS))
    filled = [
        # The next end of that side covers this stretch, if it lies on the same line.
        pl.when(pl.when(pl.col(side).is_not_null()).then(here).backward_fill() == here).then(pl.col(side).backward_fill()).alias(side)
        for side in ("allocation", "credit")
    ]
    return (
        points.with_columns(amount=pl.col("end") - start)
        .with_columns(filled)
        .filter((pl.col("amount") > 0) & pl.col("allocation").is_not_null() & pl.col("credit").is_not_null())
        .select("allocation", "credit", "amount")
    )


def with_left(side: pl.DataFrame, portions: pl.DataFrame, named: str) -> pl.DataFrame:
    """Each row of one side with `left`, the unsettled part of its amount; `named`: the column of `portions` that refers to the side's rows."""
    used = portions.group_by(pl.col(named).alias("row")).agg(pl.col("amount").sum().alias("used"))
    found = side.select("row", "amount").join(used, on="row", how="left", maintain_order="left")
    return side.with_columns(found.select(left=pl.col("amount") - pl.col("used").fill_null(pl.lit(0, UNITS))))


def left_after(side: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Each row of one side with `left`, what stays of its amount when the whole other side settles it: `settle` and `with_left` give the same, portion by portion."""
    covers = other.group_by(ACCOUNT).agg(pl.col("amount").clip(lower_bound=0).sum().alias("covered"))
    ends = side.select(*ACCOUNT, end=pl.col("amount").clip(lower_bound=0).cum_sum().over(ACCOUNT))
    beyond = ends.join(covers, on=ACCOUNT, how="left", maintain_order="left").select(pl.col("end") - pl.col("covered").fill_null(0))
    return side.with_columns(left=pl.min_horizontal("amount", beyond.to_series().clip(lower_bound=0)))


def _cumulative_ends(side: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Each row's `end` on its miner's line of amounts."""
    return (
        side.filter((pl.col("amount") > 0) & pl.col("miner_id").is_not_null())
        .select("row", "amount", *ACCOUNT)
        .join(lines, on=ACCOUNT, how="left", maintain_order="left")
        .with_columns(end=pl.col("amount").cum_sum().over("line"))
    )
