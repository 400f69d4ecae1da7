"""The SQLite log among real processes, kills, damaged files and full disks."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from connectors.log_sqlite.formats import APPLICATION_ID, FORMAT_VERSION, look_at_old_log
from connectors.log_sqlite.log import SqliteLog
from pipeline.log.protocol import NewEvent, advance
from pipeline.model.errors import FencedError, LogError

SPAWN = multiprocessing.get_context("spawn")


def _append_many(path: Path, key: str, count: int) -> None:
    with SqliteLog(path) as log, log.writer("ledger", key) as writer:
        for n in range(count):
            writer.append([NewEvent(f"{key}:{n}", b"{}")])


def _append_until_fenced(path: Path) -> None:
    with SqliteLog(path) as log, log.writer("chain", "k") as writer:
        for n in range(10**9):
            try:
                writer.append([NewEvent(f"{os.getpid()}:{n}", b"{}")])
            except FencedError:
                sys.exit(7)


def _join(*processes: multiprocessing.process.BaseProcess) -> list[int | None]:
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def test_many_processes_create_and_append_at_once_while_a_reader_follows(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    writers = [SPAWN.Process(target=_append_many, args=(path, f"pool{n}", 40)) for n in range(4)]
    for process in writers:
        process.start()
    seen, positions = [], {}
    with SqliteLog(path) as log:
        while len(seen) < 160 and log.wait(positions, 60):
            records = log.read(positions, limit_bytes=50)
            positions = advance(positions, records)
            seen += records
    assert _join(*writers) == [0, 0, 0, 0]
    assert [r.offset for r in seen] == list(range(160))
    for n in range(4):
        assert [r.id for r in seen if r.key == f"pool{n}"] == [f"pool{n}:{i}" for i in range(40)]


def test_a_writer_in_another_process_is_fenced(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    with SqliteLog(path) as log:
        process = SPAWN.Process(target=_append_until_fenced, args=(path,))
        process.start()
        assert log.wait({}, 60)
        with log.writer("chain", "k") as writer:
            writer.append([NewEvent("mine", b"{}")])
        assert _join(process) == [7]
        last = log.last("chain", "k")
        assert last is not None
        assert last.id == "mine"


_ACKNOWLEDGE = """
import sys
from connectors.log_sqlite import SqliteLog
from pipeline.log.protocol import NewEvent
log = SqliteLog(sys.argv[1])
writer = log.writer("ledger", "k")
for n in range(10**9):
    writer.append([NewEvent(f"{n}:{part}", b"x" * 3000) for part in range(5)])
    print(n, flush=True)
"""


@pytest.mark.parametrize("after", [1, 4, 9])
def test_what_was_acknowledged_before_a_kill_is_there_and_appends_are_whole(tmp_path: Path, after: int):
    path = tmp_path / "log.sqlite"
    process = subprocess.Popen([sys.executable, "-c", _ACKNOWLEDGE, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(after):
        acknowledged = int(process.stdout.readline())
    time.sleep(0.002 * after)  # land somewhere within a later append
    process.send_signal(signal.SIGKILL)
    acknowledged = max([acknowledged, *(int(line) for line in process.stdout.read().splitlines() if line)])
    process.wait()
    process.stdout.close()
    with SqliteLog(path) as log:
        ids = [r.id for r in log.read({})]
        with log.writer("ledger", "k") as writer:  # and the log goes on
            writer.append([NewEvent("next", b"{}")])
    assert len(ids) % 5 == 0
    assert ids == [f"{n}:{part}" for n in range(len(ids) // 5) for part in range(5)]
    assert len(ids) // 5 > acknowledged


def test_a_kill_before_commit_leaves_nothing(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    with SqliteLog(path) as log, log.writer("ledger", "k") as writer:
        writer.append([NewEvent("a", b"{}")])
    script = """
import os, signal, sys
from connectors.log_sqlite import SqliteLog
from pipeline.log.protocol import NewEvent
def events():
    yield NewEvent("b", b"{}")
    os.kill(os.getpid(), signal.SIGKILL)
