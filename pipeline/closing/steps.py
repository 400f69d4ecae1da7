"""Decides which step of a month is due next (ADR 5). Pure.

Enters: a month's life, the pool's plan, `now`, the conditions of rule 8.1 that are not met, what the way of filing can do. Leaves: a `Step`.
Left out: doing it. `advance` does, and logs every step as an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.log.events.months import Answered, Drafted, Sending
from pipeline.model.months import Month

from .calendar import Plan, file_at, is_held_past_the_24th
from .life import Life
from .submission import State, Submission, summary_of

SCHEDULE = "schedule"
"""The value of `by` for what the program does automatically."""


class Act(StrEnum):
    """What can be due."""

    FREEZE = "freeze"
    SIGN = "sign"
    SUBMIT = "submit"
    SEND = "send"
    ASK = "ask"
    WAIT = "wait"
    """Until an instant."""
    PERSON = "person"
    """A person must act."""
    FACTS = "facts"
    """The conditions of rule 8.1 are not all met."""
    DONE = "done"


@dataclass(frozen=True)
class Step:
    """What is due, why, and `until` when to wait (Unix seconds) where that is known."""

    act: Act
    why: str
    until: int | None = None
    version: int = 0
    submission_id: str = ""
    command: str = ""
    """What a person types to act; empty where nobody types anything."""


OUTGOING = (Act.SIGN, Act.SUBMIT, Act.SEND)
"""The steps that file a version. None is taken while a draft of a further version is open."""


@dataclass(frozen=True)
class FilingWay:
    """What the way of filing in the settings can do."""

    target: str = ""
    can_ask: bool = True


def next_step(life: Life, plan: Plan, now: int, *, unmet: list[str] | None, way: FilingWay) -> Step:
    """The step that is due at `now` (Unix seconds). `unmet`: the conditions of rule 8.1 that do not hold; None if they were not evaluated."""
    outside = _outside_the_settings(life.month, plan)
    if not life.frozen:
        return _step_to_freeze(life, plan, now, unmet, outside)
    step = _step_of_frozen(life, plan, now, way)
    is_to_come = step.act in (*OUTGOING, Act.ASK) or (step.act is Act.WAIT and not _has_submission(life))
    if is_to_come and outside:
        return Step(Act.PERSON, outside, None, step.version, step.submission_id)
    draft = life.blocking_draft
    if draft is not None and (step.act in OUTGOING or (step.act in (Act.WAIT, Act.PERSON) and not _has_submission(life))):
        return Step(Act.PERSON, what_changed(life, draft), None, step.version, step.submission_id, f"esep amend {life.month}")
    return step


def _outside_the_settings(month: Month, plan: Plan) -> str:
    """Why the program does nothing automatically with this month; empty from `closing.first_month` on."""
    if plan.first_month is None:
        return "closing.first_month is not set: nothing is frozen, signed or filed automatically. Set it to the first month that Esep files"
    return (
        f"the month is before closing.first_month = {plan.first_month}: Esep does not file it" if str(month) < str(plan.first_month) else ""
    )


def _has_submission(life: Life) -> bool:
    last = life.submission
    return last is not None and last.event.version == life.version


def what_changed(life: Life, draft: Drafted) -> str:
    """A draft as text, with what a person can do about it."""
    causes = f" ({', '.join(draft.causes)})" if draft.causes else ""
    return (
        f"facts changed after v{life.version} was frozen: {draft.row_count} row(s) would differ{causes}. See them: esep amend {life.month}; with --by and "
        f"--reason it freezes v{draft.version}. To file v{life.version} anyway: esep approve {life.month} --as-frozen --by NAME --reason TEXT"
    )


def _step_of_frozen(life: Life, plan: Plan, now: int, way: FilingWay) -> Step:
    version, last = life.version, life.submission
    if last is None or _is_overtaken(last, version):
        return _step_to_submit(life, plan, now, version)
    if not last.is_settled(way.target, can_ask=way.can_ask):
        return _step_of_submission(last, plan, now, way)
    if last.event.version != version:
        return _step_to_submit(life, plan, now, version)
    named = (None, version, last.event.submission_id)
    if last.state is State.REJECTED:
        said = last.summary or "no reason was given"
        what = "correct the facts and amend (esep amend), or file the same version again (esep refile)"
        return Step(Act.PERSON, f"rejected: {said}. Then {what}", *named, f"esep amend {life.month}")
    return Step(Act.DONE, f"filed, receipt {last.receipt or 'none given'}", *named)


def _is_overtaken(last: Submission, version: int) -> bool:
    """Whether the submission is of an older version and was certainly not delivered: then it is dropped, and the newer version is filed."""
    return last.event.version < version and not last.may_be_delivered and last.verdict is None


def _step_to_freeze(life: Life, plan: Plan, now: int, unmet: list[str] | None, outside: str) -> Step:
    if now < life.month.end_at:
        return Step(Act.WAIT, "the month has not ended", life.month.end_at)
    if outside:
        return Step(Act.PERSON, outside, command="" if unmet is None or unmet else f"esep freeze {life.month} --by NAME")
    if unmet is None or unmet:
        return Step(Act.FACTS, "; ".join(unmet or ["the conditions were not evaluated yet"]))
    if not plan.freezes_by_itself:
        return Step(
            Act.PERSON, f"it can close: a person freezes it (esep freeze {life.month})", command=f"esep freeze {life.month} --by NAME"
        )
    return Step(Act.FREEZE, "every condition of rule 8.1 holds", None, 1)


def approvals_of(life: Life, plan: Plan, version: int) -> set[str]:
    """Who approved the version, of those who may (`closing.approvers`; anybody if empty)."""
    return {by for by in life.approvals.get(version, {}) if not plan.approvers or by in plan.approvers}


def _step_to_submit(life: Life, plan: Plan, now: int, version: int) -> Step:
    """From frozen to submitted: first signed, then approved, then on the pool's day of filing."""
    if plan.has_signer and version not in life.signed:
        return Step(Act.SIGN, "frozen and not signed", None, version)
    approved = approvals_of(life, plan, version)
    if len(approved) < plan.approvals:
        wanted = ", ".join(name for name in plan.approvers if name not in approved) or "anybody else"
        command = f"esep approve {life.month} --by NAME --reason TEXT"
        return Step(Act.PERSON, f"{plan.approvals - len(approved)} approval(s) missing: {wanted}", None, version, "", command)
    at = file_at(life.month, plan, life.frozen[version].at)
    if version > 1 and life.submissions:
        at = life.frozen[version].at + plan.hold_hours * 3600
    elif approved and is_held_past_the_24th(life.month, plan, life.frozen[version].at):
        at = life.frozen[version].at
    if now < at:
        return Step(Act.WAIT, "the pool's day of filing has not come, or the version is held for review", at, version)
    return Step(Act.SUBMIT, "signed, approved and due to be filed" if plan.has_signer else "approved and due to be filed", None, version)


