"""Temporary folders for private stores and replays, and folders locked by one process.

Enters: the pool's `var`. Leaves: an empty folder, mode 0700, removed when the block ends. Its process holds a file lock on it, which the
system releases when the process ends in any way; the next process removes folders whose lock is free.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import MonthError
from .months import Month

PREFIX = "scratch-"


@contextmanager
def scratch_folder(var: Path) -> Iterator[Path]:
    """A temporary folder in `var` for the duration of the block. Raises OSError when it can't be created."""
    var.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(var, fcntl.LOCK_EX):  # no other process may sweep between creating a folder and locking it
        _sweep(var)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=var))
        held = os.open(folder, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


@contextmanager
def locked_folder(folder: Path, refusal: str) -> Iterator[None]:
    """Lock a folder (created when it is missing) for the duration of the block. Raises MonthError with `refusal` when another process has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MonthError(refusal) from None
        yield
    finally:
        os.close(held)


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, kind)
        yield
    finally:
        os.close(held)


def _sweep(var: Path) -> None:
    """Remove the temporary folders that no process has locked."""
    for folder in sorted(var.glob(PREFIX + "*")):
        try:
            with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, or gone already


def version_dir(months_dir: Path, month: Month, version: int) -> Path:
    """A frozen version's bundle: `months/2026-10/v1`."""
    return months_dir / str(month) / f"v{version}"
