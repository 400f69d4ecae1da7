"""A disk of our own that can be filled and made read-only, and the program as a process: for the tests of real faults."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ..integration.example_month import esep as here

PROGRAM = "from pipeline.cli import main; main()"
AT_A_SHIFTED_CLOCK = (
    """
import os, time
real, place = time.time, os.environ["ESEP_TEST_SHIFT_S"]
time.time = lambda: real() + float(open(place).read())
"""
    + PROGRAM
)
PATIENCE_S = 240
FREEZE = ("freeze", "2026-10", "--by", "A. Person")


def esep(*arguments: object, program: str = PROGRAM, before: tuple[str, ...] = (), environ: Mapping[str, str] | None = None):
    """The command as a process; its exit code, stdout and stderr."""
    command = [*before, sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env={**os.environ, **(environ or {})})


def at_once(*arguments: object):
    """The same in this process: many times quicker, where nothing hangs on the process itself."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = here(*arguments)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def told(*arguments: object) -> dict:
    """What the command says with --json; it must succeed."""
    done = at_once(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def mount(*arguments: str) -> str:
    """Run `mount`; why it can't be run here, or nothing."""
    if os.getuid() != 0:
        return "mounting needs root"
    if shutil.which("mount") is None:
        return "there is no mount on this machine"
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"mounting is not allowed here: {done.stderr.strip()}"


class Disk:
    """A tmpfs of so many MiB at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Take all space but `leave_bytes`."""
        self.free()
        page = os.statvfs(self.folder).f_bsize
        with contextlib.suppress(OSError), self._filler.open("wb") as file:
            while True:
                file.write(bytes(page * 16))
                file.flush()
        left = os.statvfs(self.folder)
        with contextlib.suppress(OSError), self._filler.open("ab") as file:
            file.truncate(max(0, self._filler.stat().st_size - max(0, leave_bytes - left.f_bavail * left.f_bsize)))

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def make(self, mode: str) -> None:
        """`ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.folder)], check=True, capture_output=True)


@contextlib.contextmanager
def disk(folder: Path, size_mib: int) -> Iterator[Disk]:
    """Mount one; skips, with the reason, where that is not allowed."""
    folder.mkdir()
    if reason := mount("-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(folder)):
        pytest.skip(reason)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)
