"""The users, for who manages them: roles, invitations, revocations, everybody's sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.app.accounts import revoke_passkey, revoke_user, set_user
from pipeline.log.events.users import UserRole
from pipeline.model.message import message
from pipeline.web.access import AsAdmin, AsFreshAdmin, AsFreshAdminWithKey
from pipeline.web.forms import Name, Reason
from pipeline.web.layout import page
from pipeline.web.parts import ROLES, Console, Parts

router = APIRouter()


@router.get("/users")
def users(request: Request, parts: Console, _: AsAdmin) -> Response:
    """All users, and who is signed in."""
    return _page(request, parts)


@router.post("/users")
def save(
    request: Request,
    parts: Console,
    viewer: AsFreshAdminWithKey,
    user: Name,
    reason: Reason,
    roles: Annotated[list[UserRole] | None, Form()] = None,
) -> Response:
    """Give a user roles. One without a password gets an invitation, which is shown once."""
    made = set_user(parts.app, user, roles or [], by=viewer.person, reason=reason)
    if parts.credentials.has_password(made.name):
        return RedirectResponse("/users", 303)
    return _page(request, parts, (made.name, _address(request, parts.credentials.invite(made.name))))


@router.post("/users/invite")
def invite(request: Request, parts: Console, _: AsFreshAdmin, user: Name) -> Response:
    """A new invitation for a user: their password, if there is one, stays until they set another."""
    if not parts.app.diary.users.roles_of(user):
        raise HTTPException(404, message("There is no user of this name now: make one below Users, then invite them."))
    return _page(request, parts, (user, _address(request, parts.credentials.invite(user))))


@router.post("/users/revoke")
def revoke(parts: Console, viewer: AsFreshAdminWithKey, user: Name, reason: Reason) -> Response:
    """Revoke a user: their sessions end, their password and passkeys count no longer."""
    revoke_user(parts.app, user, by=viewer.person, reason=reason)
    parts.credentials.forget(user)
    parts.sessions.end_all(user)
    parts.tokens.end_all(user)
    return RedirectResponse("/users", 303)


@router.post("/users/passkeys/revoke")
def revoke_key(
    parts: Console, viewer: AsFreshAdminWithKey, user: Name, credential_id: Annotated[str, Form(max_length=1400)], reason: Reason
) -> Response:
    """Revoke a passkey of a user."""
    revoke_passkey(parts.app, user, credential_id, by=viewer.person, reason=reason)
    return RedirectResponse("/users", 303)


@router.post("/users/sessions/{digest}/end")
def end_session(parts: Console, viewer: AsFreshAdmin, digest: str) -> Response:
    """End anybody's session."""
    whose = next((session.person for session in parts.sessions.listed() if session.digest == digest), None)
    if whose is None:
        raise HTTPException(404, message("This session is over already: there is nothing to end."))
    parts.sessions.end(digest)
    parts.app.audit.signed_out(viewer.person, whose)
    return RedirectResponse("/users", 303)


def _page(request: Request, parts: Parts, invitation: tuple[str, str] | None = None) -> Response:
    return page(
        request, "users.html", users=parts.app.diary.users.active, roles=ROLES, sessions=parts.sessions.listed(), invitation=invitation
    )  # fmt: skip


def _address(request: Request, token: str) -> str:
    return f"{request.url.scheme}://{request.url.netloc}/invitation/{token}"
