"""The embedded log's file formats: how a new file is made, and how an older one becomes the newest.

Format 1 had no digests: nothing in it says that it is what was written. It becomes format 2 only when a person has looked at it and says so (`esep log seal`): giving
it digests unasked would make whatever lies there look genuine. Format 3 adds the signatures that appends carry (ADR 14); a file of format 2 gets that column when
it is opened, and no event of it changes.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from pipeline.log.digest import INITIAL_DIGEST, chained_digest
from pipeline.log.protocol import TOPICS, Record
from pipeline.model.errors import LogError
from pipeline.model.message import message

APPLICATION_ID = 0x45736570
"""Marks the file as an Esep log (SQLite's header field of that name)."""
FORMAT_VERSION = 3

CREATE = """
CREATE TABLE event (
    topic TEXT NOT NULL, "offset" INTEGER NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, value BLOB NOT NULL, digest BLOB NOT NULL, signature BLOB,
    PRIMARY KEY (topic, "offset"));
CREATE UNIQUE INDEX event_id ON event (topic, key, id);
CREATE INDEX event_key ON event (topic, key, "offset");
CREATE TABLE head (topic TEXT NOT NULL PRIMARY KEY, "end" INTEGER NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE writer (topic TEXT NOT NULL, key TEXT NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (topic, key)) WITHOUT ROWID;
"""
INSERT = 'INSERT INTO event (topic, "offset", key, id, value, digest, signature) VALUES (?, ?, ?, ?, ?, ?, ?)'
SET_END = 'INSERT OR REPLACE INTO head (topic, "end", digest) VALUES (?, ?, ?)'
_OF_FORMAT_1 = 'SELECT "offset", key, id, value FROM {} WHERE topic = ? ORDER BY "offset"'


@dataclass(frozen=True)
class OldLog:
    """What lies in a log of format 1."""

    events: dict[str, int]
    """By topic."""
    digest: str
    """SHA-256 of all of it, hex: to compare with a backup's."""


def create(cursor: sqlite3.Cursor) -> None:
    """The tables of a new log, in the open transaction."""
    for statement in CREATE.split(";"):
        cursor.execute(statement)
    cursor.executemany(SET_END, [(topic, 0, INITIAL_DIGEST) for topic in TOPICS])
    cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    cursor.execute(f"PRAGMA user_version = {FORMAT_VERSION}")


def add_signatures(cursor: sqlite3.Cursor) -> None:
    """From format 2 to 3, in the open transaction. An older program can't open the file any more."""
    cursor.execute("ALTER TABLE event ADD COLUMN signature BLOB")
    cursor.execute(f"PRAGMA user_version = {FORMAT_VERSION}")


def add_digests(cursor: sqlite3.Cursor) -> None:
    """From format 1 to the newest, in the open transaction: the events as they are, each with its digest. An older program's appends fail from here on."""
    for index in ("event_id", "event_key"):
        cursor.execute(f"DROP INDEX {index}")
    cursor.execute("ALTER TABLE event RENAME TO event_1")
    for statement in CREATE.split(";"):
        if "writer" not in statement:
            cursor.execute(statement)
    reading = cursor.connection.cursor()
    for topic in TOPICS:
        before, end = INITIAL_DIGEST, 0
        for offset, key, id_, value in reading.execute(_OF_FORMAT_1.format("event_1"), (topic,)):
            before = chained_digest(Record(topic, 0, offset, key, id_, value), before)
            cursor.execute(INSERT, (topic, offset, key, id_, value, before, None))
            end = offset + 1
        cursor.execute(SET_END, (topic, end, before))
    reading.close()
    cursor.execute("DROP TABLE event_1")
    cursor.execute(f"PRAGMA user_version = {FORMAT_VERSION}")


def look_at_old_log(path: Path) -> OldLog | None:
    """What lies in the log at `path` when it is of format 1, read without changing it; None when it is of another format. Raises LogError."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            if _identity(connection) != (APPLICATION_ID, 1):
                return None
            events: dict[str, int] = {}
            whole = hashlib.sha256()
            for topic in TOPICS:
                before, events[topic] = INITIAL_DIGEST, 0
                for offset, key, id_, value in connection.execute(_OF_FORMAT_1.format("event"), (topic,)):
                    before = chained_digest(Record(topic, 0, offset, key, id_, value), before)
                    events[topic] += 1
                whole.update(before)
            return OldLog(events, whole.hexdigest())
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise LogError(message("can't read the log {path}: {error}", path=path, error=error)) from error


def _identity(connection: sqlite3.Connection) -> tuple[int, int]:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application_id, version
