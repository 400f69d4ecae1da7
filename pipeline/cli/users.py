"""`esep users set`, `invite`, `revoke`, `list`: who may do what in the console (ADR 24)."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from pipeline.app.accounts import USER_ROLES, known_users, revoke_user, set_user
from pipeline.app.app import App
from pipeline.log.events.users import UserRole
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.settings import Settings

from .decisions import ByOption, ReasonOption
from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, now, print_json, say, settings_of, table

UserArgument = Annotated[str, typer.Argument(help="The user's name, as it stands in what they decide.", metavar="NAME")]


def set_roles(
    name: UserArgument,
    role: Annotated[
        list[str], typer.Option("--role", help="viewer, operator, approver or admin. Say it several times for several.", metavar="ROLE")
    ],
    reason: ReasonOption,
    by: ByOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make a user of the console, or give one other roles. Prints an invitation where they have no password yet.

    Every user may look. An operator decides, imports, freezes and files; an approver approves; an admin manages users. The event stands in the log.

    [dim]esep users set "A. Person" --role operator --role approver --by "B. Head" --reason "closes the months"[/dim]
    """
    wanted = _roles(role)
    settings = settings_of(config)
    with App(settings, now) as app:
        user = set_user(app, name, wanted, by=app.people.decider(by), reason=reason)
    say(message("{name}: {roles}", name=user.name, roles=", ".join(sorted(user.roles))))
    _invite(settings, user.name, only_without_password=True)


def invite(name: UserArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print an invitation: an address of the console that sets a user's password, once, within a day. An earlier one ends.

    [dim]esep users invite "A. Person"[/dim]
    """
    settings = settings_of(config)
    with App(settings, now) as app:
        if not known_users(app).roles_of(name):
            raise SettingsError([message("there is no user {name}", name=repr(name))], source="esep users")
    _invite(settings, name, only_without_password=False)


def revoke(name: UserArgument, reason: ReasonOption, by: ByOption = "", config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let a user do nothing more. Their sessions end, and their passkeys count no longer; what they approved before counts.

    [dim]esep users revoke "A. Person" --by "B. Head" --reason "left the pool"[/dim]
    """
    with App(settings_of(config), now) as app:
        revoke_user(app, name, by=app.people.decider(by), reason=reason)
    say(message("{name}: revoked", name=name))


def list_users(as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the users with their roles and passkeys.

    [dim]esep users list[/dim]
    """
    with App(settings_of(config), now) as app:
        users = known_users(app).active
    if as_json:
        print_json([{"user": user.name, "roles": sorted(user.roles), "passkeys": len(user.passkeys)} for user in users])
        return
    table(
        "",
        [message("user"), message("roles"), message("passkeys")],
        ((user.name, ", ".join(sorted(user.roles)), len(user.passkeys)) for user in users),
    )
    if not users:
        say(message("no users yet: esep users set NAME --role admin --by NAME --reason TEXT"))


def _roles(named: list[str]) -> list[UserRole]:
    unknown = [role for role in named if role not in USER_ROLES]
    if unknown:
        raise SettingsError(
            [message("--role: {role} is none: say one of {roles}", role=repr(role), roles=", ".join(USER_ROLES)) for role in unknown],
            source="esep users",
        )
    return [role for role in USER_ROLES if role in named]


def _invite(settings: Settings, name: str, *, only_without_password: bool) -> None:
    from pipeline.web.credentials import Credentials
    from pipeline.web.serve import DEFAULT_LISTEN, SIDE_FILE

    ours = settings.console
    scheme = "https" if ours.certificate is not None else "http"
    address = ours.address.rstrip("/") or f"{scheme}://{ours.listen or DEFAULT_LISTEN}"
    with closing(Credentials(settings.var / SIDE_FILE, now)) as credentials:
        if only_without_password and credentials.has_password(name):
            return
        token = credentials.invite(name)
    say(
        message(
            "give them this address, which sets a password once, within a day: {address}/invitation/{token}", address=address, token=token
        )
    )
