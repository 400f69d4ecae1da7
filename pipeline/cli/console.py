"""`esep console`: the pages in a browser."""

from __future__ import annotations

import getpass
import threading
from typing import Annotated

import typer

from pipeline.app.app import App
from pipeline.model.message import message
from pipeline.service.loops import stopped_by_signals

from .frame import DEFAULT_CONFIG, ConfigOption, now, say, settings_of

ListenOption = Annotated[
    str | None,
    typer.Option(
        "--listen",
        help="Serve the console here. Passkeys want a name, such as localhost, not an IP address. \\[console] listen, or localhost:8450, when not given.",
        metavar="HOST:PORT",
    ),
]


def console(
    listen: ListenOption = None,
    by: Annotated[
        str, typer.Option("--by", help="Who signs in by the link that is printed. Yours of this machine, when not given.", metavar="NAME")
    ] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show everything in a browser, and take every decision there: the console. Prints an address with a link that signs in once.

    It serves this machine alone where the settings say no more, and ends with Ctrl-C. Other commands and `esep run` may work meanwhile: what they append to the
    log is seen within a second.

    [dim]esep console[/dim]
    """
    from pipeline.web.serve import DEFAULT_LISTEN, serve_console  # FastAPI takes half a second to import

    stop = threading.Event()
    settings = settings_of(config)
    where = listen or settings.console.listen or DEFAULT_LISTEN
    with App(settings, now) as app, stopped_by_signals(stop), serve_console(app, where) as (address, parts):
        say(message("the console: {address}/enter?link={link}", address=address, link=parts.make_link(by.strip() or getpass.getuser())))
        say(message("this link signs in once; end with Ctrl-C"))
        stop.wait()
