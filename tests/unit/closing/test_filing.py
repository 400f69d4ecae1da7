"""What is signed is what is filed, under one id, and a further version names the one it corrects."""

from __future__ import annotations

import base64
import hashlib
import json

import msgspec
import pytest

from connectors.standins.log_memory import MemoryLog
from pipeline.closing.advance import content_of_submission
from pipeline.closing.calendar import Plan
from pipeline.closing.diary import Diary, StepAlreadyTaken
from pipeline.closing.filing import submission_id_of
from pipeline.closing.steps import Act, approvals_of
from pipeline.log.events.months import Approved
from pipeline.model.months import Month

from ...simulation.closing_world import POOL, Bundles, FilingService, make_closing

MONTH = Month(2026, 10)
NOW = MONTH.end_at + 20 * 86_400


def test_the_signature_filed_is_over_the_very_report_filed() -> None:
    log = MemoryLog()
    bundles, service = Bundles(log, MONTH), FilingService()
    closing = make_closing(log, Plan(has_signer=True), bundles, service)
    closing.advance(NOW)
    life = closing.diary.life(MONTH)
    assert life.is_filed and life.submission is not None
    body = json.loads(content_of_submission(life.submission.event))
    report = base64.b64decode(body["report_base64"])
    assert report == bundles.read(MONTH, 1, "report.json")
    assert base64.b64decode(body["signature"]) == hashlib.sha256(report).digest()
    signed = {name: base64.b64decode(made) for name, made in life.signed[1].signatures.items()}
    assert signed == {name: hashlib.sha256(bundles.read(MONTH, 1, name)).digest() for name in ("manifest.json", "report.json")}


def test_a_further_version_names_the_submission_that_it_corrects() -> None:
    log = MemoryLog()
    bundles, service = Bundles(log, MONTH), FilingService()
    closing = make_closing(log, Plan(), bundles, service)
    closing.advance(NOW)
    first = closing.diary.life(MONTH).submissions[0].event.submission_id
    bundles.freeze(MONTH, now=NOW, by="A. Person", reason="a late row", version=2)
    closing.advance(NOW + 3600)
    last = closing.diary.life(MONTH).submissions[-1].event
    assert (last.version, last.amends) == (2, first)
    assert json.loads(content_of_submission(last))["amends"] == first


def test_the_same_submission_has_the_same_id_whoever_makes_it() -> None:
    made = [submission_id_of("pool", "2026-10", 1, attempt, "ab" * 32) for attempt in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


def approval(digest: str) -> Approved:
    return Approved(id="approved:2026-10:1:A", month="2026-10", version=1, digest=digest, by="A", reason="looked at it", at=NOW)


def test_a_step_that_another_process_took_is_not_taken_again() -> None:
    log = MemoryLog()
    one, two = Diary(log, POOL), Diary(log, POOL)
    one.append(approval("ab" * 32))
    with pytest.raises(StepAlreadyTaken):
        two.append(approval("ab" * 32))
    assert log.end()["months/0"] == 1


def test_an_approval_of_another_report_counts_for_nothing() -> None:
    log = MemoryLog()
    bundles = Bundles(log, MONTH)
    bundles.freeze(MONTH, now=NOW, by="A. Person", reason="whole")
    closing = make_closing(log, Plan(approvals=1), bundles, FilingService())
    closing.diary.append(approval("ab" * 32))
    assert not closing.diary.life(MONTH).approvals
    assert "approval(s) missing" in closing.advance(NOW)[0].step.why


def test_where_four_eyes_are_wanted_who_froze_a_version_does_not_approve_it() -> None:
    log = MemoryLog()
    bundles = Bundles(log, MONTH)
    bundles.freeze(MONTH, now=NOW, by="A", reason="whole")
    diary = Diary(log, POOL)
    diary.refresh()
    digest = diary.life(MONTH).frozen[1].digest
    for four_eyes, approved in ((False, {"A"}), (True, set())):
        closing = make_closing(log, plan := Plan(approvals=1, four_eyes=four_eyes), bundles, FilingService())
        if not four_eyes:
            closing.diary.append(approval(digest))
        assert approvals_of(closing.diary.life(MONTH), plan, 1) == approved
    assert "approval(s) missing" in closing.advance(NOW)[0].step.why
    closing.diary.append(msgspec.structs.replace(approval(digest), id="approved:2026-10:1:B", by="B"))
    assert closing.advance(NOW)[0].step.act is not Act.PERSON
