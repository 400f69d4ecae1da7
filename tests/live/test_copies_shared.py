"""The published copy on file systems whose files can share blocks: it costs what changed, and what the store changes afterwards does not reach it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipeline.store import Store
from pipeline.store.publish import publish_copy

from .faulty_disk import mount

pytestmark = pytest.mark.live

MIB = 1 << 20
ROWS = 2_000_000


@pytest.fixture(params=["btrfs", "xfs"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; skips, with the reason, where it can't be made."""
    maker, image, place = f"mkfs.{request.param}", tmp_path / "image", tmp_path / "disk"
    if (program := shutil.which(maker) or shutil.which(maker, path="/usr/sbin:/sbin")) is None:
        pytest.skip(f"there is no {maker} on this machine")
    with image.open("wb") as file:
        file.truncate(512 * MIB)
    subprocess.run([program, "-q", str(image)], check=True, capture_output=True)
    place.mkdir()
    if reason := mount("-o", "loop", str(image), str(place)):
        pytest.skip(reason)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def taken(folder: Path) -> int:
    """Bytes in use there."""
    os.sync()
    told = os.statvfs(folder)
    return (told.f_blocks - told.f_bfree) * told.f_frsize


def rows_of(copy: Path) -> int:
    with duckdb.connect(str(copy), read_only=True) as connection:
        return connection.execute("SELECT count(*) FROM raw_complete").fetchall()[0][0]


def test_a_copy_takes_no_space_of_its_own_and_stays_as_it_was(folder: Path) -> None:
    copy = folder / "published.duckdb"
    with Store.open(folder / "store.duckdb") as store:
        store.connection.execute("CREATE TABLE filling AS SELECT hash(n) AS a, hash(n + 1) AS b FROM range($rows) t(n)", {"rows": ROWS})
        store.connection.execute("INSERT INTO raw_complete VALUES (DATE '2026-10-31')")
        store.checkpoint()
        size, before = store.path.stat().st_size, taken(folder)  # type: ignore[union-attr]
        assert size > 16 * MIB
        publish_copy(store, copy)
        assert copy.stat().st_size >= size and taken(folder) - before < size // 8
        store.connection.execute("INSERT INTO raw_complete VALUES (DATE '2026-11-30')")
        store.checkpoint()
        assert rows_of(copy) == 1, "what the store wrote since is not in it"
        publish_copy(store, copy)
        assert rows_of(copy) == 2 and taken(folder) - before < size // 4
