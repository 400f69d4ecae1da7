"""The holder of an account on a day: found for a whole frame at once, against each row looked up by itself (rules 4.1, 9.6)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.enrich.frames import ACCOUNTS
from pipeline.enrich.identify import holders, with_holder

FIRST = date(2026, 10, 1)
DAYS = st.integers(0, 6).map(lambda days: FIRST + timedelta(days=days))
NAMES = st.sampled_from("abc")
ROWS = st.lists(
    st.tuples(NAMES, st.sampled_from(["1", "2", "3"]), DAYS, st.one_of(st.none(), DAYS)).map(
        lambda row: dict(zip(ACCOUNTS, row, strict=True))
    ),
    max_size=6,
)
ASKED = st.lists(st.tuples(st.one_of(NAMES, st.none()), st.one_of(DAYS, st.none())), max_size=12)


@settings(deadline=None, max_examples=150)
@given(ROWS, ASKED)
def test_each_row_has_the_holder_of_its_day(rows: list[dict[str, Any]], asked: list[tuple[str | None, date | None]]) -> None:
    registry = pl.DataFrame(rows, schema=ACCOUNTS, orient="row")
    frame = pl.DataFrame(asked, schema={"account": pl.String, "day": pl.Date}, orient="row").with_row_index("row")
    found = with_holder(frame, registry, keys=["account"], day="day", name="held_by")
    assert found.drop("held_by").equals(frame) and found.schema == frame.schema | {"held_by": pl.String}
    assert found["held_by"].to_list() == [_held(rows, *one) for one in asked]
    listed = {(account, day): miner for account, day, miner in holders(registry, frame, keys=["account"], day="day").iter_rows()}
    assert listed == {one: held for one in asked if (held := _held(rows, *one)) is not None}


def _held(rows: list[dict[str, Any]], account: str | None, day: date | None) -> str | None:
    """Of the rows in force the one with the latest beginning, then the smallest number."""
    if day is None:
        return None
    of_day = [
        row for row in rows if row["account"] == account and row["valid_from"] <= day and (row["valid_to"] is None or day < row["valid_to"])
    ]
    of_day.sort(key=lambda row: row["miner_id"])
    of_day.sort(key=lambda row: row["valid_from"], reverse=True)
    return of_day[0]["miner_id"] if of_day else None
