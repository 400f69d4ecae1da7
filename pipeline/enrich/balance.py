"""The balance proof of each wallet: opening + in - out - fees = closing, compared with the actual balance (rule 3.4).

Counted by height, since header times can run backwards. The closing figure comes from the month's movements. It is compared with an
independent figure: the sum of unspent outputs, or, on a chain with observed balances (ADR 7), the balance observed after the month's last
block; the opening is then the balance observed after the last block before the month.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import polars as pl

from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .classify import chains_of
from .frames import BALANCES, UNITS, Facts
from .opening import Opening, above

OWN = ["chain", "wallet", "asset"]


def last_heights(blocks: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Each chain's last block of the month: the highest dated in it or before it (rule 3.4): chain, height."""
    return blocks.filter(pl.col("time") < month.end_at).group_by("chain").agg(pl.col("height").max())


def prove_balances(facts: Facts, month: Month, rules: Rules, begins: Opening | None = None) -> pl.DataFrame:
    """BALANCES of every pool wallet and asset for the month, by wallet and asset; and `fault`: why the proof fails, null where it holds.

    `begins`: the coins up to some height, instead of the outputs and inputs there.
    """
    if begins is not None:
        names = ("transactions", "inputs", "outputs")
        facts = replace(facts, **{name: above(getattr(facts, name), facts.blocks, begins.heights) for name in names})
    heights = facts.blocks.select("chain", pl.col("hash").alias("block_hash"), "height")
    ours = facts.outputs.filter(pl.col("wallet").is_not_null())
    # Of all blocks those in which something moved, looked for once: three joins need them.
    moved = pl.concat([frame.select("chain", "block_hash") for frame in (ours, facts.inputs, facts.transactions)]).unique()
    heights = heights.join(moved, on=["chain", "block_hash"], how="semi")
    spans = (
        last_heights(facts.blocks, month)
        .rename({"height": "to"})
        .join(last_heights(facts.blocks, month.previous).rename({"height": "from"}), on="chain", how="left")
    )
    created = (_created(ours.join(heights, on=["chain", "block_hash"]), begins).join(spans, on="chain")).with_columns(
        is_before=(pl.col("height") <= pl.col("from")).fill_null(False), is_within=pl.col("height") <= pl.col("to")
    )
    spent = (facts.inputs.join(heights, on=["chain", "block_hash"]).join(spans, on="chain")).with_columns(
        is_before=(pl.col("height") <= pl.col("from")).fill_null(False), is_within=pl.col("height") <= pl.col("to")
    )
    fees = share_fees(facts.inputs, facts.transactions).join(heights, on=["chain", "block_hash"]).join(spans, on="chain")
    fees = fees.filter((pl.col("height") <= pl.col("to")) & ~(pl.col("height") <= pl.col("from")).fill_null(False))
    now = pl.col("is_within") & ~pl.col("is_before")
    received = created.group_by(OWN).agg(pl.col("value").filter(now).sum().alias("in"))
    paid = spent.group_by(OWN).agg(pl.col("value").filter(now).sum().alias("spent"))
    opening = _unspent(created, spent, pl.col("is_before")).rename({"unspent": "opening"})
    unspent = _unspent(created, spent, pl.col("is_within"))
    seen = [begins.wallets.join(spans, on="chain", how="semi").select(OWN)] if begins else []
    known = pl.concat(
        [received.select(OWN), paid.select(OWN), facts.pool_wallets.join(chains_of(rules), on="chain").select(OWN), *seen]
    ).unique()
    amounts = ["opening", "in", "spent", "fee", "unspent"]
    parts = [opening, received, paid, fees.group_by(OWN).agg(pl.col("share").sum().alias("fee")), unspent]
    totals = pl.concat(parts, how="diagonal").group_by(OWN).agg(pl.col(amounts).sum())
    sums = known.join(totals, on=OWN, how="left").with_columns(pl.col(amounts).fill_null(0).cast(UNITS), fault=pl.lit(None, pl.String))
    sums = sums.with_columns(out=pl.col("spent") - pl.col("fee"))
    is_observed = pl.col("chain").is_in([*facts.observations["chain"].unique(), *(begins.observed if begins else ())])
    return (
        pl.concat([sums.filter(~is_observed), apply_observations(sums.filter(is_observed), facts, spans, month)])
        .with_columns(closing=pl.col("opening") + pl.col("in") - pl.col("out") - pl.col("fee"))
        .with_columns(fault=pl.col("fault").fill_null(_difference()))
        .sort("wallet", "asset", "chain")
        .select([*BALANCES, "fault"])
    )


def _created(outputs: pl.DataFrame, begins: Opening | None) -> pl.DataFrame:
    """The pool's outputs with their height: OWN, txid, vout, value, height; before those of the facts the opening's coins."""
    named = outputs.select(*OWN, "txid", "vout", "value", "height")
    return named if begins is None else pl.concat([begins.coins.join(begins.heights, on="chain").select(named.columns), named])


def _difference() -> pl.Expr:
    """The fault where both figures are known and differ."""
    return pl.when(pl.col("closing") != pl.col("unspent")).then(
        pl.format("closing {} but unspent {} {}", pl.col("closing").cast(pl.String), pl.col("unspent").cast(pl.String), pl.col("asset"))
    )


