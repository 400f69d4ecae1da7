"""`esep inbox …`: files that arrive in a folder (`[inbox]`): imported, waiting for consent, or refused."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from pipeline.app.app import App
from pipeline.model.message import message
from pipeline.service.inbox import HandledFile, inbox_of, notify_people
from pipeline.validate.review import Consent

from .frame import DEFAULT_CONFIG, ConfigOption, now, say, settings_of
from .imports import RestateOption


def look(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Import the files that have arrived whole, once. `esep run` does so all the time where [inbox] folder is set.

    [dim]esep inbox look[/dim]
    """
    with App(settings_of(config), now) as app:
        inbox = inbox_of(app)
        handled = inbox.look(time.monotonic())
        if inbox.settle_s:
            time.sleep(inbox.settle_s)
            handled += inbox.look(time.monotonic())
        notify_people(app, handled)
        for one in handled:
            _print(one)
        if not handled:
            say(message("nothing has arrived"))


def waiting(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """The files that wait for a person, because something in them is odd.

    [dim]esep inbox waiting[/dim]
    """
    with App(settings_of(config), now) as app:
        names = inbox_of(app).waiting()
    for name in names:
        say(name)
    if not names:
        say(message("no file waits"))


def take(
    name: Annotated[str, typer.Argument(help="The file, as `esep inbox waiting` names it.", metavar="NAME")],
    by: Annotated[
        str,
        typer.Option(
            "--by", help="Who agrees to what is odd in it. With keys in force, the owner of the key that imports.", metavar="PERSON"
        ),
    ] = "",
    restate: RestateOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Import a file that waits: you have looked at what is odd in it, and agree.

    [dim]esep inbox take october.csv --by "A. Person"[/dim]
    """
    with App(settings_of(config), now) as app:
        _print(inbox_of(app).import_waiting(name, Consent(to_oddities=True, to_moves=restate), by=app.people.importer(by)))


def _print(one: HandledFile) -> None:
    say(f"{one.place}/{one.name}")
    for line in one.report.splitlines():
        say(f"  {line}")
