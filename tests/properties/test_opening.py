"""A month enriched from an opening is the month enriched from the whole history: on worlds full of traps, cut at a random month (ADR 25)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.assess.opening_line import line_of, printed_line
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import Facts
from pipeline.enrich.month import enrich_month
from pipeline.enrich.opening import Beginning, cut_facts, first_instant, make_beginning, make_opening
from pipeline.model.months import Month
from pipeline.render.canonical import table_csv
from pipeline.render.csv_parts import read_text

from ..reference.registry import Tables
from ..reference.worlds import World, frames_of, make_world

few = settings(max_examples=40, deadline=None, database=None, derandomize=True)
_INSTANTS = {"blocks": ("time", "mediantime"), "allocations": ("allocated_at",), "payments": ("paid_at",), "openings": ("owed_at",)}


def stretched(world: World, factor: int) -> World:
    """The world with its instants drawn apart around the month's beginning, so that it spans several months. The registry keeps its days."""

    def moved(name: str, row: dict) -> dict:
        micros = name not in ("blocks",)
        start = world.month.previous.end_at * (1_000_000 if micros else 1)
        return row | {column: start + (row[column] - start) * factor for column in _INSTANTS[name]}

    facts: Tables = {name: [moved(name, row) for row in rows] if name in _INSTANTS else rows for name, rows in world.facts.items()}
    return replace(world, facts=facts)


@cache
def whole_month(seed: int, factor: int, month: Month) -> tuple[World, Facts, Enriched]:
    """A stretched world, its facts, and the month enriched from all of them. Nobody changes them."""
    world = stretched(make_world(seed), factor)
    facts = frames_of(world.facts)
    return world, facts, enrich_month(facts, month, world.rules)


def require_same(whole: Enriched, cut: Enriched, since: Month, what: str) -> None:
    for name in ("report", "outflows", "balances", "issues", "debts"):
        left, right = getattr(whole, name), getattr(cut, name)
        assert left.equals(right), f"{what}: {name}\n{left}\n{right}"
    assert whole.totals == cut.totals, what
    assert whole.starts_at == cut.starts_at, what
    late = pl.col("date") >= since.first
    assert whole.transfers.filter(late).equals(cut.transfers.filter(late)), what
    for line in ("opening_line", "closing_line"):
        for side in ("allocations", "credits"):
            left, right = getattr(getattr(whole, line), side), getattr(getattr(cut, line), side)
            assert left.equals(right), f"{what}: {line}.{side}\n{left}\n{right}"


def tried(seed: int, factor: int, since: Month, apart: int) -> str:
    """Cut at `since` and enrich the month `apart` months later both ways; then from an opening made from an opening."""
    world, facts, first = whole_month(seed, factor, since)
    month = since
    opening = make_opening(facts, since, world.rules, first.opening_line, first.starts_at)
    if opening is None:
        return "not certain"
    for _ in range(apart):
        month = month.next
    less = cut_facts(facts, opening, month)
    whole = enrich_month(facts, month, world.rules) if apart else first
    cut = enrich_month(less, month, world.rules, opening)
    require_same(whole, cut, since, f"{world} stretched, from {since}")
    later = make_opening(less, month, world.rules, cut.opening_line, cut.starts_at, opening)
    at_once = make_opening(facts, month, world.rules, whole.opening_line, whole.starts_at)
    if apart and at_once is not None:
        assert later is not None
        for name in ("heights", "coins", "wallets", "transactions", "payments", "payers"):
            left, right = getattr(at_once, name), getattr(later, name)
            assert left.equals(right), f"{world}: the opening of {month} by way of {since}: {name}\n{left}\n{right}"
        twice = enrich_month(cut_facts(facts, later, month.next), month.next, world.rules, later)
        require_same(enrich_month(facts, month.next, world.rules), twice, month, f"{world}, from {month} by way of {since}")
    else:
        assert apart == 0 or later is None
    is_open = opening.line.allocations.height > 0, opening.line.credits.height > 0
    return f"from an opening with {'allocations' * is_open[0]} {'credits' * is_open[1]}"


def carried(seed: int, factor: int, month: Month) -> bool:
    """The month enriched from what its bundle carries: its opening line as printed, and no allocation of before (ADR 27). False where that is not certain to change nothing."""
    world, facts, whole = whole_month(seed, factor, month)
    begins = make_beginning(facts, month, world.rules, whole.opening_line, whole.starts_at)
    if begins is None:
        return False
    line = line_of(read_text(table_csv(printed_line(begins.line))))
    for side in ("allocations", "credits"):
        assert getattr(begins.line, side).equals(getattr(line, side)), f"{world}: {side}"
    is_of_month = pl.col("allocated_at").is_between(begins.since_us, first_instant(month.next), closed="left")
    less = replace(facts, allocations=facts.allocations.filter(is_of_month))
    cut = enrich_month(less, month, world.rules, Beginning(month, whole.starts_at, line))
    require_same(whole, cut, month, f"{world} as carried, from {month}")
    assert cut.transfers.equals(whole.transfers), f"{world}: transfers"
    return True


def month_of(seed: int, away: int) -> Month:
    """So many months after the world's own, or before it."""
    month = make_world(seed).month
    for _ in range(abs(away)):
        month = month.next if away > 0 else month.previous
    return month


@few
@given(st.integers(1_000, 1_000_000), st.sampled_from((1, 4, 9, 20)), st.integers(-2, 3))
def test_what_a_bundle_carries_changes_nothing(seed: int, factor: int, away: int) -> None:
    carried(seed, factor, month_of(seed, away))


def test_many_worlds_are_carried_from_their_line() -> None:
    assert sum(carried(seed, 9, month_of(seed, 1)) for seed in range(40)) >= 30


@few
@given(st.integers(1_000, 1_000_000), st.sampled_from((1, 4, 9, 20)), st.integers(-2, 3), st.integers(0, 2))
def test_an_opening_changes_nothing(seed: int, factor: int, away: int, apart: int) -> None:
    tried(seed, factor, month_of(seed, away), apart)


def test_worlds_have_openings_of_every_kind() -> None:
    seen = Counter(tried(seed, 9, month_of(seed, 1), seed % 2) for seed in range(60))
    assert seen["not certain"] >= 5
    assert sum(count for kind, count in seen.items() if "allocations" in kind) >= 10
    assert sum(count for kind, count in seen.items() if "credits" in kind) >= 10
