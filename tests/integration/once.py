"""What takes long to make is made by one process of a run, and each of its processes has a copy."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of this process's own with what `make` makes in the folder that it is given; under xdist the first worker that wants it makes it, and the others wait."""
    own = factory.mktemp(name) / "var"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        make(own)
        return own
    run = factory.getbasetemp().parent
    made, making = run / f"{name}-made", run / f"{name}-making"
    with (run / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(making, ignore_errors=True)  # of a worker that failed amid it
            make(making)
            making.rename(made)
    shutil.copytree(made, own, symlinks=True)
    return own
