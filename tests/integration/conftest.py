"""The recorded month carried through once for all tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .example_month import OUTFLOW, RECORDED, esep


@pytest.fixture(scope="session")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded month before its one blocking issue is waived. Nobody changes it: copy it."""
    var = tmp_path_factory.mktemp("blocked") / "var"
    assert esep("demo", RECORDED, "--var", var) == 3
    return var


@pytest.fixture(scope="session")
def frozen(blocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The month waived by command and frozen by a second run of the demo. Nobody changes it: copy it."""
    var = tmp_path_factory.mktemp("frozen") / "var"
    shutil.copytree(blocked, var)
    config = var / "esep.toml"
    assert esep("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person", "--config", config) == 0
    assert esep("demo", RECORDED, "--var", var) == 0
    return var
