"""A month's life, read from its events, and the one step that is due next (ADR 5).

Enters: the events of topic `months`, the pool's plan, `now`. Leaves: `Life`s and `Step`s. Pure, and told everything: whether the facts
let the month close, and whether the other side can be asked. It leaves out doing: `closing` does, and logs every step as an event.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.log.events import AnyEvent
from pipeline.log.events.months import Answered, Approved, Drafted, Frozen, Sending, Signed, Submitting
from pipeline.model.months import Month

from .calendar import Plan, file_at


class State(StrEnum):
    """Where a month stands (design, section 7)."""

    OPEN = "open"
    CLOSABLE = "closable"
    FROZEN = "frozen"
    SIGNED = "signed"
    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Act(StrEnum):
    """What can be due."""

    FREEZE = "freeze"
    SIGN = "sign"
    SUBMIT = "submit"
    SEND = "send"
    ASK = "ask"
    WAIT = "wait"
    """For an instant."""
    PERSON = "person"
    """For somebody."""
    FACTS = "facts"
    """For the conditions of rule 8.1."""
    DONE = "done"


@dataclass(frozen=True)
class Step:
    """What is due, why, and from when on where that is known."""

    act: Act
    why: str
    until: int | None = None
    version: int = 0
    submission_id: str = ""


@dataclass
class Submission:
    """One submission and everything that became known of it, in the log's order."""

    event: Submitting
    trail: list[Sending | Answered] = field(default_factory=list)

    @property
    def answers(self) -> list[Answered]:
        return [event for event in self.trail if isinstance(event, Answered)]

    @property
    def transmissions(self) -> int:
        return sum(isinstance(event, Sending) for event in self.trail)

    @property
    def receipt(self) -> str | None:
        """The newest receipt that any answer brought: what comes after never loses it."""
        return next((answer.receipt for answer in reversed(self.answers) if answer.receipt), None)

    @property
    def verdict(self) -> Answered | None:
        """The newest answer that settles the submission."""
        return next((answer for answer in reversed(self.answers) if answer.outcome in ("accepted", "rejected")), None)

    @property
    def standing(self) -> State:
        """What is known for certain."""
        verdict = self.verdict
        if verdict is not None:
            return State.ACCEPTED if verdict.outcome == "accepted" else State.REJECTED
        last = self.trail[-1] if self.trail else None
        if last is None or (isinstance(last, Answered) and (last.outcome in ("placed", "missing") or _is_undelivered(last))):
            return State.SUBMITTING
        if any(answer.outcome == "received" for answer in self.answers):
            return State.RECEIVED
        return State.UNKNOWN

    def is_settled(self, *, can_ask: bool) -> bool:
        """Whether nothing more is to come: a reception counts only where nobody can be asked further."""
        return self.standing in (State.ACCEPTED, State.REJECTED) or (self.standing is State.RECEIVED and not can_ask)


def _is_undelivered(answer: Answered) -> bool:
    """A transmission for which no connection came about: the other side has nothing of it."""
    return answer.asked == "send" and answer.outcome == "unreachable"


@dataclass
class Life:
    """One month, as the log tells it."""

    month: Month
    frozen: dict[int, Frozen] = field(default_factory=dict)
    approvals: dict[int, dict[str, Approved]] = field(default_factory=dict)
    signed: dict[int, Signed] = field(default_factory=dict)
    submissions: list[Submission] = field(default_factory=list)
    drafts: list[Drafted] = field(default_factory=list)

    @property
    def version(self) -> int:
        """The newest frozen version; 0 before the first."""
        return max(self.frozen, default=0)

    @property
    def versions(self) -> list[Frozen]:
        """The frozen versions, oldest first."""
        return [self.frozen[version] for version in sorted(self.frozen)]

    @property
    def submission(self) -> Submission | None:
        """The newest submission, of whatever version."""
        return self.submissions[-1] if self.submissions else None

    @property
    def amends(self) -> str | None:
        """The newest submission that the other side took: what a further version corrects."""
        taken = [s for s in self.submissions if s.standing in (State.ACCEPTED, State.RECEIVED)]
        return taken[-1].event.submission_id if taken else None

    @property
    def is_filed(self) -> bool:
        """Whether the newest version was accepted."""
        last = self.submission
        return last is not None and last.event.version == self.version and last.standing is State.ACCEPTED

    @property
    def draft(self) -> Drafted | None:
        """The newest draft of a version that nobody froze yet."""
        return next((draft for draft in reversed(self.drafts) if draft.version > self.version), None)

    def state(self, *, is_closable: bool = False) -> State:
        """Where the newest version stands."""
        if not self.frozen:
            return State.CLOSABLE if is_closable else State.OPEN
        last = self.submission
        if last is not None and last.event.version == self.version:
            return last.standing
        return State.SIGNED if self.version in self.signed else State.FROZEN


def fold(events: Iterable[AnyEvent]) -> dict[str, Life]:
    """The lives of all months that the events speak of, by the month's name. The first event of a step counts; one that repeats it is passed over."""
    lives: dict[str, Life] = {}
    for event in events:
        take(lives, event)
    return lives


