"""The month's separate totals (rule 7.4).

Enters: the report, and what is left of older allocations. Leaves: `Totals`, in whole base units. Left out: printing them (`render.totals`).
"""

from __future__ import annotations

from typing import Any

import polars as pl

from pipeline.model.totals import Totals

from .report import ROWS_AT_ONCE, Report


def sum_month(report: Report, outstanding: pl.DataFrame) -> Totals:
    """The month's totals. `outstanding`: asset, left: the unsettled rest, at the month's end, of allocations dated before it."""
    is_of_month, is_unsettled = ~pl.col("is_carried"), pl.col("txid").is_null()
    in_currency = pl.col("commission_currency_amount").cast(pl.Decimal(38, 8)).alias("commission_currency_amount")
    counted: dict[str, tuple[pl.Expr, str, str]] = {
        "allocated_in_month": (is_of_month, "asset", "amount"),
        "carried_into_month": (~is_of_month, "asset", "amount"),
        "left_unsettled": (is_of_month & is_unsettled, "asset", "amount"),
        "commission_by_asset": (pl.col("commission_asset").is_not_null(), "commission_asset", "commission_asset_amount"),
        "commission_by_currency": (pl.col("commission_currency").is_not_null(), "commission_currency", "commission_currency_amount"),
    }
    parts: dict[str, list[pl.DataFrame]] = {name: [] for name in counted}
    for start in range(0, max(report.height, 1), ROWS_AT_ONCE):
        rows = report.look_up(start, ROWS_AT_ONCE).with_columns(in_currency)
        for name, (is_counted, by, amount) in counted.items():
            parts[name].append(rows.filter(is_counted).group_by(by).agg(pl.col(amount).sum()))
    sums = {name: _sum(parts[name], by, amount) for name, (_, by, amount) in counted.items()}
    transfers = report.settled_by()
    return Totals(
        **sums,
        left_unsettled_of_older_months=_sum([outstanding.group_by("asset").agg(pl.col("left").sum())], "asset", "left"),
        distinct_transfers=_sum([transfers.group_by("asset").agg(pl.col("amount").sum())], "asset", "amount"),
        distinct_transfers_count=transfers.height,
    )


def _sum(parts: list[pl.DataFrame], by: str, amount: str) -> dict[str, Any]:
    """The sums of all parts, each of which has a name once, by name, in the names' order: whole numbers, of currencies decimals."""
    summed = parts[0] if len(parts) == 1 else pl.concat(parts).group_by(by).agg(pl.col(amount).sum())
    return dict(summed.sort(by).iter_rows())
