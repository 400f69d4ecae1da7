"""Where a month may begin from an opening, and where the years before it must be read (ADR 25)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.enrich.month import enrich_month
from pipeline.enrich.opening import Opening, cut_facts, make_opening
from pipeline.model.months import Month
from pipeline.model.rules import Payer, Rules

from .small_world import ANNA, BORAT, OCTOBER, RULES, World, at, issues_of, rows_of

NOVEMBER = Month(2026, 11)
PAID = replace(RULES, payers={"exchange": Payer("off-chain")})
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def a_year() -> World:
    """Two miners: Anna is owed from October, Borat was paid ahead; blocks in September, October and November."""
    world = World().miner(ANNA, "a", "addr-a").miner(BORAT, "b", "addr-b").block("09-01 00:00").block("10-20 12:00")
    world.allocate("A1", "a", "10-01 00:30", 100_000)
    world.allocate("B1", "b", "10-01 00:30", 20_000)
    world.transaction(A, [("addr-a", 60_000), ("addr-b", 30_000)])
    world.pay("PA", "a", "addr-a", 60_000, A, "10-20 11:00")
    world.pay("PB", "b", "addr-b", 30_000, A, "10-20 11:00")
    world.block("10-31 23:50").block("11-20 12:00")
    return world


def opening_of(world: World, month: Month = NOVEMBER, rules: Rules = RULES) -> Opening | None:
    enriched = world.enrich(month, rules)
    return make_opening(world.facts(), month, rules, enriched.opening_line, enriched.starts_at)


def test_the_line_has_what_is_left_of_each_with_its_id() -> None:
    opening = opening_of(a_year())
    assert opening is not None
    assert opening.line.allocations.select("miner_id", "allocation_id", "amount", "whole").rows() == [(ANNA, "A1", 40_000, 100_000)]
    assert opening.line.credits.select("miner_id", "payment_id", "amount", "whole").rows() == [(BORAT, "PB", 10_000, 30_000)]
    assert opening.heights.rows() == [("bitcoin", 2)]


def test_a_later_month_settles_what_the_line_has() -> None:
    world = a_year()
    world.allocate("B2", "b", "11-02 10:00", 25_000)
    world.transaction(B, [("addr-a", 40_000)])
    world.pay("PA2", "a", "addr-a", 40_000, B, "11-20 11:00")
    opening = opening_of(world)
    assert opening is not None
    facts = cut_facts(world.facts(), opening, NOVEMBER)
    assert facts.allocations["allocation_id"].to_list() == ["B2"], "October's are not read"
    cut = enrich_month(facts, NOVEMBER, RULES, opening)
    assert cut.report.equals(world.enrich(NOVEMBER).report) and cut.issues.equals(world.enrich(NOVEMBER).issues)
    assert rows_of(cut, "allocation_id", "amount", "txid") == [("A1", 40_000, B), ("B2", 10_000, A), ("B2", 15_000, None)]


def test_a_payment_booked_after_midnight_belongs_to_the_block_before_it() -> None:
    world = a_year()
    world.rows["blocks"].pop()
    world.transaction(C, [("addr-a", 10_000)])
    world.pay("late", "a", "addr-a", 10_000, C, "11-01 00:10")
    world.block("11-20 12:00")
    opening = opening_of(world)
    assert opening is not None and (C,) in opening.transactions.select("txid").rows()
    cut = enrich_month(cut_facts(world.facts(), opening, NOVEMBER), NOVEMBER, RULES, opening)
    assert issues_of(cut, "payment-not-on-chain") == [] and rows_of(cut, "allocation_id") == []
    assert cut.issues.equals(world.enrich(NOVEMBER).issues)


def seeks_near_the_cut(world: World) -> Rules:
    world.pay("lost", "a", "addr-a", 5, C, "10-25 00:00")
    return RULES


def goes_with_one_after_the_cut(world: World) -> Rules:
    world.pay("lost", "a", "addr-a", 5, C, "10-02 00:00")
    world.pay("lost too", "b", "addr-b", 5, C, "11-19 00:00")
    return RULES


def is_paid_off_chain_on_both_sides(world: World) -> Rules:
    for name, when in (("X1", "10-02 00:00"), ("X2", "11-19 00:00")):
        world.add(
            "payments",
            payment_id=name,
            account="a",
            asset="BTC",
            address="user",
            amount=1,
            txid="INV 7",
            paid_at=at(when) * 1_000_000,
            payer="exchange",
        )
    return PAID


def is_owed_at_midnight(world: World) -> Rules:
    world.rows["allocations"].clear()
    world.opening("a", 70, "11-01 00:00")
    return RULES


def was_never_allocated(world: World) -> Rules:
    world.rows["allocations"].clear()
    world.allocate("A9", "a", "11-05 00:00", 1)
    return RULES


def is_of_the_first_edition(world: World) -> Rules:
    return replace(RULES, edition=1)


@pytest.mark.parametrize(
    "why",
    [
        seeks_near_the_cut, goes_with_one_after_the_cut, is_paid_off_chain_on_both_sides, is_owed_at_midnight, was_never_allocated,
        is_of_the_first_edition,
    ],
)  # fmt: skip
def test_no_opening_where_a_cut_is_not_certain(why: Callable[[World], Rules]) -> None:
    world = a_year()
    assert opening_of(world) is not None
    assert opening_of(world, rules=why(world)) is None


def test_a_payment_that_seeks_long_before_the_cut_does_not_forbid_it() -> None:
    world = a_year()
    world.pay("lost", "a", "addr-a", 5, C, "10-24 23:59")
    assert opening_of(world) is not None


def test_the_first_month_of_all_begins_with_nothing() -> None:
    assert opening_of(a_year(), OCTOBER) is None