def take(lives: dict[str, Life], event: AnyEvent) -> None:
    """Add one event to the lives."""
    if not isinstance(event, Frozen | Approved | Signed | Submitting | Sending | Answered | Drafted):
        return
    life = lives.setdefault(event.month, Life(Month.parse(event.month)))
    match event:
        case Frozen():
            life.frozen.setdefault(event.version, event)
        case Approved():
            frozen = life.frozen.get(event.version)
            if frozen is not None and frozen.digest == event.digest:
                life.approvals.setdefault(event.version, {}).setdefault(event.by, event)
        case Signed():
            life.signed.setdefault(event.version, event)
        case Submitting():
            if all(known.event.submission_id != event.submission_id for known in life.submissions):
                life.submissions.append(Submission(event))
        case Sending() | Answered():
            found = next((known for known in life.submissions if known.event.submission_id == event.submission_id), None)
            if found is not None and all(known.id != event.id for known in found.trail):
                found.trail.append(event)
        case Drafted():
            life.drafts.append(event)


def next_step(life: Life, plan: Plan, now: int, *, unmet: list[str] | None, can_ask: bool) -> Step:
    """The one step that is due. `unmet`: conditions of rule 8.1 that do not hold, None where nobody looked. `can_ask`: whether a submission's status can be asked."""
    if not life.frozen:
        return _step_to_freeze(life, plan, now, unmet)
    last = life.submission
    if last is not None and not last.is_settled(can_ask=can_ask):
        return _step_of_submission(last, plan, now, can_ask=can_ask)
    version = life.version
    if last is not None and last.event.version == version:
        if last.standing is State.REJECTED:
            rows = last.verdict.rows if last.verdict else []
            what = f"{len(rows)} row(s) rejected" if rows else "rejected whole"
            return Step(
                Act.PERSON, f"{what}: correct the facts and amend, or file the same version again", None, version, last.event.submission_id
            )
        return Step(Act.DONE, f"filed, receipt {last.receipt or 'none given'}", None, version, last.event.submission_id)
    return _step_to_submit(life, plan, now, version)


def _step_to_freeze(life: Life, plan: Plan, now: int, unmet: list[str] | None) -> Step:
    if now < life.month.end_at:
        return Step(Act.WAIT, "the month has not ended", life.month.end_at)
    if unmet is None or unmet:
        return Step(Act.FACTS, "; ".join(unmet or ["nobody looked yet"]))
    if not plan.freezes_by_itself:
        return Step(Act.PERSON, "it can close: a person freezes it")
    return Step(Act.FREEZE, "every condition of rule 8.1 holds", None, 1)


def _step_to_submit(life: Life, plan: Plan, now: int, version: int) -> Step:
    """From frozen to a submission: signed first, then let go by people, then on the pool's day."""
    if plan.has_signer and version not in life.signed:
        return Step(Act.SIGN, "frozen and not signed", None, version)
    approved = {by for by in life.approvals.get(version, {}) if not plan.approvers or by in plan.approvers}
    if len(approved) < plan.approvals:
        wanted = ", ".join(name for name in plan.approvers if name not in approved) or "anybody else"
        return Step(Act.PERSON, f"{plan.approvals - len(approved)} approval(s) missing: {wanted}", None, version)
    at = file_at(life.month, plan, life.frozen[version].at)
    if version > 1 and life.submissions:
        at = life.frozen[version].at + plan.hold_hours * 3600
    if now < at:
        return Step(Act.WAIT, "the pool's day of filing has not come, or the version is held for review", at, version)
    return Step(Act.SUBMIT, "signed, approved and due to be filed" if plan.has_signer else "approved and due to be filed", None, version)


def _step_of_submission(last: Submission, plan: Plan, now: int, *, can_ask: bool) -> Step:
    """A submission that is not settled: send it, ask for it, wait, or call a person. It is sent only where the other side surely has nothing of it."""
    named = (last.event.version, last.event.submission_id)
    if not last.trail:
        return Step(Act.SEND, "made and never sent", None, *named)
    newest = last.trail[-1]
    if isinstance(newest, Sending):
        why = "a transmission began and no answer is known"
        return Step(
            Act.ASK if can_ask else Act.PERSON, why if can_ask else f"{why}: find out, and say so with `esep receipt`", None, *named
        )
    if newest.outcome == "placed":
        return Step(Act.PERSON, "lies in the outbox: hand it in, and say so with `esep receipt`", None, *named)
    if not can_ask and not _may_send(newest):
        return Step(Act.PERSON, f"{newest.outcome}: find out what became of it, and say so with `esep receipt`", None, *named)
    at = newest.at + patience(last, plan)
    if newest.at <= now < at and newest.asked != "person":
        return Step(Act.WAIT, f"{newest.outcome}; tried again after a while", at, *named)
    return Step(Act.SEND if _may_send(newest) else Act.ASK, newest.outcome, None, *named)


def _may_send(newest: Answered) -> bool:
    """Whether the other side surely has nothing: it said so, a person did, or no connection came about. A refusal (4xx) is asked about first."""
    return newest.outcome == "missing" or _is_undelivered(newest)


def patience(submission: Submission, plan: Plan) -> int:
    """Seconds to wait after the newest answer: doubled with each one that brought nothing new, up to the plan's limit."""
    same = 0
    for answer in reversed(submission.answers):
        if answer.outcome not in ("unreachable", "unknown", "refused", "received", "duplicate", "missing"):
            break
        same += 1
    return min(plan.retry_s << max(0, min(same, 20) - 1), plan.retry_max_s)
