"""Assets that the settings name, and those that they don't (ADR 7).

Enters: the facts, whose inputs and outputs name an asset, or the contract of a token that no settings named when they were told.
Leaves: the facts in assets of the settings alone, and issue `unknown-asset` for every other one that left a pool wallet: its log may be
a forgery, or a loss. What only came in is left out: anybody may send a worthless token.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from pipeline.model.issues import IssueCode
from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .frames import Facts
from .identify import day_of_seconds
from .issue_rows import is_in_month, make_issues

_KEY = ["chain", "asset"]


def name_assets(facts: Facts, rules: Rules) -> tuple[Facts, pl.DataFrame]:
    """The facts with contracts by their assets' names and without what no settings name; and the inputs of the latter, as INPUTS."""
    named = {(a.chain, a.contract): a.name for a in rules.assets.values() if a.contract is not None}
    known = pl.DataFrame([(a.chain, a.name) for a in rules.assets.values()], schema={"chain": pl.String, "asset": pl.String}, orient="row")
    frames = {name: _named(getattr(facts, name), named) for name in ("inputs", "outputs", "observations")}
    strangers = frames["inputs"].join(known, on=_KEY, how="anti")
    return replace(facts, **{name: frame.join(known, on=_KEY, how="semi") for name, frame in frames.items()}), strangers


def _named(frame: pl.DataFrame, named: dict[tuple[str, str], str]) -> pl.DataFrame:
    """Contracts as their assets: a token that was not known yet when its movements were told."""
    if not named:
        return frame
    names = pl.DataFrame(
        [(*key, name) for key, name in named.items()], schema={"chain": pl.String, "asset": pl.String, "name": pl.String}, orient="row"
    )
    found = frame.join(names, on=_KEY, how="left", maintain_order="left")
    return found.with_columns(asset=pl.col("name").fill_null(pl.col("asset"))).drop("name")


def unknown_assets(strangers: pl.DataFrame, blocks: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Assets of no settings that left a pool wallet in the month: one issue each, by chain and contract."""
    dated = strangers.join(blocks.select("chain", pl.col("hash").alias("block_hash"), "time"), on=["chain", "block_hash"])
    found = (
        dated.with_columns(date=day_of_seconds("time"))
        .filter(is_in_month(month))
        .group_by(_KEY)
        .agg(pl.len().alias("movements"), pl.col("txid").sort_by("time", "txid").first())
    )
    return make_issues(
        IssueCode.UNKNOWN_ASSET,
        found,
        ref=pl.concat_str("chain", "asset", separator=":"),
        detail=pl.format("{} movement(s) out of pool wallets, first in {}", pl.col("movements"), pl.col("txid")),
        facts=[pl.col("movements"), pl.col("txid")],
    )
