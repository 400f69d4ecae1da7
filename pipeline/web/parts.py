"""What all routes share: the running console's parts, and the person who asks.

Enters: a request. Leaves: `Parts` of the console, `Viewer` of the request. Here are no routes.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from typing import Annotated, Literal

from fastapi import Depends, Request

from pipeline.app.accounts import USER_ROLES
from pipeline.app.app import App
from pipeline.app.reading import Reading
from pipeline.log.events.users import UserRole
from pipeline.texts import LANGUAGES, Language

from .credentials import Credentials
from .sessions import Session, Sessions
from .tokens import Tokens

Role = UserRole
ROLES = USER_ROLES
Theme = Literal["auto", "light", "dark"]
THEMES: tuple[Theme, ...] = ("auto", "light", "dark")
LANGUAGE_COOKIE = "__Host-language"
THEME_COOKIE = "__Host-theme"


PENDING_S = 300
"""Seconds for which a challenge may be answered."""
MOST_PENDING = 1000
SHOW_S = 10.0
"""Seconds that an answer waits until what was just decided is shown."""
FRESH_S = 15 * 60
"""Seconds for which a sign-in, or an answer to being asked again, lets a person change who gets in: their own ways of signing in, and as an admin other people's access."""


class Pending:
    """What waits for a passkey's answer, each once, by a random name: the challenge, whose session it is, and perhaps what is approved by it. Thread-safe."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, str, bytes, object]] = {}
        self._lock = threading.Lock()

    def put(self, session: str, challenge: bytes, about: object, now: int) -> str:
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._held = {key: held for key, held in self._held.items() if held[0] >= now - PENDING_S}
            while len(self._held) >= MOST_PENDING:
                del self._held[next(iter(self._held))]
            self._held[name] = now, session, challenge, about
        return name

    def take(self, session: str, name: str, now: int) -> tuple[bytes, object] | None:
        """The challenge, and what it is about; None where there is none of this session, or it is too old. It is taken away."""
        with self._lock:
            held = self._held.pop(name, None)
        return (held[2], held[3]) if held is not None and held[1] == session and held[0] >= now - PENDING_S else None


@dataclass
class Parts:
    """The parts of one running console."""

    app: App
    reading: Reading
    sessions: Sessions
    credentials: Credentials
    tokens: Tokens
    stop: threading.Event
    """Set when the console ends."""
    is_tls: bool = False
    pending: Pending = field(default_factory=Pending)
    """Challenges that passkeys are to answer."""
    _confirmed: dict[str, int] = field(default_factory=dict)
    """When a session's person last said who they are again, by the session's digest; to lose it costs one more question."""
    _links: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def await_shown(self) -> None:
        """Wait until the pages show all that the log holds, what was just decided too; at most `SHOW_S`: they say themselves when they are old."""
        self.reading.wait_for(self.app.log.end(), SHOW_S)

    def confirm(self, session: Session) -> None:
        """The person of the session has said who they are once more."""
        now = self.app.now()
        with self._lock:
            self._confirmed = {name: at for name, at in self._confirmed.items() if at > now - FRESH_S}
            self._confirmed[session.digest] = now

    def is_fresh(self, session: Session) -> bool:
        """Whether the session's person said who they are within `FRESH_S`. What a proxy says of them is no answer of theirs."""
        since = self.app.now() - FRESH_S
        with self._lock:
            confirmed_at = self._confirmed.get(session.digest)
        return (confirmed_at is not None and confirmed_at > since) or (session.way != "proxy" and session.begun_at > since)

    def make_link(self, person: str) -> str:
        """A token that signs a person in once."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._links[token] = person
        return token

    def use_link(self, token: str) -> str | None:
        """The person of a sign-in token, which is then used up; None for any other."""
        with self._lock:
            return self._links.pop(token, None)


@dataclass(frozen=True)
class Viewer:
    """Who asks, and how they want it shown."""

    session: Session | None
    roles: frozenset[Role]
    language: Language
    theme: Theme

    @property
    def person(self) -> str:
        return self.session.person if self.session else ""


def parts_of(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Console = Annotated[Parts, Depends(parts_of)]


def language_of(request: Request) -> Language:
    """The language chosen, else the first that the browser asks for and we speak; else Kazakh, the form's own."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    wanted = [part.split(";")[0].strip().split("-")[0].lower() for part in request.headers.get("accept-language", "").split(",")]
    return next((language for name in (chosen, *wanted) for language in LANGUAGES if name == language), "kk")


def theme_of(request: Request) -> Theme:
    chosen = request.cookies.get(THEME_COOKIE, "")
    return next((theme for theme in THEMES if theme == chosen), "auto")
