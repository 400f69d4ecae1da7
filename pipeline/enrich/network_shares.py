"""What a network takes of each coinbase: outputs that its nodes want there besides the miner's (eCash's miner fund and staking rewards).

Enters: outputs with `is_coinbase` and `height`, the rules' facts of the networks (`network_facts`, ADR 21). Leaves: which outputs are such shares (rule 3.1). A
share with an address is known by it, and by its least amount. One without (the staker is another one in each block) is known by its amount alone: exactly the
share of all that the coinbase pays, and one output only; with two of that amount neither is taken for it.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from pipeline.model.rules import Rules

CLASS = "network-share"
TX = ["chain", "block_hash", "txid"]


def with_network_shares(outputs: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """The outputs with `is_network_share`."""
    named = pl.lit(False)
    by_amount = pl.lit(False)
    for chain, share in _shares(rules):
        part, whole = share["part"]
        least = pl.col("value").sum().over(TX) * part // whole
        is_there = (
            (pl.col("chain") == chain) & pl.col("is_coinbase") & (pl.col("height") >= share.get("begins", 0)) & pl.col("wallet").is_null()
        )
        if "address" in share:
            named |= is_there & (pl.col("address") == share["address"]) & (pl.col("value") >= least)
        else:
            fits = is_there & (pl.col("value") == least) & (least > 0)
            by_amount |= fits & (fits.sum().over(TX) == 1)
    return outputs.with_columns(is_network_share=(named | by_amount).fill_null(False))


def _shares(rules: Rules) -> list[tuple[str, dict[str, Any]]]:
    """Each chain's shares, as its network's table has them."""
    return [
        (chain, share) for chain, name in sorted(rules.network.items()) for share in rules.network_facts.get(name, {}).get("shares", ())
    ]
