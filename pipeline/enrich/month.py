"""Enriches a month: runs the stages of enrichment in order.

Enters: `Facts` of the whole log up to some positions, the month, the rules' parameters. Leaves: `Enriched`. Pure: same facts, same frames.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from pipeline.model.months import Month
from pipeline.model.rules import Rules

from . import check, check_registry
from .assets import name_assets, unknown_assets
from .balance import prove_balances
from .classify import classify, group_transfers, list_outflows, pool_transactions
from .enriched import Enriched
from .frames import ALLOCATIONS, TRANSFERS, UNITS, Facts
from .identify import allocation_day, day_of_micros, is_midnight, with_holder
from .issue_rows import is_in_month, make_refs_unique
from .line import combine_open
from .match import KEY, credit, match
from .opening import Beginning, Opening
from .payers import match_payers, sort_out_payments
from .ranges import ALLOCATIONS_AT_ONCE, select_allocations, settle_ranges
from .report import Report
from .state import contradicted_blocks
from .totals import sum_month
from .undated import undated_changes
from .witnesses import nodes_disagree, one_node_only


def enrich_month(
    facts: Facts, month: Month, rules: Rules, opening: Beginning | None = None, *, allocations_at_once: int = ALLOCATIONS_AT_ONCE
) -> Enriched:
    """Apply the rules to a month's facts (rules 3 to 7, 9).

    `opening`: what the month, or an earlier one, begins with; `facts` then need not have what it stands for: the allocations of before, and of an `Opening` all that
    `opening.cut_facts` leaves out. The result is the same (ADR 25, 27).
    `allocations_at_once`: about how many allocations are settled together, to bound memory; the result does not depend on it (law 2).
    """
    return settle_month(before_settling(facts, month, rules, opening), at_once=allocations_at_once)


class Unsettled(NamedTuple):
    """What a month's rows are settled from, and what is known of the month before that."""

    facts: Facts
    month: Month
    rules: Rules
    opening: Beginning | None
    outflows: pl.DataFrame
    transfers: pl.DataFrame
    """As TRANSFERS."""
    balances: pl.DataFrame
    allocations: pl.DataFrame
    held: pl.DataFrame
    credits: pl.DataFrame
    moved: pl.DataFrame
    """The transfers that the credits name by their place here."""
    starts_at: int
    issues: list[pl.DataFrame]


