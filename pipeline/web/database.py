"""The console's own SQLite files, which lie beside the store: opened alike, readable by their owner alone (ADR 24)."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

_BUSY_S: Final = 10.0
"""Seconds to wait while another process writes."""


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """The database at `path`, made with `schema` where it is not there. Each statement is its own transaction; callers keep threads apart by a lock."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    base = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=_BUSY_S)
    base.execute("PRAGMA journal_mode = WAL")
    base.executescript(schema)
    return base
