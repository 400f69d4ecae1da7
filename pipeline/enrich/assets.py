"""Separates the assets that are in the settings from unknown tokens (ADR 7).

Enters: the facts; an input or output names an asset, or the contract of a token that was not in the settings when it was read. Leaves: the
facts in the settings' assets only, and issue `unknown-asset` for every other token that left a pool wallet: its log may be forged, or the
pool lost it. Unknown tokens that only came in are ignored, because anybody can send a worthless token.
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


def unknown_assets(unknown: pl.DataFrame, blocks: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Unknown tokens that left a pool wallet in the month: one issue each, by chain and contract."""
    dated = unknown.join(blocks.select("chain", pl.col("hash").alias("block_hash"), "time"), on=["chain", "block_hash"])
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
