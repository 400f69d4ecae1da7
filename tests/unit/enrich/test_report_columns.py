"""The report's columns that are looked up or printed in bulk are those of the slower ways."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.assess.printed import _printed_days, printed_amount
from pipeline.enrich.frames import LICENCES
from pipeline.enrich.identify import licences_on, with_licence
from pipeline.model.amounts import from_units
from pipeline.model.rules import Asset

from ...bench.synthetic import RULES

DAY = st.integers(0, 6).map(lambda days: date(2026, 10, 1) + timedelta(days=days))
LICENCE = st.tuples(st.sampled_from("abc"), st.sampled_from("12"), DAY, DAY, st.none() | DAY, st.none() | DAY, st.none() | DAY)
ROW = st.tuples(st.sampled_from("abcd"), DAY)


@settings(max_examples=100, deadline=None)
@given(st.lists(LICENCE, max_size=6, unique_by=lambda row: row[:2]), st.lists(ROW, min_size=1, max_size=12))
def test_a_row_has_the_licence_of_its_miner_on_its_day(licences: list[tuple[str | date | None, ...]], rows: list[tuple[str, date]]) -> None:
    known = pl.DataFrame(licences, schema=LICENCES, orient="row")
    asked = pl.DataFrame(rows, schema={"miner_id": pl.String, "day": pl.Date}, orient="row")
    names = ["miner_id", "day", "licence_number", "licence_issue_date"]
    expected = asked.join(licences_on(known, asked, day="day"), on=["miner_id", "day"], how="left", maintain_order="left")
    assert with_licence(asked, known, day="day").select(names).rows() == expected.select(names).rows()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.integers(0, 10**38 - 1), min_size=1, max_size=5), st.integers(0, 37))
def test_amounts_are_printed_with_all_decimals(amounts: list[int | None], decimals: int) -> None:
    rules = RULES.__class__(**{**vars(RULES), "assets": {"X": Asset("X", "bitcoin", decimals)}})
    frame = pl.DataFrame({"amount": amounts, "asset": "X"}, schema={"amount": pl.Int128, "asset": pl.String})
    found = frame.select(printed_amount("amount", "asset", rules)).to_series().to_list()
    assert found == [None if amount is None else from_units(amount, decimals) for amount in amounts]


@given(st.lists(st.none() | st.dates(date(1900, 1, 1), date(2100, 1, 1)) | DAY, max_size=9))
def test_days_are_printed_as_iso_8601(days: list[date | None]) -> None:
    assert _printed_days(pl.Series("day", days, dtype=pl.Date)).to_list() == [day and day.isoformat() for day in days]
