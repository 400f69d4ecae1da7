"""What takes long to make is made by one process of a run; its other processes wait for it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` makes at the path it is given: under xdist the first worker that wants it makes it for all. Nobody changes it: copy it."""
    base = factory.getbasetemp()
    made = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"once-{name}"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            making = made.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)  # of a worker that failed amid it
            make(making)
            making.rename(made)
    return made


def copy_of_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A copy of `made_once` for this process alone, for tests that open what is in it without copying it first."""
    own = factory.mktemp(name) / "var"
    shutil.copytree(made_once(factory, name, make), own, symlinks=True)
    return own
