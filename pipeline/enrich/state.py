"""Compares the proved balances of account chains before and after each block with the recorded transfers (rule 3.4, ADR 7).

Enters: facts, among them balances of addresses proved under the headers' state roots. Leaves: each block over which an address's balance in the chain's own asset
changes by another amount than the pool's transactions of that block account for; in its month a blocking issue. Calls inside transactions are not in the block and
taken from the node's trace; by this check an internal transfer can't be reported larger than what the wallet lost.
"""

from __future__ import annotations

import polars as pl

from pipeline.model.issues import IssueCode
from pipeline.model.months import Month

from .frames import UNITS, Facts
from .identify import day_of_seconds
from .issue_rows import NO_ISSUES, is_in_month, make_issues

PLACE = ["chain", "address", "asset"]


def changes(facts: Facts) -> pl.DataFrame:
    """Every block of which the state before and after is proved: chain, height, block_hash, time, wallet, address, asset, before, after, moved.

    `moved`: what the block's transactions give the address, less what they take from it, fees among it; all in base units.
    """
    held = facts.proved_balances
    before = held.select(*PLACE, pl.col("height") + 1, before="value")
    blocks = facts.blocks.select("chain", "height", "time", block_hash="hash")
    pairs = held.join(before, on=[*PLACE, "height"], how="inner").join(blocks, on=["chain", "height", "block_hash"], how="inner")
    key = [*PLACE, "block_hash"]
    moved = pl.concat(
        [
            facts.outputs.select(*key, "value"),
            facts.inputs.select(*key, (pl.lit(0, UNITS) - pl.col("value")).alias("value")),
        ]
    )
    sums = moved.join(held.select(PLACE).unique(), on=PLACE, how="semi").group_by(key).agg(pl.col("value").sum().alias("moved"))
    return (
        pairs.join(sums, on=key, how="left")
        .with_columns(pl.col("moved").fill_null(0).cast(UNITS))
        .select("chain", "height", "block_hash", "time", "wallet", "address", "asset", "before", after="value", moved="moved")
        .sort("chain", "height", "address")
    )


def differing(changes: pl.DataFrame) -> pl.DataFrame:
    """The changes that differ, each with `ref` (WALLET@HEIGHT) and `detail`."""
    is_wrong = pl.col("after") - pl.col("before") != pl.col("moved")
    by_state = (pl.col("after") - pl.col("before")).cast(pl.String)
    return changes.filter(is_wrong).with_columns(
        ref=pl.format("{}@{}", "wallet", "height"),
        detail=pl.format(
            "over block {} {} changes by {} {} by the chain's state ({} before), by the transfers told of it by {}",
            "height", "address", by_state, "asset", pl.col("before").cast(pl.String), pl.col("moved").cast(pl.String),
        ),
    )  # fmt: skip


def contradicted_blocks(facts: Facts, month: Month) -> pl.DataFrame:
    """Issue `wallet-does-not-balance` for each wallet and block of the month that the proved state contradicts."""
    if facts.proved_balances.is_empty():
        return NO_ISSUES
    found = differing(changes(facts)).with_columns(date=day_of_seconds("time")).filter(is_in_month(month))
    return make_issues(
        IssueCode.WALLET_DOES_NOT_BALANCE,
        found,
        ref=pl.col("ref"),
        detail=pl.col("detail"),
        facts=[pl.col("chain"), pl.col("address"), pl.col("before"), pl.col("after"), pl.col("moved")],
        place=pl.col("chain"),
    )
