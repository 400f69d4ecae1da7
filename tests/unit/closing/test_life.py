"""The month's machine: model-checked over random lives, and a crash between any two steps, each one."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from connectors.standins.log_memory import MemoryLog
from pipeline.closing.advance import Closing, MonthStatus, append_answer, submit
from pipeline.closing.calendar import Plan, almaty_at, due_at
from pipeline.closing.diary import Diary
from pipeline.closing.filing import Answer
from pipeline.closing.life import Life, apply_event
from pipeline.closing.steps import Act
from pipeline.closing.submission import State
from pipeline.log.events import decode, encode
from pipeline.log.events.months import Approved, AsFrozen, Drafted, Sending, Signed, Submitting
from pipeline.model.months import Month

from ...simulation.closing_world import POOL, Bundles, Crash, FilingService, make_closing

MONTH = Month(2026, 10)
MOODS = ["well", "down", "storm", "timeout", "loses receipts", "rejects", "ingress", "wrong status address", "forgets"]


class Lives(RuleBasedStateMachine):
    """Any order of clock, moods, crashes, people and late facts."""

    @initialize(signs=st.booleans(), approvals=st.integers(0, 2), can_ask=st.booleans(), hold=st.sampled_from([0, 24]))
    def begin(self, signs: bool, approvals: int, can_ask: bool, hold: int) -> None:
        self.log = MemoryLog()
        self.plan = Plan(has_signer=signs, approvals=approvals, hold_hours=hold, retry_s=60, most_sends=2)
        self.bundles = Bundles(self.log, MONTH)
        self.service = FilingService(can_ask=can_ask)
        self.now = MONTH.end_at - 3600
        self.closing = make_closing(self.log, self.plan, self.bundles, self.service)
        self.seen: list[MonthStatus] = []
        self.receipts: dict[str, str] = {}

    @rule(crash_after=st.none() | st.integers(0, 8))
    def advance(self, crash_after: int | None) -> None:
        with contextlib.suppress(Crash):
            self.seen = make_closing(self.log, self.plan, self.bundles, self.service, crash_after=crash_after).advance(self.now)
        self.closing = make_closing(self.log, self.plan, self.bundles, self.service)
        self.closing.diary.refresh()

    @rule(seconds=st.sampled_from([-86_400, 0, 61, 3700, 86_400, 5 * 86_400, 31 * 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(mood=st.sampled_from(MOODS))
    def mood_changes(self, mood: str) -> None:
        self.service.mood = mood

    @rule(unmet=st.booleans())
    def facts_change(self, unmet: bool) -> None:
        self.bundles.open_conditions = {str(MONTH): ["ledger complete"]} if unmet else {}

    @rule(by=st.sampled_from(["A", "B", "C"]))
    def somebody_approves(self, by: str) -> None:
        life = self.closing.diary.life(MONTH)
        if life.version:
            event = Approved(
                id=f"approved:{MONTH}:{life.version}:{by}", month=str(MONTH), version=life.version, digest=life.frozen[life.version].digest,
                by=by, reason="seen", at=self.now,
            )  # fmt: skip
            with self.log.writer("months", POOL) as writer:
                if by not in life.approvals.get(life.version, {}):
                    writer.append([encode(event)])
            self.closing.diary.refresh()

    @precondition(lambda self: self.closing.diary.life(MONTH).version in (1, 2))
    @rule()
    def a_person_freezes_the_next_version(self) -> None:
        version = self.closing.diary.life(MONTH).version + 1
        self.bundles.freeze(MONTH, now=max(self.now, MONTH.end_at), by="A", reason="late row", version=version)
        self.closing.diary.refresh()

    @rule(digest=st.sampled_from(["ab" * 32, "cd" * 32, None]))
    def facts_change_after_the_freeze(self, digest: str | None) -> None:
        """A draft of a further version; None: the report comes out as it was frozen again."""
        life = self.closing.diary.life(MONTH)
        if not life.version:
            return
        event = Drafted(
            id=f"drafted:{MONTH}:{len(life.drafts)}", month=str(MONTH), version=life.version + 1, digest=digest or life.frozen[life.version].digest,
            rows=[], row_count=1, causes=["ledger"], by="schedule", reason="facts changed", at=self.now,
        )  # fmt: skip
        self.closing.diary.append(event)

    @rule()
    def a_person_takes_the_version_as_frozen(self) -> None:
        life = self.closing.diary.life(MONTH)
        if (draft := life.blocking_draft) is not None:
            self.closing.diary.append(
                AsFrozen(
                    id=f"as-frozen:{MONTH}:{life.version}:{draft.digest}", month=str(MONTH), version=life.version, draft_digest=draft.digest,
                    by="A", reason="the difference is of no weight", at=self.now,
                )
            )  # fmt: skip

    @rule()
    def a_person_files_a_rejected_version_again(self) -> None:
        life = self.closing.diary.life(MONTH)
        last = life.submission
        if life.blocking_draft is not None:
            return
        if last is not None and last.state is State.REJECTED and last.event.version == life.version:
            submit(self.closing.diary, self.bundles, self.service, POOL, life, now=self.now, by="A", reason="the mapping was wrong")

    @rule()
    def a_person_finds_out(self) -> None:
        """What a person says is what stands in the filing service's books."""
        last = self.closing.diary.life(MONTH).submission
        if last is None or not last.transmissions or last.verdict is not None:
            return
        known = self.service.books.get(last.event.submission_id)
        if known is None:
            answer = Answer("missing")
            self.service.person_says_missing(last.event.submission_id)
        else:
            answer = Answer("accepted", receipt=known[2]) if known[0] == "accepted" else Answer("rejected")
        append_answer(
            self.closing.diary, last, answer, asked="person", transmission=last.transmissions, now=self.now, by="A", reason="telephoned"
        )

    @invariant()
    def no_version_is_filed_twice(self) -> None:
        if hasattr(self, "service"):
            assert len(self.service.accepted) == len(set(self.service.accepted)), self.service.accepted

    @invariant()
    def no_receipt_is_lost(self) -> None:
        if not hasattr(self, "closing"):
            return
        held = {s.event.submission_id: s.receipt for s in self.closing.diary.life(MONTH).submissions}
        for submission, receipt in self.receipts.items():
            assert held[submission] == receipt
        self.receipts |= {submission: receipt for submission, receipt in held.items() if receipt}
        for submission, receipt in self.receipts.items():
            assert self.service.books[submission][2] == receipt

    @invariant()
    def a_later_version_names_the_one_before(self) -> None:
        if not hasattr(self, "closing"):
            return
        taken: list[str] = []
        for submission in self.closing.diary.life(MONTH).submissions:
            if submission.event.version > 1 and taken:
                assert submission.event.amends == taken[-1]
            if submission.state is State.ACCEPTED:
                taken.append(submission.event.submission_id)

    @invariant()
    def nothing_outdated_goes_on_its_way(self) -> None:
        """By the log itself: no signature, submission or transmission follows a draft that stands and that nobody took by name."""
        if not hasattr(self, "log"):
            return
        lives: dict[str, Life] = {}
        for record in self.log.read({}, topics=["months"]):
            event = decode(record.value)
            if isinstance(event, Signed | Submitting | Sending):
                life = lives[str(MONTH)]
                assert event.version == life.version, "a version that is not the newest goes on its way"
                assert life.blocking_draft is None, "an outdated version goes on its way"
            apply_event(lives, event)

    @invariant()
    def sends_are_bounded(self) -> None:
        """Beyond the plan's bound each transmission has a person's word behind it."""
        if not hasattr(self, "closing"):
            return
        for submission in self.closing.diary.life(MONTH).submissions:
            words = sum(answer.asked == "person" for answer in submission.answers)
            assert submission.sends <= self.plan.most_sends + words

    @invariant()
    def nothing_is_filed_without_what_it_needs(self) -> None:
        if not hasattr(self, "closing"):
            return
        life = self.closing.diary.life(MONTH)
        for submission in life.submissions:
            version = submission.event.version
            assert version in life.frozen
            assert not self.plan.has_signer or version in life.signed
            assert len(life.approvals.get(version, {})) >= self.plan.approvals

    def teardown(self) -> None:
        """From wherever it stands, a well world and willing people bring the month to its end."""
        if not hasattr(self, "closing"):
            return
        self.service.mood, self.bundles.open_conditions = "well", {}
        self.now = max(self.now, due_at(MONTH) + 86_400)
        for _ in range(60):
            self.now += 3700
            self.closing = make_closing(self.log, self.plan, self.bundles, self.service)
            status = next(s for s in self.closing.advance(self.now) if s.month == MONTH)
            if status.step.act is Act.DONE:
                break
            self.somebody_approves("A")
            self.somebody_approves("B")
            self.a_person_takes_the_version_as_frozen()
            self.a_person_finds_out()
            self.a_person_files_a_rejected_version_again()
        self.no_version_is_filed_twice()
        life = self.closing.diary.life(MONTH)
        assert life.is_filed or (not self.service.can_ask and life.state() is State.RECEIVED), status


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))


