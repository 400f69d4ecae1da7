"""The month's machine: model-checked over random lives, and a crash between any two steps, each one."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from connectors.standins.log_memory import MemoryLog
from pipeline.closing.advance import Standing, append_answer, submit
from pipeline.closing.calendar import Plan, almaty_at, due_at
from pipeline.closing.filing import Answer
from pipeline.closing.life import Act, State
from pipeline.log.events import encode
from pipeline.log.events.months import Approved
from pipeline.model.months import Month

from ...simulation.closing_world import POOL, Bundles, Crash, OtherSide, make_closing

MONTH = Month(2026, 10)
MOODS = ["well", "down", "storm", "timeout", "loses receipts", "rejects"]


class Lives(RuleBasedStateMachine):
    """Any order of clock, moods, crashes, people and late facts."""

    @initialize(signs=st.booleans(), approvals=st.integers(0, 2), can_ask=st.booleans(), hold=st.sampled_from([0, 24]))
    def begin(self, signs: bool, approvals: int, can_ask: bool, hold: int) -> None:
        self.log = MemoryLog()
        self.plan = Plan(has_signer=signs, approvals=approvals, hold_hours=hold, retry_s=60)
        self.bundles = Bundles(self.log, MONTH)
        self.side = OtherSide(can_ask=can_ask)
        self.now = MONTH.end_at - 3600
        self.closing = make_closing(self.log, self.plan, self.bundles, self.side)
        self.seen: list[Standing] = []
        self.receipts: dict[str, str] = {}

    @rule(crash_after=st.none() | st.integers(0, 8))
    def advance(self, crash_after: int | None) -> None:
        with contextlib.suppress(Crash):
            self.seen = make_closing(self.log, self.plan, self.bundles, self.side, crash_after=crash_after).advance(self.now)
        self.closing = make_closing(self.log, self.plan, self.bundles, self.side)
        self.closing.diary.refresh()

    @rule(seconds=st.sampled_from([-86_400, 0, 61, 3700, 86_400, 5 * 86_400, 31 * 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(mood=st.sampled_from(MOODS))
    def mood_changes(self, mood: str) -> None:
        self.side.mood = mood

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

    @rule()
    def a_person_files_a_rejected_version_again(self) -> None:
        life = self.closing.diary.life(MONTH)
        last = life.submission
        if last is not None and last.standing is State.REJECTED and last.event.version == life.version:
            submit(self.closing.diary, self.bundles, self.side, POOL, life, now=self.now, by="A", reason="the mapping was wrong")

    @rule()
    def a_person_finds_out(self) -> None:
        """What a person says is what stands in the other side's books."""
        last = self.closing.diary.life(MONTH).submission
        if last is None or last.standing not in (State.UNKNOWN, State.RECEIVED):
            return
        known = self.side.books.get(last.event.submission_id)
        if known is None:
            answer = Answer("missing")
        else:
            answer = Answer("accepted", receipt=known[2]) if known[0] == "accepted" else Answer("rejected")
        append_answer(self.closing.diary, last, answer, asked="person", now=self.now, by="A", reason="telephoned")

    @invariant()
    def no_version_is_filed_twice(self) -> None:
        if hasattr(self, "side"):
            assert len(self.side.accepted) == len(set(self.side.accepted)), self.side.accepted

    @invariant()
    def no_receipt_is_lost(self) -> None:
        if not hasattr(self, "closing"):
            return
        held = {s.event.submission_id: s.receipt for s in self.closing.diary.life(MONTH).submissions}
        for submission, receipt in self.receipts.items():
            assert held[submission] == receipt
        self.receipts |= {submission: receipt for submission, receipt in held.items() if receipt}
        for submission, receipt in self.receipts.items():
            assert self.side.books[submission][2] == receipt

    @invariant()
    def a_later_version_names_the_one_before(self) -> None:
        if not hasattr(self, "closing"):
            return
        taken: list[str] = []
        for submission in self.closing.diary.life(MONTH).submissions:
            if submission.event.version > 1 and taken:
                assert submission.event.amends == taken[-1]
            if submission.standing is State.ACCEPTED:
                taken.append(submission.event.submission_id)

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
        self.side.mood, self.bundles.open_conditions = "well", {}
        self.now = max(self.now, due_at(MONTH) + 86_400)
        for _ in range(60):
            self.now += 3700
            self.closing = make_closing(self.log, self.plan, self.bundles, self.side)
            standing = next(s for s in self.closing.advance(self.now) if s.month == MONTH)
            if standing.step.act is Act.DONE:
                break
            self.somebody_approves("A")
            self.somebody_approves("B")
            self.a_person_finds_out()
            self.a_person_files_a_rejected_version_again()
        self.no_version_is_filed_twice()
        life = self.closing.diary.life(MONTH)
        assert life.is_filed or (not self.side.can_ask and life.state() is State.RECEIVED), standing


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))


