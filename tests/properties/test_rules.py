"""What must hold of the enrichment whatever the facts: sums, order, months that follow one another."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import replace

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import SHAPES, Facts
from pipeline.enrich.month import enrich_month
from pipeline.model.issues import IssueCode
from pipeline.model.months import almaty_date

from ..reference.registry import Tables, us_date
from ..reference.worlds import CONTRACT, World, frames_of, make_world

TABLES = ("outflows", "transfers", "balances", "report", "issues")
worlds = st.builds(make_world, st.integers(1_000, 1_000_000))
few = settings(max_examples=8, deadline=None, database=None, derandomize=True)


def _enrich(world: World) -> Enriched:
    return enrich_month(frames_of(world.facts), world.month, world.rules)


def _agree(left: Enriched, right: Enriched, tables: tuple[str, ...] = TABLES) -> None:
    for name in tables:
        assert getattr(left, name).to_dicts() == getattr(right, name).to_dicts(), name


@few
@given(worlds, st.integers())
def test_the_order_of_rows_does_not_matter(world: World, seed: int) -> None:
    rng = random.Random(seed)
    shuffled = {name: rng.sample(rows, len(rows)) for name, rows in world.facts.items()}
    left, right = _enrich(world), _enrich(replace(world, facts=shuffled))
    _agree(left, right)
    assert left.totals == right.totals


@few
@given(worlds)
def test_an_allocation_dated_in_the_month_is_reported_whole_and_once(world: World) -> None:
    reported: dict[str, int] = defaultdict(int)
    for row in _enrich(world).report.to_dicts():
        if not row["is_carried"]:
            reported[row["allocation_id"]] += row["amount"]
    known = {row["account"] for row in world.facts["accounts"]}
    for allocation in world.facts["allocations"]:
        day = us_date(allocation["allocated_at"])
        if allocation["allocation_id"] in reported:
            assert world.month.first <= day <= world.month.last
            assert reported[allocation["allocation_id"]] == allocation["amount"]
        elif world.month.first <= day <= world.month.last:
            held = any(
                row["account"] == allocation["account"] and row["valid_from"] <= day and (row["valid_to"] is None or day < row["valid_to"])
                for row in world.facts["accounts"]
            )
            assert not held or allocation["account"] not in known


@few
@given(worlds)
def test_no_transfer_settles_more_than_its_credit(world: World) -> None:
    enriched = _enrich(world)
    settled: dict[tuple[str, str, str], int] = defaultdict(int)
    for row in enriched.report.to_dicts():
        if row["txid"] is not None:
            assert row["amount"] > 0
            settled[row["asset"], row["txid"], row["wallet"]] += row["amount"]
    credited: dict[tuple[str, str, str], int] = defaultdict(int)
    for row in enriched.transfers.to_dicts():
        credited[row["asset"], row["txid"], row["address"]] += row["credited"]  # one transfer for each payer (rule 10.2)
    assert all(amount <= credited[key] for key, amount in settled.items())


@few
@given(worlds)
def test_every_transaction_of_the_pool_adds_up(world: World) -> None:
    spent: dict[tuple[str, str], int] = defaultdict(int)
    for row in world.facts["inputs"]:
        asset = "USDT" if row["asset"] == CONTRACT else row["asset"]  # told by its contract before the settings named it
        spent[row["txid"], asset] += row["value"]
    others = {(row["txid"], row["fee_asset"]): row["other_inputs_value"] for row in world.facts["transactions"]}
    coinbases = {row["txid"] for row in world.facts["transactions"] if row["is_coinbase"]}
    out: dict[tuple[str, str], int] = defaultdict(int)
    for row in _enrich(world).outflows.to_dicts():
        out[row["txid"], row["asset"]] += row["amount"]
    for key, amount in out.items():
        assert key[0] in coinbases or amount == spent[key] + others.get(key, 0)


@few
@given(worlds)
def test_wallets_balance_from_month_to_month(world: World) -> None:
    this, following = _enrich(world), _enrich(replace(world, month=world.month.next))
    broken = {row["ref"] for part in (this, following) for row in part.issues.to_dicts() if row["code"] == "wallet-does-not-balance"}
    closings = {}
    for row in this.balances.to_dicts():
        assert row["opening"] + row["in"] - row["out"] - row["fee"] == row["closing"]
        assert (row["closing"] == row["unspent"]) or row["wallet"] in broken
        closings[row["wallet"], row["asset"]] = row["unspent"]
    for row in following.balances.to_dicts():
        assert row["opening"] == closings.get((row["wallet"], row["asset"]), 0)


@few
@given(worlds)
def test_what_is_unsettled_in_a_month_is_carried_or_still_owed_in_the_next(world: World) -> None:
    this, following = _enrich(world), _enrich(replace(world, month=world.month.next))
    owed: dict[str, int] = defaultdict(int)
    for row in this.report.filter(pl.col("txid").is_null()).to_dicts():
        owed[row["allocation_id"]] += row["amount"]
    reported_before = {(row["allocation_id"], row["txid"], row["wallet"]) for row in this.report.to_dicts() if row["txid"]}
    for row in following.report.filter(pl.col("is_carried")).to_dicts():
        assert row["allocation_date"] < world.month.next.first <= row["transfer_date"]
        assert (row["allocation_id"], row["txid"], row["wallet"]) not in reported_before
        if row["allocation_date"] >= world.month.first:
            owed[row["allocation_id"]] -= row["amount"]
    assert all(amount >= 0 for amount in owed.values())


@few
@given(worlds)
def test_commission_counts_once_over_months(world: World) -> None:
    months = (world.month.previous, world.month, world.month.next)
    assets, currencies = Counter[str](), defaultdict[str, list[str]](list)
    for month in months:
        for row in _enrich(replace(world, month=month)).report.to_dicts():
            if row["commission_asset"] is not None:
                assets[row["allocation_id"]] += row["commission_asset_amount"]
            if row["commission_currency"] is not None:
                currencies[row["allocation_id"]].append(row["commission_currency_amount"])
    ledger = {row["allocation_id"]: row for row in world.facts["allocations"]}
    assert all(amount == ledger[key]["commission_amount"] for key, amount in assets.items())
    assert all(texts == [ledger[key]["commission_currency_amount"]] for key, texts in currencies.items())


@few
@given(worlds)
def test_later_allocations_do_not_matter(world: World) -> None:
    earlier = [row for row in world.facts["allocations"] if us_date(row["allocated_at"]) <= world.month.last]
    if not earlier:
        return
    left, right = _enrich(world), _enrich(replace(world, facts={**world.facts, "allocations": earlier}))
    _agree(left, right)
    assert left.totals == right.totals


@few
@given(worlds)
def test_later_blocks_do_not_matter_to_rows_outflows_and_balances(world: World) -> None:
    """Rule 7.1, with the payments of the blocks left out gone too, and no orphan that could wander."""
    facts = world.facts
    on_chain = {row["txid"] for row in facts["transactions"]}
    facts = {**facts, "payments": [row for row in facts["payments"] if row["txid"] in on_chain]}
    left, right = _enrich(replace(world, facts=facts)), _enrich(replace(world, facts=_without_later_blocks(world, facts)))
    _agree(left, right, ("outflows", "balances", "report"))
    assert left.totals == right.totals


def _without_later_blocks(world: World, facts: Tables) -> Tables:
    last: dict[str, int] = {}
    for row in facts["blocks"]:
        if almaty_date(row["time"]) <= world.month.last:
            last[row["chain"]] = max(last.get(row["chain"], -1), row["height"])
    kept = {row["hash"] for row in facts["blocks"] if row["height"] <= last.get(row["chain"], -1)}
    gone = {row["txid"] for row in facts["transactions"] if row["block_hash"] not in kept}
    cut = {name: [row for row in facts[name] if row["block_hash"] in kept] for name in ("transactions", "inputs", "outputs")}
    blocks = [row for row in facts["blocks"] if row["hash"] in kept]
    return {**facts, **cut, "blocks": blocks, "payments": [row for row in facts["payments"] if row["txid"] not in gone]}


@few
@given(worlds)
def test_rows_and_issues_are_well_formed(world: World) -> None:
    enriched = _enrich(world)
    rows = enriched.report.to_dicts()
    assert [row["n"] for row in rows] == list(range(1, len(rows) + 1))
    order = [(row["miner_id"], row["allocation_date"], row["allocation_id"], row["transfer_date"] is None) for row in rows]
    assert order == sorted(order)
    issues = enriched.issues.to_dicts()
    keys = [(row["code"], row["ref"]) for row in issues]
    assert keys == sorted(set(keys))
    assert all(row["severity"] == IssueCode(row["code"]).severity for row in issues)
    for name in ("allocated_in_month", "carried_into_month"):
        sums: dict[str, int] = defaultdict(int)
        for row in rows:
            if row["is_carried"] == (name == "carried_into_month"):
                sums[row["asset"]] += row["amount"]
        units = getattr(enriched.totals, name)
        assert {asset: amount for asset, amount in units.items() if amount} == {asset: amount for asset, amount in sums.items() if amount}


def test_a_month_without_any_fact_is_empty() -> None:
    world = make_world(1)
    empty = Facts(**{name: pl.DataFrame(schema=shape) for name, shape in SHAPES.items()})
    enriched = enrich_month(empty, world.month, world.rules)
    assert all(getattr(enriched, name).is_empty() for name in TABLES)