def before_settling(facts: Facts, month: Month, rules: Rules, opening: Beginning | None = None) -> Unsettled:
    """All that no settlement enters. Arguments as `enrich_month`."""
    facts, unknown = name_assets(facts, rules)
    transactions = pool_transactions(facts)
    payments = _with_miner(facts.payments, facts.accounts, at="paid_at", day="paid_date")
    paid_by = sort_out_payments(payments, transactions, rules)
    outputs = classify(facts, transactions, paid_by.own, rules)
    outflows = list_outflows(outputs.filter(is_in_month(month)), transactions.filter(is_in_month(month)))
    tips = facts.blocks.group_by("chain").agg(pl.col("time").get(pl.col("height").arg_max()).alias("tip_at"))
    matched = match(group_transfers(outputs, transactions), paid_by.own, facts.transactions, tips, rules)
    if paid_by.has_others:
        matched = matched.and_those_of(match_payers(paid_by, facts, transactions, tips, rules))
    del outputs
    credits = credit(matched)
    allocations = list_allocations(facts, rules, opening)
    held = assign_holders(allocations, facts.accounts, month)
    unheld = select_allocations(allocations, held.filter(pl.col("miner_id").is_null()))
    balances = prove_balances(facts, month, rules, opening if isinstance(opening, Opening) else None)
    issues = [
        check.mixed_inputs(transactions, month),
        check.unbalanced_wallets(balances, rules),
        contradicted_blocks(facts, month),
        unknown_assets(unknown, facts, month),
        check.bad_addresses(
            facts.wallets, payments.join(pl.concat([paid_by.off_chain, paid_by.unknown]), on="payment_id", how="anti"), facts.labels, month
        ),
        check.changed_answers(facts.doubts, month),
        nodes_disagree(facts, month),
        one_node_only(facts, month, rules),
        check.differing_traces(facts.doubts, facts.blocks, month),
        check.waiting_at_sources(facts.source_items, month),
        undated_changes(facts, month, allocations, held, payments, [outflows, matched.transfers]),
        check.unknown_outflows(outflows),
        check_registry.overlaps(facts.wallets, facts.accounts, month, rules),
        check_registry.bad_miner_ids(facts.miners),
        check.unknown_accounts(unheld, payments, matched, month, rules),
        check.allocated_twice(unheld, month, rules),
        check.differing_holders(matched, month, rules),
        check.payments_not_on_chain(matched.orphans, month),
        check.transfer_issues(matched.transfers, month, rules),
        check.payer_issues(paid_by, matched.transfers, month, rules),
    ]
    # Free the intermediate frames before the report, which takes the most memory.
    moved = matched.transfers
    del matched, payments, transactions, unheld
    transfers = list_transfers(moved, credits)
    starts_at = opening.starts_at if opening else settlement_start(facts, held)
    moved = moved.select("instant", *KEY, "amount", "date", "payer")
    credits = credits.drop("transfer").with_columns(whole=pl.col("amount"))
    if opening is not None:
        credits, moved = _after(credits, moved, opening)
    moved = moved.sort("instant", "txid", "address", "asset", "payer").drop("instant").with_row_index("transfer")
    credits = credits.filter((pl.col("date") <= month.last) & (pl.col("instant") >= starts_at))
    credits = credits.join(moved.select([*KEY, "transfer"]), on=KEY, how="left", maintain_order="left")
    held = held.drop("allocated_at")
    return Unsettled(facts, month, rules, opening, outflows, transfers, balances, allocations, held, credits, moved, starts_at, issues)


def settle_month(of: Unsettled, *, at_once: int) -> Enriched:
    """Settle the month's allocations, about `at_once` together, and report them."""
    settled = list(settle_ranges(of.facts, of.allocations, of.held, of.credits, of.moved, of.month, of.rules, at_once=at_once))
    rows = pl.concat([part.rows for part in settled])
    report = Report(rows, of.allocations, of.moved, of.facts.miners, of.facts.licences, of.facts.wallets, of.month, of.rules)
    issues = [*of.issues, *(found for part in settled for found in part.issues)]
    return Enriched(
        outflows=of.outflows,
        transfers=of.transfers,
        balances=of.balances.drop("fault"),
        reported=report,
        issues=make_refs_unique(pl.concat(issues), of.rules),
        totals=sum_month(report, pl.concat([part.outstanding for part in settled])),
        debts=pl.concat([part.debts for part in settled]).sort("miner_id", "asset"),
        opening=of.opening,
        starts_at=of.starts_at,
        begins=combine_open([part.begins for part in settled]),
        ends=combine_open([part.ends for part in settled]),
    )


def _after(credits: pl.DataFrame, moved: pl.DataFrame, opening: Beginning) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The credits and transfers from the opening's month on, after those that the opening has."""
    is_new, known = pl.col("date") >= opening.since.first, opening.line.credits
    transfers = known.select("instant", *KEY, pl.col("transfer_amount").alias("amount"), "date", "payer").unique()
    before = known.select(credits.columns)
    both = pl.concat([before, credits.filter(is_new)]).sort("instant", "txid", "address", "payment_id")
    return both, pl.concat([transfers, moved.filter(is_new)])


