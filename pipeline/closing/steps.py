"""Decides which step of a month is due next (ADR 5). Pure.

Enters: a month's life, the pool's plan, `now`, the conditions of rule 8.1 that are not met, what the way of filing can do. Leaves: a `Step`.
Left out: doing it. `advance` does, and logs every step as an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from pipeline.log.events.months import Answered, Drafted, Sending
from pipeline.model.message import Instant, counted, joined, message
from pipeline.model.months import Month

from .calendar import Plan, file_at, is_held_past_the_24th
from .causes import cause_words
from .life import Life
from .submission import State, Submission, outcome_words, summary_of

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


CLOCK_DRIFT_S = 3600
"""By how much the clock may be behind a freeze before a person is asked: what a clock that is put right, or another machine's, differs by."""


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
    if draft is not None and waits_for_decision(life, step):
        return step_to_decide(life, step, what_changed(life, draft))
    return step


def waits_for_decision(life: Life, step: Step) -> bool:
    """Whether facts that changed after the freeze come before the step: it files the version, hands it in, or says that it is filed."""
    if step.act in (*OUTGOING, Act.DONE) or (step.act is Act.PERSON and life.is_in_outbox):
        return True
    return step.act in (Act.WAIT, Act.PERSON) and not _has_submission(life)


def step_to_decide(life: Life, step: Step, why: str) -> Step:
    """In place of `step`: a person decides about what changed."""
    return Step(Act.PERSON, why, None, step.version, step.submission_id, f"esep amend {life.month}")


def _outside_the_settings(month: Month, plan: Plan) -> str:
    """Why the program does nothing automatically with this month; empty from `closing.first_month` on."""
    if plan.first_month is None:
        return message(
            'closing.first_month is not set: nothing is frozen, signed or filed automatically. Set it in esep.toml, below [closing], to the first month that Esep files: first_month = "{month}"',
            month=month,
        )
    return (
        message("the month is before closing.first_month = {first_month}: Esep does not file it", first_month=plan.first_month)
        if str(month) < str(plan.first_month)
        else ""
    )


def _has_submission(life: Life) -> bool:
    last = life.submission
    return last is not None and last.event.version == life.version


def what_changed(life: Life, draft: Drafted) -> str:
    """A draft as text, with what a person can do about it; or who decided that the version stays."""
    causes = message(" ({causes})", causes=cause_words(draft.causes)) if draft.causes else ""
    values = {"version": life.version, "causes": causes}
    if life.is_taken:
        what = counted(
            "the month differs from v{version}, which was filed: {count} row{causes}",
            "the month differs from v{version}, which was filed: {count} rows{causes}",
            draft.row_count, **values,
        )  # fmt: skip
    else:
        what = counted(
            "facts changed after v{version} was frozen: {count} row would differ{causes}",
            "facts changed after v{version} was frozen: {count} rows would differ{causes}",
            draft.row_count, **values,
        )  # fmt: skip
    decided = life.decision_about(draft.digest)
    if decided is not None:
        stays = message("{by} decided that v{version} stays as it is: {reason}", by=decided.by, version=life.version, reason=decided.reason)
        return joined(". ", [what, stays])
    return joined(". ", [what, ways_to_decide(life, draft.version)])


def what_differs(life: Life) -> str:
    """As `what_changed`, where nobody looked yet which rows differ."""
    what = (
        message("the month differs from v{version}, which was filed", version=life.version)
        if life.is_taken
        else message("facts changed after v{version} was frozen: its report would differ", version=life.version)
    )
    return joined(". ", [what, ways_to_decide(life, life.version + 1)])


def ways_to_decide(life: Life, next_version: int) -> str:
    """What a person can do about facts that changed after the freeze."""
    values = {"month": life.month, "version": life.version, "next_version": next_version}
    if life.is_taken:
        return message(
            "See what differs: esep amend {month}; with --by and --reason it freezes v{next_version}, which is filed as a correction of v{version}. To leave v{version} as it was filed: esep approve {month} --as-frozen --by NAME --reason TEXT",
            **values,
        )
    if life.is_in_outbox:
        return message(
            "v{version} lies in the outbox: do not hand it in before you decide. See what differs: esep amend {month}; with --by and --reason it freezes v{next_version}. To hand in v{version} anyway: esep approve {month} --as-frozen --by NAME --reason TEXT",
            **values,
        )
    return message(
        "See what differs: esep amend {month}; with --by and --reason it freezes v{next_version}. To file v{version} anyway: esep approve {month} --as-frozen --by NAME --reason TEXT",
        **values,
    )


