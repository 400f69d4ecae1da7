"""The carry-over of debts on worlds full of traps: it adds up, months follow one another, and plain sums give the same."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import polars as pl
from hypothesis import given, settings

from pipeline.assess.debts import PreviousDebts, closing_debts, describe_debts, sums_that_differ
from pipeline.assess.opening_line import LineDigests, digest_of_line, printed_line
from pipeline.enrich.debts import ACCOUNT
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import DEBTS
from pipeline.enrich.month import enrich_month
from pipeline.model.months import Month

from ..reference.worlds import World, frames_of, make_world
from .test_rules import worlds

some = settings(max_examples=12, deadline=None, database=None, derandomize=True)


def enriched(world: World, month: Month) -> Enriched:
    return enrich_month(frames_of(world.facts), month, world.rules)


@some
@given(worlds)
def test_opening_and_allocated_less_settled_is_closing(world: World) -> None:
    debts = enriched(world, world.month).debts
    assert debts.schema == pl.Schema(DEBTS) and debts.equals(debts.sort(ACCOUNT))
    assert sums_that_differ(debts) == []
    assert all(amount >= 0 for row in debts.rows() for amount in row[2:])
    assert all(row["closing"] == 0 or row["advance"] == 0 for row in debts.to_dicts()), "nobody is owed and paid in advance at once"


@some
@given(worlds)
def test_a_month_opens_with_what_the_one_before_closed_with(world: World) -> None:
    months = (world.month.previous, world.month, world.month.next)
    before: PreviousDebts | None = None
    for month in months:
        found = enriched(world, month)
        opening, closing = (digest_of_line(printed_line(line)) for line in (found.opening_line, found.closing_line))
        section = describe_debts(found.debts, before, world.rules, LineDigests(opening, closing))
        assert section["restated"] is None
        assert before is None or section["opening_line_digest"] == section["previous"]["closing_line_digest"] == before.closing_line_digest
        before = PreviousDebts(str(month), 1, closing_debts(section), section["closing_digest"], section["closing_line_digest"])


@some
@given(worlds)
def test_the_rows_of_the_report_say_the_same(world: World) -> None:
    outcome = enriched(world, world.month)
    allocated: dict[tuple[str, str], int] = defaultdict(int)
    settled: dict[tuple[str, str], int] = defaultdict(int)
    for row in outcome.report.to_dicts():
        key = row["miner_id"], row["asset"]
        allocated[key] += 0 if row["is_carried"] else row["amount"]
        settled[key] += row["amount"] if row["txid"] is not None else 0
    for row in outcome.debts.to_dicts():
        key = row["miner_id"], row["asset"]
        assert (row["allocated"], row["settled"]) == (allocated.pop(key, 0), settled.pop(key, 0))
    assert not any(allocated.values()) and not any(settled.values())


def test_worlds_have_debts_on_both_ends_and_advances() -> None:
    seen = pl.concat([enriched(world, world.month).debts for world in map(make_world, range(30))])
    assert all(seen.filter(pl.col(name) > 0).height >= 5 for name in ("opening", "allocated", "settled", "closing", "advance"))


def test_a_debt_that_went_missing_between_months_is_told_apart() -> None:
    world = next(world for world in map(make_world, range(100)) if (enriched(world, world.month).debts["opening"] > 0).any())
    debts = enriched(world, world.month).debts
    section = describe_debts(debts, None, world.rules)
    said = PreviousDebts("before", 1, {asset: sums["opening"] for asset, sums in section["totals"].items()}, section["opening_digest"])
    assert describe_debts(debts, said, world.rules)["restated"] is None
    other = describe_debts(debts, replace(said, closing_digest="0" * 64), world.rules)["restated"]
    assert other is not None and {amount.strip("0.") for amount in other.values()} == {""}, "the sums agree, the miners do not"
    spoilt = debts.with_columns(closing=pl.col("closing") + 1)
    assert sums_that_differ(spoilt) == list(range(1, debts.height + 1))
