"""Files that are whole or not there, also after a power cut: written beside their place, synced, then renamed.

Enters: a place, and what is to stand there. Leaves: it, on disk before the call returns; the former content stays until then, and after a
failure. What a killed process left beside the place is overwritten by the next attempt. Errors are OSErrors that name the file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def temporary_path(path: Path) -> Path:
    """Where a file is made before it is renamed to `path`: beside it, so that the renaming is one step."""
    return path.with_name(f".{path.name}.part")


@contextlib.contextmanager
def atomic_file(path: Path, *, mode: int | None = 0o600) -> Iterator[IO[bytes]]:
    """A binary file to write; at the block's end it appears at `path` with `mode` (None: as the process makes files), in place of what was there.

    Nothing of it stays when the block raises.
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
        error.filename = error.filename or str(path)  # a write that fails has no name of its own
        raise
    finally:
        part.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """The file at `path` with this content and `mode`, in place of what was there."""
    with atomic_file(path, mode=mode) as file:
        file.write(content)


def move_into_place(part: Path, path: Path) -> None:
    """Rename a file or a finished folder to its place: its content is on disk before, its name after."""
    sync(part)
    part.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Have the system write a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
