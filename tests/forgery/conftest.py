"""One honest bundle for all forgeries: the recorded month, frozen as the integration tests freeze it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.authority import Authority
from tests.integration.conftest import blocked, frozen  # noqa: F401 - fixtures

from .forger import own_copy, without_forms


@pytest.fixture(scope="session")
def honest(frozen: Path) -> Path:  # noqa: F811 - the fixture
    """The honest bundle. Nobody changes it: copy it."""
    return frozen / "months" / "2026-10" / "v1"


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
