"""The pool's coins, closed month to month: what each wallet held, received and spent, output by output (ADR 15).

Enters: facts, a month, the rules. Leaves: the month's coins, `coins.csv`, and the manifest's section `coins`: opening set + created − spent = closing
set, each set with a digest, so that one month's closing set is the next one's opening set. Pure. Left out: account chains, which have no outputs to spend.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.chains.networks import is_account_network
from pipeline.enrich.balance import last_heights
from pipeline.enrich.frames import UNITS, Facts
from pipeline.log.events.months import Frozen
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.render.canonical import table_csv

COINS_CSV = "coins.csv"
FIRST_EDITION = 3
"""Bundles of earlier editions carry no coins."""
COIN = ["chain", "txid", "vout"]
COINS = {
    "chain": pl.String,
    "wallet": pl.String,
    "txid": pl.String,
    "vout": pl.Int32,
    "address": pl.String,
    "asset": pl.String,
    "value": UNITS,
    "created_height": pl.Int64,
    "spent_txid": pl.String,
    "spent_height": pl.Int64,
}
"""`created_height`: null where no transaction of the facts created the coin. `spent_…`: null where none spends it."""


@dataclass(frozen=True)
class PreviousCoins:
    """What the month before was frozen with."""

    month: str
    version: int
    closing: dict[str, str]
    """Digest of the closing set, by chain."""


@dataclass(frozen=True)
class MonthCoins:
    """A month's coins. A chain without a block in the month or before it has none."""

    coins: pl.DataFrame
    """COINS that were unspent at some time of the month, by chain, wallet, height, txid and place."""
    spans: dict[str, tuple[int, int | None, int]]
    """By chain the heights of the first block read, of the last block before the month (None: reading began in it), and of its last block."""

    def opening(self, chain: str) -> pl.DataFrame:
        """Those unspent when the month began; one whose creation is unknown was there before the first block."""
        start = self.spans[chain][1]
        is_before = pl.col("created_height").is_null() | (pl.col("created_height") <= (start if start is not None else -1))
        return self.coins.filter((pl.col("chain") == chain) & is_before)

    def closing(self, chain: str) -> pl.DataFrame:
        """Those unspent after the month's last block."""
        end = self.spans[chain][2]
        return self.coins.filter((pl.col("chain") == chain) & (pl.col("spent_height").is_null() | (pl.col("spent_height") > end)))


def previous_coins(event: Frozen | None) -> PreviousCoins | None:
    """The closing sets that a `frozen` event states; None where there is no event, or one that states none."""
    return None if event is None or event.closing_coins is None else PreviousCoins(event.month, event.version, event.closing_coins)


def all_coins(facts: Facts, rules: Rules) -> pl.DataFrame:
    """COINS of the whole history in the facts, of every chain with spendable outputs."""
    chains = [chain for chain in rules.finality if not is_account_network(rules.network[chain])]
    heights = facts.blocks.select("chain", pl.col("hash").alias("block_hash"), "height")
    created = (
        facts.outputs.filter(pl.col("wallet").is_not_null() & pl.col("chain").is_in(chains))
        .join(heights, on=["chain", "block_hash"])
        .select("chain", "wallet", "txid", "vout", "address", "asset", "value", pl.col("height").alias("created_height"))
    )
    spent = (
        facts.inputs.filter(pl.col("chain").is_in(chains))
        .join(heights, on=["chain", "block_hash"])
        .select(
            "chain", pl.col("spent_txid").alias("txid"), pl.col("spent_vout").alias("vout"), pl.col("txid").alias("spent_txid"),
            pl.col("height").alias("spent_height"), *(pl.col(name).alias(f"{name}_in") for name in ("wallet", "address", "asset", "value")),
        )
    )  # fmt: skip
    joined = created.join(spent, on=COIN, how="full", coalesce=True)
    told = [pl.coalesce(name, f"{name}_in").alias(name) for name in ("wallet", "address", "asset", "value")]
    return joined.with_columns(told).select(list(COINS)).cast(COINS).sort("chain", "wallet", "created_height", "txid", "vout", "spent_txid")  # type: ignore[arg-type]


def month_coins(facts: Facts, month: Month, rules: Rules) -> MonthCoins:
    """The coins that were unspent at some time of the month: after the block before it, or created within it (rule 3.4 says which block is its last)."""
    coins = all_coins(facts, rules)
    firsts = dict(facts.blocks.group_by("chain").agg(pl.col("height").min()).iter_rows())
    starts, ends = (dict(last_heights(facts.blocks, of).iter_rows()) for of in (month.previous, month))
    spans = {
        chain: (firsts[chain], starts.get(chain), end)
        for chain, end in sorted(ends.items())
        if chain in rules.finality and not is_account_network(rules.network[chain])
    }
    parts = [coins.clear()]
    for chain, (_, start, end) in spans.items():
        is_over = (pl.col("spent_height") <= (start if start is not None else -1)).fill_null(False)
        is_to_come = (pl.col("created_height") > end).fill_null(False)
        parts.append(coins.filter((pl.col("chain") == chain) & ~is_over & ~is_to_come))
    return MonthCoins(pl.concat(parts), spans)


def printed_coins(month: MonthCoins) -> pl.DataFrame:
    """`coins.csv`: the amounts in base units; what spends a coin after the month is left out, since its closing set has it."""
    ends = pl.DataFrame(
        [(chain, end) for chain, (_, _, end) in month.spans.items()], schema={"chain": pl.String, "end": pl.Int64}, orient="row"
    )
    is_within = pl.col("spent_height") <= pl.col("end")
    return (
        month.coins.join(ends, on="chain", how="left", maintain_order="left")
        .with_columns(pl.when(is_within).then(name).alias(name) for name in ("spent_txid", "spent_height"))
        .select("chain", "wallet", "txid", "vout", "address", "asset", pl.col("value").cast(pl.String).alias("amount_units"), "created_height", "spent_txid", "spent_height")
    )  # fmt: skip


def describe_coins(month: MonthCoins, before: PreviousCoins | None) -> dict[str, Any]:
    """The manifest's section: counts and digests of both sets by chain, and what the month before closed with."""
    chains = {}
    for chain, (first, start, end) in month.spans.items():
        opening, closing = month.opening(chain), month.closing(chain)
        of_chain = month.coins.filter(pl.col("chain") == chain)
        chains[chain] = {
            "first_height": first,
            "opening_height": start,
            "closing_height": end,
            "opening": opening.height,
            "created": of_chain.height - opening.height,
            "spent": of_chain.height - closing.height,
            "closing": closing.height,
            "opening_digest": digest_of_coins(opening),
            "closing_digest": digest_of_coins(closing),
        }
    previous = {"month": before.month, "version": before.version, "closing": before.closing} if before is not None else None
    return {"chains": chains, "previous": previous}


def closing_coins(section: dict[str, Any]) -> dict[str, str]:
    """The digests of the closing sets by chain, as the `frozen` event states them."""
    return {chain: told["closing_digest"] for chain, told in section["chains"].items()}


def digest_of_coins(coins: pl.DataFrame) -> str:
    """SHA-256 of a set of coins of one chain: txid, place and base units, a line each, in that order."""
    lines = coins.select("txid", "vout", pl.col("value").cast(pl.String).alias("amount_units")).sort("txid", "vout")
    return hashlib.sha256(table_csv(lines)).hexdigest()
