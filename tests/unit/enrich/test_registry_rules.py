"""Rule 4: holders, licences, numbers, accounts that pass on."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline.enrich.frames import WALLETS
from pipeline.enrich.identify import miner_wallets, with_wallet

from .small_world import ANNA, BORAT, CAMILA, World, a_pool, issues_of, rows_of

_DAYS = st.dates(date(2026, 1, 1), date(2026, 1, 5))


def test_an_unknown_account_blocks_and_has_no_row():
    world = a_pool()
    world.allocate("X1", "nobody", "10-03 00:30", 5)
    world.pay("P9", "nobody", "addr-a", 5, "t", "10-01 00:00")
    world.block("10-02 00:00").transaction("t", [("addr-a", 5)])
    enriched = world.enrich()
    assert issues_of(enriched, "unknown-account") == ["P9", "X1"]
    assert "X1" not in enriched.report["allocation_id"].to_list()
    assert enriched.transfers.select("credited", "miner_id").row(0) == (0, "")  # rule 9.4: it credits nobody


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([("2026-01-01", "2026-10-10"), ("2026-10-10", None)], []),
        ([("2026-01-01", "2026-10-11"), ("2026-10-10", None)], ["shared:2026-10-10"]),
        ([("2026-01-01", "2026-09-30"), ("2026-09-01", None)], []),  # they overlap in September only
        ([("2026-01-01", None), ("2026-11-01", None)], []),
        ([("2026-01-01", None), ("2026-10-31", None)], ["shared:2026-10-31"]),
        ([("2026-01-01", None), ("2026-09-15", "2026-10-03")], ["shared:2026-10-01"]),
    ],
)
def test_two_holders_on_one_day_of_the_month_overlap(spans: list[tuple[str, str | None]], expected: list[str]):
    world = a_pool()
    for miner, (since, to) in zip((ANNA, BORAT), spans, strict=True):
        world.account("shared", miner, since, to)
    assert issues_of(world.enrich(), "registry-overlap") == expected


def test_on_an_overlap_the_latest_then_the_smallest_counts():
    world = a_pool()
    world.account("s", BORAT, "2026-01-01")
    world.account("s", CAMILA, "2026-09-01")
    world.account("s", ANNA, "2026-09-01")
    world.allocate("S1", "s", "10-03 00:30", 5)
    assert (ANNA, "S1") in rows_of(world.enrich(), "miner_id", "allocation_id")


def test_bad_numbers_block_in_every_month():
    world = a_pool()
    for bad in ("201040334325", "20104033432", "20104033432x"):
        world.add("miners", miner_id=bad, name="?")
    assert issues_of(world.enrich(), "bad-miner-id") == ["20104033432", "201040334325", "20104033432x"]


def test_of_several_licences_the_latest_issue_then_the_greatest_number():
    world = World().miner(ANNA, "a", "addr-a", licence=False)
    world.licence(ANNA, "KZ1", "2026-01-01")
    world.licence(ANNA, "KZ3", "2026-05-01")
    world.licence(ANNA, "KZ2", "2026-05-01")
    world.allocate("A1", "a", "10-01 00:30", 1)
    assert rows_of(world.enrich(), "licence_number") == [("KZ3",)]


@pytest.mark.parametrize(
    ("suspended", "to", "shown", "is_issue"),
    [
        (("2026-10-01", "2026-10-02"), None, "KZ1", True),
        (("2026-09-30", "2026-10-01"), None, "KZ1", False),
        (("2026-10-01", None), None, "KZ1", True),
        (None, "2026-10-01", "KZ1", True),
        (None, "2026-10-02", "KZ1", False),
    ],
)
def test_a_licence_not_in_force_still_shows_the_latest_issued(suspended, to, shown, is_issue):
    world = World().miner(ANNA, "a", "addr-a", licence=False)
    world.licence(ANNA, "KZ1", "2026-01-01", to, suspended=suspended)
    world.licence(ANNA, "KZ9", "2026-12-01")
    world.allocate("A1", "a", "10-01 00:30", 1)
    world.allocate("A2", "a", "10-01 12:30", 1)
    enriched = world.enrich()
    assert rows_of(enriched, "licence_number") == [(shown,), (shown,)]
    assert issues_of(enriched, "licence-not-in-force") == ([f"{ANNA}:2026-10-01"] if is_issue else [])


def test_a_miner_without_any_licence_shows_none():
    world = World().miner(ANNA, "a", "addr-a", licence=False)
    world.allocate("A1", "a", "10-01 00:30", 1)
    enriched = world.enrich()
    assert rows_of(enriched, "licence_number", "licence_issue_date") == [(None, None)]
    assert issues_of(enriched, "licence-not-in-force") == [f"{ANNA}:2026-10-01"]


@pytest.mark.parametrize(("paid", "expected"), [("10-14 23:59", []), ("10-15 00:00", ["a:2026-10-15"]), (None, ["a:2026-10-15"])])
def test_an_account_that_passes_on_with_debts_blocks(paid: str | None, expected: list[str]):
    world = World().miner(BORAT, "b", "addr-b")
    world.add("miners", miner_id=ANNA, name="A")
    world.account("a", ANNA, "2026-01-01", "2026-10-15")
    world.account("a", BORAT, "2026-10-15")
    world.wallet("addr-a", ANNA, "2026-01-01")
    world.allocate("A1", "a", "10-01 00:30", 100)
    world.block("09-01 00:00")
    if paid:
        world.block(paid).transaction("t", [("addr-a", 100)])
    assert issues_of(world.enrich(), "account-changed-hands") == expected


def test_nobody_against_somebody_is_a_difference():
    world = a_pool().block("10-02 10:00")
    world.pay("P1", "a", "gone", 100_000, "t", "10-02 09:00")
    world.transaction("t", [("gone", 100_000)])
    assert issues_of(world.enrich(), "wallet-holder-differs") == ["P1"]


def test_a_payment_is_its_accounts_on_the_day_of_paid_at_not_of_the_block():
    world = a_pool()
    world.account("moving", ANNA, "2026-01-01", "2026-10-10")
    world.account("moving", BORAT, "2026-10-10")
    world.block("10-10 00:20").transaction("t", [("addr-a", 100_000)])
    world.pay("P1", "moving", "addr-a", 100_000, "t", "10-09 23:50")
    enriched = world.enrich()
    assert enriched.transfers["miner_id"].to_list() == [ANNA]
    assert issues_of(enriched, "wallet-holder-differs") == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.sampled_from("MN"), _DAYS, st.none() | _DAYS), max_size=5))
def test_a_wallet_looked_up_row_by_row_is_the_one_looked_up_by_pairs(registered: list[tuple[str, str, str, date, date | None]]):
    wallets = pl.DataFrame(registered, WALLETS, orient="row")
    asked = pl.DataFrame(
        [(miner, chain, day) for miner in "MN" for chain in ("x", "y", None) for day in (date(2026, 1, n) for n in range(1, 6))] * 2,
        {"miner_id": pl.String, "chain": pl.String, "day": pl.Date},
        orient="row",
    )
    by_pairs = asked.join(miner_wallets(wallets, asked, day="day"), on=asked.columns, how="left", maintain_order="left")
    assert_frame_equal(with_wallet(asked, wallets, day="day"), by_pairs)
