"""What people are told of, once over each channel, and again until it got through."""

from __future__ import annotations

import pytest

from connectors.standins.log_memory import MemoryLog
from pipeline.closing.advance import Closing
from pipeline.closing.calendar import Plan, almaty_at, due_at
from pipeline.closing.diary import Diary
from pipeline.closing.notices import Notice, deliver, notices_of, notices_of_key
from pipeline.model.errors import SigningError, SourceError
from pipeline.model.months import Month
from pipeline.signing.certificate import KeyCertificate
from pipeline.signing.signer import Signature

from ...simulation.closing_world import POOL, Bundles, FilingService, make_closing

MONTH = Month(2026, 10)
PLAN = Plan(file_day=5, has_signer=True, approvals=0)


class Post:
    def __init__(self, name: str, *, works: bool = True) -> None:
        self.name = name
        self.works = works
        self.told: list[str] = []

    def send(self, notice: Notice) -> None:
        if not self.works:
            raise SourceError("down")
        self.told.append(notice.name)


def names(bundles: Bundles, service: FilingService, log: MemoryLog, now: int, plan: Plan = PLAN) -> list[str]:
    statuses = [s for s in make_closing(log, plan, bundles, service).advance(now) if s.month == MONTH]
    return [notice.name.split(":")[0] for notice in notices_of(statuses, plan, now)]


def test_each_trouble_has_its_notice() -> None:
    log = MemoryLog()
    bundles, service = Bundles(log, MONTH, open_conditions={str(MONTH): ["ledger complete: never"]}), FilingService(mood="rejects")
    day = MONTH.next.first
    assert names(bundles, service, log, MONTH.end_at - 1) == []
    assert names(bundles, service, log, almaty_at(day, 12)) == ["blocked"]
    assert names(bundles, service, log, almaty_at(day.replace(day=16), 12)) == ["blocked", "deadline"]
    assert names(bundles, service, log, due_at(MONTH)) == ["blocked", "late"]
    bundles.open_conditions = {}
    assert names(bundles, service, log, due_at(MONTH)) == ["rejected", "late"]
    fresh = MemoryLog()
    assert names(Bundles(fresh, MONTH), FilingService(), fresh, due_at(MONTH)) == ["filed"]
    other = MemoryLog()
    assert names(Bundles(other, MONTH), FilingService(), other, almaty_at(day, 12), Plan(freezes_by_itself=False)) == ["closable"]
    third = MemoryLog()
    assert names(Bundles(third, MONTH), FilingService(), third, almaty_at(day, 12), Plan(approvals=1)) == ["person"]


@pytest.mark.parametrize("plan", [Plan(), Plan(first_month=MONTH, freezes_by_itself=False)], ids=["no first month", "a person freezes"])
def test_a_month_that_can_not_close_is_not_told_as_one_that_can(plan: Plan) -> None:
    log = MemoryLog()
    bundles = Bundles(log, MONTH, open_conditions={str(MONTH): ["ledger complete: never"]})
    at = almaty_at(MONTH.next.first, 12)
    (status,) = [s for s in Closing(Diary(log, POOL), POOL, plan, bundles, FilingService(), None).advance(at) if s.month == MONTH]
    (notice,) = notices_of([status], plan, at)
    assert (notice.name.split(":")[0], notice.subject, notice.text) == ("blocked", "2026-10 can't close yet", "- ledger complete: never")
    bundles.open_conditions = {}
    (status,) = [s for s in Closing(Diary(log, POOL), POOL, plan, bundles, FilingService(), None).advance(at) if s.month == MONTH]
    (notice,) = notices_of([status], plan, at)
    assert (notice.name, notice.subject) == ("closable:2026-10", "2026-10 can close"), "told when it can, and not before"


class Holder:
    """A signer whose certificate is what a test says."""

    def __init__(self, key: KeyCertificate | SigningError) -> None:
        self.key = key

    def sign(self, files: dict[str, bytes], *, now: int) -> Signature:
        raise AssertionError("nothing is signed to look at a certificate")

    def certificate(self) -> KeyCertificate:
        if isinstance(self.key, SigningError):
            raise self.key
        return self.key


DAY = 86_400
END = 2_000_000_000


@pytest.mark.parametrize(
    ("now", "number", "told"),
    [
        (END - 30 * DAY, "201040000013", []),
        (END - 30 * DAY + 1, "201040000013", ["certificate:k"]),
        (END - 1, "201040000013", ["certificate:k"]),
        (END + 1, "201040000013", ["key:k"]),
        (END - 400 * DAY, "201040000013", ["key:k"]),
        (END - 100 * DAY, "060140000011", ["key:k"]),
    ],
)
def test_the_key_is_looked_at_before_a_month_wants_it(now: int, number: str, told: list[str]) -> None:
    signer = Holder(KeyCertificate("k", END - 365 * DAY, END, frozenset({number})))
    found = notices_of_key(signer, "201040000013", now)
    assert [":".join(notice.name.split(":")[:2]) for notice in found] == told
    assert all("201040000013" not in notice.text + notice.subject for notice in found)


def test_a_key_that_cant_be_opened_is_told_and_no_key_is_nothing_to_tell() -> None:
    (notice,) = notices_of_key(Holder(SigningError("key.p12: No such file")), "201040000013", 0)
    assert notice.subject == "The signing key can't be used" and "No such file" in notice.text
    assert notices_of_key(None, "201040000013", 0) == []


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
