"""What a month begins with: the state that the months before it leave, so that they need not be read again (rules 3.4, 6, 7.1, ADR 25).

Enters: a month's facts and what was settled of them. Leaves: `Opening`, or None where a cut at the month's first instant is not certain to change nothing; and
facts without what lies before the cut. Derived (law 1): a month enriched from an opening is, row by row, the month enriched from the whole history.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .assets import name_assets
from .classify import chains_of
from .frames import UNITS, Facts
from .identify import day_of_seconds
from .line import Line
from .match import WINDOW_US
from .payers import PAYERS_SINCE

FIRST_EDITION = 2
"""Edition 1 raised issues of linked payments by the day of `paid_at`: its months are always enriched from the whole history."""
COINS = {"chain": pl.String, "txid": pl.String, "vout": pl.Int32, "wallet": pl.String, "asset": pl.String, "value": UNITS}
HEIGHTS = {"chain": pl.String, "height": pl.Int64}
WALLETS = {"chain": pl.String, "wallet": pl.String, "asset": pl.String}
NAMED_TRANSACTIONS = {"chain": pl.String, "txid": pl.String}
NAMED_PAYMENTS = {"payment_id": pl.String}
PAYER_COUNTS = {"chain": pl.String, "payments": pl.Int64}
OFF_CHAIN_KEY = ["payer", "txid", "address", "asset"]
_TX = ["chain", "block_hash", "txid"]


@dataclass(frozen=True)
class Beginning:
    """What is open at the first instant of a month. It stands for all allocations of before, and for all that settled any of them (ADR 27)."""

    since: Month
    """The first month that it does not cover."""
    starts_at: int
    """The instant before which transfers settle nothing (rule 6.4), microseconds."""
    line: Line

    @property
    def since_us(self) -> int:
        return first_instant(self.since)


@dataclass(frozen=True)
class Opening(Beginning):
    """The whole state at the first instant of a month: it stands for the payments and the chain of before, too."""

    heights: pl.DataFrame
    """HEIGHTS: of each chain the greatest height up to which every block is dated before `since`; chains that were not read by then are absent."""
    coins: pl.DataFrame
    """COINS: outputs of the pool's up to that height that no input up to it spends; of chains without observed balances (rule 3.4)."""
    wallets: pl.DataFrame
    """WALLETS: every wallet and asset that an output or an input named up to that height."""
    observed: list[str]
    """Chains with balances observed."""
    transactions: pl.DataFrame
    """NAMED_TRANSACTIONS up to that height that later payments name, or open credits come from: they are read besides."""
    payments: pl.DataFrame
    """NAMED_PAYMENTS before `since` that name those transactions, or later ones: they are read besides."""
    payers: pl.DataFrame
    """PAYER_COUNTS: how many payments of on-chain payers lie before `since`; every one was looked for (rule 10.8)."""


def first_instant(month: Month) -> int:
    """The month's first instant, microseconds."""
    return month.previous.end_at * 1_000_000


def covered_heights(blocks: pl.DataFrame, month: Month) -> pl.DataFrame:
    """HEIGHTS: of each chain the greatest height up to which every known block is dated before the month. Header times can run backwards."""
    dated = blocks.with_columns(date=day_of_seconds("time"))
    firsts = dated.filter(pl.col("date") >= month.first).group_by("chain").agg(pl.col("height").min().alias("first"))
    return (
        dated.join(firsts, on="chain", how="left")
        .filter(pl.col("first").is_null() | (pl.col("height") < pl.col("first")))
        .group_by("chain")
        .agg(pl.col("height").max())
        .select(list(HEIGHTS))
        .sort("chain")
    )


def make_beginning(facts: Facts, month: Month, rules: Rules, line: Line, starts_at: int) -> Beginning | None:
    """What `month` begins with, for facts that lack the allocations of before alone; None where it is not certain that this changes nothing (ADR 27)."""
    since = first_instant(month)
    if rules.edition < FIRST_EDITION or not 0 < starts_at < since:
        return None
    if (facts.openings["owed_at"] == since).any():
        return None  # of the day before, and yet among allocations of this one in the order of settlement (rule 6.4)
    return Beginning(month, starts_at, line)


