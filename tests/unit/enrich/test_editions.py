"""What edition 2 of the rules says anew, one rule at a time, and that edition 1 still says what it did (rule 8.4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from pipeline.model.errors import VerifyError
from pipeline.model.months import Month
from pipeline.model.rules import NEWEST_EDITION, Asset, Rules

from .small_world import ANNA, BORAT, CAMILA, OCTOBER, RULES, World, a_pool, issues_of, rows_of

FIRST = replace(RULES, edition=1)
SEPTEMBER, NOVEMBER = Month(2026, 9), Month(2026, 11)


def test_rules_without_an_edition_are_of_the_first_and_keep_their_form() -> None:
    assert "edition" not in FIRST.to_json() and Rules.from_json(FIRST.to_json()) == FIRST
    assert Rules.from_json(RULES.to_json()) == RULES and RULES.to_json()["edition"] == NEWEST_EDITION == 3


@pytest.mark.parametrize("edition", [0, NEWEST_EDITION + 1])
def test_an_edition_that_is_not_known_is_refused(edition: int) -> None:
    with pytest.raises(VerifyError, match="upgrade it"):
        Rules.from_json(RULES.to_json() | {"edition": edition})


# --- rule 4.6


def test_the_same_credit_under_other_ids_blocks_once_by_its_smallest_id() -> None:
    world = a_pool()
    for allocation_id in ("A9", "A10", "A5"):
        world.allocate(allocation_id, "a", "10-05 00:30", 7)
    world.allocate("Z", "a", "10-05 00:30", 8)
    world.allocate("Y", "b", "10-05 00:30", 7)
    enriched = world.enrich()
    assert issues_of(enriched, "allocation-twice") == ["A10"]
    assert issues_of(world.enrich(rules=FIRST), "allocation-twice") == []
    assert enriched.report["amount"].sum() == world.enrich(rules=FIRST).report["amount"].sum(), "they count as they stand"
    assert issues_of(world.enrich(NOVEMBER), "allocation-twice") == [], "in the month of the allocation date alone"
    found = enriched.issues.row(by_predicate=pl.col("code") == "allocation-twice", named=True)
    assert found["facts"].split("\n")[-3:] == ["A10", "A5", "A9"]


def test_credits_of_nothing_may_repeat() -> None:
    world = a_pool()
    for allocation_id in ("A9", "A10"):
        world.allocate(allocation_id, "a", "10-05 00:30", 0)
    assert issues_of(world.enrich(), "allocation-twice") == []


def test_the_same_credit_of_an_account_that_nobody_holds_blocks_too() -> None:
    world = a_pool()
    for allocation_id in ("N1", "N2"):
        world.allocate(allocation_id, "nobody", "10-05 00:30", 7)
    assert issues_of(world.enrich(), "allocation-twice") == ["N1"]


# --- rule 6.4, its last sentence


def opened(when: str) -> World:
    """Anna is owed 70 when the pool begins; her account is Borat's the day before, and her licence runs from 1 October."""
    world = World().miner(BORAT, "b", "addr-b")
    world.add("miners", miner_id=ANNA, name="Anna")
    world.licence(ANNA, "KZ1", "2026-10-01")
    world.account("a", BORAT, "2026-01-01", "2026-10-01")
    world.account("a", ANNA, "2026-10-01")
    world.wallet("addr-a", ANNA, "2026-01-01")
    world.opening("a", 70, when)
    world.block("09-01 00:00")
    return world


def test_an_opening_at_midnight_is_what_was_owed_when_the_day_before_ended() -> None:
    enriched = opened("10-01 00:00").enrich()
    assert enriched.report.is_empty(), "it is no allocation of October"
    assert enriched.debts.select("miner_id", "opening", "allocated", "closing").rows() == [(ANNA, 70, 0, 70)], "held by its instant"
    first = opened("10-01 00:00").enrich(rules=FIRST)
    assert rows_of(first, "miner_id", "allocation_date", "amount") == [(ANNA, date(2026, 10, 1), 70)]


def test_an_opening_a_minute_later_is_of_its_own_day() -> None:
    assert rows_of(opened("10-01 00:01").enrich(), "allocation_date", "amount") == [(date(2026, 10, 1), 70)]


def test_holder_and_licence_of_an_opening_at_midnight_go_by_its_instant() -> None:
    world = opened("10-01 00:00")
    world.block("10-03 12:00").transaction("t", [("addr-a", 70)])
    enriched = world.enrich()
    assert rows_of(enriched, "miner_id", "allocation_date", "licence_number", "is_carried") == [(ANNA, date(2026, 9, 30), "KZ1", True)]
    assert issues_of(enriched, "licence-not-in-force") == []


@pytest.mark.parametrize(("when", "settled"), [("09-30 23:59", 0), ("10-01 00:00", 70)])
def test_transfers_before_the_instant_settle_nothing_of_an_opening_at_midnight(when: str, settled: int) -> None:
    world = opened("10-01 00:00")
    world.block(when).transaction("t", [("addr-a", 70)])
    assert world.enrich().debts.select((pl.col("opening") - pl.col("closing")).sum()).item() == settled


# --- rule 9.2


