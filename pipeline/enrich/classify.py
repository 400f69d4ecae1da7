"""Classifies the pool's outflows: one class for every output of the pool's transactions, and for the fee (rule 3).

Enters: the main chain's transactions that touch a pool wallet. Leaves: outflows of all months. Payments by others to a miner or to the
pool are not outflows (rule 3.3); a coinbase that pays no pool wallet is not the pool's (rule 3.1).
"""

from __future__ import annotations

import polars as pl

from pipeline.model.rules import Rules

from .frames import OUTFLOWS, UNITS, Facts
from .identify import day_of_seconds, with_holder
from .network_shares import CLASS, with_network_shares

TX = ["chain", "block_hash", "txid"]


def pool_transactions(facts: Facts) -> pl.DataFrame:
    """Transactions that spend from a pool wallet, and coinbases that pay one, with `at`, `date`, `height` of their block; `transaction`: their number."""
    spending = facts.inputs.select(TX).unique()
    receiving = facts.outputs.filter(pl.col("wallet").is_not_null()).select(TX).unique()
    coinbases = facts.transactions.filter("is_coinbase").join(receiving, on=TX, how="semi")
    others = facts.transactions.filter(~pl.col("is_coinbase")).join(spending, on=TX, how="semi")
    blocks = facts.blocks.select("chain", pl.col("hash").alias("block_hash"), "height", pl.col("time").alias("at"))
    return (
        pl.concat([coinbases, others])
        .join(blocks, on=["chain", "block_hash"], how="inner")
        .with_columns(date=day_of_seconds("at"))
        .sort("chain", "height", "position")
        .with_row_index("transaction")
    )


def chains_of(rules: Rules) -> pl.DataFrame:
    """The chain of each asset: asset, chain."""
    return pl.DataFrame([(a.name, a.chain) for a in rules.assets.values()], schema={"asset": pl.String, "chain": pl.String}, orient="row")


def classify(facts: Facts, transactions: pl.DataFrame, payments: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Each output of `transactions` with its `class`: the first of rule 3's table that matches, and its miner if held by one.

    `payments`: those that the pool itself made (rule 10.2), with their `chain`. What a network takes of a coinbase (`network_shares`) is a class of its own,
    after payouts and labels.

    Columns of OUTPUTS, then transaction, is_coinbase, height, at, date, holder (of the address on the block's date), class.
    """
    outputs = facts.outputs.join(transactions.select([*TX, "transaction", "is_coinbase", "height", "at", "date"]), on=TX, how="inner")
    outputs = with_holder(outputs, facts.wallets, keys=["chain", "address"], day="date", name="holder")
    registered = facts.miners.select(pl.col("miner_id").alias("holder")).unique().with_columns(is_registered=pl.lit(True))
    is_pool = pl.col("wallet").is_not_null()
    outputs = (
        outputs.join(registered, on="holder", how="left")
        .join(facts.labels, on=["chain", "address"], how="left")
        .with_columns(pl.col("is_registered").fill_null(False))
    )
    outputs = with_network_shares(_in_ledger(outputs, ~is_pool & ~pl.col("is_registered"), payments), rules)
    is_data = (pl.col("value") == 0) & pl.col("is_unspendable")
    return outputs.with_columns(all_stays=(is_pool | is_data).all().over("transaction")).with_columns(
        pl.when(is_pool & pl.col("is_coinbase"))  # rule 3.1
        .then(pl.lit("reward"))
        .when(is_data)
        .then(pl.lit("data"))
        .when(is_pool & pl.col("all_stays"))  # rule 9.1: beside OP_RETURN only, too
        .then(pl.lit("internal"))
        .when(is_pool)
        .then(pl.lit("change"))
        .when(pl.col("is_registered") | pl.col("is_in_ledger"))  # registered: present in `miners` (rule 9.1)
        .then(pl.lit("payout"))
        .when(pl.col("outflow_class").is_not_null())
        .then(pl.col("outflow_class"))
        .when("is_network_share")
        .then(pl.lit(CLASS))
        .otherwise(pl.lit("unknown"))
        .alias("class")
    )


def _in_ledger(outputs: pl.DataFrame, asked: pl.Expr, payments: pl.DataFrame) -> pl.DataFrame:
    """With `is_in_ledger`: whether a payment names an output's txid and address. Only those `asked` for are looked for: of most, their holder says enough."""
    output = ["chain", "txid", "address"]
    sought = outputs.filter(asked).select(output).unique()
    if sought.height:
        sought = sought.join(payments.select(output), on=output, how="semi")
    if sought.is_empty():
        return outputs.with_columns(is_in_ledger=pl.lit(False))
    found = outputs.join(sought.with_columns(is_in_ledger=pl.lit(True)), on=output, how="left", maintain_order="left")
    return found.with_columns(pl.col("is_in_ledger").fill_null(False))


def list_outflows(outputs: pl.DataFrame, transactions: pl.DataFrame) -> pl.DataFrame:
    """The outflows of these transactions as OUTFLOWS: every classed output, and each one's fee at vout -1 (rule 3.2); by block, txid, vout."""
    spent = outputs.select(
        "chain",
        "txid",
        "vout",
        "address",
        "asset",
        pl.col("value").alias("amount"),
        "class",
        pl.col("height").alias("block_height"),
        "date",
    )
    fees = transactions.filter(~pl.col("is_coinbase")).select(
        "chain",
        "txid",
        pl.lit(-1, pl.Int32).alias("vout"),
        pl.lit(None, pl.String).alias("address"),
        pl.col("fee_asset").alias("asset"),
        pl.col("fee").alias("amount"),
        pl.lit("fee").alias("class"),
        pl.col("height").alias("block_height"),
        "date",
    )
    return pl.concat([spent, fees]).cast({"amount": UNITS}).select(list(OUTFLOWS)).sort("chain", "block_height", "txid", "vout")


def group_transfers(outputs: pl.DataFrame, transactions: pl.DataFrame) -> pl.DataFrame:
    """All payout outputs of one transaction to one address are one transfer (rule 5.1): by instant, txid, address, asset.

    transfer (its number), chain, txid, address, asset, amount, holder (of the address on the block's date), is_coinbase, instant (µs), date, block_hash,
    height, fee, fee_asset.
    """
    # The texts of a transaction are compared once for all that it pays.
    told = transactions.sort("at", "txid").select(
        "transaction", "chain", "txid", "is_coinbase", "date", "block_hash", "height", "fee", "fee_asset",
        instant=pl.col("at") * 1_000_000, order=pl.struct("at", "txid").rle_id(),
    )  # fmt: skip
    return (
        outputs.filter(pl.col("class") == "payout")
        .group_by("transaction", "address", "asset")
        .agg(pl.col("value").sum().alias("amount"), pl.col("holder").first())
        .join(told, on="transaction", how="left")
        .sort("order", "address", "asset")
        .drop("order", "transaction")
        .with_row_index("transfer")
    )