def make_opening(facts: Facts, month: Month, rules: Rules, line: Line, starts_at: int, base: Opening | None = None) -> Opening | None:
    """The opening of `month`; None where it is not certain that a cut changes nothing (ADR 25 says why each time).

    `facts`: those that the month was enriched from: the whole history, or what `base`, an earlier opening, leaves. `line`, `starts_at`: as enrichment found them.
    """
    since = first_instant(month)
    if make_beginning(facts, month, rules, line, starts_at) is None or (base is not None and base.since == month):
        return None
    payments = facts.payments.join(chains_of(rules), on="asset", how="left", maintain_order="left")
    heights = covered_heights(facts.blocks, month)
    placed = facts.transactions.select(_TX).join(facts.blocks.select("chain", "height", block_hash="hash"), on=["chain", "block_hash"])
    placed = placed.join(heights.rename({"height": "covered"}), on="chain", how="left")
    is_covered = (pl.col("height") <= pl.col("covered")).fill_null(False)
    before, after = (placed.filter(which).select("chain", "txid").unique() for which in (is_covered, ~is_covered))
    if not _is_quiet(payments, placed, since, rules):
        return None
    payers = _looked_for(facts, payments, since, rules, base)
    if payers is None:
        return None
    early, late = payments.filter(pl.col("paid_at") < since), payments.filter(pl.col("paid_at") >= since)
    named_late = before.join(late.select("txid").unique(), on="txid", how="semi")
    transactions = pl.concat([named_late, line.credits.filter(pl.col("via") == "").select("chain", "txid")]).unique().sort("chain", "txid")
    named = pl.concat([transactions.select("txid"), after.select("txid"), line.credits.select("txid")]).unique()
    kept = pl.concat([early.join(named, on="txid", how="semi").select("payment_id"), line.credits.select("payment_id")])
    facts, _ = name_assets(facts, rules)
    observed = sorted({*facts.observations["chain"].unique(), *(base.observed if base else ())})
    coins, wallets = _coins(facts, heights, observed, base)
    return Opening(
        month, starts_at, line, heights, coins, wallets, observed, transactions,
        payments=kept.filter(pl.col("payment_id") != "").unique().sort("payment_id"),
        payers=payers,
    )  # fmt: skip


def _is_quiet(payments: pl.DataFrame, placed: pl.DataFrame, since: int, rules: Rules) -> bool:
    """Whether no payment reaches over the cut: none that seeks a replacement within its window, no payments before and after that
    go together in seeking one (rule 5.2), or as one off-chain transfer (rule 10.5)."""
    off_chain = pl.lit(False)
    if rules.edition >= PAYERS_SINCE and (names := rules.off_chain_payers()):
        off_chain = pl.col("payer").is_in(names).fill_null(False)
    seeking = payments.filter(~off_chain).join(placed.select("chain", "txid").unique(), on=["chain", "txid"], how="anti")
    if seeking.filter(pl.col("paid_at").is_between(since - WINDOW_US, since + WINDOW_US)).height:
        return False
    is_early = pl.col("paid_at") < since
    groups = ((seeking, ["txid"]), (payments.filter(off_chain), OFF_CHAIN_KEY))
    return all(one.filter(is_early).join(one.filter(~is_early), on=key, how="semi").is_empty() for one, key in groups)


def _looked_for(facts: Facts, payments: pl.DataFrame, since: int, rules: Rules, base: Opening | None) -> pl.DataFrame | None:
    """PAYER_COUNTS of the payments from before the cut; None where one was not looked for yet."""
    parts = [pl.DataFrame(schema=PAYER_COUNTS), *([base.payers] if base else [])]
    is_new = pl.col("paid_at").is_between(base.since_us if base else -(2**62), since, closed="left")
    for chain in sorted(rules.paying_chains() if rules.edition >= PAYERS_SINCE else ()):
        named = payments.filter((pl.col("chain") == chain) & pl.col("payer").is_in(rules.on_chain_payers(chain)) & is_new)
        if not not_looked_for(named, facts).is_empty():
            return None
        parts.append(pl.DataFrame({"chain": [chain], "payments": [named.height]}, schema=PAYER_COUNTS))
    return pl.concat(parts).group_by("chain").agg(pl.col("payments").sum()).sort("chain")


