"""Folders for work that nobody needs afterwards: private stores, replays. What a killed process left behind is swept by the next. And folders held by one process.

Enters: the pool's `var`. Leaves: an empty folder, mode 0700, gone when the block ends. A folder is in use while its process holds the lock on it,
which the system lets go of when the process ends, however it ends.
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

PREFIX = "scratch-"


@contextmanager
def scratch_folder(var: Path) -> Iterator[Path]:
    """A folder of our own in `var` for as long as the block lasts. Raises OSError when it can't be made."""
    var.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(var, fcntl.LOCK_EX):  # nobody sweeps between the making of a folder and its locking
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
    """Hold a folder, made when it is not there, against other processes for as long as the block lasts. Raises MonthError with `refusal`."""
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
    """Remove the folders that no process holds."""
    for folder in sorted(var.glob(PREFIX + "*")):
        try:
            with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, or gone already
