"""Approving a frozen version: by passkey, whose answer stands in the log and is checked by anybody; or by name, for who never had one (ADR 24).

By passkey it is two requests: the first drafts the event and gives its digest as the challenge, the second brings the answer. What was drafted waits here, bound to the session; nothing
of it comes from the browser but the answer.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from pipeline.app.approval import approve, draft_approval
from pipeline.log.events.months import Approved
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.signing.passkey import approval_challenge
from pipeline.web.access import AsApprover
from pipeline.web.forms import Reason, ReasonText
from pipeline.web.parts import Console
from pipeline.web.passkeys import AnswerIn, Asked, assertion_options, host_of

router = APIRouter()


class ApprovalIn(BaseModel):
    """What is approved, and why."""

    model_config = ConfigDict(extra="ignore")
    reason: ReasonText
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the report that the person saw")
    as_frozen: bool = Field(default=False, description="file it although facts changed since")


@router.post("/months/{month}/approval/options")
def options(request: Request, parts: Console, viewer: AsApprover, month: str, given: ApprovalIn) -> Asked:
    """Draft the approval: what the passkey is asked."""
    assert viewer.session is not None
    drafted = draft_approval(parts.app, _month(month), by=viewer.person, reason=given.reason)
    if drafted.digest != given.digest:
        raise HTTPException(409, message("{month}: a further version was frozen meanwhile: look at it, then approve that one", month=month))
    user = parts.app.diary.users.known.get(viewer.person)
    keys = [key for key in user.passkeys.values() if key.rp_id == host_of(request)] if user else []
    if not keys:
        raise HTTPException(409, message("You have no passkey for this host: add one in your account."))
    challenge = approval_challenge(drafted)
    pending = parts.pending.put(viewer.session.digest, challenge, (drafted, given.as_frozen), parts.app.now())
    return Asked(pending=pending, options=assertion_options(keys[0].rp_id, keys, challenge))


@router.post("/months/{month}/approval")
def approved(parts: Console, viewer: AsApprover, month: str, answer: AnswerIn) -> Response:
    """Approve what was drafted, by the passkey's answer."""
    assert viewer.session is not None
    asked = parts.pending.take(viewer.session.digest, answer.pending, parts.app.now())
    if asked is None or not isinstance(asked[1], tuple):
        raise HTTPException(409, message("It took too long: begin again."))
    drafted, as_frozen = asked[1]
    assert isinstance(drafted, Approved)
    approve(
        parts.app, _month(month), by=viewer.person, reason=drafted.reason, as_frozen=as_frozen, drafted=drafted, assertion=answer.assertion()
    )  # fmt: skip
    return JSONResponse({"location": f"/months/{month}/close"})


@router.post("/months/{month}/approval/by-name")
def approved_by_name(
    parts: Console,
    viewer: AsApprover,
    month: str,
    reason: Reason,
    digest: Annotated[str, Form(pattern=r"^[0-9a-f]{64}$")],
    as_frozen: Annotated[bool, Form()] = False,
) -> Response:
    """Approve by name: refused for who ever had a passkey."""
    drafted = draft_approval(parts.app, _month(month), by=viewer.person, reason=reason)
    if drafted.digest != digest:
        raise HTTPException(409, message("{month}: a further version was frozen meanwhile: look at it, then approve that one", month=month))
    approve(parts.app, _month(month), by=viewer.person, reason=reason, as_frozen=as_frozen, drafted=drafted)
    return RedirectResponse(f"/months/{month}/close", 303)


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError:
        raise HTTPException(404, message("The address names no month: a month is written like 2026-10.")) from None
