"""A person approves that the newest frozen version of a month is filed: by name, or by passkey (ADR 24).

Enters: a month, a name, a reason, perhaps a passkey's assertion. Leaves: the event `approved`, and `as-frozen` where the person files a version although facts changed since.
By passkey it is two steps: `draft_approval` makes the event whose digest the passkey answers, `approve` takes it with the assertion.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import msgspec

from pipeline.closing.diary import StepAlreadyTaken
from pipeline.closing.steps import SCHEDULE, excluded_approver, what_changed
from pipeline.log.events.months import Approved, AsFrozen
from pipeline.log.events.users import Assertion
from pipeline.model.errors import MonthError, SettingsError
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.reason import require_reason

from .app import App


@dataclass(frozen=True)
class ApproveOutcome:
    """What was approved."""

    version: int
    digest: str
    is_new: bool
    """False: this person had approved it before."""
    differing_rows: int | None
    """Rows that would differ now, where the person files or leaves the version as it was frozen; None where nothing changed."""
    is_taken: bool
    """Whether the version is filed already: it stays as it was filed, and needs no approval."""


def draft_approval(app: App, month: Month, *, by: str, reason: str) -> Approved:
    """The approval of the newest version as it would stand in the log now. Nothing is written. Raises MonthError, SettingsError as `approve`."""
    require_reason(reason, "esep approve")
    _require_approver(app, by)
    app.diary.refresh()
    life = app.diary.life(month)
    if not life.version:
        raise MonthError(message("{month} is not frozen yet: there is nothing to approve", month=month))
    version = life.version
    user, at = app.diary.users.known.get(by), app.now()
    # By passkey the instant is in the id: nobody who can write to the log takes the approver's place in it by a false approval.
    event_id = f"approved:{month}:{version}:{f'{at}:' if user and user.had_passkey else ''}{by}"[:200]
    return Approved(id=event_id, month=str(month), version=version, digest=life.frozen[version].digest, by=by, reason=reason, at=at)


def approve(
    app: App, month: Month, *, by: str, reason: str, as_frozen: bool, drafted: Approved | None = None, assertion: Assertion | None = None
) -> ApproveOutcome:
    """Approve the newest version. `drafted`: what `draft_approval` gave, with the passkey's answer to it as `assertion`.

    Raises MonthError where it is not frozen, facts changed since, or the passkey's answer does not hold; SettingsError for a person who may not approve, and for no reason.
    """
    approval = drafted or draft_approval(app, month, by=by, reason=reason)
    if assertion is not None:
        approval = msgspec.structs.replace(approval, assertion=assertion)
    _require_approver(app, by)
    diary = app.desk.diary
    diary.refresh()
    life = diary.life(month)
    if (approval.month, approval.version, approval.by) != (str(month), life.version, by):
        raise MonthError(message("{month}: a further version was frozen meanwhile: look at it, then approve that one", month=month))
    is_left = life.is_taken and as_frozen
    if not is_left and (fault := diary.users.approval_fault(approval)):
        raise MonthError(
            message("{month} v{version} is not approved: {what_changed}", month=month, version=life.version, what_changed=fault)
        )
    version, digest = life.version, life.frozen[life.version].digest
    if by == excluded_approver(life, app.desk.plan, version):
        raise MonthError(
            message(
                "{month} v{version} is not approved: {by} froze it, and another person approves it (closing.four_eyes)",
                month=month, version=version, by=by,
            )
        )  # fmt: skip
    if not life.is_filed or as_frozen:
        app.desk.drafts.draft(month, by=SCHEDULE, reason=message("facts changed after the freeze"))
    draft, at = life.blocking_draft, app.now()
    if draft is not None:
        if not as_frozen:
            raise MonthError(
                message(
                    "{month} v{version} is not approved: {what_changed}",
                    month=month,
                    version=version,
                    what_changed=what_changed(life, draft),
                )
            )
        event_id = f"as-frozen:{month}:{version}:{draft.digest[:32]}"
        event = AsFrozen(id=event_id, month=str(month), version=version, draft_digest=draft.digest, by=by, reason=reason, at=at)
        with contextlib.suppress(StepAlreadyTaken):
            diary.append(event)
    is_new = by not in life.approvals.get(version, {}) and not (life.is_taken and draft is not None)
    if is_new:
        diary.append(approval)
        app.desk.months.keep_approvals(month)
    return ApproveOutcome(version, digest, is_new, draft.row_count if draft is not None else None, life.is_taken)


def _require_approver(app: App, by: str) -> None:
    approvers = app.settings.closing.approvers
    if approvers and by not in approvers:
        raise SettingsError(
            [message("--by: {by} is not among closing.approvers: {approvers}", by=repr(by), approvers=", ".join(approvers))],
            source="esep approve",
        )
