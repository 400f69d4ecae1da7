"""Being asked again who one is, before somebody's way in is changed (other people's access, a new passkey, a token, a first password): by password or by a passkey of one's own (ADR 24).

A refused act leads here (`console._confirm_needed`); after the answer the person goes back to the page that it stood on, Users or the account, and does it again. A session that lies open on a desk, or was stolen, changes
nobody's access and makes no way in that outlives it.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from pipeline.log.events.users import PasskeyAdded
from pipeline.model.message import message
from pipeline.signing.passkey import assertion_fault
from pipeline.web.access import AsViewer
from pipeline.web.credentials import TooManyFailures
from pipeline.web.layout import page
from pipeline.web.parts import FRESH_S, Console, Parts, Viewer
from pipeline.web.passkeys import Asked, SignInAnswer, assertion_options, host_of

from .sign_in import address_of

router = APIRouter()
PLACES: Final = ("/account", "/users")
"""The pages whose acts ask, and to which one goes back."""
_ABOUT = "confirm"


def place_of(path: str) -> str:
    """The page on which the act of that path stands."""
    return next((place for place in PLACES if path == place or path.startswith(f"{place}/")), PLACES[0])


def confirm_at(back: str) -> str:
    """The address of the page that asks, and leads back to `back`."""
    return f"/account/confirm?then={back}"


def confirm_page(
    request: Request, parts: Parts, viewer: Viewer, back: str, *, fault: str = "", status: int = 403, written: list[str] | None = None
) -> Response:
    """The page that asks; `back`: where the person goes on; `written`: what they had written into the form that was refused."""
    return page(
        request, "confirm.html", status=status, fault=fault, written=written or [], minutes=FRESH_S // 60, back=place_of(back),
        has_password=parts.credentials.has_password(viewer.person), has_passkey=bool(_keys(request, parts, viewer)),
    )  # fmt: skip


@router.get("/account/confirm")
def ask(request: Request, parts: Console, viewer: AsViewer, then: Annotated[str, Query(max_length=100)] = "") -> Response:
    """The page that asks, for a script that was refused."""
    return confirm_page(request, parts, viewer, then, status=200)


@router.post("/account/confirm")
def confirmed(
    request: Request,
    parts: Console,
    viewer: AsViewer,
    password: Annotated[str, Form(max_length=1000)],
    then: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Take the password once more. Failures count as those of signing in do."""
    assert viewer.session is not None
    try:
        holds = parts.credentials.check(viewer.person, password, address=address_of(request))
    except TooManyFailures:
        told = message("Too many failed sign-ins: wait a quarter of an hour, then try again.")
        return confirm_page(request, parts, viewer, then, fault=told, status=429)
    if not holds:
        parts.app.audit.sign_in_failed(viewer.person, "password", address_of(request))
        return confirm_page(request, parts, viewer, then, fault=message("This is not your password."))
    parts.confirm(viewer.session)
    return RedirectResponse(place_of(then), 303)


@router.post("/account/confirm/passkey/options")
def options(request: Request, parts: Console, viewer: AsViewer) -> Asked:
    """What one's own passkeys of this host are asked."""
    assert viewer.session is not None
    keys = _keys(request, parts, viewer)
    if not keys:
        raise HTTPException(409, message("You have no passkey for this host: add one in your account."))
    challenge = secrets.token_bytes(32)
    pending = parts.pending.put(viewer.session.digest, challenge, _ABOUT, parts.app.now())
    return Asked(pending=pending, options=assertion_options(keys[0].rp_id, keys, challenge))


@router.post("/account/confirm/passkey")
def confirmed_by_passkey(request: Request, parts: Console, viewer: AsViewer, answer: SignInAnswer) -> Response:
    """Take a passkey's answer: one of the person's own, to the challenge that this session was given."""
    assert viewer.session is not None
    asked = parts.pending.take(viewer.session.digest, answer.pending, parts.app.now())
    if asked is None or asked[1] != _ABOUT:
        raise HTTPException(409, message("It took too long: begin again."))
    address = address_of(request)
    try:
        parts.credentials.require_open(viewer.person, address)
    except TooManyFailures:
        raise HTTPException(429, message("Too many failed sign-ins: wait a quarter of an hour, then try again.")) from None
    key = next((one for one in _keys(request, parts, viewer) if one.credential_id == answer.credential_id), None)
    fault: str = message("This passkey does not sign in here.")
    if key is not None:
        fault = assertion_fault(key.public_key, key.rp_id, asked[0], answer.assertion())
    if fault:
        parts.credentials.failed(viewer.person, address)
        parts.app.audit.sign_in_failed(viewer.person, "passkey", address, str(fault))
        raise HTTPException(403, fault)
    parts.confirm(viewer.session)
    return JSONResponse({"location": place_of(answer.then)})


def _keys(request: Request, parts: Parts, viewer: Viewer) -> list[PasskeyAdded]:
    user = parts.app.diary.users.known.get(viewer.person)
    return [key for key in user.passkeys.values() if key.rp_id == host_of(request)] if user is not None and user.is_active else []
