"""What `KafkaLog` does beyond the contract, on Apache Kafka itself; the suite is `tests/contract/test_kafka_log.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.test_kafka_log import *  # noqa: F403

from .kafka_cluster import KafkaCluster, why_not

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if reason := why_not():
        pytest.skip(reason)
    cluster = KafkaCluster(Path(tmp_path_factory.mktemp("kafka")))
    try:
        cluster.start()
        yield cluster.servers
    finally:
        cluster.stop()
