"""The DuckDB store: one file, one process at a time, everything in it derived from the log (law 1).

In: a path. Out: an open connection whose schema, views and comments are those of this program. Left out: filling it
(`pipeline.store.ingest`), and copies for other readers (`store.publish`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb

from pipeline.model.durable import sync
from pipeline.model.errors import StoreError, StoreLocked
from pipeline.model.message import message

from .dictionary import comment_statements
from .errors import translate_errors
from .threads import threads_for

STORE_VERSION = 17
"""The version of schema.sql; a migration for each version from 1 on leads to it."""

MEMORY_MIB, THREAD_MIB = 1024, 128
"""DuckDB's memory limit, and the least per thread; a sort that needs more spills to the folder PATH.tmp."""
PASSING_MIB = 512
"""The limit while a month's rows only pass through the store: the month itself stands in memory beside it then (docs/benchmarks.md)."""
CHECKPOINT_AT = "64MB"
"""Size of the write-ahead log at which DuckDB checkpoints. With DuckDB's default of 16 MB a fast ingest took a fifth more processor time; after a
kill, a log of this size is replayed within about a second (docs/benchmarks.md)."""
_OFFLINE: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
"""The store never fetches anything from the network."""
_open_paths: set[Path] = set()
"""Paths open in this process: DuckDB's file lock keeps out other processes only."""
_empty_files: dict[str, bytes] = {}
"""Bytes of an empty store's file by `schema_digest`: to run its 800 statements costs ten times what a copy costs, and a month's freeze needs several."""


def text(name: str) -> str:
    """The content of a file of this room: `schema.sql`, `views.sql`, …"""
    return (files(__package__) / name).read_text("utf-8")


