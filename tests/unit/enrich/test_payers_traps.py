"""Rule 10 where it meets others: labels, coinbases, shared and later wallets, a block over the month's end. What is right was worked out by hand."""

from __future__ import annotations

import polars as pl
import pytest

from pipeline.model.months import Month

from .small_world import ANNA, BORAT, a_pool, classes_of, issues_of, rows_of
from .test_payers import PAID, pay, told, upstream


def test_a_label_on_an_address_that_a_payer_pays_changes_nothing_of_the_transfer_and_names_the_pools_own_outputs():
    world = upstream("u", [("shop", 100_000)])
    world.add("labels", chain="bitcoin", address="shop", outflow_class="vendor")
    world.transaction("t", [("shop", 7_000), ("pool/1", 1)], fee=10)
    pay(world, "P1", "a", "shop", 100_000, "u", "big")
    enriched = world.enrich(rules=PAID)
    assert told(world) == [("u", "shop", ANNA, 100_000, 100_000, "exact", "big")]
    assert classes_of(enriched, "u") == {} and classes_of(enriched, "t") == {-1: "fee", 0: "vendor", 1: "change"}
    assert enriched.issues.is_empty()


def test_a_label_comes_after_a_payment_that_names_a_payer_and_the_pools_own_transaction():
    world = a_pool().block("10-02 10:00")
    world.add("labels", chain="bitcoin", address="shop", outflow_class="vendor")
    world.transaction("t", [("shop", 100_000)], fee=10)
    pay(world, "P1", "a", "shop", 100_000, "t", "big")
    enriched = world.enrich(rules=PAID)
    assert classes_of(enriched, "t")[0] == "payout" and issues_of(enriched, "payer-differs") == ["P1"]


def test_the_pools_coinbase_that_pays_a_payer_is_an_outflow_of_the_pools():
    """Nobody knows the payer's own address: it is unknown until it is labelled, whoever's payments name the coinbase for others."""
    world = a_pool().block("10-02 10:00")
    world.transaction("c", [("pool/1", 500_000), ("big-hot", 90_000), ("addr-a", 100_000)], coinbase=True)
    pay(world, "P1", "a", "addr-a", 100_000, "c", "big")
    enriched = world.enrich(rules=PAID)
    assert classes_of(enriched, "c") == {0: "reward", 1: "unknown", 2: "payout"}
    assert issues_of(enriched, "unknown-outflow") == ["c:1"] and issues_of(enriched, "payer-differs") == ["P1"]
    assert told(world) == [("c", "addr-a", ANNA, 100_000, 100_000, "exact", None)]
    assert enriched.totals is not None and enriched.balances.select("in", "closing").row(0) == (500_000, 500_000)


def test_a_payers_coinbase_that_pays_the_pool_too_is_the_pools():
    """Rule 10.2: a coinbase that pays a pool wallet is one of rule 3's, also for a payment that it pays nothing."""
    world = a_pool().block("10-02 10:00")
    world.transaction("c", [("addr-a", 100_000), ("pool/1", 1), ("big-hot", 9)], coinbase=True)
    world.add("labels", chain="bitcoin", address="big-hot", outflow_class="other")
    pay(world, "P1", "a", "addr-a", 100_000, "c", "big")
    pay(world, "P2", "b", "addr-b", 200_000, "c", "big")
    enriched = world.enrich(rules=PAID)
    assert classes_of(enriched, "c") == {0: "payout", 1: "reward", 2: "other"}
    assert issues_of(enriched, "payer-differs") == ["P1", "P2"] and issues_of(enriched, "payment-not-on-chain") == ["P2"]


def test_two_miners_who_share_a_wallet_are_each_credited_their_own_payment():
    world = upstream("u", [("addr-a", 130_000), ("addr-a", 170_000)])
    pay(world, "P1", "a", "addr-a", 100_000, "u", "big")
    pay(world, "P2", "b", "addr-a", 200_000, "u", "big")
    enriched = world.enrich(rules=PAID)
    assert told(world) == [("u", "addr-a", f"{ANNA};{BORAT}", 300_000, 300_000, "exact", "big")]
    assert issues_of(enriched, "wallet-holder-differs") == ["P2"]
    assert rows_of(enriched, "miner_id", "wallet", "amount", "transfer_amount") == [
        (ANNA, "addr-a", 100_000, 300_000),
        (BORAT, "addr-a", 200_000, 300_000),
    ]


def test_of_a_shared_wallet_a_sum_that_nothing_explains_fills_the_payments_in_order():
    world = upstream("u", [("addr-a", 123_456)])
    pay(world, "P1", "b", "addr-a", 100_000, "u", "big")
    pay(world, "P2", "a", "addr-a", 100_000, "u", "big")
    enriched = world.enrich(rules=PAID)
    assert issues_of(enriched, "payment-amount-differs") == ["u:addr-a"]
    assert rows_of(enriched, "miner_id", "amount", "transfer_amount") == [
        (ANNA, 23_456, 123_456),
        (ANNA, 76_544, None),
        (BORAT, 100_000, 123_456),
        (BORAT, 100_000, None),
    ]


@pytest.mark.parametrize(("payer", "differs"), [("big", []), (None, ["P1"])])
def test_a_wallet_that_its_miner_adds_after_the_payout(payer: str | None, differs: list[str]):
    """On the block's date nobody holds it: of the pool's own payout that is a difference (rule 9.4), of a payer's it is no issue (rule 10.6)."""
    world = a_pool().block("10-02 10:00")
    world.transaction("u", [("new", 100_000)], **({"spends": 0, "strangers": 0} if payer else {"fee": 10}))
    pay(world, "P1", "a", "new", 100_000, "u", payer)
    world.wallet("new", ANNA, "2026-10-05")
    enriched = world.enrich(rules=PAID)
    assert told(world) == [("u", "new", ANNA, 100_000, 100_000, "exact", payer)]
    assert issues_of(enriched, "wallet-holder-differs") == differs
    assert ("new", 100_000, 100_000) in rows_of(enriched, "wallet", "amount", "transfer_amount")
    assert enriched.issues.filter(pl.col("severity") == "blocking").is_empty()


def test_a_payers_transaction_that_moved_over_the_months_end_settles_in_the_month_of_its_block():
    world = a_pool().block("10-31 23:50").block("11-01 00:10")
    world.transaction("u", [("addr-a", 100_000)], spends=0, strangers=0)
    pay(world, "P1", "a", "addr-a", 100_000, "u", "big", "10-31 23:45")
    october = world.enrich(rules=PAID)
    assert rows_of(october, "miner_id", "amount", "transfer_amount") == [(ANNA, 100_000, None), (BORAT, 200_000, None)]
    assert october.issues.is_empty()
    november = world.enrich(Month(2026, 11), rules=PAID)
    assert rows_of(november, "miner_id", "amount", "transfer_amount", "is_carried") == [(ANNA, 100_000, 100_000, True)]
