"""One honest bundle for all forgeries: the recorded month, frozen as the integration tests freeze it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.authority import Authority
from tests.integration.conftest import blocked, frozen  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def honest(frozen: Path) -> Path:  # noqa: F811 - the fixture
    """The honest bundle. Nobody changes it: copy it."""
    return frozen / "months" / "2026-10" / "v1"


@pytest.fixture
def bundle(honest: Path, tmp_path: Path) -> Path:
    """A bundle of one's own to spoil, alone among its months."""
    copy = tmp_path / "months" / "2026-10" / "v1"
    shutil.copytree(honest, copy)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return copy


@pytest.fixture
def root_pem(tmp_path: Path) -> Path:
    """Certificates that an auditor trusts."""
    path = tmp_path / "root.pem"
    path.write_bytes(Authority().pem())
    return path
