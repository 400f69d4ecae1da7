"""Rules 6 and 7: first in first out, openings, rows, carried rows, commission, order."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from pipeline.enrich.identify import day_of_seconds
from pipeline.model.months import Month, almaty_date

from .small_world import ANNA, BORAT, World, a_pool, issues_of, rows_of


def test_first_in_first_out_over_two_transfers():
    world = a_pool()
    world.allocate("A2", "a", "10-02 00:30", 50_000)
    world.block("10-03 10:00").transaction("t1", [("addr-a", 120_000)])
    world.block("10-04 10:00").transaction("t2", [("addr-a", 10_000)])
    rows = [row for row in rows_of(world.enrich(), "miner_id", "allocation_id", "amount", "txid", "transfer_amount") if row[0] == ANNA]
    assert [row[1:] for row in rows] == [
        ("A1", 100_000, "t1", 120_000),
        ("A2", 20_000, "t1", 120_000),
        ("A2", 10_000, "t2", 10_000),
        ("A2", 20_000, None, None),
    ]


def test_two_payments_of_one_transfer_make_one_row():
    world = a_pool().block("10-02 10:00")
    world.account("a2", ANNA, "2026-01-01")
    world.transaction("t", [("addr-a", 100_000)])
    world.pay("P1", "a", "addr-a", 60_000, "t", "10-02 09:00")
    world.pay("P2", "a2", "addr-a", 40_000, "t", "10-02 09:00")
    assert [row for row in rows_of(world.enrich(), "allocation_id", "amount", "transfer_amount") if row[0] == "A1"] == [
        ("A1", 100_000, 100_000)
    ]


def test_an_advance_is_a_warning_and_an_excess_repeats_until_it_is_used():
    world = a_pool()
    world.block("10-02 10:00").transaction("t", [("addr-a", 150_000)])
    world.allocate("A2", "a", "11-03 00:30", 50_000)
    world.block("12-31 00:00")
    october, november = world.enrich(), world.enrich(Month(2026, 11))
    assert issues_of(october, "transfer-exceeds-allocations") == ["t:addr-a"]
    assert issues_of(november, "transfer-exceeds-allocations") == []
    assert rows_of(november, "allocation_id", "amount", "transfer_date", "is_carried") == [("A2", 50_000, date(2026, 10, 2), False)]
    world.allocate("A0", "a", "10-02 10:01", 1)
    assert issues_of(world.enrich(), "transfer-before-allocation") == ["t:addr-a"]


def test_debts_are_carried_into_the_month_of_their_transfer():
    world = a_pool()
    world.block("11-02 10:00").transaction("t", [("addr-a", 100_000)])
    october, november = world.enrich(), world.enrich(Month(2026, 11))
    assert ("A1", 100_000, None) in rows_of(october, "allocation_id", "amount", "transfer_date")
    assert rows_of(november, "allocation_id", "amount", "is_carried", "commission_asset_amount") == [("A1", 100_000, True, None)]
    assert november.totals.carried_into_month == {"BTC": 100_000}
    assert november.totals.left_unsettled_of_older_months == {"BTC": 200_000}


def test_commission_stands_on_the_first_row_of_its_allocation():
    world = a_pool()
    world.block("10-03 10:00").transaction("t", [("addr-a", 1), ("addr-b", 1)])
    rows = rows_of(world.enrich(), "allocation_id", "commission_asset_amount", "commission_currency", "commission_currency_amount")
    assert rows == [("A1", 500, None, None), ("A1", None, None, None), ("B1", None, "KZT", "12.30"), ("B1", None, None, None)]


def test_an_allocation_of_nothing_has_its_row():
    world = World().miner(ANNA, "a", "addr-a")
    world.allocate("A1", "a", "10-05 00:30", 0)
    assert rows_of(world.enrich(), "n", "amount", "wallet", "transfer_date") == [(1, 0, "addr-a", None)]


def test_the_unsettled_rows_wallet_is_the_latest_then_the_smallest():
    world = World().miner(ANNA, "a", "z-first")
    world.wallet("y-new", ANNA, "2026-09-01")
    world.wallet("x-new", ANNA, "2026-09-01")
    world.wallet("a-ended", ANNA, "2026-09-15", "2026-10-05")
    world.allocate("A1", "a", "10-05 00:30", 5)
    assert rows_of(world.enrich(), "wallet") == [("x-new",)]


@pytest.mark.parametrize(("when", "settled"), [("09-27 23:59", False), ("09-27 23:59:59", False), ("09-28 00:00", True)])
def test_transfers_before_the_opening_settle_nothing_and_one_at_it_does(when: str, settled: bool):
    world = World().miner(ANNA, "a", "addr-a")
    world.opening("a", 70, "09-28 00:00")
    world.block("09-01 00:00").block(when).transaction("t", [("addr-a", 70)])
    september = world.enrich(Month(2026, 9))
    assert rows_of(september, "allocation_id", "transfer_amount") == [("opening:a:BTC", 70 if settled else None)]
    assert september.transfers["credited"].to_list() == [70]


def test_with_no_opening_the_ledgers_first_allocation_is_the_instant():
    world = a_pool()
    world.block("10-01 00:29").transaction("t", [("addr-a", 100_000)])
    enriched = world.enrich()
    assert enriched.report["txid"].null_count() == enriched.report.height
    assert issues_of(enriched, "transfer-exceeds-allocations") == []


def test_nothing_after_the_month_is_seen():
    world = a_pool()
    before = world.enrich()
    world.allocate("A9", "a", "11-01 00:00", 7)
    world.block("11-01 00:00").transaction("t", [("addr-a", 100_000)])
    assert world.enrich().report.equals(before.report)


def test_the_month_ends_at_midnight_in_almaty():
    world = World().miner(ANNA, "a", "addr-a")
    world.allocate("in", "a", "10-31 23:59", 1)
    world.allocate("out", "a", "11-01 00:00", 1)
    assert rows_of(world.enrich(), "allocation_id", "allocation_date") == [("in", date(2026, 10, 31))]


def test_the_clock_went_back_an_hour_at_the_end_of_february_2024():
    """UTC+6 until 18:00 UTC on 29 February 2024, UTC+5 after: that evening had an hour twice (rule 1.2)."""
    world = World().miner(ANNA, "a", "addr-a", since="2023-01-01")
    moments = {"first 23h": 1709229599, "second 23h": 1709229600, "feb ends": 1709233199, "mar": 1709233200}
    for name, moment in moments.items():
        world.add("allocations", allocation_id=name, account="a", asset="BTC", allocated_at=moment * 1_000_000, amount=1)
    assert rows_of(world.enrich(Month(2024, 2)), "allocation_id") == [("feb ends",), ("first 23h",), ("second 23h",)]
    assert rows_of(world.enrich(Month(2024, 3)), "allocation_id") == [("mar",)]


def test_days_are_those_of_the_tzdata_package():
    """polars brings its own time zones: they must say what zoneinfo says, for every hour of ten years."""
    hours = pl.DataFrame({"at": range(1577836800, 1893456000, 3600)})
    days = hours.select(day_of_seconds("at"))["at"].to_list()
    assert days == [almaty_date(moment) for moment in hours["at"]]


def test_rows_go_by_miner_date_allocation_then_transfer_with_the_unsettled_last():
    world = World().miner(BORAT, "b", "addr-b").miner(ANNA, "a", "addr-a")
    for allocation, account, when in (
        ("2", "a", "10-02 00:30"),
        ("1", "a", "10-02 12:00"),
        ("9", "a", "10-01 00:30"),
        ("0", "b", "10-01 00:30"),
    ):
        world.allocate(allocation, account, when, 10)
    world.block("10-05 00:00").transaction("t", [("addr-a", 15)])
    rows = rows_of(world.enrich(), "n", "miner_id", "allocation_id", "txid")
    assert rows == [(1, ANNA, "9", "t"), (2, ANNA, "1", None), (3, ANNA, "2", "t"), (4, ANNA, "2", None), (5, BORAT, "0", None)]
