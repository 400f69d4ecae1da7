"""Copies of the store for others: the read-only copy that analysts open, and a frozen month's own file.

In: the open store. Out: DuckDB files with the same tables, views and comments, put in place by an atomic rename, so
that a reader sees the former copy or the new one, whole. The live file can't be shared: DuckDB lets one process have
it. The copy is taken after a checkpoint, while the store's lock keeps writers out, as bytes: that is many times
faster than copying rows, and loses nothing. Another process does the copying, because closing a file drops every
POSIX lock that this process holds on it, DuckDB's own among them.

Beside the published copy stands `NAME.wal`, a symbolic link to /dev/null. DuckDB keeps a writer's changes in a file of
that name and reads it with whatever file stands beside it: without the link, the changes of an analyst's read-write
session would show in every copy published after them. With it, such a session can commit nothing.

It leaves out serving the copy (`store.copies`), and when to make one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl

from pipeline.model.durable import move_into_place, temporary_path
from pipeline.model.errors import StoreError
from pipeline.model.months import Month

from .errors import PUBLISHED_COPY, translate_errors
from .facts import insert
from .store import MEMORY_MIB, Store, prepare, text

EXPORTED_AT_ONCE = 122_880
"""Rows on their way into a month's own file: one row group of DuckDB's."""

NO_WAL = "/dev/null"
"""Where the link beside the published copy leads. It reads as an empty write-ahead log, and takes no commit: it can't be synchronised to disk.
A copy of the folder has an empty file there, which does no harm."""
_WAL_NAMES = (".wal", ".wal.checkpoint", ".wal.recovery")
"""What DuckDB 1.5 reads as the newest part of the file beside it."""

_COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


def publish_copy(store: Store, path: str | Path, *, mode: int = 0o600) -> Path:
    """Put a copy of everything committed at `path`, in place of the former one; the place.

    `mode` 0o640 lets the file's group read it. Raises `StoreError` when it can't be written: the former copy then stays.
    """
    if store.path is None:
        raise StoreError("a store in memory has no file to copy: open the store at a path")
    place = Path(path).resolve()
    part = _part(place)
    try:
        with store.lock, translate_errors(place, PUBLISHED_COPY):
            store.checkpoint()
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            done = subprocess.run([sys.executable, "-I", "-S", "-c", _COPY, str(store.path), str(part)], capture_output=True, text=True)
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}"
            raise StoreError(
                f"the published copy {place} could not be written ({reason}); free disk space or check the folder; the former one stays"
            )
        with translate_errors(place, PUBLISHED_COPY):
            part.chmod(mode)
            _move(part, place, forbids_writing=True)
    finally:
        _part(place)
    return place


def _part(place: Path) -> Path:
    """Where a file is made before it is moved to `place`; what a killed process left there is removed."""
    part = temporary_path(place)
    with translate_errors(place):
        for left in (part, *_wal_paths(part)):
            left.unlink(missing_ok=True)
    return part


def _move(part: Path, place: Path, *, forbids_writing: bool = False) -> None:
    """Rename into place, durably, leaving nothing beside it that DuckDB would read as a part of it. Raises StoreError, OSError."""
    if place.is_dir():
        raise StoreError(f"{place} is a folder, and a file belongs there: move the folder away, or name another place in the settings")
    wal, *others = _wal_paths(place)
    for path in others:
        _clear(path)
    if not (forbids_writing and wal.is_symlink() and str(wal.readlink()) == NO_WAL):
        _clear(wal)
        while forbids_writing:
            try:
                wal.symlink_to(NO_WAL)
                break
            except FileExistsError:  # a session that is open on the former copy was quicker
                _clear(wal)
    move_into_place(part, place)


def _wal_paths(place: Path) -> list[Path]:
    return [place.with_name(place.name + ending) for ending in _WAL_NAMES]


def _clear(path: Path) -> None:
    """Remove a file or link that stands in the way; a folder, which is nobody's write-ahead log, is renamed and kept."""
    if path.is_dir() and not path.is_symlink():
        number = 1
        while os.path.lexists(aside := path.with_name(f"{path.name}.aside-{number}")):
            number += 1
        path.rename(aside)
    else:
        path.unlink(missing_ok=True)


def export_month(connection: duckdb.DuckDBPyConnection, month: str, path: str | Path, *, mode: int = 0o600) -> Path:
    """Write a month's own `month.duckdb`: its results, and of the facts those that they rest on; the place.

    What goes along is named table by table in `export.sql`. The tables, views and comments are the store's.
    Raises `StoreError` when the file can't be written or the month has no results.
    """
    Month.parse(month)
    if connection.execute("SELECT 1 FROM out_totals WHERE month = $month", {"month": month}).fetchone() is None:
        raise StoreError(f"{month} has no results in the store to export: enrich the month first")
    place = Path(path).resolve()
    part = _part(place)
    try:
        with translate_errors(place):
            with duckdb.connect(str(part), config={"threads": 1, "memory_limit": f"{MEMORY_MIB}MiB"}) as target:
                part.chmod(0o600)
                prepare(target, str(place))
                for table, statement in export_statements().items():
                    values = {"month": month} if "$month" in statement else {}
                    for batch in connection.execute(statement, values).to_arrow_reader(EXPORTED_AT_ONCE):
                        insert(target, table, pl.DataFrame(batch))
                target.execute("CHECKPOINT")
            part.chmod(mode)
            _move(part, place)
    finally:
        _part(place)
    return place


def export_statements() -> dict[str, str]:
    """What of each table goes into a month's own file, by table, in the file's order."""
    found = {}
    for block in text("export.sql").split("-- table: ")[1:]:
        head, _, statement = block.partition("\n")
        found[head.partition(":")[0].strip()] = statement.strip().rstrip(";")
    return found