def _step_of_frozen(life: Life, plan: Plan, now: int, way: FilingWay) -> Step:
    version, last = life.version, life.submission
    if last is None or _is_overtaken(last, version):
        return _step_to_submit(life, plan, now, version)
    if not last.is_settled(way.target, can_ask=way.can_ask):
        return _step_of_submission(last, plan, now, way, version)
    if last.event.version != version:
        return _step_to_submit(life, plan, now, version)
    named = (None, version, last.event.submission_id)
    if last.state is State.REJECTED:
        said = last.summary or message("no reason was given")
        what = message("correct the facts and amend (esep amend), or file the same version again (esep refile)")
        return Step(
            Act.PERSON,
            message("rejected: {said}. Then {what}", said=said, what=what),
            *named,
            f"esep amend {life.month}",
        )
    return Step(Act.DONE, message("filed, receipt {receipt}", receipt=last.receipt or message("none given")), *named)


def _is_overtaken(last: Submission, version: int) -> bool:
    """Whether the submission is of an older version and was certainly not delivered: then it is dropped, and the newer version is filed."""
    return last.event.version < version and not last.may_be_delivered and last.verdict is None


def _step_to_freeze(life: Life, plan: Plan, now: int, unmet: list[str] | None, outside: str) -> Step:
    if now < life.month.end_at:
        return Step(Act.WAIT, message("the month has not ended"), life.month.end_at)
    if outside:
        return Step(
            Act.PERSON,
            outside,
            command=f"esep freeze {life.month} --by NAME" if unmet == [] and plan.first_month is None else "",
        )
    if unmet is None or unmet:
        open_ones = joined("; ", unmet or [message("the conditions were not evaluated yet")])
        return Step(Act.FACTS, message("it can't close yet, as this does not hold: {conditions}", conditions=open_ones))
    if not plan.freezes_by_itself:
        return Step(
            Act.PERSON,
            message("it can close: a person freezes it (esep freeze {month})", month=life.month),
            command=f"esep freeze {life.month} --by NAME",
        )
    return Step(Act.FREEZE, message("every condition of rule 8.1 holds"), None, 1)


def approvals_of(life: Life, plan: Plan, version: int) -> set[str]:
    """Who approved the version, of those who may: `closing.approvers`, anybody if empty; but not who froze it (`closing.four_eyes`)."""
    approved = {by for by in life.approvals.get(version, {}) if not plan.approvers or by in plan.approvers}
    return approved - {excluded_approver(life, plan, version)}


def excluded_approver(life: Life, plan: Plan, version: int) -> str:
    """Who froze the version, where their own approval does not count; "" where it does."""
    frozen = life.frozen.get(version)
    return frozen.by if plan.four_eyes and frozen is not None else ""


def _step_to_submit(life: Life, plan: Plan, now: int, version: int) -> Step:
    """From frozen to submitted: first signed, then approved, then on the pool's day of filing."""
    if plan.has_signer and version not in life.signed:
        return Step(Act.SIGN, message("frozen and not signed"), None, version)
    approved = approvals_of(life, plan, version)
    if len(approved) < plan.approvals:
        own = excluded_approver(life, plan, version)
        wanted = ", ".join(name for name in plan.approvers if name not in approved and name != own) or message("anybody else")
        command = f"esep approve {life.month} --by NAME --reason TEXT"
        return Step(
            Act.PERSON,
            message("{approvals} approval(s) missing: {wanted}", approvals=plan.approvals - len(approved), wanted=wanted),
            None,
            version,
            "",
            command,
        )
    frozen_at = life.frozen[version].at
    at = file_at(life.month, plan, frozen_at)
    if frozen_at > now + CLOCK_DRIFT_S:  # no hold can be counted from an instant that a wrong clock gave
        if not approved:
            return Step(Act.PERSON, _frozen_ahead(life, version), None, version, "", f"esep approve {life.month} --by NAME --reason TEXT")
        at = file_at(life.month, plan, life.month.end_at)
    elif version > 1 and life.submissions:
        at = frozen_at + plan.hold_hours * 3600
    elif approved and is_held_past_the_24th(life.month, plan, frozen_at):
        at = frozen_at
    if now < at:
        return Step(Act.WAIT, message("the pool's day of filing has not come, or the version is held for review"), at, version)
    return Step(
        Act.SUBMIT,
        message("signed, approved and due to be filed") if plan.has_signer else message("approved and due to be filed"),
        None,
        version,
    )


