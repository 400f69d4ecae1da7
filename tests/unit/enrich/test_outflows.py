"""Rule 3: one class for each output that leaves, fees, mixed inputs, the balance proof."""

from __future__ import annotations

import polars as pl
import pytest

from .small_world import ANNA, BORAT, RULES, a_pool, classes_of, issues_of


def test_a_batch_with_change_and_data():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("addr-a", 100_000), (None, 0), ("pool/1", 5_000_000)], fee=300)
    assert classes_of(world.enrich(), "t") == {-1: "fee", 0: "payout", 1: "data", 2: "change"}


def test_the_pool_beside_data_only_is_internal():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("pool/1", 1_000), (None, 0)], fee=10)
    assert classes_of(world.enrich(), "t") == {-1: "fee", 0: "internal", 1: "data"}


def test_unspendable_with_a_value_is_no_data():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("pool/1", 1_000), (None, 7)], fee=10)
    enriched = world.enrich()
    assert classes_of(enriched, "t") == {-1: "fee", 0: "change", 1: "unknown"}
    assert issues_of(enriched, "unknown-outflow") == ["t:1"]


def test_a_coinbase_that_pays_the_pool_and_a_miner():
    world = a_pool().block("10-02 10:00")
    world.transaction("c", [("pool/1", 500), ("addr-a", 90), (None, 0), ("who", 3)], coinbase=True)
    assert classes_of(world.enrich(), "c") == {0: "reward", 1: "payout", 2: "data", 3: "unknown"}


def test_a_coinbase_that_pays_no_pool_wallet_is_not_ours():
    world = a_pool().block("10-02 10:00")
    world.transaction("c", [("addr-a", 90)], coinbase=True)
    assert classes_of(world.enrich(), "c") == {}


def test_strangers_paying_a_miner_or_the_pool_are_no_outflows():
    world = a_pool().block("10-02 10:00")
    world.transaction("s", [("addr-a", 50_000), ("pool/1", 70)], spends=0, strangers=60_000, fee=9_930)
    enriched = world.enrich()
    assert enriched.outflows.is_empty()
    assert issues_of(enriched, "mixed-inputs") == []
    assert enriched.balances.select("in", "closing", "unspent").row(0) == (70, 70, 70)


def test_a_payment_that_names_txid_and_address_makes_a_payout():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("old-wallet", 100_000)], fee=10)
    world.pay("P1", "a", "old-wallet", 100_000, "t", "10-02 09:50")
    enriched = world.enrich()
    assert classes_of(enriched, "t")[0] == "payout"
    assert enriched.transfers["miner_id"].to_list() == [ANNA]
    assert issues_of(enriched, "wallet-holder-differs") == ["P1"]


def test_a_label_gives_its_own_class_but_comes_after_payout():
    world = a_pool().block("10-02 10:00")
    world.add("labels", chain="bitcoin", address="shop", outflow_class="vendor")
    world.add("labels", chain="bitcoin", address="addr-a", outflow_class="vendor")
    world.transaction("t", [("shop", 10), ("addr-a", 20)])
    assert classes_of(world.enrich(), "t") == {-1: "fee", 0: "vendor", 1: "payout"}


def test_a_wallet_of_somebody_absent_from_miners_is_not_registered():
    world = a_pool().block("10-02 10:00")
    world.wallet("addr-x", "999999999999", "2026-01-01")
    world.transaction("t", [("addr-x", 10)])
    assert classes_of(world.enrich(), "t")[0] == "unknown"


@pytest.mark.parametrize(("when", "expected"), [("10-14 23:59", "payout"), ("10-15 00:00", "unknown")])
def test_a_wallet_counts_on_the_blocks_date_in_almaty(when: str, expected: str):
    world = a_pool()
    world.wallet("short", ANNA, "2026-10-01", "2026-10-15")
    world.block(when).transaction("t", [("short", 10)])
    assert classes_of(world.enrich(), "t")[0] == expected


