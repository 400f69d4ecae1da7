"""The published copy beside a read-write session of somebody else, and what is said of files that can't be opened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from pipeline.model.errors import StoreError, StoreLocked
from pipeline.store import Store
from pipeline.store.copies import open_copy, published_positions
from pipeline.store.ingest import Ingest
from pipeline.store.publish import export_month, publish_copy
from pipeline.store.threads import SMALL_BYTES

from ..unit.store.streams import Delivery, allocations
from .example_store import fill

ANALYST = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
for line in sys.stdin:
    try:
        connection.execute(line)
        print("done", flush=True)
    except duckdb.Error as error:
        print("failed", str(error).splitlines()[0], flush=True)
connection.close()
"""


class Analyst:
    """A second process with a read-write session."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ANALYST, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def does(self, statement: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(statement + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def leaves(self) -> None:
        self.process.communicate(timeout=30)


@contextmanager
def analyst(path: Path) -> Iterator[Analyst]:
    session = Analyst(path)
    try:
        yield session
    finally:
        session.process.kill()
        session.process.communicate()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[Store, Delivery]]:
    delivery = Delivery(count=1)
    with Store.open(tmp_path / "store.duckdb") as store:
        delivery.tell("ledger", [allocations(range(100))])
        Ingest(delivery, store).catch_up()
        yield store, delivery


def _more(live: tuple[Store, Delivery], start: int) -> None:
    store, delivery = live
    delivery.tell("ledger", [allocations(range(start, start + 100))])
    Ingest(delivery, store).catch_up()


def _rows(path: Path) -> int:
    with duckdb.connect(str(path), read_only=True) as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM allocations").fetchall()
    return int(rows)


def _copy_of_an_earlier_version(store: Store, path: Path) -> Path:
    """A copy as it was published before there was a link in the place of its write-ahead log."""
    publish_copy(store, path)
    path.with_name(path.name + ".wal").unlink()
    return path


@pytest.mark.parametrize("then", [(), ("CHECKPOINT",), ("DELETE FROM raw_allocation",), ("CHECKPOINT", "DELETE FROM raw_allocation")])
def test_a_session_open_for_writing_does_not_reach_a_later_copy(live, tmp_path: Path, then: tuple[str, ...]):
    path = _copy_of_an_earlier_version(live[0], tmp_path / "esep.duckdb")
    with analyst(path) as session:
        assert session.does("DELETE FROM raw_allocation") == "done"
        assert path.with_name("esep.duckdb.wal").is_file()
        _more(live, 100)
        publish_copy(live[0], path)
        assert _rows(path) == 200
        for statement in then:
            session.does(statement)
            assert _rows(path) == 200
        _more(live, 200)
        publish_copy(live[0], path)
        assert _rows(path) == 300
        session.leaves()
    assert _rows(path) == 300
    assert published_positions(path) == live[0].positions()


def test_a_session_on_a_copy_can_commit_nothing(live, tmp_path: Path):
    path = publish_copy(live[0], tmp_path / "esep.duckdb")
    with analyst(path) as session:
        assert session.does("DELETE FROM raw_allocation").startswith("failed")
        session.leaves()
    assert _rows(path) == 100


@pytest.mark.parametrize("ending", [".wal", ".wal.checkpoint", ".wal.recovery", ".tmp"])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_whatever_lies_beside_the_old_copy(live, tmp_path: Path, ending: str, kind: str):
    path = _copy_of_an_earlier_version(live[0], tmp_path / "esep.duckdb")
    beside = path.with_name(path.name + ending)
    if kind == "file":
        beside.write_bytes(b"left behind" * 1000)
    elif kind == "link":
        beside.symlink_to(tmp_path / "store.duckdb")
    else:
        beside.mkdir()
        (beside / "mine.txt").write_text("kept")
    _more(live, 100)
    for _ in range(2):
        publish_copy(live[0], path)
        assert _rows(path) == 200
    assert kind != "folder" or [found.read_text() for found in tmp_path.rglob("mine.txt")] == ["kept"]


def test_a_wal_left_by_a_killed_session_is_not_read_into_the_next_copy(live, tmp_path: Path):
    path = _copy_of_an_earlier_version(live[0], tmp_path / "esep.duckdb")
    with analyst(path) as session:
        assert session.does("DELETE FROM raw_allocation") == "done"
    with pytest.raises(StoreError, match=r"opened for writing: .*esep ingest"), open_copy(path):
        pass
    publish_copy(live[0], path)
    with open_copy(path) as connection:
        assert connection.execute("SELECT count(*) FROM allocations").fetchall() == [(100,)]


def test_a_copy_that_grows_large_while_another_opening_lasts_is_opened(tmp_path: Path) -> None:
    """One process opens a small copy, a publication puts a large one in its place, and the process opens that, too."""
    path, large = tmp_path / "published.duckdb", tmp_path / "large.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE one AS SELECT 1 AS a")
    with duckdb.connect(str(large)) as connection:
        connection.execute("CREATE TABLE filling AS SELECT hash(range) AS a, hash(range + 1) AS b FROM range(4000000)")
    assert large.stat().st_size > SMALL_BYTES > path.stat().st_size
    with open_copy(path) as first:
        large.replace(path)
        with open_copy(path) as second:
            for connection in (first, second):
                with pytest.raises(duckdb.InvalidInputException, match="has been locked"):
                    connection.execute("SET threads = 2")
    with open_copy(path) as connection:
        assert connection.execute("SELECT current_setting('enable_external_access'), count(*) FROM filling").fetchall() == [
            (False, 4_000_000)
        ]


def test_a_folder_in_the_copys_place_is_said_and_kept(live, tmp_path: Path):
    place = tmp_path / "esep.duckdb"
    (place / "inner").mkdir(parents=True)
    with pytest.raises(StoreError, match="is a folder, and a file belongs there: move the folder away"):
        publish_copy(live[0], place)
    with pytest.raises(StoreError, match="a folder stands in the file's place"), open_copy(place):
        pass
    assert (place / "inner").is_dir()


def test_a_months_file_takes_no_changes_of_the_file_before_it(tmp_path: Path):
    with Store.open(tmp_path / "store.duckdb") as store:
        fill(store)
        path = export_month(store.connection, "2026-10", tmp_path / "month.duckdb")
        rows = _rows(path)
        with analyst(path) as session:
            assert session.does("DELETE FROM raw_allocation") == "done"
            export_month(store.connection, "2026-10", path)
            assert _rows(path) == rows > 0
    assert not path.with_name("month.duckdb.wal").exists(), "a bundle holds the file alone"


def test_a_live_store_made_anew_takes_nothing_from_the_wal_of_the_one_before(tmp_path: Path):
    place = tmp_path / "store.duckdb"
    with Store.open(place):
        pass
    killed = "import sys, os, duckdb; c = duckdb.connect(sys.argv[1]); c.execute(\"INSERT INTO raw_position VALUES ('chain/0', 7)\"); os._exit(0)"
    subprocess.run([sys.executable, "-c", killed, str(place)], check=True)
    assert place.with_name("store.duckdb.wal").is_file()
    place.unlink()
    with Store.open(place) as store:
        assert store.positions() == {}


# --- what is said


def _newer(path: Path) -> None:
    """As a DuckDB of a later storage version would write it: its number and the header's checksum."""
    head = bytearray(path.read_bytes()[:4096])
    head[12:20] = (9999).to_bytes(8, "little")
    total = 5381
    for at in range(8, 4096, 8):
        total ^= int.from_bytes(head[at : at + 8], "little") * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    head[:8] = total.to_bytes(8, "little")
    with path.open("r+b") as file:
        file.write(head)


