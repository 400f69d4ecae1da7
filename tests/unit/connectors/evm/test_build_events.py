"""Headers are split by the month of their own day in Almaty."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from connectors.evm.answers import RawHeader
from connectors.evm.build_events import MonthEnd, by_month
from pipeline.model.months import almaty_date


def header(height: int, time: int) -> RawHeader:
    return RawHeader(height, f"{height:064x}", f"{height - 1:064x}", time, b"", None)  # type: ignore[arg-type]


def test_each_header_is_in_the_month_of_its_day_in_almaty_whatever_the_clocks_were() -> None:
    chance = random.Random(17)
    for year, month in (
        (1991, 4),
        (1992, 1),
        (2004, 11),
        (2005, 4),
        (2024, 3),
        (2026, 11),
    ):  # where the clocks changed, and a month of today
        midnight = int(datetime(year, month, 1, tzinfo=UTC).timestamp())
        times = sorted(midnight + chance.randrange(-12 * 3600, 6 * 3600) for _ in range(300))
        times += [time for hour in range(-12, 6) for time in (midnight + hour * 3600 - 1, midnight + hour * 3600)]
        headers = [header(1 + n, time) for n, time in enumerate(sorted(times))]
        parts = list(by_month(0, "00" * 32, None, headers))
        assert [one for part in parts if isinstance(part, list) for one in part] == headers
        days = [[almaty_date(one.time) for one in part] for part in parts if isinstance(part, list)]
        assert len(days) == 2 and all(len({(day.year, day.month) for day in some}) == 1 for some in days)
        assert [part.height for part in parts if isinstance(part, MonthEnd)] == [len(days[0])]
