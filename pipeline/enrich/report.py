"""The fifteen columns of month M (rule 7).

Enters: portions, allocations and credits seen by the month. Leaves: the report's rows in their order. A row is stored as indexes of its
allocation and its transfer, and its columns are looked up slice by slice, so a large month is never whole in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .classify import chains_of
from .combine import combine
from .frames import REPORT, UNITS
from .identify import allocation_day, day_of_micros, with_licence, with_wallet
from .issue_rows import is_in_month
from .sorting import sort_by_number_then_text

ROWS_AT_ONCE = 250_000
"""Rows whose columns are looked up together."""
PLACES: dict[str, Any] = {
    "place": pl.UInt32, "miner_id": pl.Categorical, "transfer": pl.UInt32, "amount": UNITS, "is_first": pl.Boolean,
}  # fmt: skip
"""A row of the report: the index of its allocation, its miner, the index of its transfer (null: unsettled), its amount, and whether it is the
first row of its allocation."""
COMMISSION = ["commission_asset", "commission_asset_amount", "commission_currency", "commission_currency_amount"]


@dataclass(frozen=True)
class Report:
    """The month's rows (rules 7.2 to 7.5), in their order."""

    rows: pl.DataFrame
    """As PLACES."""
    allocations: pl.DataFrame
    """ALLOCATIONS, by place."""
    transfers: pl.DataFrame
    """KEY of `match`, amount, date, payer, by place."""
    miners: pl.DataFrame
    licences: pl.DataFrame
    wallets: pl.DataFrame
    month: Month
    rules: Rules

    @property
    def height(self) -> int:
        return self.rows.height

    def slices(self, rows_at_once: int = ROWS_AT_ONCE, columns: Sequence[str] = tuple(REPORT)) -> Iterator[pl.DataFrame]:
        """The rows as REPORT, or some of its columns, a slice at a time; one at least."""
        for start in range(0, max(self.height, 1), rows_at_once):
            rows = self._described(self.look_up(start, rows_at_once, has_ids="allocation_id" in columns))
            yield rows.with_columns(n=pl.int_range(start + 1, start + 1 + pl.len(), dtype=pl.Int64)).select(columns)

    def whole(self) -> pl.DataFrame:
        """All rows at once, as REPORT."""
        return combine(list(self.slices()), REPORT)

    def look_up(self, start: int, count: int, *, has_ids: bool = True) -> pl.DataFrame:
        """Rows with their allocation's and their transfer's columns, and the commission on an allocation's first row (rule 7.4).

        miner_id, amount, then allocation_date, licence_date (the day by which the licence is found), allocation_id, asset, COMMISSION, is_carried; txid, address, transfer_amount, transfer_date (null: unsettled), payer (null: the pool itself).
        Without allocation_id unless `has_ids`.
        """
        rows = self.rows.slice(start, count)
        charged = self.allocations.select(
            "allocated_at", "is_of_day_before", "asset", "commission_asset", pl.col("commission_amount").alias("commission_asset_amount"), *COMMISSION[2:],
            *(["allocation_id"] if has_ids else []),
        )  # fmt: skip
        moved = self.transfers.select(
            "txid", "address", pl.col("amount").alias("transfer_amount"), pl.col("date").alias("transfer_date"), "payer"
        )
        found = pl.concat([rows, charged[rows["place"]], moved[rows["transfer"]]], how="horizontal")
        found = found.with_columns(pl.col("miner_id").cast(pl.String), licence_date=day_of_micros("allocated_at"))
        found = found.with_columns(allocation_date=allocation_day(pl.col("licence_date")))
        found = found.with_columns(is_of_month=is_in_month(self.month, "allocation_date"))
        is_charged = pl.col("is_of_month") & pl.col("is_first")  # rule 7.4
        found = found.with_columns([pl.when(is_charged).then(column).alias(column) for column in COMMISSION])
        return found.with_columns(is_carried=~pl.col("is_of_month")).drop(
            "place", "transfer", "is_first", "allocated_at", "is_of_day_before", "is_of_month"
        )

    def count_carried(self) -> int:
        """How many of its rows are of allocations of earlier months (rule 7.2)."""
        instants = self.allocations.select("allocated_at", "is_of_day_before")
        days = (instants[part["place"]] for part in self.rows.iter_slices(ROWS_AT_ONCE))
        is_carried = allocation_day() < self.month.first
        return sum(int(part.select(is_carried.sum()).item()) for part in days)

    def settled_by(self) -> pl.DataFrame:
        """The distinct transfers that its rows name: KEY of `match`, amount, date, payer."""
        return self.transfers[self.rows["transfer"].drop_nulls().unique().sort()]

    def _described(self, rows: pl.DataFrame) -> pl.DataFrame:
        """With wallet, licence and the miner's name."""
        rows = _with_wallets(rows, self.wallets, self.rules)
        names = self.miners.unique("miner_id", keep="first", maintain_order=True).select("miner_id", pl.col("name").alias("miner_name"))
        rows = with_licence(rows, self.licences, day="licence_date")
        return rows.join(names, on="miner_id", how="left", maintain_order="left")


def list_rows(
    allocations: pl.DataFrame, credits: pl.DataFrame, transfers: pl.DataFrame, portions: pl.DataFrame, month: Month
) -> pl.DataFrame:
    """The rows of some miners (rules 7.2 to 7.5), in their order: PLACES, and each allocation's asset, allocation_date and licence_date.

    `allocations` and `credits` have their place here as `row`, and portions name them by it; allocations have their place among all as
    `place`, what is left of them as `left`, credits name theirs in `transfers`. So a million rows are sorted and joined as numbers.
    """
    rows = pl.concat([_settled(allocations, credits, transfers, portions, month), _unsettled(allocations)])
    rows = _in_order(rows, allocations).with_columns(is_first=pl.col("allocation").is_first_distinct())
    named = allocations.select("place", "asset", "allocation_date", "licence_date", pl.col("miner_id").cast(pl.Categorical))
    return pl.concat([rows, named[rows["allocation"]]], how="horizontal").select([*PLACES, "asset", "allocation_date", "licence_date"])


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


def _unsettled(allocations: pl.DataFrame) -> pl.DataFrame:
    """A row for what is left of every allocation of the month, and for those of amount 0 (rule 7.2)."""
    return allocations.filter(
        pl.col("is_of_month") & pl.col("miner_id").is_not_null() & ((pl.col("left") > 0) | (pl.col("amount") == 0))
    ).select(pl.col("row").alias("allocation"), pl.lit(None, pl.UInt32).alias("transfer"), pl.col("left").alias("amount"))


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


def _with_wallets(rows: pl.DataFrame, wallets: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Column 6: the transfer's address; of an unsettled row the miner's wallet on the allocation date."""
    is_unsettled = rows["txid"].is_null()
    unsettled = rows.select("miner_id", "asset", "allocation_date").filter(is_unsettled)
    unsettled = unsettled.join(chains_of(rules), on="asset", how="left", maintain_order="left")
    own = with_wallet(unsettled, wallets, day="allocation_date")["wallet"]
    return rows.with_columns(rows["address"].scatter(is_unsettled.arg_true(), own).alias("wallet"))
