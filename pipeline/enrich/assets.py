"""Separates the assets that are in the settings from unknown tokens (ADR 7).

Enters: the facts; an input or output names an asset, or the contract of a token that was not in the settings when it was read. Leaves: the
facts in the settings' assets only; issue `unknown-asset` for every other token that left a pool wallet, since the pool may have lost it; and one `forged-transfers` a chain
for logs behind which neither a signature nor a balance of the pool's stands: nothing was held, or no less is held afterwards. Unknown tokens that only came in are ignored, because anybody can send a worthless token, and so is what a
person labelled `poisoning`: a contract, or an account that signs such transactions.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from pipeline.model.issues import IssueCode
from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .frames import Facts
from .identify import day_of_seconds
from .issue_rows import NO_ISSUES, is_in_month, make_issues

_KEY = ["chain", "asset"]
POISONING = "poisoning"
"""Class of a label that sets aside, for all months, what a contract logs, or what an account's transactions log."""


def name_assets(facts: Facts, rules: Rules) -> tuple[Facts, pl.DataFrame]:
    """The facts with contracts replaced by asset names, without unknown tokens; and the inputs in unknown tokens, as INPUTS."""
    named = {(a.chain, a.contract): a.name for a in rules.assets.values() if a.contract is not None}
    known = pl.DataFrame([(a.chain, a.name) for a in rules.assets.values()], schema={"chain": pl.String, "asset": pl.String}, orient="row")
    frames = {name: _named(getattr(facts, name), named) for name in ("inputs", "outputs", "observations")}
    unknown = frames["inputs"].join(known, on=_KEY, how="anti")
    return replace(facts, **{name: frame.join(known, on=_KEY, how="semi") for name, frame in frames.items()}), unknown


def _named(frame: pl.DataFrame, named: dict[tuple[str, str], str]) -> pl.DataFrame:
    """Replace contracts by their assets' names, for tokens that were added to the settings later."""
    if not named:
        return frame
    names = pl.DataFrame(
        [(*key, name) for key, name in named.items()], schema={"chain": pl.String, "asset": pl.String, "name": pl.String}, orient="row"
    )
    found = frame.join(names, on=_KEY, how="left", maintain_order="left")
    return found.with_columns(asset=pl.col("name").fill_null(pl.col("asset"))).drop("name")


def unknown_assets(unknown: pl.DataFrame, facts: Facts, month: Month) -> pl.DataFrame:
    """Unknown tokens that left a pool wallet in the month: one issue each, by chain and contract; and one a chain for all that is forged."""
    if unknown.is_empty():
        return NO_ISSUES
    dated = unknown.join(facts.blocks.select("chain", pl.col("hash").alias("block_hash"), "time"), on=["chain", "block_hash"])
    dated = dated.with_columns(date=day_of_seconds("time")).filter(is_in_month(month))
    set_aside = facts.labels.filter(pl.col("outflow_class") == POISONING).select("chain", pl.col("address").alias("asset"))
    dated = dated.join(set_aside, on=_KEY, how="anti").join(set_aside.rename({"asset": "signed_by"}), on=["chain", "signed_by"], how="anti")
    is_forged = ((pl.col("held") == 0) | (pl.col("held_after") >= pl.col("held"))).fill_null(value=False)
    return pl.concat([_left_wallets(dated.filter(~is_forged)), _forged(dated.filter(is_forged))])


def _forged(dated: pl.DataFrame) -> pl.DataFrame:
    """One issue a chain for the logs that no signature and no balance of the pool's stands behind."""
    found = dated.group_by("chain").agg(
        pl.len().alias("logs"), pl.col("asset").n_unique().alias("contracts"), pl.col("txid").sort_by("time", "txid").first()
    )
    return make_issues(
        IssueCode.FORGED_TRANSFERS,
        found,
        ref=pl.col("chain"),
        detail=pl.format(
            "{} log(s) of {} contract(s) claim to move tokens out of pool wallets, with no signature and no balance of the pool behind them, first in {}",
            pl.col("logs"), pl.col("contracts"), pl.col("txid"),
        ),
        facts=[pl.col("logs"), pl.col("contracts"), pl.col("txid")],
    )  # fmt: skip


def _left_wallets(dated: pl.DataFrame) -> pl.DataFrame:
    """One issue a contract."""
    found = dated.group_by(_KEY).agg(pl.len().alias("movements"), pl.col("txid").sort_by("time", "txid").first())
    return make_issues(
        IssueCode.UNKNOWN_ASSET,
        found,
        ref=pl.concat_str("chain", "asset", separator=":"),
        detail=pl.format("{} movement(s) out of pool wallets, first in {}", pl.col("movements"), pl.col("txid")),
        facts=[pl.col("movements"), pl.col("txid")],
    )