def apply_observations(sums: pl.DataFrame, facts: Facts, spans: pl.DataFrame, month: Month) -> pl.DataFrame:
    """The sums of chains with observed balances, with `opening` and `unspent` from the observations, and the `fault` where one is missing.

    `spans`: chain, from, to: heights of the last blocks before the month (null where reading began in it) and of it. A wallet's asset is
    left out if it was not observed at the month's beginning, has no balance at its end and did not move. A wallet without an observation where
    others have one joined the watch list later; the rescan found nothing for it before, so its balance there is 0 (ADR 7).
    """
    if sums.is_empty():
        return sums
    ends = facts.blocks.group_by("chain").agg(first=pl.col("height").min(), passed_at=pl.col("mediantime").max())
    seen = facts.observations.group_by([*OWN, "height"]).agg(
        pl.when(pl.col("value").is_null().any()).then(None).otherwise(pl.col("value").sum()).alias("held"), pl.lit(True).alias("is_told")
    )
    spans = spans.join(ends, on="chain").select("chain", "to", "passed_at", pl.col("from").fill_null(pl.col("first") - 1))
    found = (
        sums.drop("opening", "unspent")
        .join(spans, on="chain")
        .join(seen, left_on=[*OWN, "from"], right_on=[*OWN, "height"], how="left")
        .rename({"held": "opening", "is_told": "is_opening_told"})
        .join(seen, left_on=[*OWN, "to"], right_on=[*OWN, "height"], how="left")
        .rename({"held": "unspent", "is_told": "is_closing_told"})
    )
    told = facts.observations.select("chain", "wallet", pl.col("height").alias("from")).unique()
    found = (
        found.join(told.with_columns(is_wallet_told=True), on=["chain", "wallet", "from"], how="left")
        .join(told.select("chain", "from").unique().with_columns(is_chain_told=True), on=["chain", "from"], how="left")
        .with_columns(opening=pl.when(pl.col("is_chain_told") & pl.col("is_wallet_told").is_null()).then(0).otherwise(pl.col("opening")))
    )
    moved = (pl.col("in") != 0) | (pl.col("spent") != 0)
    found = found.filter(pl.col("is_opening_told").is_not_null() | moved | (pl.col("unspent") != 0).fill_null(False))
    is_over = pl.col("passed_at") >= month.end_at  # before that, the month's last observation is still to come
    return found.with_columns(
        fault=pl.when(pl.col("opening").is_null())
        .then(_why_unknown("is_opening_told", "from"))
        .when(pl.col("unspent").is_null() & is_over)
        .then(_why_unknown("is_closing_told", "to"))
    ).select(sums.columns)


def _why_unknown(is_told: str, height: str) -> pl.Expr:
    """Why a balance is not known."""
    place = pl.format("{} after block {}", pl.col("asset"), pl.col(height))
    return (
        pl.when(pl.col(is_told).is_not_null())
        .then(pl.format("the node could not tell the balance of {}: its state is gone there", place))
        .otherwise(pl.format("no balance was observed of {}", place))
    )


def _unspent(created: pl.DataFrame, spent: pl.DataFrame, until: pl.Expr) -> pl.DataFrame:
    """The sum of unspent outputs of the blocks that `until` selects, by wallet and asset: OWN, unspent."""
    gone = spent.filter(until).select("chain", pl.col("spent_txid").alias("txid"), pl.col("spent_vout").alias("vout"))
    return (
        created.filter(until).join(gone, on=["chain", "txid", "vout"], how="anti").group_by(OWN).agg(pl.col("value").sum().alias("unspent"))
    )


def share_fees(inputs: pl.DataFrame, transactions: pl.DataFrame) -> pl.DataFrame:
    """Each transaction's fee shared over its inputs by value: chain, block_hash, txid, wallet, asset, share (rule 9.5).

    Where a transaction has a `fee_wallet`, that wallet bears the whole fee. Otherwise all inputs that are not the pool's count as one
    party (left out of the result); the rounding remainder goes to the largest party, among equals to the first wallet by name.
    """
    spending = transactions.filter(~pl.col("is_coinbase") & pl.col("fee_wallet").is_null())
    borne = transactions.filter(~pl.col("is_coinbase") & pl.col("fee_wallet").is_not_null())
    ours = inputs.group_by("chain", "block_hash", "txid", "wallet", "asset").agg(pl.col("value").sum())
    strangers = spending.filter(pl.col("other_inputs_value") > 0).select(
        "chain",
        "block_hash",
        "txid",
        pl.lit(None, pl.String).alias("wallet"),
        pl.col("fee_asset").alias("asset"),
        pl.col("other_inputs_value").alias("value"),
    )
    transaction = ["chain", "block_hash", "txid"]
    parties = (
        pl.concat([ours, strangers])
        .join(spending.select([*transaction, "fee", "fee_asset"]), on=transaction)
        .filter(pl.col("asset") == pl.col("fee_asset"))
        .sort([*transaction, "value", "wallet"], descending=[False, False, False, True, False], nulls_last=True)
    )
    alone = parties.filter(pl.len().over(transaction) == 1).with_columns(share=pl.col("fee"))
    shared = parties.filter(pl.len().over(transaction) > 1)
    shared = shared.with_columns(share=pl.Series(_shares(shared.select(*transaction, "value", "fee").rows()), dtype=UNITS))
    columns = [*transaction, "wallet", "asset", "share"]
    return pl.concat(
        [
            pl.concat([alone, shared]).filter(pl.col("wallet").is_not_null()).select(columns),
            borne.select(
                *transaction, pl.col("fee_wallet").alias("wallet"), pl.col("fee_asset").alias("asset"), pl.col("fee").alias("share")
            ),
        ]
    )


def _shares(parties: list[tuple[str, str, str, int, int]]) -> list[int]:
    """Each party's share of its transaction's fee, largest party first. Python's integers: fee x value may pass 38 digits."""
    shares: list[int] = []
    for _, group in groupby(parties, key=lambda party: party[:3]):
        members = list(group)
        fee, total = members[0][4], sum(value for *_, value, _ in members)
        floors = [fee * value // total if total else 0 for *_, value, _ in members]  # coins of 0 are lawful
        shares += [floors[0] + fee - sum(floors), *floors[1:]]
    return shares
