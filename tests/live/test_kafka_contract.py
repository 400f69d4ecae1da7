"""The event log's contract on Apache Kafka itself; the suite is `tests/contract/test_event_log.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.log_kafka import KafkaLog
from tests.contract.kafka_protocol import fresh_log
from tests.contract.test_event_log import *  # noqa: F403

from .kafka_cluster import KafkaCluster, why_not

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory):
    if reason := why_not():
        pytest.skip(reason)
    cluster = KafkaCluster(Path(tmp_path_factory.mktemp("kafka")))
    try:
        cluster.start()
        yield cluster.servers
    finally:
        cluster.stop()


@pytest.fixture
def has_gaps() -> bool:
    return True


@pytest.fixture
def open_log(servers: str):
    """Opens the one log of this test, again where it is asked again."""
    settings = fresh_log(servers)
    opened: list[KafkaLog] = []

    def opener() -> KafkaLog:
        opened.append(KafkaLog(settings))
        return opened[-1]

    yield opener
    for log in opened:
        log.close()
