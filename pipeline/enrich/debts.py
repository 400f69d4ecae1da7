"""The pool's debt to each miner before and after the month: opening + allocated − settled = closing (carry-over, rule 7.4).

Enters: settled allocations and credits of some miners, and their rows of the report. Leaves: DEBTS. The two ends are computed independently:
the opening as the sums allocated and credited before the month, the closing from what first in, first out leaves of each allocation. The
month's allocations and the rows of the report must account for the difference; this is checked (`assess.debts.sums_that_differ`).
"""

from __future__ import annotations

import polars as pl

from pipeline.model.months import Month

from .frames import DEBTS, UNITS

ACCOUNT = ["miner_id", "asset"]
_ZERO = pl.lit(0, UNITS)


def list_debts(allocations: pl.DataFrame, credits: pl.DataFrame, rows: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Each miner's debts by asset, as DEBTS, sorted by miner and asset; rows where all five amounts are 0 are left out.

    `allocations` (miner_id, asset, amount, left, allocation_date) and `credits` (miner_id, asset, amount, left, date): up to the month's end,
    `left` is the unsettled part. `rows`: the report's (miner_id, asset, amount, transfer: null where unsettled).
    """
    is_before = pl.col("allocation_date") < month.first
    settled = rows.filter(pl.col("transfer").is_not_null()).cast({"miner_id": pl.String})
    sides = [
        _sums(
            allocations,
            allocated_before=pl.col("amount").filter(is_before),
            allocated=pl.col("amount").filter(~is_before),
            closing=pl.col("left"),
        ),
        _sums(credits, paid_before=pl.col("amount").filter(pl.col("date") < month.first), advance=pl.col("left")),
        _sums(settled, settled=pl.col("amount")),
    ]
    debts = _sums(
        pl.concat(sides, how="diagonal"), **{name: pl.col(name) for side in sides for name in side.columns if name not in ACCOUNT}
    )
    opening = pl.max_horizontal(pl.col("allocated_before") - pl.col("paid_before"), _ZERO)
    amounts = [name for name in DEBTS if name not in ACCOUNT]
    return (
        debts.with_columns(opening=opening)
        .select(list(DEBTS))
        .filter(pl.any_horizontal(pl.col(amount) != 0 for amount in amounts))
        .sort(ACCOUNT)
    )


def _sums(side: pl.DataFrame, **amounts: pl.Expr) -> pl.DataFrame:
    """The sums of some amounts, by miner and asset; a row without a miner is nobody's."""
    known = side.filter(pl.col("miner_id").is_not_null())
    return known.group_by(ACCOUNT).agg(amount.sum().cast(UNITS).alias(name) for name, amount in amounts.items())