def steps_of_a_whole_life(mood: str) -> list[str]:
    steps: list[str] = []
    log = MemoryLog()
    bundles, service = Bundles(log, MONTH), FilingService(mood=mood)
    closing = make_closing(log, PLAN, bundles, service, steps=steps)
    run_to_the_end(closing.advance, service)
    return steps


PLAN = Plan(has_signer=True, file_day=5)


def run_to_the_end(advance, service: FilingService) -> list[MonthStatus]:
    now = almaty_at(MONTH.next.first, 12)
    for day in range(24):
        if day == 12:
            service.mood = "well"
        statuses = [s for s in advance(now + day * 86_400) if s.month == MONTH]
    return statuses


@pytest.mark.parametrize("mood", ["well", "timeout", "storm", "down", "loses receipts"])
def test_a_crash_between_any_two_steps_files_once_and_keeps_the_receipt(mood: str) -> None:
    names = steps_of_a_whole_life(mood)
    assert {"frozen", "signed", "submitting", "sending", "sent", "answered"} <= set(names)
    for first, second in itertools.product(range(min(len(names), 14)), [None, 0, 1, 2]):
        log = MemoryLog()
        bundles, service = Bundles(log, MONTH), FilingService(mood=mood)
        crashes = iter([first, second])

        def advance(now: int, log=log, bundles=bundles, service=service, crashes=crashes) -> list[MonthStatus]:
            while True:
                try:
                    return make_closing(log, PLAN, bundles, service, crash_after=next(crashes, None)).advance(now)
                except Crash:
                    continue

        (status,) = run_to_the_end(advance, service)
        assert status.step.act is Act.DONE, (mood, first, second, status)
        assert service.accepted == [(str(MONTH), 1)], (mood, first, second)
        submission = status.life.submission
        assert submission is not None and submission.receipt == service.books[submission.event.submission_id][2]


