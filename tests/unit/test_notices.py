"""What people are told of, once over each channel, and again until it got through."""

from __future__ import annotations

from connectors.log_memory import MemoryLog
from pipeline.calendar import Plan, almaty_at, due_at
from pipeline.closing import Diary
from pipeline.errors import SourceError
from pipeline.model import Month
from pipeline.notices import Notice, deliver, notices_of
from tests.simulation.closing_world import POOL, Bundles, OtherSide, make_closing

MONTH = Month(2026, 10)
PLAN = Plan(file_day=5, has_signer=True, approvals=0)


class Post:
    def __init__(self, name: str, *, works: bool = True) -> None:
        self.name = name
        self.works = works
        self.told: list[str] = []

    def tell(self, notice: Notice) -> None:
        if not self.works:
            raise SourceError("down")
        self.told.append(notice.name)


def names(bundles: Bundles, side: OtherSide, log: MemoryLog, now: int, plan: Plan = PLAN) -> list[str]:
    standings = [s for s in make_closing(log, plan, bundles, side).advance(now) if s.month == MONTH]
    return [notice.name.split(":")[0] for notice in notices_of(standings, plan, now)]


def test_each_trouble_has_its_notice() -> None:
    log = MemoryLog()
    bundles, side = Bundles(log, MONTH, open_conditions={str(MONTH): ["ledger complete: never"]}), OtherSide(mood="rejects")
    day = MONTH.next.first
    assert names(bundles, side, log, MONTH.end_at - 1) == []
    assert names(bundles, side, log, almaty_at(day, 12)) == ["blocked"]
    assert names(bundles, side, log, almaty_at(day.replace(day=16), 12)) == ["blocked", "deadline"]
    assert names(bundles, side, log, due_at(MONTH)) == ["blocked", "late"]
    bundles.open_conditions = {}
    assert names(bundles, side, log, due_at(MONTH)) == ["rejected", "late"]
    fresh = MemoryLog()
    assert names(Bundles(fresh, MONTH), OtherSide(), fresh, due_at(MONTH)) == ["filed"]
    other = MemoryLog()
    assert names(Bundles(other, MONTH), OtherSide(), other, almaty_at(day, 12), Plan(freezes_by_itself=False)) == ["closable"]
    third = MemoryLog()
    assert names(Bundles(third, MONTH), OtherSide(), third, almaty_at(day, 12), Plan(approvals=1)) == ["person"]


def test_a_certificate_about_to_end_is_told() -> None:
    log = MemoryLog()
    bundles, now = Bundles(log, MONTH), almaty_at(MONTH.next.first.replace(day=6), 12)
    standings = make_closing(log, PLAN, bundles, OtherSide()).advance(now)
    told = [n.name for n in notices_of(standings, PLAN, now, warn_days=20_000)]
    assert sum(name.startswith("certificate:") for name in told) == 1
    assert not any(n.name.startswith("certificate:") for n in notices_of(standings, PLAN, now))


def test_once_over_each_channel_and_again_until_it_got_through() -> None:
    log = MemoryLog()
    mail, hook = Post("smtp"), Post("webhook", works=False)
    notices = [Notice("a", "s", "t"), Notice("b", "s", "t")]

    def look() -> int:
        diary = Diary(log, POOL)
        diary.refresh()
        return deliver(diary, [mail, hook], notices, 1)

    assert look() == 2 and look() == 0
    hook.works = True
    assert look() == 2 and look() == 0
    assert mail.told == ["a", "b"] and hook.told == ["a", "b"]
