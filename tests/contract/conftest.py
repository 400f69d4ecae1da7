"""The broker that these suites speak to here: Tansu. `tests/live/conftest.py` puts Apache Kafka in its place for the same suites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .kafka_protocol import tansu


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    """`host:port` of a broker."""
    with tansu() as server:
        yield server