def list_allocations(facts: Facts, rules: Rules, opening: Beginning | None = None) -> pl.DataFrame:
    """All allocations, openings among them (rule 6.4), in no order: ALLOCATIONS, is_opening, is_of_day_before.

    From an opening: of those before it what it has, with what is left as `amount`; and openings of accounts that nobody holds, which are an issue in every month (rule 9.2).
    `is_of_day_before`: an opening at 00:00 in Almaty, whose allocation date is the day before; in edition 1 there was no such rule.
    """
    listed = facts.allocations.select(list(ALLOCATIONS)).with_columns(is_opening=pl.lit(False), is_of_day_before=pl.lit(False))
    if opening is not None:
        known = opening.line.allocations.select(listed.columns)
        listed = pl.concat([known, listed.filter(pl.col("allocated_at") >= opening.since_us)])
    if facts.openings.is_empty():
        return listed
    openings = facts.openings.select(
        pl.concat_str(pl.lit("opening"), "account", "asset", separator=":").alias("allocation_id"),
        "account",
        "asset",
        pl.col("owed_at").alias("allocated_at"),
        "amount",
        pl.lit(None, pl.String).alias("commission_asset"),
        pl.lit(None, UNITS).alias("commission_amount"),
        pl.lit(None, pl.String).alias("commission_currency"),
        pl.lit(None, pl.String).alias("commission_currency_amount"),
        is_opening=pl.lit(True),
        is_of_day_before=is_midnight("owed_at") & pl.lit(rules.edition > 1),
    )
    if opening is not None:
        dated = with_holder(
            openings.with_columns(day=day_of_micros("allocated_at")), facts.accounts, keys=["account"], day="day", name="held_by"
        )
        is_told = (pl.col("allocated_at") >= opening.since_us) | pl.col("held_by").is_null()
        openings = dated.filter(is_told).select(openings.columns)
    return pl.concat([listed, openings])


def assign_holders(allocations: pl.DataFrame, accounts: pl.DataFrame, month: Month) -> pl.DataFrame:
    """The miner of each allocation that the month sees (rules 4.4, 7.1): place (in `allocations`), allocated_at, allocation_date, miner_id.

    `miner_id` is null where nobody holds the account on the day of the instant (the allocation date, except for an opening at 00:00, rule 6.4).
    Only these columns are made, so that fifteen million allocations are not copied.
    """
    parts = []
    for first in range(0, max(allocations.height, 1), ALLOCATIONS_AT_ONCE):
        days = allocations.select("account", "allocated_at", "is_of_day_before").slice(first, ALLOCATIONS_AT_ONCE)
        seen = days.with_row_index("place", offset=first).with_columns(day=day_of_micros("allocated_at"))
        seen = seen.with_columns(allocation_date=allocation_day(pl.col("day")))
        seen = seen.filter(pl.col("allocation_date") <= month.last)
        found = with_holder(seen, accounts, keys=["account"], day="day", name="miner_id")
        parts.append(found.select("place", "allocated_at", "allocation_date", "miner_id"))
    return pl.concat(parts)


def settlement_start(facts: Facts, held: pl.DataFrame) -> int:
    """The instant before which transfers settle nothing, in microseconds (rule 6.4)."""
    first = facts.openings["owed_at"].min() if facts.openings.height else held["allocated_at"].min()
    return first if isinstance(first, int) else 0


def list_transfers(transfers: pl.DataFrame, credits: pl.DataFrame) -> pl.DataFrame:
    """Every transfer with what it credits and to whom (several miners joined by `;`), as TRANSFERS, by instant, txid, address, payer."""
    is_only = pl.col("transfer").is_unique()
    is_held = pl.col("miner_id").is_not_null()
    one = credits.filter(is_only).select(
        "transfer", credited=pl.when(is_held).then("amount").otherwise(0), miner_id=pl.col("miner_id").fill_null("")
    )
    several = (
        credits.filter(~is_only)
        .group_by("transfer")
        .agg(pl.col("amount").filter(is_held).sum().alias("credited"), pl.col("miner_id").drop_nulls().unique().sort().str.join(";"))
    )
    return (
        transfers.join(pl.concat([one, several]), on="transfer", how="left")
        .with_columns(pl.col("credited").fill_null(0), at=pl.col("instant") // 1_000_000)
        .sort("instant", "txid", "address", "asset", "payer")
        .select(list(TRANSFERS))
    )


def _with_miner(frame: pl.DataFrame, accounts: pl.DataFrame, *, at: str, day: str) -> pl.DataFrame:
    """The day in Almaty of `at`, and the account's holder that day as `miner_id` (rule 4.2)."""
    return with_holder(frame.with_columns(day_of_micros(at).alias(day)), accounts, keys=["account"], day=day, name="miner_id")
