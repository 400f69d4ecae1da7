"""Atomic, durable file writes: a file is written to a temporary path beside its target, synced, then renamed.

Enters: a target path and its new content. Leaves: the file, on disk before the call returns; until then, and after a failure, the
former content stays. A temporary file left by a killed process is overwritten by the next write. Raises OSErrors that name the file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def temporary_path(path: Path) -> Path:
    """The temporary path beside `path` (on the same file system, so that the rename is atomic)."""
    return path.with_name(f".{path.name}.part")


@contextlib.contextmanager
def atomic_file(path: Path, *, mode: int | None = 0o600) -> Iterator[IO[bytes]]:
    """A binary file to write; at the end of the block it replaces `path`, with `mode` (None: the process's default).

    When the block raises, the file is removed and `path` is unchanged.
    """
    part = temporary_path(path)
    try:
        part.unlink(missing_ok=True)
        with open(part, "xb", opener=_private if mode is not None else None) as file:
            yield file
            file.flush()
        if mode is not None:
            part.chmod(mode)
        move_into_place(part, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # an error of write() names no file
        raise
    finally:
        part.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace the file at `path` by one with this content and `mode`."""
    with atomic_file(path, mode=mode) as file:
        file.write(content)


def move_into_place(part: Path, path: Path) -> None:
    """Rename a file or a finished folder durably: its content is synced before, the folder that holds it after."""
    sync(part)
    part.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """fsync a file, or a folder (its entries)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
