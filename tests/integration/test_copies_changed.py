"""The published copy costs what changed, where a file system shares no blocks: the copy before the last is written anew where it differs, unless somebody still reads it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.store import Store, copy_file
from pipeline.store.publish import publish_copy

BLOCK = copy_file.AT_ONCE
COPY = "published.duckdb"
FORMER = f".{COPY}.former"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.duckdb") as store:
        store.connection.execute("CREATE TABLE filling AS SELECT hash(n) AS a, hash(n + 1) AS b FROM range(300_000) t(n)")
        yield store


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that each publication wrote, as its program told; skips where blocks are shared."""
    told: list[int] = []
    run = subprocess.run

    def listened(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        done = run(*arguments, **options)  # type: ignore[call-overload]
        if done.returncode == 0:
            if done.stdout.strip() == copy_file.SHARED:
                pytest.skip("this file system shares blocks between files: tests/live/test_copies_shared.py")
            told.append(int(done.stdout))
        return done  # type: ignore[no-any-return]

    monkeypatch.setattr("pipeline.store.publish.subprocess.run", listened)
    return told


def change(store: Store, number: int) -> None:
    """Another row here, rows gone and rewritten there."""
    store.connection.execute("INSERT INTO filling SELECT hash(n * $n), n FROM range(1_000) t(n)", {"n": number})
    store.connection.execute("UPDATE filling SET b = b + 1 WHERE a % 100_000 = $n", {"n": number})
    store.connection.execute("DELETE FROM filling WHERE a % 50_000 = $n", {"n": number})


def is_the_store(copy: Path, store: Store) -> bool:
    assert store.path is not None
    return copy.read_bytes() == store.path.read_bytes()


def test_each_copy_is_the_stores_file_and_only_the_first_two_are_written_whole(store: Store, tmp_path: Path, written: list[int]) -> None:
    copy = tmp_path / COPY
    sizes = []
    for number in range(6):
        assert is_the_store(publish_copy(store, copy, mode=0o640), store)
        assert copy.stat().st_mode & 0o777 == 0o640
        sizes.append(copy.stat().st_size)
        if number > 2:
            store.connection.execute("INSERT INTO raw_complete VALUES (DATE '2026-10-01' + $n::INTEGER)", {"n": number})
    assert sizes[1] > 16 * BLOCK and written[:2] == sizes[:2]
    assert written[2] == 0, "nothing was new"
    assert max(written[3:]) < sizes[-1] // 2
    for number in range(6):
        change(store, number)
        assert is_the_store(publish_copy(store, copy), store)


def test_a_store_that_becomes_smaller(store: Store, tmp_path: Path) -> None:
    copy = tmp_path / COPY
    for _ in range(2):
        publish_copy(store, copy)
    size = copy.stat().st_size
    store.connection.execute("DROP TABLE filling")
    for _ in range(2):
        assert is_the_store(publish_copy(store, copy), store)
    assert copy.stat().st_size < size


def test_what_somebody_still_reads_does_not_change(store: Store, tmp_path: Path, written: list[int]) -> None:
    copy = tmp_path / COPY
    for _ in range(3):
        publish_copy(store, copy)
    with copy.open("rb") as held:
        before, sizes = held.read(), []
        for number in range(3):
            change(store, number)
            assert is_the_store(publish_copy(store, copy), store)
            sizes.append(copy.stat().st_size)
            held.seek(0)
            assert held.read() == before
    assert written[-2] == sizes[-2], "the second would have written into the copy that is read, and was made whole"


def test_what_has_another_name_does_not_change(store: Store, tmp_path: Path) -> None:
    copy, kept = tmp_path / COPY, tmp_path / "kept.duckdb"
    publish_copy(store, copy)
    kept.hardlink_to(copy)  # as backups by hard links do
    before = kept.read_bytes()
    for number in range(3):
        change(store, number)
        assert is_the_store(publish_copy(store, copy), store)
        assert kept.read_bytes() == before


@pytest.mark.parametrize("kind", ["spoilt", "empty", "link", "longer"])
def test_whatever_lies_in_the_former_copys_place(store: Store, tmp_path: Path, kind: str) -> None:
    copy, former, mine = tmp_path / COPY, tmp_path / FORMER, tmp_path / "mine.txt"
    for _ in range(2):
        publish_copy(store, copy)
    content = former.read_bytes() if former.exists() else b""
    mine.write_bytes(b"mine" * BLOCK)
    former.unlink(missing_ok=True)
    if kind == "link":
        former.symlink_to(mine)
    else:
        former.write_bytes({"spoilt": content[:BLOCK] + b"spoilt" + content[BLOCK + 6 :], "empty": b"", "longer": content * 2}[kind])
    assert is_the_store(publish_copy(store, copy), store)
    assert mine.read_bytes() == b"mine" * BLOCK


def test_a_publication_that_was_killed_leaves_the_copy_and_the_next_is_whole(store: Store, tmp_path: Path) -> None:
    copy = tmp_path / COPY
    for number in range(3):
        change(store, number)
        publish_copy(store, copy)
    before = copy.read_bytes()
    (tmp_path / FORMER).rename(tmp_path / f".{COPY}.part")  # where a process is while it writes
    (tmp_path / f".{COPY}.part").write_bytes(b"half")
    assert copy.read_bytes() == before
    change(store, 4)
    assert is_the_store(publish_copy(store, copy), store)
    (tmp_path / FORMER).unlink(missing_ok=True)
    (tmp_path / FORMER).hardlink_to(copy)  # killed between the two names
    before = copy.read_bytes()
    change(store, 5)
    with copy.open("rb") as held:
        assert is_the_store(publish_copy(store, copy), store)
        assert held.read() == before


def test_whoever_opens_the_file_while_it_is_written_waits_until_it_is_whole(tmp_path: Path) -> None:
    """The program is stopped while it holds the file; a reader who opens it then gets it when the program has ended."""
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(8 * BLOCK))
    copy.write_bytes(b"before")
    program = (
        f"import sys, time; sys.path.insert(0, {str(Path(copy_file.__file__).parent)!r}); import copy_file; kept = copy_file.copy_over\n"
        "def slowly(*files):\n    print('held', flush=True); sys.stdin.readline(); return kept(*files)\n"
        "copy_file.copy_over = slowly; sys.exit(copy_file.main(*sys.argv[1:]))"
    )
    holding = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program, str(source), str(copy)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holding.stdout is not None and holding.stdout.readline().strip() == "held"
        reader = subprocess.Popen(["cat", str(copy)], stdout=subprocess.PIPE)
        time.sleep(0.3)
        assert reader.poll() is None, "it waits"
        holding.communicate("\n", timeout=30)
        assert holding.returncode == 0
        assert reader.communicate(timeout=60)[0] == source.read_bytes()
    finally:
        holding.send_signal(signal.SIGKILL)
        holding.wait()
