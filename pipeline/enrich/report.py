"""The fifteen columns of month M (rule 7).

Enters: portions, allocations and credits seen by the month. Leaves: the report's rows in their order, and the month's totals apart.
"""

from __future__ import annotations

import polars as pl

from ..model import Month, Rules, from_units
from .check import is_in_month
from .classify import chains_of
from .frames import REPORT, UNITS, Facts
from .identify import licences_on, miner_wallets

ORDER = ["miner_id", "allocation_date", "allocation_id", "at", "txid", "address"]
"""Rule 7.5; unsettled last."""


def list_rows(
    facts: Facts,
    allocations: pl.DataFrame,
    credits: pl.DataFrame,
    transfers: pl.DataFrame,
    portions: pl.DataFrame,
    month: Month,
    rules: Rules,
) -> pl.DataFrame:
    """The month's rows (rules 7.2 to 7.5) as REPORT, and is_licensed (rule 4.3)."""
    rows = pl.concat([_settled(allocations, credits, transfers, portions, month), _unsettled(allocations, portions, month)])
    rows = rows.sort(ORDER, nulls_last=True)
    rows = _with_wallets(rows, facts, rules)
    rows = rows.join(
        licences_on(facts.licences, rows, day="allocation_date"), on=["miner_id", "allocation_date"], how="left", maintain_order="left"
    )
    names = facts.miners.unique("miner_id", keep="first", maintain_order=True).select("miner_id", pl.col("name").alias("miner_name"))
    rows = rows.join(names, on="miner_id", how="left", maintain_order="left")
    rows = _with_commission(rows, allocations)
    return rows.with_columns(n=pl.int_range(1, pl.len() + 1, dtype=pl.Int64)).select([*REPORT, "is_licensed"])


def _settled(
    allocations: pl.DataFrame, credits: pl.DataFrame, transfers: pl.DataFrame, portions: pl.DataFrame, month: Month
) -> pl.DataFrame:
    """A row for every portion whose allocation or transfer lies in the month; one for each allocation and transfer (rules 7.2, 7.3)."""
    return (
        portions.join(credits.select(pl.col("row").alias("credit"), "chain", "txid", "address", "at", "date"), on="credit")
        .rename({"date": "transfer_date"})
        .join(allocations.select(pl.col("row").alias("allocation"), "allocation_date"), on="allocation")
        .filter(is_in_month(month, "allocation_date") | is_in_month(month, "transfer_date"))
        .group_by("allocation", "chain", "txid", "address", "at", "transfer_date", "allocation_date")
        .agg(pl.col("amount").sum())
        .join(allocations.select(pl.col("row").alias("allocation"), "miner_id", "allocation_id", "asset"), on="allocation")
        .join(
            transfers.select("chain", "txid", "address", "asset", pl.col("amount").alias("transfer_amount")),
            on=["chain", "txid", "address", "asset"],
        )
        .select(_ROW)
    )


def _unsettled(allocations: pl.DataFrame, portions: pl.DataFrame, month: Month) -> pl.DataFrame:
    """A row for what is left of every allocation of the month, and for those of amount 0 (rule 7.2)."""
    settled = portions.group_by(pl.col("allocation").alias("row")).agg(pl.col("amount").sum().alias("settled"))
    return (
        allocations.filter(is_in_month(month, "allocation_date") & pl.col("miner_id").is_not_null())
        .join(settled, on="row", how="left")
        .with_columns(left=pl.col("amount") - pl.col("settled").fill_null(0))
        .filter((pl.col("left") > 0) | (pl.col("amount") == 0))
        .select(
            pl.col("row").alias("allocation"), "miner_id", "allocation_id", "allocation_date", "asset", pl.col("left").alias("amount"),
            pl.lit(None, pl.String).alias("chain"), pl.lit(None, pl.String).alias("txid"), pl.lit(None, pl.String).alias("address"),
            pl.lit(None, pl.Int64).alias("at"), pl.lit(None, pl.Date).alias("transfer_date"), pl.lit(None, UNITS).alias("transfer_amount"),
        )
        .select(_ROW)
    )  # fmt: skip


