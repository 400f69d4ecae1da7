"""Rule 5: links, replacements, explanations, credits."""

from __future__ import annotations

import polars as pl
import pytest

from .small_world import ANNA, BORAT, a_pool, issues_of


def explained(enriched) -> list[tuple[object, ...]]:
    return enriched.transfers.select("txid", "address", "amount", "credited", "explanation").rows()


def test_outputs_of_one_transaction_to_one_address_are_one_transfer():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("addr-a", 40_000), ("addr-b", 1), ("addr-a", 60_000)])
    world.pay("P1", "a", "addr-a", 100_000, "t", "10-02 09:50")
    assert explained(world.enrich())[0] == ("t", "addr-a", 100_000, 100_000, "exact")


@pytest.mark.parametrize(
    ("booked", "amount", "expected", "credited"),
    [
        (123_456, 120_000, "rounding", 123_456),
        (120_001, 120_000, "rounding", 120_001),
        (110_001, 120_000, "rounding", 110_001),
        (110_000, 120_000, "differs", 120_000),  # |d| must be less than the unit
        (130_000, 120_000, "differs", 120_000),
        (120_001, 120_002, "differs", 120_002),  # not a whole multiple
    ],
)
def test_rounding_is_a_whole_multiple_and_less_than_the_unit(booked: int, amount: int, expected: str, credited: int):
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("addr-a", amount)], fee=7)
    world.pay("P1", "a", "addr-a", booked, "t", "10-02 09:50")
    enriched = world.enrich()
    assert explained(enriched) == [("t", "addr-a", amount, credited, expected)]
    assert issues_of(enriched, "payment-amount-differs") == (["t:addr-a"] if expected == "differs" else [])


def test_a_fee_taken_off_the_recipients_together():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("addr-a", 99_990), ("addr-b", 199_985)], fee=25)
    world.pay("P1", "a", "addr-a", 100_000, "t", "10-02 09:50")
    world.pay("P2", "b", "addr-b", 200_000, "t", "10-02 09:50")
    assert [row[-1] for row in explained(world.enrich())] == ["subtracted-fee", "subtracted-fee"]


def test_the_fee_test_counts_a_transfer_without_payment_as_minus_its_amount():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("addr-a", 99_975), ("addr-b", 1)], fee=25)
    world.pay("P1", "a", "addr-a", 100_000, "t", "10-02 09:50")
    assert [row[-1] for row in explained(world.enrich())] == ["differs", "none"]


def test_a_difference_below_zero_is_no_fee():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("addr-a", 99_970), ("addr-b", 200_005)], fee=25)
    world.pay("P1", "a", "addr-a", 100_000, "t", "10-02 09:50")
    world.pay("P2", "b", "addr-b", 200_000, "t", "10-02 09:50")
    assert [row[-1] for row in explained(world.enrich())] == ["differs", "differs"]


def test_an_unexplained_transfer_fills_its_payments_in_order_and_the_excess_goes_with_the_last():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("addr-a", 350_001)], fee=7)
    world.pay("P2", "b", "addr-a", 50_000, "t", "10-02 09:50")
    world.pay("P1", "a", "addr-a", 100_000, "t", "10-02 09:50")
    world.allocate("A9", "a", "10-01 01:00", 10**9)
    world.allocate("B9", "b", "10-01 01:00", 10**9)
    paid = world.enrich().report.drop_nulls("txid")
    settled = paid.group_by("miner_id").agg(pl.col("amount").sum()).sort("miner_id").rows()
    assert settled == [(ANNA, 100_000), (BORAT, 250_001)]


def test_a_short_transfer_fills_the_first_payment_only():
    world = a_pool().block("10-02 10:00")
    world.transaction("t", [("addr-a", 30_001)], fee=7)
    world.pay("P1", "a", "addr-a", 100_000, "t", "10-02 09:50")
    world.pay("P2", "b", "addr-a", 50_000, "t", "10-02 09:50")
    assert [(r[0], r[1]) for r in world.enrich().report.drop_nulls("txid").select("miner_id", "amount").rows()] == [(ANNA, 30_001)]


def replaced(paid: str, mined: str, **other: object):
    world = a_pool().block(mined)
    world.transaction("new", [("addr-a", 100_000)], fee=50)
    world.pay("P1", "a", "addr-a", 100_000, "old", paid)
    return world


@pytest.mark.parametrize(
    ("paid", "mined", "is_linked"),
    [
        ("10-02 10:00", "10-02 11:00", True),
        ("10-02 10:00", "10-09 10:00", True),
        ("10-02 10:00", "10-09 10:01", False),
        ("10-09 10:00", "10-02 10:00", True),
    ],
)
def test_a_replaced_payment_finds_its_transfer_within_seven_days(paid: str, mined: str, is_linked: bool):
    world = replaced(paid, mined)
    world.block("10-20 00:00")
    enriched = world.enrich()
    assert explained(enriched)[0][-1] == ("replaced+exact" if is_linked else "none")
    assert issues_of(enriched, "payment-not-on-chain") == ([] if is_linked else ["P1"])


def test_two_fitting_transfers_are_no_replacement():
    world = replaced("10-02 10:00", "10-02 11:00")
    world.block("10-02 12:00").transaction("new2", [("addr-a", 100_000)])
    assert issues_of(world.enrich(), "payment-not-on-chain") == ["P1"]


def test_a_transfer_with_its_own_payment_is_no_candidate():
    world = replaced("10-02 10:00", "10-02 11:00")
    world.block("10-02 12:00").transaction("new2", [("addr-a", 100_000)])
    world.pay("P2", "a", "addr-a", 100_000, "new2", "10-02 11:50")
    assert [row[-1] for row in explained(world.enrich())] == ["replaced+exact", "exact"]


def test_orphans_of_one_transaction_and_address_go_together():
    world = a_pool().block("10-02 11:00")
    world.transaction("new", [("addr-a", 150_000)])
    world.pay("P1", "a", "addr-a", 100_000, "old", "10-02 10:00")
    world.pay("P2", "b", "addr-a", 50_000, "old", "10-02 10:00")
    assert explained(world.enrich()) == [("new", "addr-a", 150_000, 150_000, "replaced+exact")]


def test_groups_choose_in_order_and_a_choice_frees_the_next():
    world = a_pool().block("10-02 11:00")
    world.transaction("n1", [("addr-a", 100_000)])
    world.block("10-09 10:30").transaction("n2", [("addr-a", 100_000)])
    world.pay("P1", "a", "addr-a", 100_000, "o1", "10-02 10:00")  # only n1 is within seven days
    world.pay("P2", "a", "addr-a", 100_000, "o2", "10-03 10:00")  # both were; n1 is taken
    assert [row[-1] for row in explained(world.enrich())] == ["replaced+exact", "replaced+exact"]


def test_a_payment_whose_transaction_is_mined_without_it_seeks_no_replacement():
    world = replaced("10-02 10:00", "10-02 11:00")
    world.transaction("old", [("addr-b", 1)])
    assert issues_of(world.enrich(), "payment-not-on-chain") == ["P1"]


def test_a_payment_after_the_tip_is_not_judged_yet():
    world = a_pool().block("10-02 11:00")
    world.pay("P1", "a", "addr-a", 1, "later", "10-02 11:01")
    world.pay("P2", "a", "addr-a", 1, "never", "10-02 11:00")
    assert issues_of(world.enrich(), "payment-not-on-chain") == ["P2"]
