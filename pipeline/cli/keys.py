"""`esep keys make`, `start`, `grant`, `rotate`, `revoke`, `list`: who may write to the log (ADR 14)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.keys import Place, PoolKeys
from pipeline.app.open_keys import keys_at_hand, log_keys, make_key, public_named, read_key
from pipeline.app.open_log import open_log
from pipeline.log.events.keys import Role
from pipeline.log.roles import ROLES
from pipeline.log.signatures import public_of
from pipeline.model.errors import SettingsError
from pipeline.model.message import message
from pipeline.settings import Settings

from .decisions import ReasonOption
from .frame import DEFAULT_CONFIG, ConfigOption, JsonOption, now, print_json, progress, say, settings_of, table

RootOption = Annotated[Path, typer.Option("--root-key", help="The root key's private file; kept elsewhere between uses.", metavar="FILE")]
KeyArgument = Annotated[str, typer.Argument(help="A public key, 64 hexadecimal digits; or the name of one in the folder.", metavar="KEY")]
HolderOption = Annotated[str, typer.Option("--by", help="Who holds the root key: a person's name.", metavar="NAME")]


def make(
    name: Annotated[str, typer.Argument(help="What its file is called: root, watch, schedule, a person's name.", metavar="NAME")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make a private key in the folder of keys, and print its public half.

    It is written once, readable by its owner alone, under the password of ESEP_KEYS_PASSWORD or [keys] password_file where there is one: give persons' keys
    and the root key one. A key grants nothing by itself: the root key does (`esep keys grant`). Make each key on the machine that uses it, and send only the
    public half.

    [dim]esep keys make root[/dim]
    """
    path, public = make_key(settings_of(config), name)
    say(message("{path}: a private key; its public half is {public}", path=path, public=public))
    if name == "root":
        say(
            message(
                'put  root = "{public}"  below [keys] in the settings of every process of the pool, move the file where no service reads it, then: esep keys start',
                public=public,
            )
        )


