"""Copies of the store: the read-only copy that analysts open, and a frozen month's own file.

In: the open store. Out: DuckDB files with the same tables, views and comments, replaced by an atomic rename, so that a reader sees
either the former copy or the new one. The live file can't be shared, because DuckDB allows one process at a time. The file is copied as
bytes (many times faster than copying rows), after a checkpoint, while the store's lock keeps writers out (`copy_file`).

A publication writes what changed. Where the file system can share blocks between files, it does. Elsewhere the copy that was replaced is kept as `.NAME.former`, and the publication
after the next one writes into it what differs from the store; if somebody still has that copy open, it is left to them and everything is copied.

Beside the published copy is `NAME.wal`, a symbolic link to /dev/null. DuckDB writes a session's changes to a file of that name, and
applies it to the database file beside it: without the link, the changes of an analyst's read-write session would appear in every
later copy. With it, such a session can't commit.

Left out: reading the copy (`store.copies`), and when to publish.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import duckdb
import polars as pl

from pipeline.model.durable import move_into_place, temporary_path
from pipeline.model.errors import StoreError
from pipeline.model.message import message
from pipeline.model.months import Month

from . import copy_file
from .errors import PUBLISHED_COPY, translate_errors
from .facts import insert
from .store import Store, lay_empty, prepare, text

EXPORTED_AT_ONCE = 122_880
"""Rows written to a month's file at a time: one DuckDB row group."""
EXPORT_MIB = 256
"""DuckDB's memory limit while it writes a month's file. Rows only pass through: what it kept of them besides would stand beside the month and the store's own memory."""

NO_WAL = "/dev/null"
"""Target of the link beside the published copy. It reads as an empty write-ahead log and can't be synced, so that no commit succeeds.
In a copy of the folder it is an empty file, which does no harm."""
_WAL_NAMES = (".wal", ".wal.checkpoint", ".wal.recovery")
"""Suffixes of the write-ahead logs that DuckDB 1.5 applies to the file beside them."""


def publish_copy(store: Store, path: str | Path, *, mode: int = 0o600) -> Path:
    """Publish a copy of everything committed at `path`, replacing the former one; its path.

    `mode` 0o640 lets the file's group read it. Raises `StoreError` when it can't be written: the former copy then stays.
    """
    if store.path is None:
        raise StoreError(message("a store in memory has no file to copy: open the store at a path"))
    place = Path(path).resolve()
    part, former = _part(place), place.with_name(f".{place.name}.former")
    try:
        with store.lock, translate_errors(place, PUBLISHED_COPY):
            store.checkpoint()
            is_shared = _copy(store.path, part, former, place)
        with translate_errors(place, PUBLISHED_COPY):
            part.chmod(mode)
            _keep_former(place, None if is_shared else former)
            _move(part, place, forbids_writing=True)
    finally:
        _part(place)
    return place


def _copy(store: Path, part: Path, former: Path, place: Path) -> bool:
    """Make `part` a copy of the store's file, out of the copy before the last where nobody has that open; whether their blocks are shared. Raises StoreError, OSError."""
    if former.is_file() and not former.is_symlink():
        former.rename(part)
        if (done := _run_copy(store, part)).returncode != copy_file.IN_USE:
            return _is_shared(done, place)
        part.unlink()
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return _is_shared(_run_copy(store, part), place)


def _run_copy(store: Path, part: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", "-S", copy_file.__file__, str(store), str(part)], capture_output=True, text=True)


def _is_shared(done: subprocess.CompletedProcess[str], place: Path) -> bool:
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}"
        raise StoreError(
            message(
                "the published copy {place} could not be written ({reason}); free disk space or check the folder; the former one stays",
                place=place,
                reason=reason,
            )
        )
    return done.stdout.strip() == copy_file.SHARED


def _keep_former(place: Path, former: Path | None) -> None:
    """Let the copy that is replaced now be there for the publication after the next, under a name of its own. Where it can't be, that one copies everything."""
    if former is not None:
        with contextlib.suppress(OSError):
            former.hardlink_to(place)


