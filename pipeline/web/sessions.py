"""Sessions on the server, in SQLite beside the store: who is signed in, since when, from where (ADR 24).

Enters: a person's name, the clock. Leaves: a random token for the browser's cookie; only its digest is kept. To lose the file costs everybody a sign-in, and no fact.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .database import open_database

IDLE_S: Final = 30 * 60
"""Seconds without a request after which a session ends."""
LONGEST_S: Final = 12 * 3600
"""Seconds after which a session ends in any case."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS session (
    digest TEXT PRIMARY KEY, person TEXT NOT NULL, way TEXT NOT NULL, forgery_token TEXT NOT NULL,
    begun_at INTEGER NOT NULL, seen_at INTEGER NOT NULL, address TEXT NOT NULL, browser TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class Session:
    """One signed-in browser."""

    digest: str
    """Names the session; the browser's token is not kept."""
    person: str
    way: str
    """How they signed in: link, password, passkey, proxy."""
    forgery_token: str
    """What every form and every htmx request of the session carries."""
    begun_at: int
    seen_at: int
    address: str
    browser: str


_COLUMNS: Final = "digest, person, way, forgery_token, begun_at, seen_at, address, browser"


class Sessions:
    """The sessions of one console. Thread-safe."""

    def __init__(self, path: Path, now: Callable[[], int]) -> None:
        """`path`: the SQLite file, made readable by its owner alone."""
        self._now = now
        self._lock = threading.Lock()
        self._base = open_database(path, _SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._base.close()

    def begin(self, person: str, way: str, *, address: str, browser: str) -> str:
        """A new session; its token, for the cookie."""
        token, at = secrets.token_urlsafe(32), self._now()
        row = (_digest(token), person, way, secrets.token_urlsafe(32), at, at, address, browser[:300])
        with self._lock:
            self._base.execute(f"INSERT INTO session ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - names of our own
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token, seen now; None where there is none, or where it is over."""
        at, digest = self._now(), _digest(token)
        with self._lock:
            self._base.execute("DELETE FROM session WHERE seen_at < ? OR begun_at < ?", (at - IDLE_S, at - LONGEST_S))
            self._base.execute("UPDATE session SET seen_at = ? WHERE digest = ?", (at, digest))
            row = self._base.execute(f"SELECT {_COLUMNS} FROM session WHERE digest = ?", (digest,)).fetchone()  # noqa: S608 - names of our own
        return Session(*row) if row else None

    def goes_on(self, digest: str) -> bool:
        """Whether the session has not ended; this is no use of it."""
        return any(session.digest == digest for session in self.listed())

    def listed(self, person: str | None = None) -> list[Session]:
        """Those that go on, of one person or of all, the newest first."""
        at = self._now()
        with self._lock:
            rows = self._base.execute(
                f"SELECT {_COLUMNS} FROM session WHERE seen_at >= ? AND begun_at >= ? ORDER BY begun_at DESC, digest",  # noqa: S608 - names of our own
                (at - IDLE_S, at - LONGEST_S),
            ).fetchall()
        return [session for row in rows if person in (None, (session := Session(*row)).person)]

    def end(self, digest: str) -> None:
        """End one session."""
        with self._lock:
            self._base.execute("DELETE FROM session WHERE digest = ?", (digest,))

    def end_all(self, person: str) -> None:
        """End every session of a person."""
        with self._lock:
            self._base.execute("DELETE FROM session WHERE person = ?", (person,))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
