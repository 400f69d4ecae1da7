"""Days in Almaty (rule 1.2): of many instants at once the same as of each by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.enrich.identify import day_of_micros, day_of_seconds
from pipeline.model.months import Month

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROS = {year: int((datetime(year, 1, 1, tzinfo=UTC) - EPOCH) / timedelta(microseconds=1)) for year in (1920, 1970, 2024, 2026, 2060)}
A_DAY = 86_400_000_000


def days(instants: list[int | None]) -> list[object]:
    return pl.DataFrame({"at": instants}, schema={"at": pl.Int64}).select(day_of_micros("at")).to_series().to_list()


def by_itself(instant: int | None) -> object:
    return None if instant is None else (EPOCH + timedelta(microseconds=instant)).astimezone(ZoneInfo("Asia/Almaty")).date()


@given(st.sampled_from([1970, 2024, 2026]), st.lists(st.one_of(st.none(), st.integers(0, 90 * A_DAY)), max_size=60))
def test_instants_far_apart_and_absent_ones(year: int, offsets: list[int | None]) -> None:
    instants = [None if offset is None else MICROS[year] + offset for offset in offsets]
    assert days(instants) == [by_itself(one) for one in instants]


@pytest.mark.parametrize("year", MICROS)
def test_instants_close_together(year: int) -> None:
    """More than there are quarters of an hour between them, midnights and the microseconds around them too; in 2024 the clocks were set back on 1 March."""
    begins = MICROS[year] + 55 * A_DAY
    instants: list[int | None] = [begins + quarter * 900_000_000 + step for quarter in range(-40, 700) for step in (-1, 0, 1)]
    assert days([*instants, None]) == [by_itself(one) for one in instants] + [None]


def test_a_month_is_cut_from_the_next_at_one_instant() -> None:
    """So blocks and payments of a month may be found by their instants (`last_heights`, `export.sql`): at the end of February 2024, when the clocks were set back, too."""
    months = [Month(year, number) for year in range(1990, 2061) for number in range(1, 13)]
    near = pl.DataFrame([(month.end_at + away, away, month.last) for month in months for away in range(-9_000, 9_001, 900)], schema=["at", "away", "last"], orient="row")  # fmt: skip
    dated = near.with_columns(is_over=day_of_seconds("at") > pl.col("last"))
    assert dated.filter(pl.col("is_over") != (pl.col("away") >= 0)).is_empty()
