"""The fifteen columns of month M (rule 7).

Enters: portions, allocations and credits seen by the month. Leaves: the report's rows in their order, and the month's totals apart.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from ..model import Month, Rules, from_units
from .check import is_in_month
from .classify import chains_of
from .frames import REPORT, Facts
from .identify import licences_on, miner_wallets
from .order import sort_by_number_then_text
from .together import put_together

KEY = ["chain", "txid", "address", "asset"]
ALLOCATION = ["miner_id", "allocation_date", "allocation_id", "asset", "is_of_month"]
ROWS: dict[str, Any] = {name: dtype for name, dtype in REPORT.items() if name != "n"} | {"is_licensed": pl.Boolean}
"""What `list_rows` leaves."""
ROWS_AT_ONCE = 500_000
COMMISSION = ["commission_asset", "commission_asset_amount", "commission_currency", "commission_currency_amount"]


def list_rows(
    facts: Facts,
    allocations: pl.DataFrame,
    credits: pl.DataFrame,
    transfers: pl.DataFrame,
    portions: pl.DataFrame,
    month: Month,
    rules: Rules,
) -> pl.DataFrame:
    """The month's rows (rules 7.2 to 7.5) as REPORT without `n`, and is_licensed (rule 4.3).

    `allocations` and `credits` have their place as `row`, and portions name them by it; credits name theirs in `transfers`. So rows are
    pairs of places until the end, and a million of them are sorted and joined as numbers.
    """
    rows = pl.concat([_settled(allocations, credits, transfers, portions, month), _unsettled(allocations, portions)])
    rows = _in_order(rows, allocations)
    rows = rows.with_columns(is_first=pl.col("allocation").is_first_distinct())
    charged = allocations.rename({"commission_amount": "commission_asset_amount"}).select([*ALLOCATION, *COMMISSION])
    moved = transfers.select("txid", "address", pl.col("amount").alias("transfer_amount"), pl.col("date").alias("transfer_date"))
    # A slice at a time, when one miner has millions: every join copies fifteen columns.
    slices = [_describe(part, charged, moved, facts, rules) for part in rows.iter_slices(ROWS_AT_ONCE)]
    return put_together(slices or [_describe(rows, charged, moved, facts, rules)], ROWS)


def number_rows(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The whole report, REPORT, out of its parts in their order."""
    numbered, first = [], 1
    for part in parts:
        numbered.append(part.with_columns(n=pl.int_range(first, first + pl.len(), dtype=pl.Int64)).select(list(REPORT)))
        first += part.height
    return put_together(numbered, REPORT)


def _describe(rows: pl.DataFrame, charged: pl.DataFrame, moved: pl.DataFrame, facts: Facts, rules: Rules) -> pl.DataFrame:
    """Places become columns: the allocation's and the transfer's, wallet, licence, name, and the commission on an allocation's first row."""
    rows = pl.concat([rows, charged[rows["allocation"]], moved[rows["transfer"]]], how="horizontal")
    is_charged = pl.col("is_of_month") & pl.col("is_first")  # rule 7.4
    rows = rows.with_columns([pl.when(is_charged).then(column).alias(column) for column in COMMISSION])
    rows = _with_wallets(rows, facts, rules)
    names = facts.miners.unique("miner_id", keep="first", maintain_order=True).select("miner_id", pl.col("name").alias("miner_name"))
    return (
        rows.join(
            licences_on(facts.licences, rows, day="allocation_date"), on=["miner_id", "allocation_date"], how="left", maintain_order="left"
        )
        .join(names, on="miner_id", how="left", maintain_order="left")
        .with_columns(is_carried=~pl.col("is_of_month"))
        .select(list(ROWS))
    )


def _settled(
    allocations: pl.DataFrame, credits: pl.DataFrame, transfers: pl.DataFrame, portions: pl.DataFrame, month: Month
) -> pl.DataFrame:
    """A row for every portion whose allocation or transfer lies in the month; one for each allocation and transfer (rules 7.2, 7.3)."""
    is_new = transfers.select(is_in_month(month)).to_series()
    return (
        portions.with_columns(transfer=credits["transfer"][portions["credit"]])
        .group_by("allocation", "transfer")
        .agg(pl.col("amount").sum())
        .filter(pl.col("allocation").map_batches(lambda place: allocations["is_of_month"][place], return_dtype=pl.Boolean)
                | pl.col("transfer").map_batches(lambda place: is_new[place], return_dtype=pl.Boolean))
    )  # fmt: skip