def start(root_key: RootOption, by: HolderOption, reason: ReasonOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let the root key count from here on, in every stream of the pool (each topic, and each chain).

    What stands in the log before counts as it is: by this its holder vouches for it, so look at it first (`esep log check`, `esep issues`). From here on only
    what a granted key signed counts. Run it again for a chain that joins later: what has begun stays.

    [dim]esep keys start --root-key /media/safe/root.pem --by "A. Person" --reason "keys begin"[/dim]
    """
    with _root(settings_of(config), root_key) as keys:
        begun = keys.start(by=by, reason=reason)
    for (topic, key), state in begun.items():
        say(
            message(
                "{topic} of {key}: the root key counts from here on; {before_keys} events stand before it",
                topic=topic,
                key=key,
                before_keys=state.before_keys,
            )
        )
    if not begun:
        say(message("the root key counts in every stream already"))


def grant(
    key: KeyArgument,
    owner: Annotated[str, typer.Option("--owner", help="Whose key it is: a person's name, as in --by; or a process's.", metavar="NAME")],
    root_key: RootOption,
    by: HolderOption,
    reason: ReasonOption,
    role: Annotated[list[str], typer.Option("--role", help=f"What it may write: {', '.join(ROLES)}. Say it several times for several.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let a key write what its roles allow, from here on.

    watch: the chain; capture and import: ledger and registry; decide: what people decide, in their own name; file: what the program does by itself.

    [dim]esep keys grant 3b6a… --owner "A. Person" --role decide --root-key root.pem --by "B. Head" --reason "accountant"[/dim]
    """
    settings = settings_of(config)
    roles: list[Role] = [known for known in ROLES if known in role]
    faults: list[str] = [
        message("--role: {name}: one of {ROLES}", name=repr(name), ROLES=", ".join(ROLES)) for name in role if name not in ROLES
    ]
    faults += [] if 0 < len(owner.strip()) <= 200 else ["--owner: 1 to 200 characters"]
    if faults:
        raise SettingsError(faults, source="esep keys grant")
    with _root(settings, root_key) as keys:
        _report("granted", keys.grant(public_named(settings, key), owner, roles, by=by, reason=reason))


def rotate(
    old: KeyArgument,
    new: Annotated[str, typer.Argument(help="The key in its place.", metavar="NEW")],
    root_key: RootOption,
    by: HolderOption,
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Put a new key in the place of an old one, with its owner and roles; the old one may write nothing more. What it wrote counts.

    [dim]esep keys rotate 3b6a… 77c0… --root-key root.pem --by "B. Head" --reason "new laptop"[/dim]
    """
    settings = settings_of(config)
    with _root(settings, root_key) as keys:
        said = keys.rotate(public_named(settings, old), public_named(settings, new), by=by, reason=reason)
    _report("rotated", said)


def revoke(key: KeyArgument, root_key: RootOption, by: HolderOption, reason: ReasonOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let a key write nothing more: its owner left, or it was lost or stolen. What it wrote before counts.

    [dim]esep keys revoke 3b6a… --root-key root.pem --by "B. Head" --reason "left on 1 November"[/dim]
    """
    settings = settings_of(config)
    with _root(settings, root_key) as keys:
        _report("revoked", keys.revoke(public_named(settings, key), by=by, reason=reason))


def list_keys(as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show the keys that the log knows, what each may write, which are at hand here, and which streams are not signed.

    [dim]esep keys list[/dim]
    """
    settings = settings_of(config)
    held, locked = keys_at_hand(settings)
    at_hand = {public_of(private).hex(): name for name, private in held.items()}
    log = open_log(settings, pool=settings.pool.key, keys=log_keys(settings))
    try:
        keys = PoolKeys(settings, log, now)
        known = keys.known()
        states = keys.states()
    finally:
        log.close()
    unsigned = {f"{topic}/{key}": state.before_keys for (topic, key), state in states.items() if not state.is_in_force}
    refused = {f"{topic}/{key}": state.refused for (topic, key), state in states.items() if state.refused}
    if as_json:
        print_json(
            {"root": settings.keys.root, "keys": [vars(key) | {"file": at_hand.get(key.public)} for key in known], "locked": locked,
             "unsigned": unsigned, "refused": refused}
        )  # fmt: skip
        return
    say(message("root {root}", root=settings.keys.root))
    rows = [
        (
            key.owner,
            ", ".join(key.roles),
            "in force" if key.is_in_force else "revoked",
            at_hand.get(key.public, ""),
            ", ".join(key.streams),
            key.public,
        )
        for key in known
    ]
    table(
        message("Keys"),
        [message("owner"), message("roles"), "", message("file here"), message("may write to"), message("public key")],
        rows,
    )
    for name in locked:
        say(message("can't be opened here: {name} (ESEP_KEYS_PASSWORD)", name=name))
    for stream, count in unsigned.items():
        say(message("not signed: {stream}, {count} events; `esep keys start` puts it under the root key", stream=stream, count=count))
    for stream, count in refused.items():
        say(message("not authentic: {count} event(s) of {stream} count for nothing; `esep issues` names each", count=count, stream=stream))


@contextmanager
def _root(settings: Settings, root_key: Path) -> Iterator[PoolKeys]:
    """The pool's keys, with the root's private key at hand. Raises SettingsError when the file holds another key."""
    password = settings.keys.password.get_secret_value() if settings.keys.password else None
    private = read_key(root_key, password)
    if settings.keys.root is not None and public_of(private).hex() != settings.keys.root:
        raise SettingsError(
            [
                message(
                    "--root-key: {root_key} is not the root key that [keys] root names: {root}", root_key=root_key, root=settings.keys.root
                )
            ],
            source="esep keys",
        )
    log = open_log(settings, pool=settings.pool.key, keys=log_keys(settings, [private]))
    try:
        with progress(message("reading the log")):
            keys = PoolKeys(settings, log, now)
            yield keys
    finally:
        log.close()


def _report(done: str, places: list[Place]) -> None:
    for topic, key in places:
        say(message("{done} in {topic} of {key}", done=done, topic=topic, key=key))
    if not places:
        say(message("nothing to say: it is so already in every stream"))