def test_mixed_inputs_block_and_the_fee_is_shared_with_the_rest_to_the_largest():
    world = a_pool().block("10-02 10:00")
    world.transaction("m", [("addr-a", 100_000)], fee=10, strangers=33_337)  # ours 66,673, strangers 33,337
    enriched = world.enrich()
    assert issues_of(enriched, "mixed-inputs") == ["m"]
    # 10 * 66673 // 100010 = 6, 10 * 33337 // 100010 = 3, the one left over goes to the largest party.
    assert enriched.balances.select("fee", "out").row(0) == (7, 66_666)
    assert enriched.outflows.filter(pl.col("class") == "fee")["amount"].to_list() == [10]


@pytest.mark.parametrize(("values", "shares"), [((0, 0), (0, 0)), ((0, 5), (0, 2))])
def test_coins_of_nothing_bear_nothing_of_a_fee(values: tuple[int, int], shares: tuple[int, int]):
    """Anybody may send a wallet an output of 0; two wallets' alone may be spent together."""
    world = a_pool().block("10-02 10:00")
    world.add("pool_wallets", chain="bitcoin", wallet="reserve")
    world.transaction(
        "came", [(f"{wallet}/1", value) for wallet, value in zip(("pool", "reserve"), values, strict=True)], spends=0, strangers=9
    )
    world.transaction("t", [("addr-a", sum(values) - shares[1])], fee=shares[1], spends=0)
    for vout, (wallet, value) in enumerate(zip(("pool", "reserve"), values, strict=True)):
        world.add("inputs", chain="bitcoin", block_hash="block1", txid="t", spent_txid="came", spent_vout=vout, value=value, address=f"{wallet}/1", wallet=wallet, asset="BTC")  # fmt: skip
    enriched = world.enrich()
    assert enriched.balances.select("wallet", "fee", "closing", "unspent").rows() == [
        ("pool", shares[0], 0, 0),
        ("reserve", shares[1], 0, 0),
    ]
    assert classes_of(enriched, "t") == {-1: "fee", 0: "payout"}


def test_wallets_balance_by_height_not_by_date():
    world = a_pool()
    world.block("10-31 23:50").transaction("c1", [("pool/1", 100)], coinbase=True)
    world.block("11-01 00:10").transaction("c2", [("pool/1", 10)], coinbase=True)  # dated November, below the month's last block
    world.block("10-31 23:55").transaction("c3", [("pool/1", 1)], coinbase=True)
    world.block("11-01 00:30").transaction("c4", [("pool/1", 1_000)], coinbase=True)
    enriched = world.enrich()
    assert enriched.balances.select("opening", "in", "closing", "unspent").row(0) == (0, 111, 111, 111)
    assert sorted(enriched.outflows["txid"]) == ["c1", "c3"]


def test_spending_what_was_never_received_does_not_balance():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("addr-a", 100_000)], fee=10)
    world.rows["outputs"] = [row for row in world.rows["outputs"] if not str(row["txid"]).startswith("source")]
    assert issues_of(world.enrich(), "wallet-does-not-balance") == ["pool"]


def test_a_wallet_that_was_never_used_has_its_line_of_zeros():
    world = a_pool()
    world.add("pool_wallets", chain="bitcoin", wallet="reserve")
    assert world.enrich().balances.select("wallet", "closing").rows() == [("pool", 0), ("reserve", 0)]


def test_no_payment_ledger_no_complaint_about_payments():
    from dataclasses import replace

    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("addr-b", 200_000)])
    assert issues_of(world.enrich(), "transfer-without-payment") == ["t:addr-b"]
    silent = world.enrich(rules=replace(RULES, has_payments_ledger=False))
    assert issues_of(silent, "transfer-without-payment") == []
    assert silent.transfers.select("miner_id", "explanation").row(0) == (BORAT, "none")