def test_an_opening_of_an_account_that_nobody_holds_is_told_in_every_month() -> None:
    world = a_pool()
    world.opening("nobody", 5, "09-28 12:00")
    for month in (SEPTEMBER, OCTOBER, NOVEMBER):
        assert issues_of(world.enrich(month), "unknown-account") == ["opening:nobody:BTC"]
        assert issues_of(world.enrich(month, FIRST), "unknown-account") == (["opening:nobody:BTC"] if month == SEPTEMBER else [])
    assert issues_of(world.enrich(Month(2026, 8)), "unknown-account") == []


def paid_over_the_month_s_end() -> World:
    """Paid on 31 October from an account that nobody holds, mined on 1 November."""
    world = a_pool()
    world.pay("P1", "nobody", "addr-a", 10_000, "t", "10-31 23:50")
    world.block("11-01 00:10").transaction("t", [("addr-a", 10_000)])
    return world.block("11-03 00:00")


@pytest.mark.parametrize("code", ["unknown-account", "wallet-holder-differs"])
def test_a_linked_payment_s_issues_belong_to_the_transfer_s_month(code: str) -> None:
    world = paid_over_the_month_s_end()
    assert [issues_of(world.enrich(month), code) for month in (OCTOBER, NOVEMBER)] == [[], ["P1"]]
    assert [issues_of(world.enrich(month, FIRST), code) for month in (OCTOBER, NOVEMBER)] == [["P1"], []]


def test_a_payment_that_is_linked_to_nothing_has_no_unknown_account() -> None:
    world = a_pool()
    world.pay("P1", "nobody", "addr-a", 10_000, "t", "10-05 10:00")
    world.block("10-20 00:00")
    assert issues_of(world.enrich(), "unknown-account") == []
    assert issues_of(world.enrich(), "payment-not-on-chain") == ["P1"]
    assert issues_of(world.enrich(rules=FIRST), "unknown-account") == ["P1"]


def test_an_advance_is_told_in_the_month_whose_row_shows_it() -> None:
    world = World().miner(ANNA, "a", "addr-a")
    world.allocate("A1", "a", "09-01 00:30", 100)
    world.allocate("A2", "a", "10-02 00:30", 50)
    world.block("09-01 00:00").block("09-30 12:00").transaction("t", [("addr-a", 150)])
    assert issues_of(world.enrich(), "transfer-before-allocation") == ["t:addr-a"]
    assert issues_of(world.enrich(rules=FIRST), "transfer-before-allocation") == []
    assert issues_of(world.enrich(SEPTEMBER), "transfer-before-allocation") == []


# --- rule 9.8


def test_each_passing_of_an_account_is_an_issue_of_its_own() -> None:
    world = a_pool().miner(CAMILA, "c", "addr-c")
    world.account("m", ANNA, "2026-01-01", "2026-10-10")
    world.account("m", BORAT, "2026-10-12", "2026-10-20")  # a gap between two holders still counts as a change
    world.account("m", CAMILA, "2026-10-20")
    world.allocate("M1", "m", "10-02 00:30", 10)
    world.allocate("M2", "m", "10-13 00:30", 20)
    enriched = world.enrich()
    assert issues_of(enriched, "account-changed-hands") == ["m:2026-10-12", "m:2026-10-20"]
    assert set(enriched.issues.filter(pl.col("code") == "account-changed-hands")["ref_before"]) == {"m"}
    assert issues_of(world.enrich(rules=FIRST), "account-changed-hands") == ["m"]


def test_each_run_of_shared_days_is_an_issue_of_its_own() -> None:
    world = a_pool()
    world.account("s", ANNA, "2026-01-01")
    world.account("s", BORAT, "2026-10-05", "2026-10-08")
    world.account("s", CAMILA, "2026-10-08", "2026-10-09")  # goes on without a break
    world.account("s", BORAT, "2026-10-20", "2026-10-21")
    assert issues_of(world.enrich(), "registry-overlap") == ["s:2026-10-05", "s:2026-10-20"]
    assert issues_of(world.enrich(rules=FIRST), "registry-overlap") == ["s"]


def test_an_account_and_a_wallet_of_one_name_are_told_apart() -> None:
    world = a_pool()
    for miner_id in (ANNA, BORAT):
        world.account("same", miner_id, "2026-10-05")
        world.wallet("same", miner_id, "2026-10-05")
    assert issues_of(world.enrich(), "registry-overlap") == ["account:same:2026-10-05", "wallet:same:2026-10-05"]
    assert issues_of(world.enrich(rules=FIRST), "registry-overlap") == ["same"]


def test_one_address_on_two_chains_is_told_by_the_chain() -> None:
    rules = replace(RULES, assets=RULES.assets | {"ETC": Asset("ETC", "classic", 18)}, finality=RULES.finality | {"classic": 6})
    world = a_pool()
    for chain in ("bitcoin", "classic"):
        for miner_id in (ANNA, BORAT):
            world.add("wallets", address="same", chain=chain, miner_id=miner_id, valid_from=date(2026, 10, 5))
    assert issues_of(world.enrich(rules=rules), "registry-overlap") == ["bitcoin:same:2026-10-05", "classic:same:2026-10-05"]
