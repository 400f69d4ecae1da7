"""What an import says it will do, and what it finds odd: one small ledger against another."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.rules import Asset
from pipeline.validate.ledger import LedgerKind, month_of, months_of
from pipeline.validate.review import Review, ReviewContext, review

ASSETS = {"BTC": Asset("BTC", "bitcoin", 8), "LTC": Asset("LTC", "litecoin", 8)}
SUPPLIES = {"BTC": 21_000_000 * 10**8, "LTC": 84_000_000 * 10**8}
SHAPE = {
    "allocation_id": pl.String, "account": pl.String, "asset": pl.String, "allocated_at": pl.Int64, "amount": pl.Int128,
    "commission_currency": pl.String,
}  # fmt: skip
NAMES = {name: f"<{name}>" for name in SHAPE}
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def us(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp()) * 1_000_000


def rows(*given: tuple[Any, ...]) -> pl.DataFrame:
    """(id, account, day, satoshi[, asset]) a row; the line is the row's number."""
    content = [
        (n, id_, account, asset[0] if asset else "BTC", us(day), amount, None)
        for n, (id_, account, day, amount, *asset) in enumerate(given, 1)
    ]
    return pl.DataFrame(content, schema={"line": pl.UInt32, **SHAPE}, orient="row")


def held(*given: tuple[Any, ...]) -> pl.DataFrame:
    return rows(*given).drop("line").with_columns(version=pl.lit(1, pl.Int32))


def look(file: pl.DataFrame, log: pl.DataFrame, *, kind: LedgerKind = "allocations", may_move: bool = False, **known: Any) -> Review:
    given = ReviewContext(**{"now_us": int(NOW.timestamp()) * 1_000_000, "assets": ASSETS, "supplies": SUPPLIES, **known})
    return review(file, log, kind, known=given, names=NAMES, may_move=may_move)


OCTOBER = [(f"A{n}", f"acct{n % 3}", f"2026-10-{n + 1:02}", 100_000 + n) for n in range(12)]


def test_a_file_is_told_by_rows_span_and_sums_of_each_asset_and_month() -> None:
    found = look(
        rows(("A1", "a", "2026-10-31T18:59:59", 1), ("A2", "a", "2026-10-31T19:00:00", 20_000_000), ("L1", "a", "2026-10-05", 5, "LTC")),
        held(),
    )
    assert (found.rows, found.new, found.known, found.restated) == (3, 3, 0, 0)
    assert (found.first, found.last) == ("2026-10-05T00:00:00+00:00", "2026-10-31T19:00:00+00:00")
    assert [(s.asset, s.month, s.rows, s.amount) for s in found.sums] == [
        ("BTC", "2026-10", 1, "0.00000001"), ("LTC", "2026-10", 1, "0.00000005"), ("BTC", "2026-11", 1, "0.20000000"),
    ]  # fmt: skip
    assert found.questions == [] and found.faults == []


def test_what_is_known_new_and_restated_is_counted_by_what_changes() -> None:
    again = rows(
        ("A0", "acct0", "2026-10-01", 100_000),
        ("A1", "acct1", "2026-10-02", 7),
        ("A2", "acct2", "2026-10-03T12:00:00", 100_002),
        ("N", "acct0", "2026-10-20", 1),
    )
    found = look(again, held(*OCTOBER))
    assert (found.new, found.known, found.restated) == (1, 1, 2)
    assert found.restated_by == {"amount": 1, "instant": 1}
    assert found.restatements[0] == "A1: amount 0.00100001 to 0.00000007"
    assert found.faults == []


def test_ids_that_begin_anew_each_month_are_refused_unless_restating_is_asked_for() -> None:
    november = rows(*((id_, account, day.replace("-10-", "-11-"), amount) for id_, account, day, amount in OCTOBER))
    refused = look(november, held(*OCTOBER))
    assert refused.restated == 12 and refused.restated_by == {"month": 12}
    assert refused.faults[0].line == 1 and "would move from month '2026-10' to '2026-11'" in refused.faults[0].what
    assert refused.faults[-1].line is None and "12 row(s) would move to another month" in refused.faults[-1].what
    assert look(november, held(*OCTOBER), may_move=True).faults == []


def test_a_row_that_moves_to_another_account_or_asset_is_refused() -> None:
    for moved in (("A0", "acct1", "2026-10-01", 100_000), ("A0", "acct0", "2026-10-01", 100_000, "LTC")):
        assert len(look(rows(moved), held(*OCTOBER)).faults) == 2


