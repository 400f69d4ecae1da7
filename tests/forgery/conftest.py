"""Honest bundles for all forgeries: most begin with the recorded month, frozen with its whole ledger."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.app.open_keys import read_key
from tests.integration.authority import Authority
from tests.integration.conftest import blocked, frozen  # noqa: F401 - fixtures
from tests.integration.once import copy_of_once, made_once

from .bases import KEYS, account_month, under_keys, with_month_before, with_whole_ledger
from .forger import own_copy, without_forms
from .remembered import remembered


@pytest.fixture(scope="module")
def remembering() -> Iterator[None]:
    """For files with many forgeries of one month, of which each changes one thing: what follows from the others is worked out once."""
    with remembered():
        yield


@pytest.fixture(scope="session")
def honest(blocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811 - the fixture
    """The honest bundle, with its whole ledger. Nobody changes it: copy it."""
    return _made(blocked, tmp_path_factory, "whole", with_whole_ledger)


@pytest.fixture(scope="session")
def honest_line(blocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811 - the fixture
    """An honest bundle whose ledger begins with its opening line, beside that of the month before. Nobody changes it: copy it."""
    return _made(blocked, tmp_path_factory, "line", with_month_before)


def _made(blocked: Path, factory: pytest.TempPathFactory, name: str, freeze: Callable[[Path], Path]) -> Path:  # noqa: F811 - the fixture's value
    def make(var: Path) -> None:
        shutil.copytree(blocked, var)
        freeze(var)

    return copy_of_once(factory, name, make) / "months" / "2026-10" / "v1"


@pytest.fixture(scope="session")
def signed(blocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811 - the fixture
    """`var` of the recorded month under a root key, made by one process for all. Nobody changes it."""
    var = copy_of_once(tmp_path_factory, "signed", lambda folder: under_keys(blocked, folder)) / "var"
    KEYS.update({name: read_key(var / "keys" / f"{name}.pem", None) for name in ("left", "person")})
    return var


@pytest.fixture(scope="session")
def proved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An honest bundle in which states prove what an account held. Nobody changes it: copy it."""
    return made_once(tmp_path_factory, "accounts", account_month) / "months" / "2026-10" / "v1"


@pytest.fixture(scope="session")
def honest_of(honest: Path, honest_line: Path, signed: Path, proved: Path) -> dict[str, Path]:
    """The honest bundles by name."""
    return {"month": honest, "line": honest_line, "accounts": proved, "keys": signed / "months" / "2026-10" / "v1"}


@pytest.fixture
def bundle(honest: Path, tmp_path: Path) -> Path:
    """A bundle of one's own to spoil, alone among its months."""
    return own_copy(honest, tmp_path)


@pytest.fixture
def no_forms() -> Iterator[None]:
    """For tests that open no PDF and no workbook of what they forge."""
    with without_forms():
        yield


@pytest.fixture
def root_pem(tmp_path: Path) -> Path:
    """Certificates that an auditor trusts."""
    path = tmp_path / "root.pem"
    path.write_bytes(Authority().pem())
    return path