def test_a_contradiction_and_a_bound_wait_for_a_person() -> None:
    log = MemoryLog()
    bundles, service = Bundles(log, MONTH), FilingService(mood="forgets")
    for day in range(6, 25):
        (status, *_) = make_closing(log, PLAN, bundles, service).advance(almaty_at(MONTH.next.first.replace(day=day), 12))
    assert status.step.act is Act.PERSON and "the filing service answered received, and later that it has nothing" in status.step.why
    assert status.life.submission is not None and status.life.submission.transmissions == 1
    log = MemoryLog()
    bundles, service = Bundles(log, MONTH), FilingService(mood="storm")
    may_be_delivered = False
    for step in range(60):
        service.mood = "well" if may_be_delivered else "storm"
        (status, *_) = make_closing(log, PLAN, bundles, service).advance(almaty_at(MONTH.next.first.replace(day=6), 12) + step * 7200)
        may_be_delivered = status.life.submission is not None and status.life.submission.may_be_delivered
    assert status.step.act is Act.PERSON and "sent 5 times, and the filing service has nothing" in status.step.why


def test_without_a_first_month_nothing_is_done_by_itself_and_nothing_before_it_ever() -> None:
    for first in (None, MONTH.next):
        log = MemoryLog()
        bundles, service = Bundles(log, MONTH), FilingService()
        closing = Closing(Diary(log, POOL), POOL, Plan(file_day=5, first_month=first), bundles, service, None)
        for frozen_by in ("", "A"):
            if frozen_by:
                bundles.freeze(MONTH, now=MONTH.end_at, by=frozen_by, reason="by hand")
            status = closing.advance(almaty_at(MONTH.next.first.replace(day=20), 12))[0]
            assert status.step.act is Act.PERSON and "closing.first_month" in status.step.why
        assert not service.books and status.life.version == 1 and not status.life.submissions