def not_looked_for(named: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """The payments of on-chain payers that were not looked for in the main chain (rule 10.8)."""
    return (
        named.filter(pl.col("txid").str.contains("^[0-9a-f]{64}$"))  # nothing else can be in a chain
        .join(facts.payees, on=["chain", "address"], how="anti")
        .join(facts.sought, on=["chain", "txid"], how="anti")
    )


def _coins(facts: Facts, heights: pl.DataFrame, observed: list[str], base: Opening | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """COINS and WALLETS at the covered heights."""
    own, spent = facts.outputs.filter(pl.col("wallet").is_not_null()), facts.inputs
    if base is not None:
        own, spent = above(own, facts.blocks, base.heights), above(spent, facts.blocks, base.heights)
    covered = facts.blocks.join(heights.rename({"height": "covered"}), on="chain").filter(pl.col("height") <= pl.col("covered"))
    covered = covered.select("chain", block_hash="hash")
    own, spent = (frame.join(covered, on=["chain", "block_hash"], how="semi") for frame in (own, spent))
    created = pl.concat([own.select(list(COINS)), *([base.coins] if base else [])])
    gone = spent.select("chain", txid="spent_txid", vout="spent_vout").unique()
    coins = created.filter(~pl.col("chain").is_in(observed)).join(gone, on=["chain", "txid", "vout"], how="anti")
    seen = pl.concat([own.select(list(WALLETS)), spent.select(list(WALLETS)), *([base.wallets] if base else [])])
    return coins.sort("chain", "wallet", "txid", "vout"), seen.unique().sort(list(WALLETS))


def above(frame: pl.DataFrame, blocks: pl.DataFrame, heights: pl.DataFrame) -> pl.DataFrame:
    """The rows (chain, block_hash) of blocks above the covered heights."""
    known = blocks.join(heights.rename({"height": "covered"}), on="chain", how="left")
    known = known.filter(pl.col("covered").is_null() | (pl.col("height") > pl.col("covered")))
    return frame.join(known.select("chain", block_hash="hash"), on=["chain", "block_hash"], how="semi")


def cut_facts(facts: Facts, opening: Opening, month: Month) -> Facts:
    """Of the whole history what `month` sees beside its opening: the store reads just this (`facts_since` in its statements)."""
    covered = opening.heights.rename({"height": "covered"})

    def from_height(frame: pl.DataFrame, column: str, *, with_covered: bool) -> pl.DataFrame:
        least = pl.col("covered") if with_covered else pl.col("covered") + 1
        found = frame.join(covered, on="chain", how="left", maintain_order="left")
        return found.filter(pl.col("covered").is_null() | (pl.col(column) >= least)).drop("covered")

    blocks = facts.blocks.join(covered, on="chain", how="left", maintain_order="left")
    in_force = blocks.filter(pl.col("covered").is_null() | (pl.col("height") > pl.col("covered"))).select("chain", block_hash="hash")
    is_named = facts.transactions.join(opening.transactions, on=["chain", "txid"], how="semi").select("chain", "block_hash").unique()

    def of_blocks(frame: pl.DataFrame) -> pl.DataFrame:
        late = frame.with_row_index("_row").join(in_force, on=["chain", "block_hash"], how="semi")
        named = frame.with_row_index("_row").join(opening.transactions, on=["chain", "txid"], how="semi")
        return pl.concat([late, named]).unique("_row").sort("_row").drop("_row")

    kept = blocks.filter(pl.col("covered").is_null() | (pl.col("height") >= pl.col("covered"))).drop("covered")
    named_blocks = facts.blocks.join(is_named, left_on=["chain", "hash"], right_on=["chain", "block_hash"], how="semi")
    since = opening.since_us
    early = facts.payments.join(opening.payments, on="payment_id", how="semi")
    return replace(
        facts,
        blocks=pl.concat([kept, named_blocks]).unique().sort("chain", "height"),
        transactions=of_blocks(facts.transactions),
        inputs=of_blocks(facts.inputs),
        outputs=of_blocks(facts.outputs),
        observations=from_height(facts.observations, "height", with_covered=True),
        proved_balances=from_height(facts.proved_balances, "height", with_covered=True),
        doubts=from_height(facts.doubts, "height", with_covered=True),
        witnesses=from_height(facts.witnesses, "last", with_covered=True),
        disagreements=from_height(facts.disagreements, "height", with_covered=True),
        allocations=facts.allocations.filter(pl.col("allocated_at").is_between(since, first_instant(month.next), closed="left")),
        payments=pl.concat([early, facts.payments.filter(pl.col("paid_at") >= since)]).unique().sort("paid_at", "payment_id"),
    )
