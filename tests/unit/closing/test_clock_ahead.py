"""A month frozen while the machine's clock was far ahead: a person is asked, instead of a hold that would last as long as the clock was wrong."""

from __future__ import annotations

import dataclasses

import pytest

from connectors.standins.log_memory import MemoryLog
from pipeline.closing.calendar import Plan, almaty_at
from pipeline.closing.steps import CLOCK_DRIFT_S, SCHEDULE, Act, FilingWay, next_step
from pipeline.log.events.months import Approved
from pipeline.model.months import Month

from ...simulation.closing_world import Bundles, FilingService, make_closing

MONTH = Month(2026, 10)
PLAN = Plan(file_day=5, hold_hours=24, first_month=MONTH)
NOW = almaty_at(MONTH.next.first.replace(day=20), 12)
IN_2028 = NOW + 400 * 86_400
WAY = FilingWay("service", can_ask=True)


def frozen_at(at: int, *, approved: bool = False):
    log = MemoryLog()
    bundles = Bundles(log, MONTH)
    bundles.freeze(MONTH, now=at, by=SCHEDULE, reason="every condition holds")
    closing = make_closing(log, PLAN, bundles, FilingService())
    closing.diary.refresh()
    life = closing.diary.life(MONTH)
    if approved:
        event = Approved(
            id="approved", month=str(MONTH), version=1, digest=life.frozen[1].digest, by="A. Person", reason="the clock was ahead", at=NOW
        )
        closing.diary.append(event)
    return closing.diary.life(MONTH)


@pytest.mark.parametrize("plan", [PLAN, dataclasses.replace(PLAN, hold_hours=0)])
def test_a_person_is_asked_and_their_approval_lets_it_go(plan: Plan) -> None:
    step = next_step(frozen_at(IN_2028), plan, NOW, unmet=None, way=WAY)
    assert (step.act, step.command) == (Act.PERSON, "esep approve 2026-10 --by NAME --reason TEXT")
    assert "v1 was frozen at 2027-12-25 07:00 UTC, later than it is by this machine's clock" in step.why
    assert next_step(frozen_at(IN_2028, approved=True), plan, NOW, unmet=None, way=WAY).act is Act.SUBMIT


def test_an_approved_one_still_waits_for_the_pools_day() -> None:
    early = almaty_at(MONTH.next.first.replace(day=3), 12)
    step = next_step(frozen_at(IN_2028, approved=True), PLAN, early, unmet=None, way=WAY)
    assert (step.act, step.until) == (Act.WAIT, almaty_at(MONTH.next.first.replace(day=5), PLAN.file_hour))


def test_a_clock_that_differs_by_a_little_is_no_matter() -> None:
    step = next_step(frozen_at(NOW + CLOCK_DRIFT_S), PLAN, NOW, unmet=None, way=WAY)
    assert (step.act, step.until) == (Act.WAIT, almaty_at(MONTH.next.first.replace(day=21), 13))
