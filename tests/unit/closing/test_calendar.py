"""When months are due and filed: Almaty midnights, month ends, 29 February, the offset change of 2024-03-01, holds and holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.closing.calendar import (
    Plan,
    almaty_at,
    due_at,
    escalations,
    file_at,
    is_working_day,
    months_until,
    next_working_day,
    points,
)
from pipeline.model.months import Month

MONTHS = st.builds(Month, st.integers(2020, 2035), st.integers(1, 12))


def utc(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp())  # type: ignore[misc]


@pytest.mark.parametrize(
    ("month", "ends", "due"),
    [
        ("2026-10", utc(2026, 10, 31, 19), utc(2026, 11, 25, 19)),
        ("2026-12", utc(2026, 12, 31, 19), utc(2027, 1, 25, 19)),
        ("2028-02", utc(2028, 2, 29, 19), utc(2028, 3, 25, 19)),
        ("2027-02", utc(2027, 2, 28, 19), utc(2027, 3, 25, 19)),
        # Almaty was at +06:00 before 2024-03-01 and is at +05:00 since: the month of the change is due by the new offset
        ("2023-12", utc(2023, 12, 31, 18), utc(2024, 1, 25, 18)),
        ("2024-01", utc(2024, 1, 31, 18), utc(2024, 2, 25, 18)),
        ("2024-02", utc(2024, 2, 29, 19), utc(2024, 3, 25, 19)),
    ],
)
def test_a_month_ends_and_is_due_at_midnights_in_almaty(month: str, ends: int, due: int) -> None:
    assert Month.parse(month).end_at == ends
    assert due_at(Month.parse(month)) == due


def test_midnight_of_the_offset_change_happened_twice() -> None:
    """At 2024-03-01 00:00 +06:00 the clocks went back to 23:00 of 29 February: the day has 25 hours."""
    assert almaty_at(date(2024, 3, 1)) - almaty_at(date(2024, 2, 29)) == 25 * 3600
    assert almaty_at(date(2024, 2, 29), 23) == utc(2024, 2, 29, 17)


@given(MONTHS, st.integers(1, 24), st.integers(0, 23), st.integers(0, 2000), st.integers(0, 40 * 86_400))
def test_a_hold_never_makes_a_month_late(month: Month, day: int, hour: int, hold: int, after: int) -> None:
    plan = Plan(file_day=day, file_hour=hour, hold_hours=hold)
    frozen_at = month.end_at + after
    at = file_at(month, plan, frozen_at)
    assert at >= frozen_at
    if frozen_at < almaty_at(month.deadline.replace(day=24), hour):
        assert at < due_at(month)
    else:
        assert at == frozen_at + hold * 3600, "frozen when the 24th has come: the hold for review is kept whole"


def test_the_pools_day_the_hold_and_the_24th() -> None:
    month, plan = Month(2026, 10), Plan(file_day=5, file_hour=9, hold_hours=48)
    assert file_at(month, plan, utc(2026, 11, 1)) == utc(2026, 11, 5, 4)
    assert file_at(month, plan, utc(2026, 11, 4)) == utc(2026, 11, 6)
    assert file_at(month, plan, utc(2026, 11, 23)) == utc(2026, 11, 24, 4), "held, but not past the 24th"


def test_people_are_called_in_order() -> None:
    found = escalations(Month(2026, 10), Plan(escalate_days=(1, 10, 1, 3), file_hour=10))
    assert [days for days, _ in found] == [10, 3, 1]
    assert found[-1][1] == utc(2026, 11, 24, 5)


def test_working_days_are_kazakhstans_with_the_moved_ones() -> None:
    plan = Plan(moved_off=(date(2026, 11, 26),), moved_on=(date(2026, 11, 28),))
    assert not is_working_day(date(2026, 10, 25), plan), "Republic Day, and a Sunday"
    assert not is_working_day(date(2027, 3, 22), plan), "Nauryz"
    assert not is_working_day(date(2026, 11, 26), plan)
    assert is_working_day(date(2026, 11, 28), plan), "a Saturday made a working day"
    assert next_working_day(date(2026, 11, 25), plan) == date(2026, 11, 25)
    assert next_working_day(date(2026, 10, 25), plan) > date(2026, 10, 25)


def test_the_next_working_day_is_shown_and_moves_nothing() -> None:
    month = Month(2026, 9)  # due by Sunday, 25 October 2026
    last = points(month, Plan())[-1]
    assert last.at == utc(2026, 10, 25, 19) and "information only" in last.why


@given(MONTHS)
def test_points_come_in_order_and_end_with_the_deadline(month: Month) -> None:
    found = points(month, Plan())
    assert found == sorted(found) and found[0].at == month.end_at and found[-1].at == due_at(month)


def test_months_follow_each_other_over_new_year() -> None:
    assert [str(m) for m in months_until(Month(2026, 11), Month(2027, 2))] == ["2026-11", "2026-12", "2027-01", "2027-02"]
    assert list(months_until(Month(2027, 2), Month(2026, 11))) == []
