"""Tokens of the API: each a person's, for some of their roles, until a day; only digests are kept, in SQLite beside the store (ADR 24).

Enters: names, roles, the clock. Leaves: a token, shown once; whose it is and what for. No token approves: an approval is a person's, by passkey or by name.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.log.events.users import UserRole

from .database import open_database

SCOPES: Final[tuple[UserRole, ...]] = ("viewer", "operator")
"""What a token may be for."""
LONGEST_DAYS: Final = 366
PREFIX: Final = "esep_"
"""So that a token that was leaked is found by what looks for such."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS token (
    digest TEXT PRIMARY KEY, person TEXT NOT NULL, name TEXT NOT NULL, scopes TEXT NOT NULL, made_at INTEGER NOT NULL, until INTEGER NOT NULL, seen_at INTEGER
) STRICT;
"""


@dataclass(frozen=True)
class Token:
    """A token of the API, without its secret."""

    digest: str
    person: str
    name: str
    scopes: tuple[str, ...]
    made_at: int
    until: int
    seen_at: int | None


class Tokens:
    """The tokens of one console. Thread-safe."""

    def __init__(self, path: Path, now: Callable[[], int]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._base = open_database(path, _SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._base.close()

    def make(self, person: str, name: str, scopes: Collection[UserRole], *, days: int) -> str:
        """A new token of the person for some of `SCOPES`; it is not kept."""
        token, at = PREFIX + secrets.token_urlsafe(32), self._now()
        wanted = ",".join(scope for scope in SCOPES if scope in scopes)
        row = (_digest(token), person, name[:100], wanted, at, at + min(days, LONGEST_DAYS) * 86_400)
        with self._lock:
            self._base.execute("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
        return token

    def find(self, token: str) -> Token | None:
        """The token, seen now; None for one that was never made, was ended, or is over."""
        at, digest = self._now(), _digest(token)
        with self._lock:
            self._base.execute("DELETE FROM token WHERE until < ?", (at,))
            self._base.execute("UPDATE token SET seen_at = ? WHERE digest = ?", (at, digest))
            row = self._base.execute("SELECT * FROM token WHERE digest = ?", (digest,)).fetchone()
        return _token(row) if row else None

    def listed(self, person: str) -> list[Token]:
        """A person's tokens that go on, the newest first."""
        with self._lock:
            rows = self._base.execute(
                "SELECT * FROM token WHERE person = ? AND until >= ? ORDER BY made_at DESC, digest", (person, self._now())
            ).fetchall()
        return [_token(row) for row in rows]

    def end(self, person: str, digest: str) -> None:
        """End one of a person's tokens."""
        with self._lock:
            self._base.execute("DELETE FROM token WHERE person = ? AND digest = ?", (person, digest))

    def end_all(self, person: str) -> None:
        with self._lock:
            self._base.execute("DELETE FROM token WHERE person = ?", (person,))


def _token(row: tuple[str, str, str, str, int, int, int | None]) -> Token:
    digest, person, name, scopes, made_at, until, seen_at = row
    return Token(digest, person, name, tuple(scopes.split(",")) if scopes else (), made_at, until, seen_at)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