def test_more_coin_than_exists_is_refused_by_row_and_by_a_months_sum() -> None:
    row = look(rows(("A1", "a", "2026-10-05", 66_319_800 * 10**8)), held())
    assert [fault.line for fault in row.faults] == [1] and "more than ever exists (21000000.00000000)" in row.faults[0].what
    half = 11_000_000 * 10**8
    month = look(rows(("A2", "a", "2026-10-06", half)), held(("A1", "a", "2026-10-05", half)))
    assert [fault.line for fault in month.faults] == [None] and "2026-10 would hold 22000000.00000000 BTC" in month.faults[0].what
    assert look(rows(("A2", "a", "2026-11-06", half)), held(("A1", "a", "2026-10-05", half))).faults == []
    assert look(rows(("A1", "a", "2026-10-05", half)), held(("A1", "a", "2026-10-05", half))).faults == []


def test_instants_in_the_future_or_far_from_the_ledgers_own_are_asked_about() -> None:
    assert look(rows(("X", "acct0", "2026-11-21", 1)), held()).questions == ["1 row(s) lie in the future: line 1, 2026-11-21 05:00 UTC+5"]
    assert "a month before" in look(rows(("X", "acct0", "2025-10-05", 1)), held(*OCTOBER)).questions[0]
    assert look(rows(("X", "acct0", "2026-09-02", 1)), held(*OCTOBER)).questions == []
    late = look(rows(("X", "acct0", "2026-11-13", 1)), held(*OCTOBER))
    assert late.questions and "a month after" in late.questions[0]


def test_accounts_and_assets_never_seen_are_asked_about_once_the_ledger_holds_anything() -> None:
    file = rows(("X", "stranger", "2026-10-05", 1), ("Y", "acct0", "2026-10-05", 1, "LTC"))
    assert look(file, held()).questions == []
    assert look(file, held(*OCTOBER)).questions == [
        "1 account(s) never seen before: 'stranger' (line 1 first)", "1 asset(s) never seen before: 'LTC' (line 2 first)",
    ]  # fmt: skip
    assert len(look(file, held(*OCTOBER), accounts={"stranger"}).questions) == 1


def test_an_amount_far_from_an_accounts_habit_or_above_all_that_the_ledger_knew_is_asked_about() -> None:
    assert look(rows(("X", "acct0", "2026-10-20", 9_000_000)), held(*OCTOBER)).questions == []
    odd = look(rows(("X", "acct0", "2026-10-20", 10_100_000)), held(*OCTOBER))
    assert odd.questions == [
        "1 row(s) have an amount at least 100 times what is usual for the account or the ledger: line 1, 0.10100000 BTC of 'acct0'"
    ]
    assert look(rows(("X", "new", "2026-10-20", 20_000_000)), held(*OCTOBER), accounts={"new"}).questions


def test_the_same_credits_under_new_ids_are_counted_in_the_file_and_against_the_ledger() -> None:
    renumbered = rows(*((f"Z{n}", account, day, amount) for n, (_, account, day, amount) in enumerate(OCTOBER)))
    assert look(renumbered, held(*OCTOBER)).repeated == 12
    assert look(rows(*OCTOBER), held(*OCTOBER)).repeated == 0
    assert (
        look(
            rows(("P", "a", "2026-10-05", 5), ("Q", "a", "2026-10-05", 5), ("R", "a", "2026-10-05", 0), ("S", "a", "2026-10-05", 0)), held()
        ).repeated
        == 2
    )
    assert "12 new row(s)" in look(renumbered, held(*OCTOBER)).questions[0]


@given(st.lists(st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)), max_size=8), st.booleans())  # noqa: DTZ001 - UTC
def test_months_by_the_hour_are_those_of_each_instant(moments: list[datetime | None], are_near: bool) -> None:
    if are_near:  # within the month in which the clocks were put back (rule 1.2): looked up by the hour
        moments = [moment and datetime(2024, 2, 29, moment.hour, moment.minute, moment.second) for moment in moments] * 30  # noqa: DTZ001 - UTC
    at = pl.Series("at", moments, dtype=pl.Datetime("us")).cast(pl.Int64)
    assert months_of(at).to_list() == at.to_frame().select(month_of("at")).to_series().to_list()


def test_sums_beyond_38_digits_are_refused_where_no_supply_is_known() -> None:
    """Rule 2.1: amounts survive 38 digits. Sums of them would be other numbers from 2**127 on."""
    most = 10**38 - 1
    file = rows(("A1", "a", "2026-10-01", most // 2), ("A2", "a", "2026-10-02", most // 2, "LTC"))
    assert look(file, held(), supplies={}).faults == []
    assert look(file, held(("A0", "a", "2026-09-30", most // 2 + 1)), supplies={}).faults == []
    found = look(file, held(("A0", "a", "2026-09-30", most // 2 + 2)), supplies={}).faults
    assert [fault.what for fault in found] == [
        "the ledger would hold more than 38 digits of base units of BTC: is the column in coins, as the settings say?"
    ]