SqliteLog(sys.argv[1]).writer("ledger", "k").append(events())
"""
    assert subprocess.run([sys.executable, "-c", script, str(path)]).returncode == -signal.SIGKILL
    with SqliteLog(path) as log:
        assert [r.id for r in log.read({})] == ["a"]
        assert log.writer("ledger", "k").append([NewEvent("b", b"{}")]) == 1


def test_the_files_are_for_the_owner_alone_whatever_the_umask(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    before = os.umask(0)
    try:
        with SqliteLog(path) as log, log.writer("ledger", "k") as writer:
            writer.append([NewEvent("a", b"{}")])
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"log.sqlite": 0o600, "log.sqlite-wal": 0o600, "log.sqlite-shm": 0o600}


def test_commits_reach_the_disk_before_append_returns(tmp_path: Path):
    with SqliteLog(tmp_path / "log.sqlite") as log:
        assert log._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert log._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    path.write_bytes(b"a,b\n1,2\n" * 1000)
    with pytest.raises(LogError, match=r"log\.sqlite.*set the log's path"):
        SqliteLog(path)
    assert path.read_bytes() == b"a,b\n1,2\n" * 1000


def test_a_database_of_another_program_is_refused(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (a)")
    other.close()
    with pytest.raises(LogError, match="another program"):
        SqliteLog(path)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (f"PRAGMA user_version = {FORMAT_VERSION + 1}", "upgrade the program"),
        (f"PRAGMA application_id = {APPLICATION_ID + 1}", "another program"),
        ("DROP TABLE writer", "lacks writer"),
        ("DROP TABLE event", "lacks event"),
        ("DROP TABLE head", "lacks head"),
        ("DROP INDEX event_id", "lacks event_id"),
    ],
)
def test_a_log_of_another_shape_is_refused_with_what_to_do(tmp_path: Path, statement: str, message: str):
    path = tmp_path / "log.sqlite"
    SqliteLog(path).close()
    with sqlite3.connect(path) as damaged:
        damaged.execute(statement)
    damaged.close()
    with pytest.raises(LogError, match=message):
        SqliteLog(path)


def test_damaged_pages_are_told_with_the_place(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    with SqliteLog(path) as log, log.writer("ledger", "k") as writer:
        writer.append([NewEvent(f"e{n}", b"x" * 2000) for n in range(200)])
    content = bytearray(path.read_bytes())
    for page in range(4, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xaa" * 64
    path.write_bytes(content)
    with SqliteLog(path) as log, pytest.raises(LogError, match=r"log\.sqlite.*restore"):
        log.read({})


def test_missing_events_are_told_with_the_place(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    with SqliteLog(path) as log, log.writer("ledger", "k") as writer:
        writer.append([NewEvent(f"e{n}", b"{}") for n in range(3)])
    with sqlite3.connect(path) as damaged:
        damaged.execute('DELETE FROM event WHERE "offset" = 1')
    damaged.close()
    with SqliteLog(path) as log, pytest.raises(LogError, match=r"ledger/0@1 is missing"):
        log.read({})


FORMAT_1 = """
CREATE TABLE event (topic TEXT NOT NULL, "offset" INTEGER NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (topic, "offset"));
CREATE UNIQUE INDEX event_id ON event (topic, key, id);
CREATE INDEX event_key ON event (topic, key, "offset");
CREATE TABLE writer (topic TEXT NOT NULL, key TEXT NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (topic, key)) WITHOUT ROWID;
PRAGMA application_id = 0x45736570;
PRAGMA user_version = 1;
"""


def hurt(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as damaged:
        damaged.execute(statement, values)
    damaged.close()


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ('UPDATE event SET value = ? WHERE "offset" = 1', (b'{"n":9}',)),
        ('UPDATE event SET value = ? WHERE "offset" = 1', ('{"n":1}',)),
        ('UPDATE event SET id = ? WHERE "offset" = 1', ("other",)),
        ('UPDATE event SET key = ? WHERE "offset" = 1', (b"k",)),
        ('UPDATE event SET digest = ? WHERE "offset" = 1', (bytes(32),)),
        ('UPDATE event SET value = (SELECT value FROM event WHERE "offset" = 2) WHERE "offset" = 1', ()),
        ("UPDATE event SET id = CAST(x'ff' AS TEXT) WHERE \"offset\" = 1", ()),
    ],
)
def test_an_event_that_is_not_what_was_written_is_told_with_its_place(tmp_path: Path, statement: str, values: tuple[object, ...]):
    path = tmp_path / "log.sqlite"
    with SqliteLog(path) as log, log.writer("ledger", "k") as writer:
        writer.append([NewEvent(f"e{n}", b'{"n":%d}' % n) for n in range(4)])
    hurt(path, statement, *values)
    with SqliteLog(path) as log:
        for positions in ({}, {"ledger/0": 1}):
            with pytest.raises(LogError, match=r"damaged.*ledger/0@1.*restore the file from its backup"):
                log.read(positions)
        assert [r.id for r in log.read({}, until={"ledger/0": 1})] == ["e0"], "what lies before it can be read"


def test_an_end_of_a_key_that_is_not_what_was_written_is_no_cursor(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    with SqliteLog(path) as log, log.writer("chain", "k") as writer:
        writer.append([NewEvent("e0", b"{}"), NewEvent("e1", b"{}")])
        last = log.last("chain", "k")
        assert last is not None and last.id == "e1"
    hurt(path, "UPDATE event SET value = x'7b7b' WHERE \"offset\" = 1")
    with SqliteLog(path) as log, pytest.raises(LogError, match="chain/0@1 is not what was written"):
        log.last("chain", "k")


def test_a_history_cannot_be_closed_over_a_removed_event(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    with SqliteLog(path) as log, log.writer("ledger", "k") as writer:
        writer.append([NewEvent(f"e{n}", b"{}") for n in range(4)])
    hurt(path, 'DELETE FROM event WHERE "offset" = 1')
    hurt(path, 'UPDATE event SET "offset" = "offset" - 1 WHERE "offset" > 1')
    with SqliteLog(path) as log, pytest.raises(LogError, match="ledger/0@1 is not what was written"):
        log.read({})


def test_a_damaged_index_is_found_by_the_check(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    with SqliteLog(path) as log, log.writer("ledger", "k") as writer:
        writer.append([NewEvent(f"e{n}", b"{}") for n in range(3)])
        log.check()
    with sqlite3.connect(path) as damaged:
        damaged.execute("PRAGMA writable_schema = ON")
        damaged.execute("UPDATE sqlite_schema SET sql = 'CREATE INDEX event_key ON event (topic, key, id)' WHERE name = 'event_key'")
    damaged.close()
    with SqliteLog(path) as log, pytest.raises(LogError, match=r"damaged.*event_key"):
        log.check()


def test_a_log_without_digests_gets_them_when_a_person_says_so_and_its_events_stay(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    old = sqlite3.connect(path, isolation_level=None)
    old.executescript(FORMAT_1)
    for topic in ("chain", "ledger"):
        for n in range(50):
            old.execute("INSERT INTO event VALUES (?, ?, 'k', ?, ?)", (topic, n, f"{topic}:{n}", b"{}"))
    old.execute("INSERT INTO writer VALUES ('ledger', 'k', 3)")
    with pytest.raises(LogError, match=r"log format 1.*esep log seal.*asks you"):
        SqliteLog(path)
    seen = look_at_old_log(path)
    assert seen is not None and seen.events == {"chain": 50, "ledger": 50, "registry": 0, "months": 0}
    assert look_at_old_log(path) == seen, "looking changes nothing"
    for seals in (True, False):
        with SqliteLog(path, seals_format_1=seals) as log:
            log.check()
            assert [r.id for r in log.read({})] == [f"{topic}:{n}" for topic in ("chain", "ledger") for n in range(50)]
            assert log._identity() == (APPLICATION_ID, FORMAT_VERSION)
    assert look_at_old_log(path) is None
    with pytest.raises(sqlite3.Error):
        old.execute("INSERT INTO event (topic, \"offset\", key, id, value) VALUES ('ledger', 50, 'k', 'late', x'7b7d')")
    old.close()
    with SqliteLog(path) as log, log.writer("ledger", "k") as writer:
        assert writer.append([NewEvent("ledger:49", b"{}"), NewEvent("next", b"{}")]) == 1
        assert log.read({"ledger/0": 50}, topics=["ledger"])[0].id == "next"


def test_a_log_of_format_2_gets_room_for_signatures_and_its_events_stay(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    with SqliteLog(path) as log, log.writer("ledger", "k") as writer:
        writer.append([NewEvent(f"e{n}", b"{}") for n in range(9)])
        written = log.read({})
    hurt(path, "ALTER TABLE event DROP COLUMN signature")
    hurt(path, "PRAGMA user_version = 2")
    with SqliteLog(path) as log, log.writer("ledger", "k") as writer:
        assert log._identity() == (APPLICATION_ID, FORMAT_VERSION)
        assert log.read({}) == written
        assert writer.append([NewEvent("e8", b"{}"), NewEvent("e9", b"{}", b"signed")]) == 1
        assert [record.signature for record in log.read({"ledger/0": 8})] == [None, b"signed"]
    hurt(path, "UPDATE event SET signature = x'00' WHERE \"offset\" = 9")
    with SqliteLog(path) as log, pytest.raises(LogError, match="ledger/0@9 is not what was written"):
        log.read({})


def test_a_flipped_bit_anywhere_is_told_or_changes_nothing(tmp_path: Path):
    whole = tmp_path / "log.sqlite"
    with SqliteLog(whole) as log, log.writer("ledger", "k") as writer:
        writer.append([NewEvent(f"e{n}", b'{"amount":"%d"}' % (n * 7919)) for n in range(300)])
        written = log.read({})
    content = whole.read_bytes()
    choose = random.Random(20261123)
    told = 0
    for _ in range(600):
        damaged = bytearray(content)
        damaged[choose.randrange(len(content))] ^= 1 << choose.randrange(8)
        path = tmp_path / "damaged.sqlite"
        path.write_bytes(damaged)
        try:
            with SqliteLog(path) as log:
                assert log.read({}) == written
        except LogError as error:
            assert "damaged.sqlite" in str(error)
            told += 1
        for file in tmp_path.glob("damaged.sqlite*"):
            file.unlink()
    assert told > 50


def test_an_older_copy_of_the_log_is_told_from_the_positions(tmp_path: Path):
    with SqliteLog(tmp_path / "log.sqlite") as log:
        with pytest.raises(LogError, match=r"ledger/0@5 was already read"):
            log.read({"ledger/0": 5})
        with pytest.raises(LogError, match="ledger/1"):
            log.read({"ledger/1": 0})


def test_a_full_disk_appends_nothing_and_the_log_goes_on_when_there_is_space(tmp_path: Path):
    with SqliteLog(tmp_path / "log.sqlite") as log, log.writer("ledger", "k") as writer:
        writer.append([NewEvent("a", b"{}")])
        log._connection.execute("PRAGMA max_page_count = 20")
        with pytest.raises(LogError, match="free disk space"):
            writer.append([NewEvent("b", b"x" * 400_000)])
        assert [r.id for r in log.read({})] == ["a"]
        log._connection.execute("PRAGMA max_page_count = 1000000")
        assert writer.append([NewEvent("b", b"x" * 400_000)]) == 1


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(LogError, match="check the folder"):
        SqliteLog(tmp_path / "absent" / "log.sqlite")


def _open_as_nobody(path: Path) -> None:
    os.setuid(65534)
    try:
        with SqliteLog(path) as log:
            log.writer("ledger", "k")
    except LogError as error:
        sys.exit(9 if "writable" in str(error) or "permission" in str(error) else str(error))


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become a user without rights on the file")
def test_a_file_that_may_only_be_read_is_told(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    SqliteLog(path).close()
    path.chmod(0o444)
    for folder in [tmp_path, *tmp_path.parents][:3]:
        folder.chmod(0o755)
    process = SPAWN.Process(target=_open_as_nobody, args=(path,))
    process.start()
    assert _join(process) == [9]


def test_a_process_that_holds_the_log_for_long_is_told(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    with SqliteLog(path, busy_timeout_s=0.1) as log:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogError, match="another process holds it"):
            log.writer("ledger", "k")
        holder.execute("ROLLBACK")
        holder.close()


def test_a_closed_log_or_writer_says_so(tmp_path: Path):
    log = SqliteLog(tmp_path / "log.sqlite")
    writer = log.writer("ledger", "k")
    writer.close()
    with pytest.raises(LogError, match="was closed"):
        writer.append([])
    log.close()
    with pytest.raises(LogError, match="was closed"):
        log.read({})
    with pytest.raises(LogError, match="not a topic"):
        SqliteLog(tmp_path / "log.sqlite").writer("blocks", "k")  # type: ignore[arg-type]
