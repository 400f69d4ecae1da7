"""Passwords, invitations and failed sign-ins, in SQLite beside the store: what is no fact of the log (ADR 24).

Enters: names, passwords, the clock. Leaves: argon2id hashes in the file, and whether a sign-in holds. Too many failures lock a name, or slow down an address, for a while; an unknown name costs as much time as a known one.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from .database import open_database

LEAST_CHARACTERS: Final = 12
MOST_CHARACTERS: Final = 200
"""A longer password would only cost time."""
WINDOW_S: Final = 15 * 60
"""Seconds in which failures are counted, and for which a name is locked."""
MOST_FAILURES_OF_NAME: Final = 5
MOST_FAILURES_OF_ADDRESS: Final = 20
INVITED_S: Final = 24 * 3600
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS password (person TEXT PRIMARY KEY, hash TEXT NOT NULL, set_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS invitation (digest TEXT PRIMARY KEY, person TEXT NOT NULL, until INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS failure (person TEXT NOT NULL, address TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS failure_at ON failure (at);
"""


class TooManyFailures(Exception):
    """Too many failed sign-ins of the name or from the address: wait."""


class Credentials:
    """The credentials of one console's users. Thread-safe."""

    def __init__(self, path: Path, now: Callable[[], int], hasher: PasswordHasher | None = None) -> None:
        """`path`: the SQLite file, made readable by its owner alone. `hasher`: argon2id with its library's parameters, when not given."""
        self._now = now
        self._hasher = hasher or PasswordHasher()
        self._lock = threading.Lock()
        self._hashing = threading.Semaphore(2)
        """A hash takes 64 MiB: so many at once."""
        self._nobodys = self._hasher.hash(secrets.token_urlsafe(32))
        self._base = open_database(path, _SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._base.close()

    def set_password(self, person: str, password: str) -> None:
        """Set a person's password. Raises ValueError for one too short or too long."""
        if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
            raise ValueError(f"{LEAST_CHARACTERS} to {MOST_CHARACTERS} characters")
        with self._hashing:
            hashed = self._hasher.hash(password)
        with self._lock:
            self._base.execute("INSERT OR REPLACE INTO password VALUES (?, ?, ?)", (person, hashed, self._now()))

    def has_password(self, person: str) -> bool:
        with self._lock:
            return self._base.execute("SELECT 1 FROM password WHERE person = ?", (person,)).fetchone() is not None

    def forget(self, person: str) -> None:
        """Remove a person's password and invitations."""
        with self._lock:
            self._base.execute("DELETE FROM password WHERE person = ?", (person,))
            self._base.execute("DELETE FROM invitation WHERE person = ?", (person,))

    def check(self, person: str, password: str, *, address: str) -> bool:
        """Whether the password is the person's; a failure is counted. Raises TooManyFailures before anything is looked at."""
        self.require_open(person, address)
        with self._lock:
            row = self._base.execute("SELECT hash FROM password WHERE person = ?", (person,)).fetchone()
        try:
            with self._hashing:
                self._hasher.verify(row[0] if row else self._nobodys, password[: MOST_CHARACTERS + 1])
        except (VerificationError, InvalidHashError):
            self.failed(person, address)
            return False
        if row and self._hasher.check_needs_rehash(row[0]):
            self.set_password(person, password)
        if row is None:
            self.failed(person, address)
        return row is not None

    def require_open(self, person: str, address: str) -> None:
        """Raises TooManyFailures while the name is locked or the address has failed too often."""
        at = self._now()
        with self._lock:
            self._base.execute("DELETE FROM failure WHERE at <= ?", (at - WINDOW_S,))
            (of_name,) = self._base.execute("SELECT count(*) FROM failure WHERE person = ?", (person,)).fetchone()
            (of_address,) = self._base.execute("SELECT count(*) FROM failure WHERE address = ?", (address,)).fetchone()
        if of_name >= MOST_FAILURES_OF_NAME or of_address >= MOST_FAILURES_OF_ADDRESS:
            raise TooManyFailures

    def failed(self, person: str, address: str) -> None:
        """Count a failed sign-in."""
        with self._lock:
            self._base.execute("INSERT INTO failure VALUES (?, ?, ?)", (person[:200], address, self._now()))

    def succeeded(self, person: str) -> None:
        """Forget the failures of a name: its holder is in."""
        with self._lock:
            self._base.execute("DELETE FROM failure WHERE person = ?", (person,))

    def invite(self, person: str) -> str:
        """A token by which a person sets their password once, within a day; earlier ones end."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._base.execute("DELETE FROM invitation WHERE person = ? OR until < ?", (person, self._now()))
            self._base.execute("INSERT INTO invitation VALUES (?, ?, ?)", (_digest(token), person, self._now() + INVITED_S))
        return token

    def invited(self, token: str) -> str | None:
        """Whose invitation it is; None for any other token."""
        with self._lock:
            row = self._base.execute(
                "SELECT person FROM invitation WHERE digest = ? AND until >= ?", (_digest(token), self._now())
            ).fetchone()
        return row[0] if row else None

    def use_invitation(self, token: str, password: str) -> str | None:
        """Set the invited person's password and end the invitation; who it was, None for any other token. Raises ValueError as `set_password`."""
        person = self.invited(token)
        if person is not None:
            self.set_password(person, password)
            with self._lock:
                self._base.execute("DELETE FROM invitation WHERE digest = ?", (_digest(token),))
        return person


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