def _cut(path: Path) -> None:
    os.truncate(path, 5000)


def _scribbled(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)


SPOILT = {
    "empty": (lambda path: os.truncate(path, 0), "is empty"),
    "text": (lambda path: path.write_text("not a database" * 1000), "damaged or not a DuckDB database"),
    "cut": (_cut, "damaged or not a DuckDB database"),
    "scribbled": (_scribbled, "damaged or not a DuckDB database"),
    "newer": (_newer, "newer version of DuckDB"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_copy_or_store_is_said_with_what_to_do(live, tmp_path: Path, how: str):
    spoil, words = SPOILT[how]
    copy = publish_copy(live[0], tmp_path / "esep.duckdb")
    store = tmp_path / "other.duckdb"
    shutil.copy(copy, store)
    spoil(copy)
    spoil(store)
    with pytest.raises(StoreError, match=rf"the published copy .*{words}.*esep ingest"), open_copy(copy):
        pass
    with pytest.raises(StoreError, match=rf"the store .*{words}.*rebuilt from the log"):
        Store.open(store)
    publish_copy(live[0], copy)
    assert _rows(copy) == 100


def test_a_file_that_another_process_holds_is_said_with_its_number(live, tmp_path: Path):
    copy = publish_copy(live[0], tmp_path / "esep.duckdb")
    with analyst(copy) as session:
        assert session.does("SELECT 1") == "done"
        with pytest.raises(StoreLocked, match=rf"the published copy .*process {session.process.pid} .*has it open"), open_copy(copy):
            pass
        with pytest.raises(StoreLocked, match=rf"process {session.process.pid} "):
            Store.open(copy)
        publish_copy(live[0], copy)
        assert _rows(copy) == 100
