"""Who paid each payment of the ledger, and the transfers that others than the pool made (rule 10).

Enters: the ledger's payments, the main chain, the payers that the settings declare. Leaves: the payments by who is taken to have paid them, and the
payers' transfers with their payments, in the shape that `match` gives the pool's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pipeline.model.rules import Rules

from .classify import TX, chains_of
from .frames import UNITS, Facts
from .identify import day_of_micros, day_of_seconds, with_holder
from .match import CHAIN_KEY, KEY, Matched, explain, link

PAYERS_SINCE = 3
"""The first edition that has rule 10."""
_TRANSFER = ["chain", "txid", "address", "asset", "amount", "is_coinbase", "instant", "date", "block_hash", "height"]


@dataclass(frozen=True)
class Payments:
    """The ledger's payments by who is taken to have paid them: each as PAYMENTS, then `chain`, the asset's."""

    own: pl.DataFrame
    """The pool itself: no payer named, or a transaction that is the pool's (rule 10.2)."""
    differing: pl.DataFrame
    """Of those, the ones that name another payer: issue `payer-differs`."""
    on_chain: pl.DataFrame
    off_chain: pl.DataFrame
    unknown: pl.DataFrame
    """Their payer is not declared, or pays on another chain: issue `unknown-payer`; they credit nobody (rule 10.1)."""

    @property
    def has_others(self) -> bool:
        """Whether others than the pool paid any."""
        return not (self.on_chain.is_empty() and self.off_chain.is_empty())


def sort_out_payments(payments: pl.DataFrame, transactions: pl.DataFrame, rules: Rules) -> Payments:
    """Who paid each payment (rules 10.1, 10.2). `transactions`: the pool's own (rule 3). In editions 1 and 2 the pool paid all."""
    payments = payments.join(chains_of(rules), on="asset", how="left", maintain_order="left")
    nobody = payments.clear()
    if rules.edition < PAYERS_SINCE or payments["payer"].null_count() == payments.height:
        return Payments(payments.with_columns(payer=pl.lit(None, pl.String)), nobody, nobody, nobody, nobody)
    declared = pl.DataFrame(
        [(name, payer.way, payer.chain) for name, payer in rules.payers.items()],
        schema={"payer": pl.String, "way": pl.String, "payer_chain": pl.String},
        orient="row",
    )
    ours = transactions.select("chain", "txid").unique().with_columns(is_ours=pl.lit(True))
    judged = payments.join(declared, on="payer", how="left", maintain_order="left").join(
        ours, on=["chain", "txid"], how="left", maintain_order="left"
    )
    is_named = pl.col("payer").is_not_null()
    is_off_chain = (pl.col("way") == "off-chain").fill_null(False)
    is_on_chain = ((pl.col("way") == "on-chain") & (pl.col("payer_chain") == pl.col("chain"))).fill_null(False)
    differs = is_on_chain & pl.col("is_ours").fill_null(False)

    def some(condition: pl.Expr) -> pl.DataFrame:
        return judged.filter(condition).select(payments.columns)

    return Payments(
        own=some(~is_named | differs),
        differing=some(differs),
        on_chain=some(is_on_chain & ~differs),
        off_chain=some(is_off_chain),
        unknown=some(is_named & ~is_off_chain & ~is_on_chain),
    )


def match_payers(payments: Payments, facts: Facts, transactions: pl.DataFrame, tips: pl.DataFrame, rules: Rules) -> Matched:
    """The payers' transfers with their payments (rules 10.2 to 10.6).

    `transactions`: the pool's own, which no payer made; `tips`: chain, tip_at. Of a transfer `holder` is only ever a registered miner: anybody else
    who holds the address, or nobody, is no issue here (rule 10.6).
    """
    upstream = _upstream(payments.on_chain, facts, transactions).with_row_index("transfer")
    named = link(payments.on_chain, upstream)
    is_found = named.filter(pl.col("transfer").is_not_null())
    on_chain = explain(upstream, is_found, rules).drop("transfer")
    is_found = is_found.drop("transfer")
    lost = named.filter(pl.col("transfer").is_null()).drop("transfer").join(tips, on="chain", how="left")
    lost = lost.filter(pl.col("paid_at") <= pl.col("tip_at") * 1_000_000).drop("tip_at")  # the same condition as in rule 5.2
    paid_by = is_found.sort("payment_id").group_by(CHAIN_KEY, maintain_order=True).agg(pl.col("payer").first())
    on_chain = on_chain.join(paid_by, on=CHAIN_KEY, how="left").with_columns(via=pl.lit(""))
    attested = _attested(payments.off_chain)
    transfers = pl.concat([on_chain.select(sorted(on_chain.columns)), attested.select(sorted(on_chain.columns))])
    registered = facts.miners.select(pl.col("miner_id").alias("holder")).unique()
    held = with_holder(transfers, facts.wallets, keys=["chain", "address"], day="date", name="holder")
    held = held.join(registered.with_columns(is_registered=pl.lit(True)), on="holder", how="left", maintain_order="left")
    transfers = held.with_columns(holder=pl.when("is_registered").then("holder")).drop("is_registered").with_row_index("transfer")
    linked = pl.concat([is_found.with_columns(via=pl.lit("")), payments.off_chain.with_columns(via=pl.col("payer"))])
    return Matched(transfers, linked.join(transfers.select([*KEY, "transfer"]), on=KEY, how="inner").drop("via"), lost)


def _upstream(payments: pl.DataFrame, facts: Facts, transactions: pl.DataFrame) -> pl.DataFrame:
    """The outputs that the payments name, of main-chain transactions that are not the pool's, by transaction and address (rule 10.2).

    An output to a pool wallet is no miner's; outputs that sum to 0 are no transfer (rule 10.4).
    """
    blocks = facts.blocks.select("chain", pl.col("hash").alias("block_hash"), "height", pl.col("time").alias("at"))
    return (
        facts.outputs.filter(pl.col("wallet").is_null())
        .join(payments.select(CHAIN_KEY).unique(), on=CHAIN_KEY, how="semi")
        .join(transactions.select("chain", "txid"), on=["chain", "txid"], how="anti")
        .join(facts.transactions.select([*TX, "is_coinbase"]), on=TX, how="inner")
        .join(blocks, on=["chain", "block_hash"], how="inner")
        .group_by([*CHAIN_KEY, "is_coinbase", "at", "block_hash", "height"])
        .agg(pl.col("value").sum().alias("amount"))
        .filter(pl.col("amount") > 0)
        .with_columns(instant=pl.col("at") * 1_000_000, date=day_of_seconds("at"))
        .select(_TRANSFER)
        .with_columns(fee=pl.lit(None, UNITS), fee_asset=pl.lit(None, pl.String))  # not the pool's
    )


def _attested(payments: pl.DataFrame) -> pl.DataFrame:
    """Payments of one off-chain payer, reference and address are one transfer, at the earliest `paid_at` (rule 10.5)."""
    return (
        payments.group_by("chain", "txid", "address", "asset", "payer")
        .agg(pl.col("amount").sum(), pl.col("paid_at").min().alias("instant"), pl.len().cast(pl.Int64).alias("payments"))
        .with_columns(
            date=day_of_micros("instant"),
            is_coinbase=pl.lit(False),
            block_hash=pl.lit(None, pl.String),
            height=pl.lit(None, pl.Int64),
            fee=pl.lit(None, UNITS),
            fee_asset=pl.lit(None, pl.String),
            paid=pl.col("amount"),
            explanation=pl.lit("attested"),
            is_explained=pl.lit(True),
            via=pl.col("payer"),
        )
    )