_ROW = [
    "allocation", "miner_id", "allocation_id", "allocation_date", "asset", "amount",
    "chain", "txid", "address", "at", "transfer_date", "transfer_amount",
]  # fmt: skip


def _with_wallets(rows: pl.DataFrame, facts: Facts, rules: Rules) -> pl.DataFrame:
    """Column 6: the transfer's address; of an unsettled row the miner's wallet on the allocation date."""
    chains = chains_of(rules).rename({"chain": "asset_chain"})
    rows = rows.join(chains, on="asset", how="left", maintain_order="left")
    unsettled = rows.filter(pl.col("txid").is_null()).select("miner_id", pl.col("asset_chain").alias("chain"), "allocation_date")
    own = miner_wallets(facts.wallets, unsettled, day="allocation_date")
    return rows.join(
        own.rename({"chain": "asset_chain", "wallet": "own_wallet"}),
        on=["miner_id", "asset_chain", "allocation_date"],
        how="left",
        maintain_order="left",
    ).with_columns(wallet=pl.when(pl.col("txid").is_not_null()).then("address").otherwise("own_wallet"))


def _with_commission(rows: pl.DataFrame, allocations: pl.DataFrame) -> pl.DataFrame:
    """Commission on the first row of its allocation, only in the month of the allocation date (rule 7.4); `is_carried` beside it.

    A row is carried when its allocation date lies before the month: such an allocation is not in `allocations` of the month.
    """
    charged = allocations.select(
        pl.col("row").alias("allocation"),
        "commission_asset",
        pl.col("commission_amount").alias("commission_asset_amount"),
        "commission_currency",
        "commission_currency_amount",
        "is_of_month",
    )
    is_charged = pl.col("is_of_month") & pl.col("allocation").is_first_distinct()
    columns = ["commission_asset", "commission_asset_amount", "commission_currency", "commission_currency_amount"]
    return rows.join(charged, on="allocation", how="left", maintain_order="left").with_columns(
        [pl.when(is_charged).then(pl.col(column)).alias(column) for column in columns] + [(~pl.col("is_of_month")).alias("is_carried")]
    )


def sum_month(report: pl.DataFrame, outstanding: pl.DataFrame, rules: Rules) -> dict[str, object]:
    """The month's totals apart (rule 7.4), amounts as printed, by asset.

    `outstanding`: asset, left: what is left at the month's end of allocations dated before it.
    """
    own, carried = report.filter(~pl.col("is_carried")), report.filter("is_carried")
    transfers = report.filter(pl.col("txid").is_not_null()).unique(["txid", "wallet", "asset"])
    charged = report.filter(pl.col("commission_currency").is_not_null()).with_columns(
        pl.col("commission_currency_amount").cast(pl.Decimal(38, 8))
    )
    by_currency = charged.group_by("commission_currency").agg(pl.col("commission_currency_amount").sum()).sort("commission_currency")
    return {
        "allocated_in_month": _printed(own, "asset", "amount", rules),
        "carried_into_month": _printed(carried, "asset", "amount", rules),
        "left_unsettled": _printed(own.filter(pl.col("txid").is_null()), "asset", "amount", rules),
        "left_unsettled_of_older_months": _printed(outstanding.filter(pl.col("left") > 0), "asset", "left", rules),
        "distinct_transfers": _printed(transfers, "asset", "transfer_amount", rules),
        "distinct_transfers_count": transfers.height,
        "commission_by_asset": _printed(
            report.filter(pl.col("commission_asset").is_not_null()), "commission_asset", "commission_asset_amount", rules
        ),
        "commission_by_currency": {name: _trimmed(str(amount)) for name, amount in by_currency.iter_rows()},
    }


def _printed(frame: pl.DataFrame, asset: str, amount: str, rules: Rules) -> dict[str, str]:
    sums = frame.group_by(asset).agg(pl.col(amount).sum()).sort(asset)
    return {name: from_units(int(units), rules.assets[name].decimals) for name, units in sums.iter_rows()}


def _trimmed(number: str) -> str:
    """A currency sum with two decimals at least and no idle zeros after them."""
    whole, _, fraction = number.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
