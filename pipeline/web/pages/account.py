"""One's own account: passkeys, sessions, password."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from pipeline.app.accounts import add_passkey, revoke_passkey
from pipeline.log.events.users import UserRole
from pipeline.model.message import message
from pipeline.web.access import AsFreshViewer, AsFreshViewerWithKey, AsViewer, AsViewerWithKey, ConfirmNeeded
from pipeline.web.credentials import LEAST_CHARACTERS, MOST_CHARACTERS, TooManyFailures
from pipeline.web.layout import page
from pipeline.web.parts import Console, Parts, Viewer
from pipeline.web.passkeys import Asked, RegistrationIn, host_of, registered_key, registration_options
from pipeline.web.tokens import LONGEST_DAYS, SCOPES

from .sign_in import address_of

router = APIRouter()


@router.get("/account")
def account(request: Request, parts: Console, viewer: AsViewer) -> Response:
    """The account of who asks."""
    return _page(request, parts, viewer)


@router.post("/account/password")
def password(
    request: Request,
    parts: Console,
    viewer: AsViewer,
    new: Annotated[str, Form(max_length=1000)],
    old: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Change the password; every other session ends. A first password is a new way in: it asks who it is."""
    if viewer.person not in {user.name for user in parts.app.diary.users.active}:
        return _page(request, parts, viewer, message("Only users have a password: make a user of this name first."), 409)
    if not parts.credentials.has_password(viewer.person) and (viewer.session is None or not parts.is_fresh(viewer.session)):
        raise ConfirmNeeded
    try:
        is_right = not parts.credentials.has_password(viewer.person) or parts.credentials.check(
            viewer.person, old, address=address_of(request)
        )
        if not is_right:
            return _page(request, parts, viewer, message("The old password is another one."), 403)
        parts.credentials.set_password(viewer.person, new)
    except TooManyFailures:
        return _page(request, parts, viewer, message("Too many failed sign-ins: wait a quarter of an hour, then try again."), 429)
    except ValueError:
        told = message("A password has {least} to {most} characters.", least=LEAST_CHARACTERS, most=MOST_CHARACTERS)
        return _page(request, parts, viewer, told, 422)
    for session in parts.sessions.listed(viewer.person):
        if viewer.session is not None and session.digest != viewer.session.digest:
            parts.sessions.end(session.digest)
    return RedirectResponse("/account", 303)


@router.post("/account/sessions/{digest}/end")
def end_session(parts: Console, viewer: AsViewer, digest: str) -> Response:
    """End one of one's own sessions."""
    if digest not in {session.digest for session in parts.sessions.listed(viewer.person)}:
        raise HTTPException(404, message("This session is over already: there is nothing to end."))
    parts.sessions.end(digest)
    parts.app.audit.signed_out(viewer.person, viewer.person)
    return RedirectResponse("/account", 303)


@router.post("/account/passkeys/options")
def options(request: Request, parts: Console, viewer: AsFreshViewerWithKey) -> Asked:
    """What the browser is asked, to make a passkey."""
    assert viewer.session is not None
    user = parts.app.diary.users.known.get(viewer.person)
    if user is None or not user.is_active:
        raise HTTPException(409, message("Only users have passkeys: make a user of this name first."))
    challenge = secrets.token_bytes(32)
    pending = parts.pending.put(viewer.session.digest, challenge, "registration", parts.app.now())
    return Asked(pending=pending, options=registration_options(request, user.name, list(user.passkeys.values()), challenge))


@router.post("/account/passkeys")
def register(request: Request, parts: Console, viewer: AsFreshViewerWithKey, given: RegistrationIn) -> Response:
    """Take a new passkey."""
    assert viewer.session is not None
    asked = parts.pending.take(viewer.session.digest, given.pending, parts.app.now())
    if asked is None or asked[1] != "registration":
        raise HTTPException(409, message("It took too long: begin again."))
    try:
        public_key = registered_key(request, given, asked[0])
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    add_passkey(
        parts.app, viewer.person, credential_id=given.credential_id, public_key=public_key, rp_id=host_of(request), label=given.name, by=viewer.person
    )  # fmt: skip
    return JSONResponse({"location": "/account"})


@router.post("/account/passkeys/revoke")
def revoke(parts: Console, viewer: AsViewerWithKey, credential_id: Annotated[str, Form(max_length=1400)]) -> Response:
    """Give up one of one's own passkeys."""
    revoke_passkey(parts.app, viewer.person, credential_id, by=viewer.person, reason="given up in the console")
    return RedirectResponse("/account", 303)


@router.post("/account/tokens")
def make_token(
    request: Request,
    parts: Console,
    viewer: AsFreshViewer,
    name: Annotated[str, Form(min_length=1, max_length=100)],
    days: Annotated[int, Form(ge=1, le=LONGEST_DAYS)] = 90,
    scopes: Annotated[list[UserRole] | None, Form()] = None,
) -> Response:
    """Make a token of the API, for some of one's own roles; it is shown once."""
    wanted = [scope for scope in scopes or [] if scope in SCOPES and scope in viewer.roles]
    if not wanted or not parts.app.diary.users.roles_of(viewer.person):
        return _page(request, parts, viewer, message("A token is a user's, and for at least one of their roles."), 409)
    return _page(request, parts, viewer, made=parts.tokens.make(viewer.person, name, wanted, days=days))


@router.post("/account/tokens/{digest}/end")
def end_token(parts: Console, viewer: AsViewer, digest: str) -> Response:
    """End one of one's own tokens."""
    parts.tokens.end(viewer.person, digest)
    return RedirectResponse("/account", 303)


def _page(request: Request, parts: Parts, viewer: Viewer, fault: str = "", status: int = 200, made: str = "") -> Response:
    user = parts.app.diary.users.known.get(viewer.person)
    return page(
        request,
        "account.html",
        status=status,
        user=user if user is not None and user.is_active else None,
        roles=sorted(viewer.roles),
        sessions=parts.sessions.listed(viewer.person),
        tokens=parts.tokens.listed(viewer.person),
        made=made,
        scopes=[scope for scope in SCOPES if scope in viewer.roles],
        longest=LONGEST_DAYS,
        has_password=parts.credentials.has_password(viewer.person),
        least=LEAST_CHARACTERS,
        most=MOST_CHARACTERS,
        fault=fault,
    )
