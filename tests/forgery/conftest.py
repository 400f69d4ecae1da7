"""One honest bundle for all forgeries: the recorded month, frozen as the integration tests freeze it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.app.open_keys import read_key
from tests.integration.authority import Authority
from tests.integration.conftest import blocked, frozen  # noqa: F401 - fixtures
from tests.integration.once import copy_of_once, made_once

from .bases import KEYS, account_month, under_keys
from .forger import own_copy, without_forms


@pytest.fixture(scope="session")
def honest(frozen: Path) -> Path:  # noqa: F811 - the fixture
    """The honest bundle. Nobody changes it: copy it."""
    return frozen / "months" / "2026-10" / "v1"


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
def honest_of(honest: Path, signed: Path, proved: Path) -> dict[str, Path]:
    """The honest bundles by name."""
    return {"month": honest, "accounts": proved, "keys": signed / "months" / "2026-10" / "v1"}


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
