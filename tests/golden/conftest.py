"""Golden files: what the code makes, compared with what a person read and kept.

`ESEP_GOLDEN=write pytest tests/golden` (`make golden`) rewrites them from what the code makes now; read the diff.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

KEPT = Path(__file__).parent / "kept"


@pytest.fixture
def same_as_kept() -> Callable[..., None]:
    """Compares text or bytes with the kept file of that name (or at that path), or rewrites it when told to."""

    def compare(name: str | Path, made: str | bytes) -> None:
        path = KEPT / name
        content = made.encode() if isinstance(made, str) else made
        if os.environ.get("ESEP_GOLDEN") == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            return
        assert path.exists(), f"{path} is not there: `make golden` writes it, then read it before you commit it"
        kept = path.read_bytes()
        if isinstance(made, str):
            assert made.splitlines() == kept.decode().splitlines(), f"{path.name} differs: `make golden` rewrites it, then read the diff"
        assert content == kept, f"{path.name} differs: `make golden` rewrites it, then read the diff"

    return compare