def _frozen_ahead(life: Life, version: int) -> str:
    """That this machine's clock is behind the instant at which the version was frozen, so that its hold would last as long."""
    return message(
        "v{version} was frozen at {instant}, later than it is by this machine's clock: one of the two is wrong, and the hold for review can't be counted. Check the clock; if it is right, approve the version by name",
        version=version, instant=Instant(f"{datetime.fromtimestamp(life.frozen[version].at, UTC):%Y-%m-%d %H:%M} UTC"),
    )  # fmt: skip


def _step_of_submission(last: Submission, plan: Plan, now: int, way: FilingWay, newest_version: int) -> Step:
    """The step of a submission that is not settled: send it, ask about it, wait, or a person. It is sent only if it was certainly not delivered."""
    named = (last.event.version, last.event.submission_id)
    if not last.trail:
        return Step(Act.SEND, message("made, not sent yet"), None, *named)
    newest, delivery = last.trail[-1], last.delivery
    can_ask = last.can_be_asked(way.target, can_ask=way.can_ask)
    receipt = f"esep receipt {last.event.month} {{}} --by NAME --reason TEXT"
    found_out = receipt.format("accepted|rejected|missing")
    find_out = message("find out whether it was filed, and record it with `esep receipt`")
    if last.is_placed and last.event.version < newest_version:
        why = message(
            "v{version} lies in the outbox, and v{newest_version} is frozen: record whether v{version} was handed in (`esep receipt`); if it was not, say `missing`, and v{newest_version} takes its place",
            version=last.event.version,
            newest_version=newest_version,
        )
        return Step(Act.PERSON, why, None, *named, found_out)
    if last.is_placed:
        return Step(
            Act.PERSON,
            message("in the outbox: hand it in, and record the answer with `esep receipt`"),
            None,
            *named,
            receipt.format(message("accepted --receipt NUMBER")),
        )
    if delivery.is_contradicted:
        why = message(
            "the filing service answered {confirmations}, and later that it has nothing: {find_out} (after `received` it is asked again)",
            confirmations=outcome_words(delivery.confirmations[-1]),
            find_out=find_out,
        )
        return Step(Act.PERSON, why, None, *named, found_out)
    if delivery.possibly_delivered and not can_ask:
        where = (
            ""
            if way.can_ask is False
            else message(
                " It went to {targets}, not to the target in the settings.",
                targets=", ".join(sorted(set(delivery.possibly_delivered.values()))),
            )
        )
        return Step(
            Act.PERSON,
            message("{event}: {find_out}.{where}", event=_last_event_text(newest), find_out=find_out, where=where),
            None,
            *named,
            found_out,
        )
    if not delivery.possibly_delivered and last.sends >= plan.most_sends and not _person_says_missing(newest):
        why = message(
            "sent {sends} times, and the filing service has nothing (filing.most_sends): find out why; `esep receipt {month} missing` sends it once more",
            sends=last.sends,
            month=last.event.month,
        )
        return Step(Act.PERSON, why, None, *named, receipt.format("missing"))
    at = newest.at + (plan.transmission_s if isinstance(newest, Sending) else retry_delay_s(last, plan))
    if newest.at <= now < at and not (isinstance(newest, Answered) and newest.asked == "person"):
        return Step(Act.WAIT, message("{event}; tried again later", event=_last_event_text(newest)), at, *named)
    return Step(Act.ASK if delivery.possibly_delivered else Act.SEND, _last_event_text(newest), None, *named)


def _person_says_missing(newest: Sending | Answered) -> bool:
    return isinstance(newest, Answered) and newest.asked == "person" and newest.outcome == "missing"


def _last_event_text(newest: Sending | Answered) -> str:
    """The newest event of a submission as text."""
    if isinstance(newest, Sending):
        return message("a transmission was started, its answer is not known")
    words = summary_of(newest)
    return message("{outcome} ({words})", outcome=outcome_words(newest.outcome), words=words) if words else outcome_words(newest.outcome)


def retry_delay_s(submission: Submission, plan: Plan) -> int:
    """Seconds to wait after the newest answer: doubled with each answer that settled nothing, up to `Plan.retry_max_s`."""
    same = 0
    for answer in reversed(submission.answers):
        if answer.outcome not in ("unreachable", "unknown", "refused", "received", "duplicate", "missing"):
            break
        same += 1
    return min(plan.retry_s << max(0, min(same, 20) - 1), plan.retry_max_s)
