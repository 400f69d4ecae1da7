"""A log file put in the place of another whose -wal or -journal was left: what is read is sound, or it is refused."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.log_sqlite.log import SqliteLog
from pipeline.log.protocol import NewEvent
from pipeline.model.errors import LogError

KILLED = """
import os, sys
from connectors.log_sqlite.log import SqliteLog
from pipeline.log.protocol import NewEvent
log = SqliteLog(sys.argv[1])
log.writer("ledger", "pool").append([NewEvent(f"late-{n}", b"x" * 3000) for n in range(int(sys.argv[2]))])
os._exit(0)
"""


def _log(path: Path, name: str, count: int) -> dict[str, bytes]:
    events = [NewEvent(f"{name}-{n}", f"{name} {n} ".encode() * 50) for n in range(count)]
    with SqliteLog(path) as log:
        log.writer("ledger", "pool").append(events)
    return {event.id: event.value for event in events}


def _read(path: Path) -> dict[str, bytes]:
    with SqliteLog(path) as log:
        log.check()
        return {record.id: record.value for record in log.read({})}


@pytest.mark.parametrize("count", [1, 40])
def test_another_log_in_the_place_of_one_whose_wal_was_left(tmp_path: Path, count: int) -> None:
    place, backup = tmp_path / "log.sqlite", tmp_path / "backup.sqlite"
    _log(place, "old", 400)
    mine = _log(backup, "mine", 300)
    subprocess.run([sys.executable, "-c", KILLED, str(place), str(count)], check=True)
    assert (tmp_path / "log.sqlite-wal").stat().st_size > 0
    shutil.copyfile(backup, place)
    with pytest.raises(LogError, match="remove -wal, -shm and -journal"):
        _read(place)
    for ending in ("-wal", "-shm"):
        (tmp_path / f"log.sqlite{ending}").unlink(missing_ok=True)
    shutil.copyfile(backup, place)
    assert _read(place) == mine


def test_a_journal_of_another_file_is_not_read_silently(tmp_path: Path) -> None:
    place, other = tmp_path / "log.sqlite", tmp_path / "other.sqlite"
    mine = _log(place, "mine", 300)
    hot = "import sqlite3, os, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA cache_size=1'); c.execute('CREATE TABLE t(v)');"
    hot += "c.executemany('INSERT INTO t VALUES (?)', [('y' * 2000,)] * 500); c.commit(); c.execute('UPDATE t SET v = 1'); os._exit(0)"
    subprocess.run([sys.executable, "-c", hot, str(other)], check=True)
    shutil.copyfile(tmp_path / "other.sqlite-journal", tmp_path / "log.sqlite-journal")
    try:
        assert _read(place) == mine
    except LogError as error:
        assert "-journal" in str(error) or "log" in str(error)


def test_a_file_that_is_no_log_is_said(tmp_path: Path) -> None:
    place = tmp_path / "log.sqlite"
    place.write_text("not a database " * 1000)
    with pytest.raises(LogError, match="not an event log: set the log's path to another file, or restore"):
        SqliteLog(place)
    place.unlink()
    with sqlite3.connect(place) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(LogError, match="database of another program"):
        SqliteLog(place)
    place.unlink()
    place.mkdir()
    with pytest.raises(LogError, match="can't open the log"):
        SqliteLog(place)
