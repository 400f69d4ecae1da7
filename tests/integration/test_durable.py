"""Files appear whole, with their mode, or not at all; what was there before stays when the writing fails."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipeline.model.durable import atomic_file, temporary_path, write_atomically


def test_a_file_is_whole_with_its_mode_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    temporary_path(path).write_bytes(b"left by a killed process")
    temporary_path(path).chmod(0o400)
    write_atomically(path, b"one", mode=0o400)
    write_atomically(path, b"two", mode=0o640)
    assert path.read_bytes() == b"two" and path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_for_the_owners_eyes_while_it_is_written(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a", mode=0o644) as file:
        file.write(b"1")
        assert temporary_path(tmp_path / "a").stat().st_mode & 0o777 == 0o600 and not (tmp_path / "a").exists()


def test_a_failure_leaves_what_was_there_and_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, b"one")
    with pytest.raises(OSError, match="No space left") as raised, atomic_file(path) as file:
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"one" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError, match="absent"):
        write_atomically(tmp_path / "absent" / "a", b"")