def _step_of_submission(last: Submission, plan: Plan, now: int, way: FilingWay) -> Step:
    """The step of a submission that is not settled: send it, ask about it, wait, or a person. It is sent only if it was certainly not delivered."""
    named = (last.event.version, last.event.submission_id)
    if not last.trail:
        return Step(Act.SEND, "made, not sent yet", None, *named)
    newest, delivery = last.trail[-1], last.delivery
    can_ask = last.can_be_asked(way.target, can_ask=way.can_ask)
    receipt = f"esep receipt {last.event.month} {{}} --by NAME --reason TEXT"
    found_out = receipt.format("accepted|rejected|missing")
    find_out = "find out whether it was filed, and record it with `esep receipt`"
    if isinstance(newest, Answered) and newest.outcome == "placed":
        return Step(
            Act.PERSON,
            "in the outbox: hand it in, and record the answer with `esep receipt`",
            None,
            *named,
            receipt.format("accepted --receipt NUMBER"),
        )
    if delivery.is_contradicted:
        why = f"the filing service answered {delivery.confirmations[-1]}, and later that it has nothing: {find_out} (after `received` it is asked again)"
        return Step(Act.PERSON, why, None, *named, found_out)
    if delivery.possibly_delivered and not can_ask:
        where = (
            ""
            if way.can_ask is False
            else f" It went to {', '.join(sorted(set(delivery.possibly_delivered.values())))}, not to the target in the settings."
        )
        return Step(Act.PERSON, f"{_last_event_text(newest)}: {find_out}.{where}", None, *named, found_out)
    if not delivery.possibly_delivered and last.sends >= plan.most_sends and not _person_says_missing(newest):
        why = f"sent {last.sends} times, and the filing service has nothing (filing.most_sends): find out why; `esep receipt {last.event.month} missing` sends it once more"
        return Step(Act.PERSON, why, None, *named, receipt.format("missing"))
    at = newest.at + (plan.transmission_s if isinstance(newest, Sending) else retry_delay_s(last, plan))
    if newest.at <= now < at and not (isinstance(newest, Answered) and newest.asked == "person"):
        return Step(Act.WAIT, f"{_last_event_text(newest)}; tried again later", at, *named)
    return Step(Act.ASK if delivery.possibly_delivered else Act.SEND, _last_event_text(newest), None, *named)


def _person_says_missing(newest: Sending | Answered) -> bool:
    return isinstance(newest, Answered) and newest.asked == "person" and newest.outcome == "missing"


def _last_event_text(newest: Sending | Answered) -> str:
    """The newest event of a submission as text."""
    if isinstance(newest, Sending):
        return "a transmission was started, its answer is not known"
    words = summary_of(newest)
    return f"{newest.outcome} ({words})" if words else newest.outcome


def retry_delay_s(submission: Submission, plan: Plan) -> int:
    """Seconds to wait after the newest answer: doubled with each answer that settled nothing, up to `Plan.retry_max_s`."""
    same = 0
    for answer in reversed(submission.answers):
        if answer.outcome not in ("unreachable", "unknown", "refused", "received", "duplicate", "missing"):
            break
        same += 1
    return min(plan.retry_s << max(0, min(same, 20) - 1), plan.retry_max_s)