def _unsettled(allocations: pl.DataFrame, portions: pl.DataFrame) -> pl.DataFrame:
    """A row for what is left of every allocation of the month, and for those of amount 0 (rule 7.2)."""
    settled = portions.group_by(pl.col("allocation").alias("row")).agg(pl.col("amount").sum().alias("settled"))
    return (
        allocations.filter(pl.col("is_of_month") & pl.col("miner_id").is_not_null())
        .select("row", "amount")
        .join(settled, on="row", how="left")
        .with_columns(left=pl.col("amount") - pl.col("settled").fill_null(0))
        .filter((pl.col("left") > 0) | (pl.col("amount") == 0))
        .select(pl.col("row").alias("allocation"), pl.lit(None, pl.UInt32).alias("transfer"), pl.col("left").alias("amount"))
    )


def _in_order(rows: pl.DataFrame, allocations: pl.DataFrame) -> pl.DataFrame:
    """By miner, allocation date, allocation id, then transfer instant, txid, address; the unsettled last (rule 7.5)."""
    used = allocations.join(rows.select(pl.col("allocation").alias("row")).unique(), on="row", how="semi", maintain_order="left")
    miners = used.select("miner_id").unique().sort("miner_id").with_row_index("miner")
    used = used.select("row", "miner_id", "allocation_date", "allocation_id").join(miners, on="miner_id", maintain_order="left")
    # One number a row sorts fastest: the miner, then the day (no day's number reaches 2^22).
    day = pl.col("miner").cast(pl.Int64) * 2**22 + pl.col("allocation_date").to_physical()
    order = sort_by_number_then_text(used, day, "allocation_id").select(pl.col("row").alias("allocation")).with_row_index("order")
    place = pl.col("order").cast(pl.UInt64) * 2**32 + pl.col("transfer").fill_null(2**32 - 1)
    return rows.join(order, on="allocation").with_columns(place=place).sort("place").drop("order", "place")


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


def sum_month(report: pl.DataFrame, outstanding: pl.DataFrame, rules: Rules) -> dict[str, object]:
    """The month's totals apart (rule 7.4), amounts as printed, by asset.

    `outstanding`: asset, left: what is left at the month's end of allocations dated before it.
    """
    slices = list(report.iter_slices(ROWS_AT_ONCE))
    is_of_month, is_unsettled = ~pl.col("is_carried"), pl.col("txid").is_null()
    transfer = ["txid", "wallet", "asset"]
    # A slice at a time: a transfer may stand in several, and is counted once.
    moved = [part.filter(~is_unsettled).select(*transfer, "transfer_amount").unique(transfer) for part in slices]
    transfers = pl.concat(moved).unique(transfer) if moved else report.select(*transfer, "transfer_amount")
    by_currency = _sum(
        [part.with_columns(pl.col("commission_currency_amount").cast(pl.Decimal(38, 8))) for part in slices],
        pl.col("commission_currency").is_not_null(),
        *COMMISSION[2:],
    )
    return {
        "allocated_in_month": _printed(_sum(slices, is_of_month, "asset", "amount"), rules),
        "carried_into_month": _printed(_sum(slices, ~is_of_month, "asset", "amount"), rules),
        "left_unsettled": _printed(_sum(slices, is_of_month & is_unsettled, "asset", "amount"), rules),
        "left_unsettled_of_older_months": _printed(_sum([outstanding], pl.col("left") > 0, "asset", "left"), rules),
        "distinct_transfers": _printed(_sum([transfers], pl.lit(True), "asset", "transfer_amount"), rules),
        "distinct_transfers_count": transfers.height,
        "commission_by_asset": _printed(_sum(slices, pl.col("commission_asset").is_not_null(), *COMMISSION[:2]), rules),
        "commission_by_currency": {name: _trimmed(str(amount)) for name, amount in by_currency},
    }


def _sum(parts: list[pl.DataFrame], counted: pl.Expr, by: str, amount: str) -> list[tuple[str, Any]]:
    """The sums of the rows that count, by name."""
    if not parts:
        return []
    sums = pl.concat([part.filter(counted).group_by(by).agg(pl.col(amount).sum()) for part in parts])
    return sums.group_by(by).agg(pl.col(amount).sum()).sort(by).rows()


def _printed(sums: list[tuple[str, int]], rules: Rules) -> dict[str, str]:
    return {name: from_units(int(units), rules.assets[name].decimals) for name, units in sums}


def _trimmed(number: str) -> str:
    """A currency sum with two decimals at least and no idle zeros after them."""
    whole, _, fraction = number.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
