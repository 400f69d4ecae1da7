"""Notices to people, each delivered once over each channel. Pure, except for sending through the given channels.

Enters: the months' statuses, the configured key, `now`. Leaves: `Notice`s; `deliver` sends those that the log does not have yet. Only a delivered
notice is logged, so a channel that fails is tried again at the next look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pipeline.closing.diary import Diary, StepAlreadyTaken
from pipeline.log.events.months import Notified
from pipeline.model.errors import EsepError, SigningError
from pipeline.model.journal import Journal
from pipeline.model.message import joined, message

from .calendar import Plan, due_at, escalations
from .causes import cause_words
from .steps import SCHEDULE, Act
from .submission import State, state_words

if TYPE_CHECKING:
    from pipeline.closing.advance import MonthStatus
    from pipeline.signing.signer import Signer

_journal = Journal("esep.notices")


@dataclass(frozen=True)
class Notice:
    """A message to people. `name` identifies it: a notice of the same name is not sent again."""

    name: str
    subject: str
    text: str


class Channel(Protocol):
    """A way to reach people. `send` raises EsepError if the notice was not delivered."""

    @property
    def name(self) -> str: ...
    def send(self, notice: Notice) -> None: ...


def notices_of(statuses: Iterable[MonthStatus], plan: Plan, now: int) -> list[Notice]:
    """All notices about the months, delivered before or not."""
    return [notice for status in statuses for notice in _of_month(status, plan, now)]


def notices_of_key(signer: Signer | None, pool_bin: str, now: int, *, warn_days: int = 30) -> list[Notice]:
    """Notices about the signing key: it can't be used, or its certificate expires within `warn_days`."""
    if signer is None:
        return []
    from pipeline.signing.certificate import days_left, key_fault

    try:
        key = signer.certificate()
    except SigningError as error:
        return [Notice(f"key:{_digest(str(error))}", message("The signing key can't be used"), str(error))]
    fault = key_fault(key, pool_bin, now)
    if fault:
        return [Notice(f"key:{key.name}:{_digest(fault)}", message("The signing key can't be used"), fault)]
    left = days_left(key.not_after, now)
    if left < warn_days:
        text = message(
            "The certificate that signs months expires in {left} day(s): get a new one and configure it in [signing].", left=left
        )
        return [Notice(f"certificate:{key.name}", message("The signing certificate expires soon"), text)]
    return []


def _of_month(status: MonthStatus, plan: Plan, now: int) -> list[Notice]:
    life, step, month = status.life, status.step, str(status.month)
    found: list[Notice] = []
    if now < status.month.end_at:
        return found
    if not life.frozen and (step.act is Act.FACTS or status.unmet):
        what = joined("\n", [message("- {line}", line=line) for line in status.unmet]) or step.why
        found.append(Notice(f"blocked:{month}:{_digest(what)}", message("{month} can't close yet", month=month), what))
    elif not life.frozen and step.act is Act.PERSON:
        found.append(
            Notice(
                f"closable:{month}",
                message("{month} can close", month=month),
                message("Every condition holds: esep freeze {month}", month=month),
            )
        )
    if status.trouble:
        found.append(Notice(f"trouble:{month}:{_digest(status.trouble)}", message("{month} is stopped", month=month), status.trouble))
    is_told = life.is_taken and life.blocking_draft is not None  # by the notice of the draft
    if step.act is Act.PERSON and life.frozen and life.state() is not State.REJECTED and not is_told:
        found.append(
            Notice(
                f"person:{month}:{step.version}:{_digest(step.why)}",
                message("{month} v{version} waits for you", month=month, version=step.version),
                step.why,
            )
        )
    for submission in life.submissions:
        event, verdict = submission.event, submission.verdict
        if verdict is not None and verdict.outcome == "accepted":
            text = message(
                "Version {version} was accepted.\nReceipt: {receipt}\nSubmission: {submission_id}",
                version=event.version,
                receipt=submission.receipt or message("none given"),
                submission_id=event.submission_id,
            )
            found.append(
                Notice(f"filed:{event.submission_id}", message("{month} v{version} is filed", month=month, version=event.version), text)
            )
        elif verdict is not None:
            rows = "\n".join(message("- row {n}: {message}", n=row.n, message=row.message) for row in verdict.rows[:50])
            said = verdict.message or (verdict.reason if verdict.asked == "person" else "")
            text = f"{said}\n{rows}".strip() or message("No reason was given.")
            found.append(
                Notice(
                    f"rejected:{event.submission_id}", message("{month} v{version} was rejected", month=month, version=event.version), text
                )
            )
    draft = life.draft
    if draft is not None:
        kind = (
            message("a reported transfer left the main chain")
            if "reorganisation" in draft.causes
            else message("facts changed after the freeze")
        )
        text = message(
            "{row_count} row(s) would change ({causes}). See them: esep amend {month}",
            row_count=draft.row_count,
            causes=cause_words(draft.causes),
            month=month,
        )
        found.append(Notice(f"draft:{draft.id}", message("{month}: {kind}", month=month, kind=kind), text))
    if not life.accepted_version:
        passed = [days for days, at in escalations(status.month, plan) if at <= now]
        if now >= due_at(status.month):
            found.append(
                Notice(
                    f"late:{month}",
                    message("{month} IS LATE", month=month),
                    message(
                        "It was due by {deadline}. It is {state}: {why}",
                        deadline=status.month.deadline,
                        state=state_words(life.state()),
                        why=step.why,
                    ),
                )
            )
        elif passed:
            found.append(
                Notice(
                    f"deadline:{month}:{min(passed)}",
                    message("{month} is due in {passed} day(s)", month=month, passed=min(passed)),
                    message("It is {state}: {why}", state=state_words(life.state()), why=step.why),
                )
            )
    return found


def deliver(diary: Diary, channels: Sequence[Channel], notices: Iterable[Notice], now: int) -> int:
    """Send each notice over each channel that has not delivered it yet; the number delivered."""
    told = 0
    for notice in notices:
        for channel in channels:
            if (notice.name, channel.name) in diary.notices:
                continue
            try:
                channel.send(notice)
            except EsepError as error:
                _journal.warning("notice-not-delivered", notice=notice.name, channel=channel.name, error=str(error))
                continue
            told += 1
            try:
                diary.append(
                    Notified(
                        id=f"notified:{channel.name}:{_digest(notice.name)}",
                        notice=notice.name,
                        channel=channel.name,
                        subject=notice.subject,
                        by=SCHEDULE,
                        reason="told",
                        at=now,
                    )
                )
            except StepAlreadyTaken:
                continue
    return told


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
