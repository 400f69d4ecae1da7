"""A console over a recorded month in this process, and browsers of it, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient

from pipeline.app.accounts import set_user
from pipeline.app.app import App
from pipeline.app.reading import Reading
from pipeline.cli.frame import settings_of
from pipeline.log.events.users import UserRole
from pipeline.web.console import console
from pipeline.web.credentials import Credentials
from pipeline.web.parts import Parts
from pipeline.web.sessions import Sessions
from pipeline.web.tokens import Tokens

from .example_month import closing_at

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"
PATIENCE_S = 120.0
"""An answer that should show what was decided waits for it so long: on a busy machine it takes more than a person is made to wait."""


class Clock:
    """The time, which tests move."""

    def __init__(self) -> None:
        self.at = closing_at()

    def __call__(self) -> int:
        return self.at


class Server(NamedTuple):
    """What serves all browsers of one console: its application, and its event loop in a thread."""

    application: FastAPI
    loop: BlockingPortal


_SERVERS: dict[int, Server] = {}
"""The server of each running console, by the identity of its parts."""


@contextmanager
def running(var: Path, now: Clock | None = None) -> Iterator[Parts]:
    """The parts of a console over the store of `var`, filled by a thread."""
    stop = threading.Event()
    with App(settings_of(var / "esep.toml"), now or Clock()) as app, pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipeline.web.parts.SHOW_S", PATIENCE_S)
        reading = Reading(app)
        side = var / "console.sqlite"
        parts = Parts(app, reading, Sessions(side, app.now), Credentials(side, app.now, QUICK), Tokens(side, app.now), stop)
        app.diary.refresh()
        filling = threading.Thread(target=reading.run, args=(stop,))
        filling.start()
        try:
            with start_blocking_portal() as loop:
                _SERVERS[id(parts)] = Server(console(parts), loop)
                try:
                    yield parts
                finally:
                    del _SERVERS[id(parts)]
                    stop.set()  # streams end, for which the loop waits
        finally:
            stop.set()
            filling.join()
            parts.sessions.close()
            parts.credentials.close()
            parts.tokens.close()


class Browser(TestClient):
    """A browser at `https://localhost` that follows no redirect by itself and sends its session's forgery token with `send_form`.

    All browsers of one console ask one application in one event loop, as in service: to make both for each would take most of the tests' time.
    """

    def __init__(self, parts: Parts, language: str = "en") -> None:
        server = _SERVERS[id(parts)]
        super().__init__(server.application, base_url="https://localhost", headers={"accept-language": language}, follow_redirects=False)
        self.portal = server.loop

    def token(self) -> str:
        """The forgery token of the session, as a page has it; "" where nobody is signed in."""
        text = self.get("/account").text
        return text.split('data-forgery="')[1].split('"')[0] if 'data-forgery="' in text else ""

    def send_form(self, path: str, data: dict[str, Any] | None = None) -> Any:
        return self.post(path, data={**(data or {}), "forgery_token": self.token()})

    def send_json(self, path: str, content: Any) -> Any:
        return self.post(path, json=content, headers={"x-forgery-token": self.token(), "accept": "application/json"})


def by_link(parts: Parts, person: str = "A. Person", language: str = "en") -> Browser:
    """A browser signed in by the one-time link."""
    client = Browser(parts, language)
    assert client.post("/enter", data={"link": parts.make_link(person)}).status_code == 303
    return client


def as_user(parts: Parts, name: str, *roles: UserRole) -> Browser:
    """A browser signed in by password as a user with these roles, made where they are not there."""
    if parts.app.diary.users.roles_of(name) != frozenset(roles):
        set_user(parts.app, name, roles, by="Tests", reason="for a test")
    parts.credentials.set_password(name, PASSWORD)
    client = Browser(parts)
    assert client.post("/sign-in", data={"person": name, "password": PASSWORD}).status_code == 303
    return client
