"""No I/O in unit tests: whatever writes a file, opens a connection, starts a process or sleeps fails, and belongs to tests/integration.

Reading is allowed: modules, what ships with the program, captures that lie beside the tests.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

FORBIDDEN = {
    "socket.bind",
    "socket.connect",
    "subprocess.Popen",
    "os.posix_spawn",
    "os.fork",
    "os.system",
    "os.mkdir",
    "os.remove",
    "os.rename",
}
_TEMPORARY = os.path.join(tempfile.gettempdir(), "tmp")  # noqa: PTH118 - compared as text
_running: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _running or not (event in FORBIDDEN or (event == "open" and _writes(*arguments))):
        return
    if any(".hypothesis" in str(argument) or "__pycache__" in str(argument) for argument in arguments):
        return  # hypothesis' own notes; what the interpreter keeps of a module that is imported for the first time
    if str(arguments[0]).startswith(_TEMPORARY):
        return  # the pieces that XlsxWriter puts a workbook together from
    raise AssertionError(f"a unit test does no I/O: {event} {arguments[0]!r}; move {_running[0]} to tests/integration")


def _writes(path: object, _mode: object, flags: int) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) and path != os.devnull


def _sleep(_seconds: float) -> NoReturn:
    raise AssertionError("a unit test does not sleep: hand the code a clock, or move the test to tests/integration")


sys.addaudithook(_watch)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    if "tmp_path" in getattr(item, "fixturenames", ()):
        pytest.fail("a unit test has no folder: move it to tests/integration", pytrace=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", _sleep)
        _running.append(item.nodeid)
        try:
            yield
        finally:
            _running.clear()