def test_what_is_unusual_waits_for_a_name() -> None:
    log = MemoryLog()
    bundles, service = Bundles(log, MONTH, unusual={str(MONTH): ["the month is empty, and no block was read"]}), FilingService()
    closing = make_closing(log, Plan(file_day=5), bundles, service)
    now = almaty_at(MONTH.next.first.replace(day=20), 12)
    assert closing.advance(now)[0].step.act is Act.PERSON and not service.books
    digest = closing.diary.life(MONTH).frozen[1].digest
    closing.diary.append(Approved(id="approved:1", month=str(MONTH), version=1, digest=digest, by="A", reason="looked", at=now))
    assert closing.advance(now)[0].step.act is Act.DONE


def test_two_processes_take_each_step_once() -> None:
    log = MemoryLog()
    bundles, service = Bundles(log, MONTH), FilingService()
    one, two = make_closing(log, PLAN, bundles, service), make_closing(log, PLAN, bundles, service)
    for day in range(10):
        now = almaty_at(MONTH.next.first, 12) + day * 86_400
        one.advance(now)
        two.advance(now)
    assert service.accepted == [(str(MONTH), 1)]
    assert two.diary.life(MONTH).is_filed and one.diary.life(MONTH).is_filed


def test_without_a_way_to_ask_an_unknown_outcome_waits_for_a_person_and_is_never_sent_again() -> None:
    log = MemoryLog()
    bundles, service = Bundles(log, MONTH), FilingService(can_ask=False, mood="timeout")
    (status, *_) = make_closing(log, PLAN, bundles, service).advance(almaty_at(MONTH.next.first.replace(day=6)))
    service.mood = "well"
    for day in range(7, 25):
        (status, *_) = make_closing(log, PLAN, bundles, service).advance(almaty_at(MONTH.next.first.replace(day=day)))
    assert status.step.act is Act.PERSON and status.life.state() is State.UNKNOWN
    assert status.life.submission is not None and status.life.submission.transmissions == 1


def test_months_are_frozen_in_order() -> None:
    log = MemoryLog()
    bundles, service = Bundles(log, MONTH), FilingService()
    bundles.open_conditions = {str(MONTH): ["ledger complete"]}
    closing = make_closing(log, PLAN, bundles, service)
    statuses = closing.advance(MONTH.next.end_at + 86_400)
    assert [s.life.version for s in statuses[:2]] == [0, 0]
    assert "2026-10 is not frozen" in statuses[1].step.why
    bundles.open_conditions = {}
    assert [s.life.version for s in closing.advance(MONTH.next.end_at + 86_400)[:2]] == [1, 1]
