"""Signing in and out: by the one-time link that `esep console` prints, by password, by passkey; and invitations, by which a person sets a password.

The link's page asks for a click, so that a program that only looks at addresses does not use it up. Failures are counted, and say the same whatever was wrong.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from pipeline.log.events.audit import Way
from pipeline.model.message import message
from pipeline.signing.passkey import assertion_fault
from pipeline.web.access import SESSION_COOKIE, Anyone, AsViewer, proxied_user
from pipeline.web.credentials import LEAST_CHARACTERS, MOST_CHARACTERS, TooManyFailures
from pipeline.web.layout import page
from pipeline.web.parts import Console, Parts
from pipeline.web.passkeys import Asked, SignInAnswer, assertion_options, host_of
from pipeline.web.return_to import HOME, local_page
from pipeline.web.sessions import LONGEST_S

router = APIRouter()
Then = Annotated[str, Query(max_length=4000)]
_NOBODY: Final = ""
"""Whose session a challenge is for before anybody is signed in."""


@router.get("/sign-in")
def sign_in(request: Request, parts: Console, _: Anyone, then: Then = HOME) -> Response:
    """How to sign in; whom a trusted proxy has signed in already is in. `then`: the page of ours that was asked for."""
    person = proxied_user(request, parts)
    if person is not None:
        return signed_in(request, parts, person, "proxy", then)
    return _form(request, parts, then=then)


@router.post("/sign-in")
def signed_in_by_password(
    request: Request,
    parts: Console,
    _: Anyone,
    person: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    then: Annotated[str, Form(max_length=4000)] = HOME,
) -> Response:
    """Sign in by name and password."""
    address = address_of(request)
    try:
        holds = parts.credentials.check(person, password, address=address)
    except TooManyFailures:
        parts.app.audit.sign_in_failed(person, "password", address, "locked for a while")
        return _form(request, parts, _too_many(), 429, then)
    if not holds or not parts.app.diary.users.roles_of(person):
        parts.app.audit.sign_in_failed(person, "password", address)
        return _form(request, parts, message("The name and the password do not go together."), 403, then)
    parts.credentials.succeeded(person)
    return signed_in(request, parts, person, "password", then)


@router.post("/sign-in/passkey/options")
def passkey_options(request: Request, parts: Console, _: Anyone) -> Asked:
    """What any passkey of this host is asked, to sign in."""
    challenge = secrets.token_bytes(32)
    pending = parts.pending.put(_NOBODY, challenge, None, parts.app.now())
    return Asked(pending=pending, options=assertion_options(host_of(request), [], challenge))


@router.post("/sign-in/passkey")
def signed_in_by_passkey(request: Request, parts: Console, _: Anyone, answer: SignInAnswer) -> Response:
    """Sign in by a passkey's answer."""
    address = address_of(request)
    asked = parts.pending.take(_NOBODY, answer.pending, parts.app.now())
    held = parts.app.diary.users.holder_of(answer.credential_id)
    name = held[0].name if held else _NOBODY
    try:
        parts.credentials.require_open(name or address, address)
    except TooManyFailures:
        raise HTTPException(429, _too_many()) from None
    fault: str = message("This passkey does not sign in here.")
    if asked is not None and held is not None and held[1].rp_id == host_of(request):
        fault = assertion_fault(held[1].public_key, held[1].rp_id, asked[0], answer.assertion())
    if fault:
        parts.credentials.failed(name or address, address)
        parts.app.audit.sign_in_failed(name, "passkey", address, str(fault))
        raise HTTPException(403, fault)
    begun = signed_in(request, parts, name, "passkey", answer.then)
    answered = JSONResponse({"location": begun.headers["location"]})
    answered.headers["set-cookie"] = begun.headers["set-cookie"]
    return answered


@router.get("/enter")
def enter(request: Request, parts: Console, _: Anyone, link: str = "") -> Response:
    """The page of the one-time link."""
    return page(request, "sign_in.html", link=link, fault="", then=HOME, has_users=bool(parts.app.diary.users.active))


@router.post("/enter")
def entered(request: Request, parts: Console, _: Anyone, link: Annotated[str, Form(max_length=200)]) -> Response:
    """Sign in by the one-time link."""
    person = parts.use_link(link)
    if person is None:
        parts.app.audit.sign_in_failed("", "link", address_of(request))
        told = message("This link was used already, or is of an earlier start: start `esep console` again for a new one.")
        return page(request, "error.html", status=403, told=told)
    return signed_in(request, parts, person, "link")


@router.get("/invitation/{token}")
def invitation(request: Request, parts: Console, _: Anyone, token: str) -> Response:
    """The page of an invitation: choose a password."""
    person = parts.credentials.invited(token)
    if person is None:
        return page(request, "error.html", status=404, told=message("This invitation was used already, or is too old: ask for a new one."))
    return page(request, "invitation.html", token=token, person=person, least=LEAST_CHARACTERS, most=MOST_CHARACTERS, fault="")


@router.post("/invitation/{token}")
def invited(request: Request, parts: Console, _: Anyone, token: str, password: Annotated[str, Form(max_length=1000)]) -> Response:
    """Set the password of an invitation, and sign in."""
    try:
        person = parts.credentials.use_invitation(token, password)
    except ValueError:
        told = message("A password has {least} to {most} characters.", least=LEAST_CHARACTERS, most=MOST_CHARACTERS)
        return page(
            request, "invitation.html", status=422, token=token, person=parts.credentials.invited(token), least=LEAST_CHARACTERS, most=MOST_CHARACTERS, fault=told
        )  # fmt: skip
    if person is None or not parts.app.diary.users.roles_of(person):
        return page(request, "error.html", status=404, told=message("This invitation was used already, or is too old: ask for a new one."))
    return signed_in(request, parts, person, "password")


@router.post("/sign-out")
def sign_out(parts: Console, viewer: AsViewer) -> Response:
    """End this session."""
    assert viewer.session is not None
    parts.sessions.end(viewer.session.digest)
    parts.app.audit.signed_out(viewer.person, viewer.person)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return answer


def signed_in(request: Request, parts: Parts, person: str, way: Way, then: str = HOME) -> Response:
    """Begin a session and go to the page that was asked for, where it is one of ours; else to the first one. The session before, if there was one, ends."""
    before = request.cookies.get(SESSION_COOKIE, "")
    if before and (session := parts.sessions.find(before)) is not None:
        parts.sessions.end(session.digest)
    parts.app.audit.signed_in(person, way, address_of(request))
    token = parts.sessions.begin(person, way, address=address_of(request), browser=request.headers.get("user-agent", ""))
    answer = RedirectResponse(local_page(then), 303)
    answer.set_cookie(SESSION_COOKIE, token, max_age=LONGEST_S, path="/", secure=True, httponly=True, samesite="strict")
    return answer


def address_of(request: Request) -> str:
    """The network address that the request comes from."""
    return request.client.host if request.client else ""


def _form(request: Request, parts: Parts, fault: str = "", status: int = 200, then: str = HOME) -> Response:
    return page(
        request, "sign_in.html", status=status, link=None, fault=fault, then=local_page(then), has_users=bool(parts.app.diary.users.active)
    )


def _too_many() -> str:
    return message("Too many failed sign-ins: wait a quarter of an hour, then try again.")
