"""A person approves by name that the newest frozen version of a month is filed.

Enters: a month, a name, a reason. Leaves: the event `approved`, and `as-frozen` where the person files a version although facts changed since.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from pipeline.closing.diary import StepAlreadyTaken
from pipeline.closing.steps import SCHEDULE, what_changed
from pipeline.log.events.months import Approved, AsFrozen
from pipeline.model.errors import MonthError, SettingsError
from pipeline.model.message import message
from pipeline.model.months import Month

from .app import App


@dataclass(frozen=True)
class ApproveOutcome:
    """What was approved."""

    version: int
    digest: str
    is_new: bool
    """False: this person had approved it before."""
    differing_rows: int | None
    """Rows that would differ now, where the person files the version as it was frozen; None where nothing changed."""


def approve(app: App, month: Month, *, by: str, reason: str, as_frozen: bool) -> ApproveOutcome:
    """Approve the newest version. Raises MonthError where it is not frozen or facts changed since, SettingsError for a person who may not approve."""
    approvers = app.settings.closing.approvers
    if approvers and by not in approvers:
        raise SettingsError(
            [message("--by: {by} is not among closing.approvers: {approvers}", by=repr(by), approvers=", ".join(approvers))],
            source="esep approve",
        )
    diary = app.desk.diary
    diary.refresh()
    life = diary.life(month)
    if not life.version:
        raise MonthError(message("{month} is not frozen yet: there is nothing to approve", month=month))
    version, digest = life.version, life.frozen[life.version].digest
    if not life.is_filed:
        app.desk.drafts.draft(month, by=SCHEDULE, reason="facts changed after the freeze")
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
    is_new = by not in life.approvals.get(version, {})
    if is_new:
        name = f"approved:{month}:{version}:{by}"[:200]
        diary.append(Approved(id=name, month=str(month), version=version, digest=digest, by=by, reason=reason, at=at))
    return ApproveOutcome(version, digest, is_new, draft.row_count if draft is not None else None)
