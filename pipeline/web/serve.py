"""Runs the console: the thread that fills its store, and uvicorn in a thread of its own.

Enters: an `App`, an address. Leaves: the console at that address within the `with` block, or as a loop of `esep run`. Left out: signals and printing (`cli`).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Final

import uvicorn

from pipeline.app.app import App
from pipeline.app.reading import Reading
from pipeline.model.errors import SettingsError
from pipeline.model.journal import Journal
from pipeline.model.message import message
from pipeline.service.chain_notes import trouble_of
from pipeline.service.loops import Loop
from pipeline.service.metrics import Metrics
from pipeline.settings.console import is_loopback

from .console import console
from .credentials import Credentials
from .parts import Parts
from .sessions import Sessions
from .tokens import Tokens

DEFAULT_LISTEN: Final = "localhost:8450"
SIDE_FILE: Final = "console.sqlite"
"""Below `var`: what is no fact (ADR 24)."""
_BEAT_S: Final = 1.0
_journal = Journal("esep.console")


@contextlib.contextmanager
def serve_console(app: App, listen: str) -> Iterator[tuple[str, Parts]]:
    """Serve the console within the block; its address as a browser takes it, and its parts.

    Raises SettingsError when the address can't be listened on, or is reached from other machines without TLS or before there is a user.
    """
    ours = app.settings.console
    app.diary.refresh()
    if not is_loopback(listen):
        _require_safe(app, listen)
    host, _, port = listen.rpartition(":")
    stop = threading.Event()
    reading = Reading(app, lambda chain: trouble_of(app.settings.var, chain, app.now()))
    with contextlib.ExitStack() as held:
        side = app.settings.var / SIDE_FILE
        parts = Parts(
            app,
            reading,
            held.enter_context(contextlib.closing(Sessions(side, app.now))),
            held.enter_context(contextlib.closing(Credentials(side, app.now))),
            held.enter_context(contextlib.closing(Tokens(side, app.now))),
            stop,
            is_tls=ours.certificate is not None,
        )
        config = uvicorn.Config(
            console(parts),
            host=host.strip("[]"),
            port=int(port),
            log_config=None,
            access_log=False,
            server_header=False,
            # Nobody's word about addresses is taken: a header of a proxy is read where the settings name it, and nowhere else.
            proxy_headers=False,
            lifespan="off",
            timeout_keep_alive=10,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=32_768,
            ssl_certfile=ours.certificate,
            ssl_keyfile=ours.key,
        )
        server = uvicorn.Server(config)
        try:
            listener = held.enter_context(contextlib.closing(config.bind_socket()))
            # asyncio does this only for sockets that name TCP as their protocol. Without it a body waits for the receipt of its headers: 40 ms a page.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.listen()
        except SystemExit:
            raise SettingsError(
                [message("console.listen: can't listen on {listen}: choose a free port of this machine", listen=listen)]
            ) from None
        threads = [
            threading.Thread(target=reading.run, args=(stop,), name="console reading"),
            threading.Thread(target=server.run, args=([listener],), name="console"),
        ]
        for thread in threads:
            thread.start()
        scheme = "https" if parts.is_tls else "http"
        address = ours.address.rstrip("/") or f"{scheme}://{host}:{listener.getsockname()[1]}"
        _journal.info("serving", console=address)
        try:
            yield address, parts
        finally:
            stop.set()
            server.should_exit = True
            for thread in threads:
                thread.join()


def _require_safe(app: App, listen: str) -> None:
    """Beyond this machine only over TLS, and only once there is a user to sign in."""
    faults = []
    if app.settings.console.certificate is None:
        faults.append(
            message(
                "console.listen: {listen} is reached from other machines, so it needs TLS: set console.certificate and console.key, or listen on localhost behind a proxy",
                listen=listen,
            )
        )
    if not app.diary.users.active:
        faults.append(
            message(
                "console.listen: {listen} is reached from other machines, and there is no user yet: make the first one by `esep users set NAME --role admin --by NAME --reason TEXT`",
                listen=listen,
            )
        )
    if faults:
        raise SettingsError(faults, source="esep console")


def console_loop(app: App, metrics: Metrics) -> Loop:
    """The loop that serves the console within `esep run`, with parts of its own, until it is asked to stop."""
    name = f"{app.pool} console"

    def loop(stop: threading.Event) -> None:
        with App(app.settings, app.now) as own, serve_console(own, app.settings.console.listen) as (_, parts):
            while not stop.wait(_BEAT_S):
                metrics.health.beat(name)
                metrics.health.trouble(name, parts.reading.trouble)
        metrics.health.ended(name)

    return loop
