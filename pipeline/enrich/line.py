"""What is open at an instant, miner by miner: allocations not settled yet, and credits that have nothing to settle yet (rules 6.1, 6.2, ADR 25).

Enters: what settlement left of allocations and credits. Leaves: `Line`, in the order of settlement. Of one miner and asset either side alone is open, since the one
settles the other; so a later settlement begins with the line instead of all that was before.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from .frames import ALLOCATIONS, UNITS

OPEN_ALLOCATIONS = {**ALLOCATIONS, "is_opening": pl.Boolean, "is_of_day_before": pl.Boolean, "miner_id": pl.String, "whole": UNITS}
"""`amount`: what is left unsettled of the `whole`."""
OPEN_CREDITS = {
    "chain": pl.String,
    "txid": pl.String,
    "address": pl.String,
    "asset": pl.String,
    "via": pl.String,
    "instant": pl.Int64,
    "date": pl.Date,
    "payment_id": pl.String,
    "miner_id": pl.String,
    "amount": UNITS,
    "whole": UNITS,
    "transfer_amount": UNITS,
    "payer": pl.String,
}
"""`amount`: what is unused of the `whole` credit. `transfer_amount`, `payer`: of its transfer."""


@dataclass(frozen=True)
class Line:
    """What is open at an instant: of each miner and asset either allocations or credits, since the one settles the other."""

    allocations: pl.DataFrame
    """OPEN_ALLOCATIONS, by miner, asset and in the order of settlement."""
    credits: pl.DataFrame
    """OPEN_CREDITS, the same."""


@dataclass(frozen=True)
class Open:
    """What is open, as places in the frames that it is part of: a large month makes the rows only when they are asked for."""

    allocations: pl.DataFrame
    """place (among the allocations), miner_id, left > 0."""
    credits: pl.DataFrame
    """KEY, instant, date, payment_id, miner_id, whole, transfer (place among the transfers), left > 0."""

    def line(self, allocations: pl.DataFrame, transfers: pl.DataFrame, before: Line | None) -> Line:
        """The rows. `before`: the line that settlement began with, of whose rows `allocations` has only what was left."""
        places = self.allocations
        rows = allocations[places["place"]].with_columns(
            miner_id=places["miner_id"].cast(pl.String), whole=pl.col("amount"), amount=places["left"]
        )
        if before is not None:
            key = ["allocation_id", "is_opening"]
            known = before.allocations.select(*key, pl.col("whole").alias("known"))
            rows = rows.join(known, on=key, how="left").with_columns(whole=pl.coalesce("known", "whole"))
        moved = transfers[self.credits["transfer"]].select(pl.col("amount").alias("transfer_amount"), "payer")
        credits = pl.concat([self.credits.with_columns(amount=pl.col("left")), moved], how="horizontal")
        return Line(
            rows.select(list(OPEN_ALLOCATIONS)).sort("miner_id", "asset", "allocated_at", "allocation_id"),
            credits.select(list(OPEN_CREDITS)).sort("miner_id", "asset", "instant", "txid", "address", "payment_id", "via"),
        )


def what_is_open(allocations: pl.DataFrame, credits: pl.DataFrame) -> Open:
    """Of settled allocations and credits with `left` those that are open."""
    is_open = pl.col("miner_id").is_not_null() & (pl.col("left") > 0)
    return Open(
        allocations.filter(is_open).select("place", pl.col("miner_id").cast(pl.Categorical), "left"),
        credits.filter(is_open).drop("row", "amount", strict=False),
    )


def combine_open(parts: list[Open]) -> Open:
    """What several ranges of miners have open."""
    return Open(pl.concat([part.allocations for part in parts]), pl.concat([part.credits for part in parts]))
