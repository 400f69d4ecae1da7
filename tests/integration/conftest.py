"""The recorded month carried through once for all tests of this folder."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from connectors.standins.bitcoin_node import recording
from connectors.standins.filing_service import Faults, ReceivedSubmissions, SandboxServer

from .example_month import OUTFLOW, RECORDED, closing_at, esep
from .once import copy_of_once

if TYPE_CHECKING:
    from pipeline.web.parts import Parts

_recorded = functools.cache(recording.load)


@pytest.fixture(autouse=True, scope="module")
def _is_read_once() -> Iterator[None]:
    """The recorded chain, which nothing changes, is read once a process. Other recordings are read each time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "connectors.standins.bitcoin_node.node.load", lambda folder: (_recorded if folder == RECORDED else recording.load)(folder)
        )
        yield


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The clock of the commands that close months."""
    at = [closing_at()]
    monkeypatch.setattr("pipeline.cli.closing.now", lambda: at[0])
    return at


@pytest.fixture
def service() -> Iterator[SandboxServer]:
    """A filing service that takes everything."""
    with SandboxServer(ReceivedSubmissions(), Faults(), closing_at) as server:
        yield server


@pytest.fixture(scope="session")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded month before its one blocking issue is waived. Nobody changes it: copy it."""

    def make(var: Path) -> None:
        assert esep("demo", RECORDED, "--var", var) == 3

    return copy_of_once(tmp_path_factory, "blocked", make)


@pytest.fixture(scope="session")
def frozen(blocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The month waived by command and frozen by a second run of the demo. Nobody changes it: copy it."""

    def make(var: Path) -> None:
        shutil.copytree(blocked, var)
        config = var / "esep.toml"
        assert (
            esep("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person", "--config", config) == 0
        )
        assert esep("demo", RECORDED, "--var", var) == 0

    return copy_of_once(tmp_path_factory, "frozen", make)


@pytest.fixture
def parts(blocked: Path, tmp_path: Path) -> Iterator[Parts]:
    """A console over a copy of the month that one issue blocks. A module with a console of another kind has a fixture of its own by this name."""
    from .consoles import running  # what a console needs is loaded where there is one

    shutil.copytree(blocked, tmp_path / "var")
    with running(tmp_path / "var") as found:
        yield found


@pytest.fixture
def closed(frozen: Path, tmp_path: Path) -> Iterator[Parts]:
    """A console over a copy of the frozen month; as `parts`."""
    from .consoles import running

    shutil.copytree(frozen, tmp_path / "var")
    with running(tmp_path / "var") as found:
        yield found
