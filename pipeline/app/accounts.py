"""The console's users, as events: who may do what, with which passkeys, and who was revoked (ADR 24).

Enters: a pool's `App`, names, roles, public keys. Leaves: events of topic `months`, durable when a call returns. Left out: passwords and sessions, which are no facts (`web`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final, get_args

from pipeline.closing.diary import StepAlreadyTaken
from pipeline.log.events import content_digest
from pipeline.log.events.users import PasskeyAdded, PasskeyRevoked, UserEvent, UserRevoked, UserRole, UserSet
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.model.reason import require_reason
from pipeline.signing.users import User, Users

from .app import App

USER_ROLES: Final[tuple[UserRole, ...]] = get_args(UserRole)
_SOURCE: Final = "esep users"


def known_users(app: App) -> Users:
    """The users by the log now."""
    app.diary.refresh()
    return app.diary.users


def set_user(app: App, name: str, roles: Iterable[UserRole], *, by: str, reason: str) -> User:
    """Give a user these roles instead of those before. Raises SettingsError for no name or no role, and where nobody would be left who manages users."""
    require_reason(reason, _SOURCE)
    name, wanted, users = name.strip(), frozenset(roles), known_users(app)
    if not name or not name.isprintable() or len(name) > 200:
        raise SettingsError([message("a user's name is one line of at most 200 characters")], source=_SOURCE)
    if not wanted:
        raise SettingsError([message("{name}: give at least one role: {roles}", name=name, roles=", ".join(USER_ROLES))], source=_SOURCE)
    if users.active and "admin" not in wanted:
        _require_another_admin(users, name)
    at = app.now()
    ordered = [role for role in USER_ROLES if role in wanted]
    _append(app, UserSet(id=_id("user-set", name, ordered, by, at), user=name, roles=ordered, by=by, reason=reason, at=at))
    return app.diary.users.known[name]


def revoke_user(app: App, name: str, *, by: str, reason: str) -> None:
    """Let a user do nothing more; their passkeys count no longer. Raises SettingsError for an unknown one, and for the last one who manages users."""
    require_reason(reason, _SOURCE)
    users = known_users(app)
    if not users.roles_of(name):
        raise SettingsError([message("there is no user {name}", name=repr(name))], source=_SOURCE)
    _require_another_admin(users, name)
    at = app.now()
    _append(app, UserRevoked(id=_id("user-revoked", name, by, at), user=name, by=by, reason=reason, at=at))


def add_passkey(app: App, name: str, *, credential_id: str, public_key: str, rp_id: str, label: str, by: str) -> None:
    """Make a passkey a user's. Raises SettingsError where it is somebody's already, or there is no such user."""
    users = known_users(app)
    if not users.roles_of(name):
        raise SettingsError([message("there is no user {name}", name=repr(name))], source=_SOURCE)
    if users.holder_of(credential_id) is not None:
        raise SettingsError([message("this passkey is registered already")], source=_SOURCE)
    at = app.now()
    event = PasskeyAdded(
        id=_id("passkey-added", name, credential_id, at), user=name, credential_id=credential_id, public_key=public_key, rp_id=rp_id, name=label[:200],
        by=by, reason="registered in the console", at=at,
    )  # fmt: skip
    _append(app, event)


def revoke_passkey(app: App, name: str, credential_id: str, *, by: str, reason: str) -> None:
    """Let a passkey count no longer; what it approved before counts. Raises SettingsError where it is none of the user's."""
    require_reason(reason, _SOURCE)
    users = known_users(app)
    if name not in users.known or credential_id not in users.known[name].passkeys:
        raise SettingsError([message("this is no passkey of {name}", name=repr(name))], source=_SOURCE)
    at = app.now()
    _append(
        app,
        PasskeyRevoked(
            id=_id("passkey-revoked", name, credential_id, at), user=name, credential_id=credential_id, by=by, reason=reason, at=at
        ),
    )


def _append(app: App, event: UserEvent) -> None:
    """Append what was said; the same said twice within a second is said once."""
    with contextlib.suppress(StepAlreadyTaken):
        app.diary.append(event)


def _require_another_admin(users: Users, name: str) -> None:
    if "admin" in users.roles_of(name) and not any("admin" in user.roles for user in users.active if user.name != name):
        raise SettingsError([message("{name} is the last one who manages users: make another one admin first", name=name)], source=_SOURCE)


def _id(kind: str, *parts: object) -> str:
    return f"{kind}:{content_digest(list(parts))[:40]}"
