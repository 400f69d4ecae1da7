"""Blocks of account chains against the state that their headers prove: what an address held before and after, and what is told to have moved (rule 3.4, ADR 7).

Enters: facts, among them balances of single addresses proved by headers. Leaves: each block over which an address's holding of the chain's own asset changes by
something else than what the pool's transactions of that block are told to have moved; in its month a blocking issue. So a call inside a transaction, which stands in
no block and rests on the node's word, can't be told larger than what the wallet lost.
"""

from __future__ import annotations

import polars as pl

from pipeline.model.issues import IssueCode
from pipeline.model.months import Month

from .frames import UNITS, Facts
from .identify import day_of_seconds
from .issue_rows import is_in_month, make_issues

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
    """Those that differ, with what to say of each: `ref` (WALLET@HEIGHT), `detail`."""
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
        found = differing(changes(facts)).head(0).with_columns(date=pl.lit(None, pl.Date))
    else:
        found = differing(changes(facts)).with_columns(date=day_of_seconds("time")).filter(is_in_month(month))
    return make_issues(
        IssueCode.WALLET_DOES_NOT_BALANCE,
        found,
        ref=pl.col("ref"),
        detail=pl.col("detail"),
        facts=[pl.col("chain"), pl.col("address"), pl.col("before"), pl.col("after"), pl.col("moved")],
        place=pl.col("chain"),
    )
