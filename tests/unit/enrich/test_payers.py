"""Rule 10: who pays. Transfers of on-chain and off-chain payers, and the issues around them."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from pipeline.model.rules import Payer

from .small_world import ANNA, BORAT, RULES, World, a_pool, at, issues_of, rows_of

PAID = replace(RULES, payers={"big": Payer("on-chain", "bitcoin"), "other": Payer("on-chain", "litecoin"), "exchange": Payer("off-chain")})


def pay(
    world: World, payment_id: str, account: str, address: str, amount: int, txid: str, payer: str | None, when: str = "10-02 09:50"
) -> None:
    world.add(
        "payments", payment_id=payment_id, account=account, asset="BTC", address=address, amount=amount, txid=txid,
        paid_at=at(when) * 1_000_000, payer=payer,
    )  # fmt: skip


def told(world: World) -> list[tuple[object, ...]]:
    columns = ("txid", "address", "miner_id", "amount", "credited", "explanation", "payer")
    return world.enrich(rules=PAID).transfers.select(columns).rows()


def upstream(txid: str, outputs: list[tuple[str | None, int]], *, coinbase: bool = False) -> World:
    """A pool and one transaction of somebody else's in its block of 2 October."""
    world = a_pool().block("10-02 10:00")
    world.transaction(txid, outputs, spends=0, strangers=0, coinbase=coinbase)
    return world


def test_all_outputs_of_the_payers_transaction_to_the_address_are_one_transfer_and_no_outflow():
    world = upstream("u", [("addr-a", 40_000), ("somebody", 7), ("addr-a", 60_000), ("pool/treasury", 5)])
    pay(world, "P1", "a", "addr-a", 100_000, "u", "big")
    assert told(world) == [("u", "addr-a", ANNA, 100_000, 100_000, "exact", "big")]
    enriched = world.enrich(rules=PAID)
    assert enriched.outflows.is_empty() and enriched.issues.is_empty()
    assert ("addr-a", 100_000, 100_000) in rows_of(enriched, "wallet", "amount", "transfer_amount")


def test_a_coinbase_that_pays_no_pool_wallet_may_carry_a_payers_transfer():
    world = upstream("u", [("addr-a", 100_000)], coinbase=True)
    pay(world, "P1", "a", "addr-a", 100_000, "u", "big")
    assert told(world) == [("u", "addr-a", ANNA, 100_000, 100_000, "exact", "big")]


def test_the_pools_own_transaction_is_judged_as_if_no_payer_was_named():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("elsewhere", 100_000)], fee=7)
    pay(world, "P1", "a", "elsewhere", 100_000, "t", "big")
    pay(world, "P2", "a", "addr-a", 5, "t", "big")
    enriched = world.enrich(rules=PAID)
    assert issues_of(enriched, "payer-differs") == ["P1", "P2"]
    assert issues_of(enriched, "payment-not-on-chain") == ["P2"]  # it pays nothing there
    assert enriched.outflows["class"].to_list() == ["fee", "payout"]
    assert told(world) == [("t", "elsewhere", ANNA, 100_000, 100_000, "exact", None)]


def test_undeclared_payers_and_those_of_another_chain_credit_nobody_and_name_no_output():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("elsewhere", 100_000)], fee=7)
    for number, payer in enumerate(("Big", "nobody", "other")):
        pay(world, f"P{number}", "zz", "elsewhere", 100_000, "t", payer)
    enriched = world.enrich(rules=PAID)
    assert issues_of(enriched, "unknown-payer") == ["P0", "P1", "P2"]
    assert enriched.issues["code"].unique().sort().to_list() == ["unknown-outflow", "unknown-payer"]


def test_a_payers_difference_is_rounding_or_differs_but_never_a_subtracted_fee():
    world = upstream("u", [("addr-a", 99_990), ("addr-b", 190_000)])
    pay(world, "P1", "a", "addr-a", 100_000, "u", "big")
    pay(world, "P2", "b", "addr-b", 199_999, "u", "big")
    assert [row[3:6] for row in told(world)] == [(99_990, 99_990, "differs"), (190_000, 199_999, "rounding")]
    assert issues_of(world.enrich(rules=PAID), "payment-amount-differs") == ["u:addr-a"]


def test_a_payment_that_is_not_on_the_chain_seeks_no_replacement_and_waits_for_the_tip():
    world = upstream("u", [("addr-a", 100_000), ("pool/treasury", 3)])
    pay(world, "P1", "a", "addr-a", 100_000, "gone", "big")
    pay(world, "P2", "a", "pool/treasury", 3, "u", "big")
    pay(world, "P3", "a", "addr-a", 100_000, "gone", "big", "10-02 10:01")  # after the tip
    assert issues_of(world.enrich(rules=PAID), "payment-not-on-chain") == ["P1", "P2"]
    assert told(world) == []


