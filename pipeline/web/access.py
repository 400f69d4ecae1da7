"""Who may ask for what: the session of a request, the role that a route needs, and the token against forged requests (ADR 24).

Enters: a request. Leaves: its `Viewer`, or a refusal. Every route names its need: `Depends(needs("operator"))`, or `Depends(needs(None))` where no session is needed; a test enumerates them.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from starlette.concurrency import run_in_threadpool

from pipeline.app.people import KeyRole
from pipeline.model.message import message

from .parts import ROLES, Parts, Role, Viewer, language_of, parts_of, theme_of
from .sessions import Session

SESSION_COOKIE: Final = "__Host-session"
FORGERY_FIELD: Final = "forgery_token"
FORGERY_HEADER: Final = "x-forgery-token"
API: Final = "/api/"
READING: Final = ("GET", "HEAD")


class SignInNeeded(Exception):
    """Nobody is signed in, or the session is over."""


class Forbidden(Exception):
    """The person lacks the role."""

    def __init__(self, role: Role) -> None:
        super().__init__(role)
        self.role: Role = role


def viewer_of(request: Request) -> Viewer:
    """Who asks; without a session where nobody is signed in."""
    found: Viewer | None = getattr(request.state, "viewer", None)
    if found is None:
        parts = parts_of(request)
        if request.url.path.startswith(API):
            by_token = _by_token(request, parts)
            if by_token is not None:
                request.state.viewer = by_token
                return by_token
        token = request.cookies.get(SESSION_COOKIE, "")
        session = parts.sessions.find(token) if token else None
        roles = roles_of(parts, session) if session else frozenset()
        if session is not None and (not roles or (session.way == "proxy" and proxied_user(request, parts) != session.person)):
            parts.sessions.end(session.digest)
            session, roles = None, frozenset()
        found = request.state.viewer = Viewer(session, roles, language_of(request), theme_of(request))
    return found


def _by_token(request: Request, parts: Parts) -> Viewer | None:
    """Who asks by a token, with as many of its roles as they still have; None without a token, or for one that does not count."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    token = parts.tokens.find(given) if kind.lower() == "bearer" and given else None
    roles = parts.app.diary.users.roles_of(token.person) if token is not None else None
    if token is None or not roles:
        return None
    allowed = frozenset(role for role in ROLES if role in token.scopes and (role == "viewer" or role in roles))
    session = Session(token.digest, token.person, "token", "", token.made_at, parts.app.now(), "", token.name)
    return Viewer(session, allowed, language_of(request), theme_of(request))


def roles_of(parts: Parts, session: Session) -> frozenset[Role]:
    """What a session may do now; nothing when its user was revoked.

    The one-time link is for who may start the program on this machine: everything until there is a user, afterwards what the user of that name may, and managing users in any case.
    """
    users = parts.app.diary.users
    roles = users.roles_of(session.person)
    if session.way == "link":
        return frozenset(ROLES) if not users.active else roles | {"viewer", "admin"}
    return roles | {"viewer"} if roles else roles


def proxied_user(request: Request, parts: Parts) -> str | None:
    """The user whom the proxy before us signed in, by its header; None where the settings trust no proxy, or the request does not come from it."""
    ours = parts.app.settings.console
    if not ours.proxy_header or request.client is None or request.client.host not in ours.proxies:
        return None
    named = request.headers.getlist(ours.proxy_header)
    if len(named) != 1:
        return None
    try:
        name = named[0].encode("latin-1").decode("utf-8").strip()
    except UnicodeError:
        return None
    return name if parts.app.diary.users.roles_of(name) else None


class ConfirmNeeded(Exception):
    """The act changes who gets in, and the person has not said for a while who they are."""


class Needs:
    """A dependency: lets a request pass whose person has the role; one that changes something also needs the session's forgery token."""

    def __init__(self, role: Role | None, *, is_fresh: bool = False, key: KeyRole | None = None) -> None:
        """`is_fresh`: the person must have said within `parts.FRESH_S` who they are. `key`: what is done is signed by a key of this role, where `[keys] root` is in force."""
        self.role = role
        self.is_fresh = is_fresh
        self.key: KeyRole | None = key

    async def __call__(self, request: Request) -> Viewer:
        viewer = viewer_of(request)
        if self.role is not None:
            if viewer.session is None:
                raise SignInNeeded
            if self.role not in viewer.roles:
                raise Forbidden(self.role)
        if request.method not in READING:
            await _require_own_form(request, viewer)
        if self.is_fresh and (viewer.session is None or not parts_of(request).is_fresh(viewer.session)):
            raise ConfirmNeeded
        if self.key is not None:
            await run_in_threadpool(parts_of(request).app.people.require_key, viewer.person, self.key)
        return viewer


def needs(role: Role | None) -> Needs:
    """The dependency for a route that needs the role; None: no session is needed."""
    return Needs(role)


async def _require_own_form(request: Request, viewer: Viewer) -> None:
    """Refuse what another site sends: the origin must be ours, and with a session its token must be there."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, message("The request comes from another site: nothing was done."))
    if viewer.session is None or viewer.session.way == "token":
        return  # no browser sends a token by itself
    given = request.headers.get(FORGERY_HEADER)
    if given is None:
        form = await request.form()
        given = str(form.get(FORGERY_FIELD, ""))
    if not hmac.compare_digest(given.encode(), viewer.session.forgery_token.encode()):
        raise HTTPException(403, message("The form is not of this session: load the page anew and send it again."))


Anyone = Annotated[Viewer, Depends(Needs(None))]
AsViewer = Annotated[Viewer, Depends(Needs("viewer"))]
AsOperator = Annotated[Viewer, Depends(Needs("operator"))]
AsDecider = Annotated[Viewer, Depends(Needs("operator", key="decide"))]
AsImporter = Annotated[Viewer, Depends(Needs("operator", key="import"))]
AsFiler = Annotated[Viewer, Depends(Needs("operator", key="file"))]
AsApprover = Annotated[Viewer, Depends(Needs("approver", key="decide"))]
AsViewerWithKey = Annotated[Viewer, Depends(Needs("viewer", key="decide"))]
AsFreshViewer = Annotated[Viewer, Depends(Needs("viewer", is_fresh=True))]
AsFreshViewerWithKey = Annotated[Viewer, Depends(Needs("viewer", is_fresh=True, key="decide"))]
AsAdmin = Annotated[Viewer, Depends(Needs("admin"))]
AsFreshAdmin = Annotated[Viewer, Depends(Needs("admin", is_fresh=True))]
AsFreshAdminWithKey = Annotated[Viewer, Depends(Needs("admin", is_fresh=True, key="decide"))]