def steps_of_a_whole_life(mood: str) -> list[str]:
    steps: list[str] = []
    log = MemoryLog()
    bundles, side = Bundles(log, MONTH), OtherSide(mood=mood)
    closing = make_closing(log, PLAN, bundles, side, steps=steps)
    run_to_the_end(closing.advance, side)
    return steps


PLAN = Plan(has_signer=True, file_day=5)


def run_to_the_end(advance, side: OtherSide) -> list[Standing]:
    now = almaty_at(MONTH.next.first, 12)
    for day in range(24):
        if day == 12:
            side.mood = "well"
        standings = [s for s in advance(now + day * 86_400) if s.month == MONTH]
    return standings


@pytest.mark.parametrize("mood", ["well", "timeout", "storm", "down", "loses receipts"])
def test_a_crash_between_any_two_steps_files_once_and_keeps_the_receipt(mood: str) -> None:
    names = steps_of_a_whole_life(mood)
    assert {"frozen", "signed", "submitting", "sending", "sent", "answered"} <= set(names)
    for first, second in itertools.product(range(min(len(names), 14)), [None, 0, 1, 2]):
        log = MemoryLog()
        bundles, side = Bundles(log, MONTH), OtherSide(mood=mood)
        crashes = iter([first, second])

        def advance(now: int, log=log, bundles=bundles, side=side, crashes=crashes) -> list[Standing]:
            while True:
                try:
                    return make_closing(log, PLAN, bundles, side, crash_after=next(crashes, None)).advance(now)
                except Crash:
                    continue

        (standing,) = run_to_the_end(advance, side)
        assert standing.step.act is Act.DONE, (mood, first, second, standing)
        assert side.accepted == [(str(MONTH), 1)], (mood, first, second)
        submission = standing.life.submission
        assert submission is not None and submission.receipt == side.books[submission.event.submission_id][2]


def test_two_processes_take_each_step_once() -> None:
    log = MemoryLog()
    bundles, side = Bundles(log, MONTH), OtherSide()
    one, two = make_closing(log, PLAN, bundles, side), make_closing(log, PLAN, bundles, side)
    for day in range(10):
        now = almaty_at(MONTH.next.first, 12) + day * 86_400
        one.advance(now)
        two.advance(now)
    assert side.accepted == [(str(MONTH), 1)]
    assert two.diary.life(MONTH).is_filed and one.diary.life(MONTH).is_filed


def test_without_a_way_to_ask_an_unknown_outcome_waits_for_a_person_and_is_never_sent_again() -> None:
    log = MemoryLog()
    bundles, side = Bundles(log, MONTH), OtherSide(can_ask=False, mood="timeout")
    (standing, *_) = make_closing(log, PLAN, bundles, side).advance(almaty_at(MONTH.next.first.replace(day=6)))
    side.mood = "well"
    for day in range(7, 25):
        (standing, *_) = make_closing(log, PLAN, bundles, side).advance(almaty_at(MONTH.next.first.replace(day=day)))
    assert standing.step.act is Act.PERSON and standing.life.state() is State.UNKNOWN
    assert standing.life.submission is not None and standing.life.submission.transmissions == 1


def test_months_are_frozen_in_order() -> None:
    log = MemoryLog()
    bundles, side = Bundles(log, MONTH), OtherSide()
    bundles.open_conditions = {str(MONTH): ["ledger complete"]}
    closing = make_closing(log, PLAN, bundles, side)
    standings = closing.advance(MONTH.next.end_at + 86_400)
    assert [s.life.version for s in standings[:2]] == [0, 0]
    assert "2026-10 is not frozen" in standings[1].step.why
    bundles.open_conditions = {}
    assert [s.life.version for s in closing.advance(MONTH.next.end_at + 86_400)[:2]] == [1, 1]