def test_payments_of_two_payers_on_one_output_are_one_transfer_of_the_smallest_payments_payer():
    world = upstream("u", [("addr-a", 100_000)])
    pay(world, "P2", "a", "addr-a", 60_000, "u", "big")
    pay(world, "P1", "b", "addr-a", 40_000, "u", "also")
    rules = replace(PAID, payers={**PAID.payers, "also": Payer("on-chain", "bitcoin")})
    transfer = world.enrich(rules=rules).transfers.row(0, named=True)
    assert (transfer["payer"], transfer["credited"], transfer["miner_id"]) == ("also", 100_000, f"{ANNA};{BORAT}")


def test_an_off_chain_transfer_rests_on_the_ledgers_word_and_stands_by_its_earliest_payment():
    world = a_pool().block("10-02 10:00")
    reference = "ab" * 32
    pay(world, "P1", "a", "user@exchange.example", 60_000, reference, "exchange", "11-01 12:00")
    pay(world, "P2", "b", "user@exchange.example", 40_000, reference, "exchange", "10-31 23:59")
    pay(world, "P3", "a", "addr-b", 40_000, "lightning 7", "exchange", "10-03 00:10")
    enriched = world.enrich(rules=PAID)
    assert told(world) == [
        ("lightning 7", "addr-b", ANNA, 40_000, 40_000, "attested", "exchange"),
        (reference, "user@exchange.example", f"{ANNA};{BORAT}", 100_000, 100_000, "attested", "exchange"),
    ]
    assert issues_of(enriched, "transfer-not-proven") == [f"exchange:{reference}:user@exchange.example", "exchange:lightning 7:addr-b"]
    assert issues_of(enriched, "wallet-holder-differs") == ["P3"]  # Borat holds addr-b; nobody holds the other one, which is no issue
    assert issues_of(enriched, "payment-not-on-chain") == []


def test_nobody_holding_the_account_differs_from_the_registered_holder_of_the_address():
    world = upstream("u", [("addr-a", 100_000)])
    pay(world, "P1", "zz", "addr-a", 100_000, "u", "big")
    enriched = world.enrich(rules=PAID)
    assert issues_of(enriched, "wallet-holder-differs") == issues_of(enriched, "unknown-account") == ["P1"]


def test_an_address_of_somebody_who_is_no_registered_miner_is_no_issue():
    world = upstream("u", [("addr-x", 100_000)])
    world.wallet("addr-x", "000000000000", "2026-01-01")
    pay(world, "P1", "a", "addr-x", 100_000, "u", "big")
    assert world.enrich(rules=PAID).issues.is_empty()


def test_what_a_payer_sends_that_no_payment_names_is_neither_an_outflow_nor_an_issue():
    world = upstream("u", [("addr-a", 100_000), ("addr-b", 1)])
    pay(world, "P1", "a", "addr-a", 100_000, "u", "big")
    enriched = world.enrich(rules=PAID)
    assert enriched.issues.is_empty() and enriched.transfers.height == 1


def test_a_payment_without_a_payer_is_never_linked_to_a_payers_transfer():
    world = upstream("u", [("addr-a", 100_000)])
    pay(world, "P1", "a", "addr-a", 60_000, "u", "big")
    pay(world, "P2", "a", "addr-a", 40_000, "u", None)
    enriched = world.enrich(rules=PAID)
    assert enriched.transfers["credited"].to_list() == [100_000]  # the chain's amount: P1 alone does not explain it
    assert issues_of(enriched, "payment-not-on-chain") == ["P2"]


def test_editions_before_rule_10_take_every_payment_as_the_pools():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("addr-a", 100_000)], fee=7)
    pay(world, "P1", "a", "addr-a", 100_000, "t", "nobody")
    enriched = world.enrich(rules=replace(RULES, edition=2))
    assert enriched.issues.is_empty() and enriched.transfers["payer"].null_count() == enriched.transfers.height == 1


def test_credits_at_one_instant_go_by_reference_and_address_and_the_last_tie_by_payer():
    world = a_pool().block("10-02 10:00")
    rules = replace(PAID, payers={"z": Payer("off-chain"), "b": Payer("off-chain")})
    for payment_id, payer in (("P1", "z"), ("P2", "b")):
        pay(world, payment_id, "a", "x", 50_000, "ref", payer)
    report = world.enrich(rules=rules).report.filter(pl.col("miner_id") == ANNA)
    assert report["payer"].to_list() == ["b", "z"]