class Store:
    """An open store. `connection` is for one thread at a time: hold `transaction()` or `lock` while using it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path | None, *, is_small: bool = False) -> None:
        """Use `Store.open` or `Store.memory`. `is_small`: it is worked by one thread until its file is large (`threads_for`)."""
        self.connection = connection
        self.path = path
        self.lock = threading.RLock()
        self.fence: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
        """Entered around every COMMIT of `transaction()`; raises LeaseLost when another process has the pool's lease (`pipeline.log.lease`)."""
        self.compared_with: object | None = None
        """The log that this store was found to be filled from (`of_log`); None: not compared yet."""
        self._limits_mib: tuple[int, int] | None = None
        """DuckDB's memory limit, and that of `less_memory`; None where the opener chose, or in memory."""
        self._has_less = False
        self._is_small = is_small

    @classmethod
    def open(cls, path: str | Path, *, memory_limit: str | None = None, threads: int | None = None, is_scratch: bool = False) -> Store:
        """Open the store at `path`, creating or migrating it. `memory_limit` as DuckDB writes it: `4GB`; None: `MEMORY_MIB`. `threads`: when None, one
        for a store of less than `SMALL_BYTES`, else all. `is_scratch`: nobody opens the file again, so closing it writes no more into it.

        Raises `StoreError` when another process or opener has it, when the file is damaged or not a store, or when
        a newer version of the program made it.
        """
        place = Path(path).resolve()
        if place in _open_paths:
            raise StoreLocked(
                message("the store {place} is already open in this process: close it first, or share that opening", place=place)
            )
        is_new = not place.exists()
        if is_new:
            lay_empty(place)
        settings = threads_for(place) if threads is None else {"threads": str(threads)}
        config: dict[str, str | bool | int | float | list[str]] = (
            dict(_OFFLINE) | {"checkpoint_threshold": CHECKPOINT_AT} | ({"memory_limit": memory_limit} if memory_limit else {}) | settings
        )
        with translate_errors(place):
            connection = duckdb.connect(str(place), config=config)
        try:
            if is_new:
                place.chmod(0o600)
            _open_paths.add(place)
            store = cls(connection, place, is_small=threads is None and bool(settings))
            if memory_limit is None:
                store._limit_by_threads()
            with translate_errors(place):
                prepare(connection, str(place))
                if is_scratch:
                    connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        except BaseException:
            _open_paths.discard(place)
            connection.close()
            raise
        return store

    @classmethod
    def memory(cls) -> Store:
        """A store in memory, without comments, for tests: worked by one thread, as a small store's file is."""
        connection = duckdb.connect(":memory:", config=dict(_OFFLINE) | {"threads": "1"})
        prepare(connection, ":memory:", has_comments=False)
        return cls(connection, None)

    def positions(self) -> dict[str, int]:
        """The log's positions up to which the store is filled (law 4)."""
        with self.lock:
            return dict(sorted(self.connection.execute("SELECT place, next_offset FROM raw_position").fetchall()))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction: commits at the end of the block, rolls back when it raises.

        Raises `StoreError` for DuckDB's failures (disk full, damaged file); other exceptions pass through, rolled back,
        `LeaseLost` of the fence among them.
        """
        with self.lock, translate_errors(self.path):
            self.connection.execute("BEGIN TRANSACTION")
            try:
                yield self.connection
                with self.fence():
                    self.connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):  # a failed COMMIT has already ended the transaction
                    self.connection.execute("ROLLBACK")
                raise
            self._use_all_threads_once_large()

    @contextlib.contextmanager
    def less_memory(self) -> Iterator[None]:
        """In the block DuckDB keeps to `PASSING_MIB`, or `THREAD_MIB` for each thread, and lets go at once of what is more; its former limit comes back however the block ends.

        Holds the store's lock. What can't be let go of leaves the limit as it is; so does an opener's own limit.
        """
        with self.lock:
            if self._limits_mib is None:
                yield
                return
            usual, less = self._limits_mib
            try:
                self._limit(less)
            except duckdb.OutOfMemoryException:  # DuckDB 1.5 keeps the limit that it refused
                self._limit(usual)
            self._has_less = True
            try:
                yield
            finally:
                self._has_less = False
                self._limit(self._limits_mib[0])  # the store may have become large meanwhile

    def _use_all_threads_once_large(self) -> None:
        if self._is_small and self.path is not None and not threads_for(self.path):
            self._is_small = False
            self.connection.execute("RESET threads")
            if self._limits_mib is not None:
                self._limit_by_threads()

    def _limit_by_threads(self) -> None:
        """The memory limits of as many threads as work now; the usual one holds, or within `less_memory` the other."""
        ((threads,),) = self.connection.execute("SELECT current_setting('threads')").fetchall()
        self._limits_mib = (max(MEMORY_MIB, threads * THREAD_MIB), max(PASSING_MIB, threads * THREAD_MIB))
        self._limit(self._limits_mib[1 if self._has_less else 0])

    def _limit(self, mib: int) -> None:
        self.connection.execute(f"SET memory_limit = '{mib}MiB'")

    def checkpoint(self) -> None:
        """Write the write-ahead log into the database file."""
        with self.lock, translate_errors(self.path):
            self.connection.execute("CHECKPOINT")

    def close(self) -> None:
        with self.lock:
            self.connection.close()
            if self.path is not None:
                _open_paths.discard(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        if isinstance(error, duckdb.Error):  # of a query outside `transaction()`: a damaged page is found when it is read
            with translate_errors(self.path):
                raise error


def lay_empty(place: Path) -> None:
    """Lay an empty store's file at `place`, complete from the moment it is there, unless a file is there already.

    It only saves time: where it fails, nothing is there, and opening the path prepares a new database, or says what is wrong with the place.
    """
    if place.with_name(place.name + ".wal").exists():
        return  # left by another file of this name; DuckDB judges it
    with contextlib.suppress(OSError, duckdb.Error), tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as folder:
        part = Path(folder) / "empty"
        digest = schema_digest()
        if digest not in _empty_files:
            with duckdb.connect(str(part), config=dict(_OFFLINE) | {"threads": "1"}) as connection:
                prepare(connection, str(place))
            _empty_files[digest] = part.read_bytes()
        else:
            part.write_bytes(_empty_files[digest])
        part.chmod(0o600)
        sync(part)
        os.link(part, place)  # fails where another process was first: what that one opened is not replaced
        sync(place.parent)


def prepare(connection: duckdb.DuckDBPyConnection, name: str, *, has_comments: bool = True) -> None:
    """Create or migrate the tables, views and comments, in one transaction. Raises `StoreError` if that fails."""
    connection.execute("SET TimeZone = 'UTC'")
    tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    connection.execute("BEGIN TRANSACTION")
    if not tables:
        connection.execute(text("schema.sql"))
        connection.execute("INSERT INTO store_version VALUES ($version, '')", {"version": STORE_VERSION})
    elif "store_version" not in tables:
        raise StoreError(message("{name} is a DuckDB database of something else: give the store a path of its own", name=name))
    else:
        migrate(connection, name, migrations())
    digest = views_digest()
    if connection.execute("SELECT views_digest FROM store_version").fetchone() != (digest,):
        for (view,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
            connection.execute(f'DROP VIEW "{view}"')  # a name of our own, or of a former version of views.sql
        connection.execute(text("views.sql"))
        if has_comments:
            connection.execute(";".join(comment_statements(connection, text("comments.toml"))))
        connection.execute("UPDATE store_version SET views_digest = $digest", {"digest": digest})
    connection.execute("COMMIT")


def views_digest() -> str:
    """Digest of views.sql and comments.toml: views are recreated when it changes."""
    return hashlib.sha256((text("views.sql") + "\0" + text("comments.toml")).encode()).hexdigest()


def schema_digest() -> str:
    """Digest of all that an empty store is made of."""
    return hashlib.sha256(f"{STORE_VERSION}\0{text('schema.sql')}\0{views_digest()}".encode()).hexdigest()


def migrations() -> dict[int, str]:
    """The migrations by the version that each leads to; `0001_….sql` creates the first tables in an empty database."""
    folder = files(__package__) / "migrations"
    return {int(entry.name[:4]): entry.read_text("utf-8") for entry in folder.iterdir() if re.fullmatch(r"[0-9]{4}_.*\.sql", entry.name)}


def migrate(connection: duckdb.DuckDBPyConnection, name: str, steps: Mapping[int, str]) -> None:
    """Bring a store of an older version to the newest one in `steps`. Raises `StoreError` for one that is newer."""
    rows = connection.execute("SELECT version FROM store_version").fetchall()
    if len(rows) != 1:
        raise StoreError(
            message("{name} is damaged (store_version has {count} rows): delete it, it is rebuilt from the log", name=name, count=len(rows))
        )
    ((version,),) = rows
    if version > max(steps):
        raise StoreError(
            message(
                "{name} was made by a newer version of the program (store {version}, this one knows {steps}): upgrade the program",
                name=name,
                version=version,
                steps=max(steps),
            )
        )
    for step in range(version + 1, max(steps) + 1):
        connection.execute(steps[step])
        connection.execute("UPDATE store_version SET version = $step", {"step": step})
