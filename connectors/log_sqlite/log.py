"""The embedded event log: one SQLite file that many processes append to and follow at once (law 1).

In: events already encoded as JSON, from a connector's `Writer`. Out: `Record`s in the order of their offsets.
Every topic has one partition, 0; its offsets count from 0 without gaps. A commit is on disk when `append`
returns (WAL with synchronous=FULL). Ids are unique within (topic, key). A (topic, key) has one writer: opening
another one raises the pair's epoch, and appends of the older epoch are refused.

Every event has a digest (`pipeline.log.digest`), and the end of each topic is stored too. Every read checks both, so damage or
manual edits of the file are reported with their position instead of being read as events or as the end of the log. Whoever
may write the file can recompute these digests: against that, appends are signed where a root key is in force (ADR 14).

Left out: retention and compaction (nothing is ever deleted), and the meaning of the values.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.log.authenticity import Stream
from pipeline.log.digest import INITIAL_DIGEST, chained_digest, is_intact
from pipeline.log.keys import LogKeys
from pipeline.log.protocol import ALL_TOPICS, AUDIT, TOPICS, NewEvent, Positions, Record, Topic
from pipeline.model.durable import sync
from pipeline.model.errors import FencedError, LogError
from pipeline.model.message import message
from pipeline.model.system_words import system_words

from .formats import APPLICATION_ID, FORMAT_VERSION, INSERT, SET_END, add_digests, add_signatures, create

POLL_S = 0.02
"""Pause between polls of a waiting reader."""
WAL_LIMIT_BYTES = 64 << 20
PAGE_BYTES = 16_384
"""Of a new file: events have up to some hundred KiB, and each page costs. A file keeps the pages that it was made with."""

_END = 'SELECT "end", digest FROM head WHERE topic = ?'
_READ = 'SELECT "offset", key, id, value, signature, digest FROM event WHERE topic = ? AND "offset" >= ? AND "offset" < ? ORDER BY "offset"'
_DIGEST = 'SELECT digest FROM event WHERE topic = ? AND "offset" = ?'
_LAST = 'SELECT "offset", id, value, signature, digest FROM event WHERE topic = ? AND key = ? ORDER BY "offset" DESC LIMIT 1'
_FIND = 'SELECT value, "offset" FROM event WHERE topic = ? AND key = ? AND id = ?'
_EPOCH = "SELECT epoch FROM writer WHERE topic = ? AND key = ?"
_NEXT_EPOCH = """
INSERT INTO writer (topic, key, epoch) VALUES (?, ?, 1)
ON CONFLICT (topic, key) DO UPDATE SET epoch = epoch + 1 RETURNING epoch
"""

_RESTORE = message("restore the file from its backup, and remove -wal, -shm and -journal of the same name, which belong to the damaged one")
"""SQLite would apply left-over journal files to the restored file."""


class SqliteLog:
    """`pipeline.log.protocol.EventLog` in one SQLite file; safe to share between threads, and to open in many processes."""

    def __init__(
        self, path: str | Path, *, busy_timeout_s: float = 30.0, keys: LogKeys | None = None, seals_format_1: bool = False
    ) -> None:
        """Open the log at `path`, creating it (mode 0600) when it is not there.

        `busy_timeout_s`: how long to wait for another process's append. `keys`: by which appends are signed. `seals_format_1`: a person looked at what
        lies in a log of format 1 and wants it to count. Raises `LogError` when the file is not a log, is damaged, is of format 1, was made by a newer version, or
        can't be opened or created.
        """
        self.keys = keys
        self._streams: dict[tuple[Topic, str], tuple[Stream, int]] = {}
        """What is known of the streams appended to, and up to which offset."""
        self._seals_format_1 = seals_format_1
        self.path = Path(path)
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.RLock()
        self._is_closed = False
        with self._translate_errors("open"):
            self._create_file()
            self._connection = sqlite3.connect(self.path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
        try:
            with self._translate_errors("open"):
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    # --- opening

    def _create_file(self) -> None:
        """Create the file with mode 0600; SQLite gives its -wal and -shm files the same mode."""
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        sync(self.path.parent)  # so that the new name survives a power cut, too

    def _prepare(self) -> None:
        self._connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self._use_wal()
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        if self._identity() == (0, 0):
            with self._writing() as cursor:  # many may open a new log at once: the first one in creates
                if self._identity() == (0, 0) and not self._tables():
                    create(cursor)
        if self._identity() == (APPLICATION_ID, 1) and not self._seals_format_1:
            raise LogError(message("{path} has log format 1, in which nothing shows that events are what was written: `esep log seal` says what lies there, and asks you", path=self.path))  # fmt: skip
        for version, upgrade in ((1, add_digests), (2, add_signatures)):
            if self._identity() == (APPLICATION_ID, version):
                with self._writing() as cursor:
                    if self._identity() == (APPLICATION_ID, version):
                        upgrade(cursor)
        application_id, version = self._identity()
        if application_id != APPLICATION_ID:
            raise LogError(message("{path} is a SQLite database of another program, not an event log: set the log's path to another file", path=self.path))  # fmt: skip
        if version > FORMAT_VERSION:
            raise LogError(message("{path} has log format {version}, this program knows {format_version}: upgrade the program", path=self.path, version=version, format_version=FORMAT_VERSION))  # fmt: skip
        missing = {"event", "head", "writer", "event_id", "event_key"} - self._tables()
        if missing:
            raise LogError(message("{path} is damaged: it lacks {missing}; {restore}", path=self.path, missing=", ".join(sorted(missing)), restore=_RESTORE))  # fmt: skip

    def _use_wal(self) -> None:
        """Switch to WAL. Concurrent openers get "locked" at once, despite the busy timeout: so retry until it has passed."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                (mode,) = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)
        if mode != "wal":
            raise LogError(message("{path} can't be shared: its file system has no WAL mode ({mode}); keep the log on a local disk", path=self.path, mode=mode))  # fmt: skip

    def _identity(self) -> tuple[int, int]:
        (application_id,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        return application_id, version

    def _tables(self) -> set[str]:
        return {name for (name,) in self._connection.execute("SELECT name FROM sqlite_schema")}

    # --- the protocol

    def writer(self, topic: Topic, key: str) -> SqliteWriter:
        """The one writer of (topic, key) from now on: every earlier one is fenced."""
        _known(topic)
        with self._translate_errors("write"), self._writing() as cursor:
            (epoch,) = cursor.execute(_NEXT_EPOCH, (topic, key)).fetchone()
        return SqliteWriter(self, topic, key, epoch)

    def read(
        self, positions: Positions, *, topics: Sequence[Topic] = TOPICS, until: Positions | None = None, limit_bytes: int = 16 << 20
    ) -> list[Record]:
        """`EventLog.read`: topic after topic in the order of `topics`, until about `limit_bytes` of values are read.

        Raises `LogError` when the log ends before a position already read: another file, or an older copy of it.
        """
        records: list[Record] = []
        left_bytes = limit_bytes
        with self._translate_errors("read"), self._lock:
            starts = self._starts(positions)
            for topic in topics:
                stop = 2**62 if until is None else until.get(f"{_known(topic)}/0", 0)
                if starts.get(topic, 0) >= stop:
                    continue
                for record in self._records(topic, starts.get(topic, 0), stop):
                    records.append(record)
                    left_bytes -= len(record.value)
                    if left_bytes <= 0:
                        return records
        return records

    def wait(self, positions: Positions, timeout_s: float) -> bool:
        """`EventLog.wait`: polls every POLL_S."""
        deadline = time.monotonic() + timeout_s
        while True:
            if any(offset > positions.get(place, 0) for place, offset in self.end().items()):
                return True
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(min(POLL_S, left_s))

    def end(self) -> dict[str, int]:
        with self._translate_errors("read"), self._lock:
            return {f"{topic}/0": self._head(topic)[0] for topic in TOPICS}

    def last(self, topic: Topic, key: str) -> Record | None:
        with self._translate_errors("read"), self._lock:
            found = self._connection.execute(_LAST, (_known(topic), key)).fetchone()
            if found is None:
                return None
            record = Record(topic, 0, found[0], key, *found[1:4])
            self._check(record, found[4], self._digest_before(topic, found[0]))
        return record

    def check(self) -> None:
        """Check the whole file with its indexes (`PRAGMA integrity_check`). Raises LogError with the first fault.

        The events' digests are checked by `read`, not here.
        """
        with self._translate_errors("read"), self._lock:
            (found,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise LogError(message("{path} is damaged: {found}; {restore}", path=self.path, found=found, restore=_RESTORE))

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- inside

    def _starts(self, positions: Positions) -> dict[str, int]:
        starts: dict[str, int] = {}
        for place, offset in positions.items():
            topic, _, partition = place.partition("/")
            if topic not in ALL_TOPICS or partition != "0":
                raise LogError(message("{path} has no partition {place}: these positions are another log's; rebuild the store from this log", path=self.path, place=repr(place)))  # fmt: skip
            end, _ = self._head(topic)
            if offset > end:
                raise LogError(message(
                    "{path} ends at {place}@{end}, but {place}@{offset} was already read: it is another log, or an older copy of it; bring back the newest one",
                    path=self.path, place=place, end=end, offset=offset,
                ))  # fmt: skip
            starts[topic] = offset
        return starts

    def _records(self, topic: Topic, start: int, stop: int) -> Iterator[Record]:
        """Stream records, each checked. Offsets have no gaps, so a gap means that rows were deleted from the file."""
        before, expected = self._digest_before(topic, start), start
        end, last = self._head(topic)
        try:
            with contextlib.closing(self._connection.execute(_READ, (topic, start, stop))) as rows:
                for offset, key, id_, value, signature, digest in rows:
                    if offset != expected:
                        raise LogError(message("{path} is damaged: {topic}/0@{expected} is missing; {restore}", path=self.path, topic=topic, expected=expected, restore=_RESTORE))  # fmt: skip
                    record = Record(topic, 0, offset, key, id_, value, signature)
                    self._check(record, digest, before)
                    before, expected = digest, offset + 1
                    yield record
            if expected < min(stop, end) or (expected == end and before != last):
                raise LogError(message("{path} is damaged: {topic}/0@{expected} should follow; {restore}", path=self.path, topic=topic, expected=expected, restore=_RESTORE))  # fmt: skip
        except sqlite3.DatabaseError as error:
            if _code(error) not in (sqlite3.SQLITE_CORRUPT, 0):  # 0: a text that is no UTF-8
                raise
            raise LogError(message("{path} is damaged at {topic}/0@{expected} ({error}); {restore}", path=self.path, topic=topic, expected=expected, error=error, restore=_RESTORE)) from error  # fmt: skip

    def _head(self, topic: str) -> tuple[int, bytes]:
        """Where a topic ends, and the digest of its last event."""
        found: tuple[int, bytes] | None = self._connection.execute(_END, (topic,)).fetchone()
        if found is None and topic == AUDIT:
            return 0, INITIAL_DIGEST  # a log of before there was this topic, or one that nobody wrote to
        if found is None or not (isinstance(found[0], int) and isinstance(found[1], bytes)):
            raise LogError(message("{path} is damaged: it lacks the end of {topic}; {restore}", path=self.path, topic=topic, restore=_RESTORE))  # fmt: skip
        return found

    def _digest_before(self, topic: Topic, offset: int) -> bytes:
        found = self._connection.execute(_DIGEST, (topic, offset - 1)).fetchone() if offset else (INITIAL_DIGEST,)
        return found[0] if found else b""

    def _check(self, record: Record, digest: bytes, before: bytes) -> None:
        if not is_intact(record, digest, before):
            raise LogError(message("{path} is damaged: {where} is not what was written there; {restore}", path=self.path, where=record.where, restore=_RESTORE))  # fmt: skip

    def append(self, topic: Topic, key: str, epoch: int, events: Sequence[NewEvent]) -> int:
        """`Writer.append` for the writer with `epoch`; use `writer(topic, key).append`."""
        with self._translate_errors("write"), self._writing() as cursor:
            found = cursor.execute(_EPOCH, (topic, key)).fetchone()
            if found is None or found[0] != epoch:
                raise FencedError(message("{path}: another writer has taken over {topic} of {key}; stop this one, only one may run", path=self.path, topic=topic, key=repr(key)))  # fmt: skip
            (offset, before) = (first, _) = self._head(topic)
            for event in self._signed(topic, key, self._fresh(cursor, topic, key, events)):
                before = chained_digest(Record(topic, 0, offset, key, *event), before)
                cursor.execute(INSERT, (topic, offset, key, event.id, event.value, before, event.signature))
                offset += 1
            cursor.execute(SET_END, (topic, offset, before))
        return offset - first

    def _fresh(self, cursor: sqlite3.Cursor, topic: Topic, key: str, events: Sequence[NewEvent]) -> list[NewEvent]:
        """The events that the key does not hold yet. Raises LogError for a known id with other content."""
        fresh: dict[str, NewEvent] = {}
        for event in events:
            known = cursor.execute(_FIND, (topic, key, event.id)).fetchone()
            if known is None and event.id in fresh:
                known = fresh[event.id].value, message("this append")
            if known is None:
                fresh[event.id] = event
            elif known[0] != event.value:
                raise LogError(message(
                    "{path}: {topic} of {key} already holds event {id} at {topic}/0@{known} with other content; nothing was appended; an event in the log never changes: find out why the source produced this id again",
                    path=self.path, topic=topic, key=repr(key), id=repr(event.id), known=known[1],
                ))  # fmt: skip
        return list(fresh.values())

    def _signed(self, topic: Topic, key: str, events: list[NewEvent]) -> list[NewEvent]:
        """The events as they are appended next, in the open transaction. Raises LogError when no key at hand may."""
        if self.keys is None or not events or topic == AUDIT:
            return events
        stream, start = self._streams.get((topic, key)) or (self.keys.begin(topic, key), 0)
        end, _ = self._head(topic)
        for record in self._records(topic, start, end):
            if record.key == key:
                stream.judge(record)
        self._streams[topic, key] = stream, end
        return self.keys.signed(stream, events)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Cursor]:
        """A write transaction: all or nothing, on disk when it is left."""
        with self._lock:
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite rolls back by itself when the disk is full
                    cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()

    @contextlib.contextmanager
    def _translate_errors(self, verb: str) -> Iterator[None]:
        """Turn SQLite's and the system's errors into `LogError`s that say what to do."""
        if self._is_closed:
            raise LogError(message("{path} can't {verb}: the log was closed", path=self.path, verb=verb))
        try:
            yield
        except OSError as error:
            advice = _ADVICE_OF_SYSTEM.get(error.errno or 0, message("check the folder and its permissions"))
            raise LogError(message("can't {verb} the log {path}: {strerror}; {advice}", verb=verb, path=self.path, strerror=system_words(error) or error, advice=advice)) from error  # fmt: skip
        except (sqlite3.Error, UnicodeDecodeError) as error:
            advice = _ADVICE.get(_code(error), _RESTORE)
            raise LogError(message("can't {verb} the log {path}: {error}; {advice}", verb=verb, path=self.path, error=error, advice=advice)) from error  # fmt: skip


_ADVICE = {
    sqlite3.SQLITE_BUSY: message("another process holds it for long: end that one, or try again"),
    sqlite3.SQLITE_LOCKED: message("another process holds it for long: end that one, or try again"),
    sqlite3.SQLITE_FULL: message("nothing was appended; free disk space and start again"),
    sqlite3.SQLITE_READONLY: message("make the file and its folder writable for this user"),
    sqlite3.SQLITE_PERM: message("make the file and its folder writable for this user"),
    sqlite3.SQLITE_CANTOPEN: message("check that the folder exists, the disk is writable and this user may write to it"),
    sqlite3.SQLITE_NOTADB: message("it is not an event log: set the log's path to another file, or ") + _RESTORE,
    sqlite3.SQLITE_CORRUPT: message("the file is damaged: ") + _RESTORE,
    sqlite3.SQLITE_IOERR: message("the disk is full or failed, nothing was appended: free space, or check it, then start again"),
    sqlite3.SQLITE_TOOBIG: message("nothing was appended; the event is too large: send its rows in smaller batches"),
}
_ADVICE_OF_SYSTEM = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), message("free disk space and start again"))


def _code(error: Exception) -> int:
    """SQLite's primary result code."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


class SqliteWriter:
    """`pipeline.log.protocol.Writer` of one (topic, key)."""

    def __init__(self, log: SqliteLog, topic: Topic, key: str, epoch: int) -> None:
        self._log = log
        self._topic: Topic = topic
        self._key = key
        self._epoch: int | None = epoch

    def append(self, events: Sequence[NewEvent]) -> int:
        """Append all or nothing, on disk on return; how many were new. Errors as in `pipeline.log.protocol.Writer`."""
        if self._epoch is None:
            raise LogError(message("this writer of {topic} {key} was closed: open another one", topic=self._topic, key=repr(self._key)))
        return self._log.append(self._topic, self._key, self._epoch, events)

    def close(self) -> None:
        self._epoch = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _known(topic: Topic) -> Topic:
    """The topic itself. Raises `LogError` for a name that is none."""
    if topic not in ALL_TOPICS:
        raise LogError(message("{topic} is not a topic; the topics are {topics}", topic=repr(topic), topics=", ".join(ALL_TOPICS)))
    return topic