def _part(place: Path) -> Path:
    """The temporary path for `place`; removes what a killed process left there."""
    part = temporary_path(place)
    with translate_errors(place):
        for left in (part, *_wal_paths(part)):
            left.unlink(missing_ok=True)
    return part


def _move(part: Path, place: Path, *, forbids_writing: bool = False) -> None:
    """Rename durably, and remove write-ahead logs that DuckDB would apply to the new file. Raises StoreError, OSError."""
    if place.is_dir():
        raise StoreError(
            message(
                "{place} is a folder, and a file belongs there: move the folder away, or name another place in the settings", place=place
            )
        )
    wal, *others = _wal_paths(place)
    for path in others:
        _clear(path)
    if not (forbids_writing and wal.is_symlink() and str(wal.readlink()) == NO_WAL):
        _clear(wal)
        while forbids_writing:
            try:
                wal.symlink_to(NO_WAL)
                break
            except FileExistsError:  # a session on the former copy created it meanwhile
                _clear(wal)
    move_into_place(part, place)


def _wal_paths(place: Path) -> list[Path]:
    return [place.with_name(place.name + ending) for ending in _WAL_NAMES]


def _clear(path: Path) -> None:
    """Remove a file or link at `path`; a folder, which is no write-ahead log, is renamed and kept."""
    if path.is_dir() and not path.is_symlink():
        number = 1
        while os.path.lexists(aside := path.with_name(f"{path.name}.aside-{number}")):
            number += 1
        path.rename(aside)
    else:
        path.unlink(missing_ok=True)


def export_month(connection: duckdb.DuckDBPyConnection, month: str, path: str | Path, *, mode: int = 0o600) -> Path:
    """Write a month's own `month.duckdb` with its results and the facts behind them; its path.

    `export.sql` selects the rows of each table. Tables, views and comments are the same as in the store.
    Raises `StoreError` when the file can't be written or the month has no results.
    """
    named = Month.parse(month)
    begins, ends = named.previous.end_at, named.end_at
    bounds = {"month": month, "begins_s": begins, "ends_s": ends, "begins_us": begins * 1_000_000, "ends_us": ends * 1_000_000}
    if connection.execute("SELECT 1 FROM out_totals WHERE month = $month", {"month": month}).fetchone() is None:
        raise StoreError(message("{month} has no results in the store to export: enrich the month first", month=month))
    place = Path(path).resolve()
    part = _part(place)
    try:
        with translate_errors(place):
            lay_empty(part)
            with duckdb.connect(str(part), config={"threads": 1, "memory_limit": f"{EXPORT_MIB}MiB"}) as target:
                part.chmod(0o600)
                prepare(target, str(place))
                statements = export_statements()
                there = {name for (name,) in connection.execute(tables_there(statements)).fetchall()}
                for table, statement in statements.items():
                    if table not in there:
                        continue
                    values = {name: value for name, value in bounds.items() if f"${name}" in statement}
                    for batch in connection.execute(statement, values).to_arrow_reader(EXPORTED_AT_ONCE):
                        insert(target, table, pl.DataFrame(batch))
                target.execute("CHECKPOINT")
            part.chmod(mode)
            _move(part, place)
    finally:
        _part(place)
    return place


def tables_there(tables: Iterable[str]) -> str:
    """The statement that names the tables that have a row. Of a small store, planning the statements of the others took an eighth of the export."""
    return " UNION ALL ".join(f"(SELECT '{table}' FROM \"{table}\" LIMIT 1)" for table in tables)  # noqa: S608 - tables of ours


def export_statements() -> dict[str, str]:
    """The statement that selects each table's rows for a month's file, by table, in the file's order."""
    found = {}
    for block in text("export.sql").split("-- table: ")[1:]:
        head, _, statement = block.partition("\n")
        found[head.partition(":")[0].strip()] = statement.strip().rstrip(";")
    return found
