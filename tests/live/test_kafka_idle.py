"""A writer that was idle until the cluster forgot its transactional id, on Apache Kafka itself, which forgets here after three seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from connectors.log_kafka import KafkaLog, KafkaSettings
from pipeline.log.protocol import NewEvent
from pipeline.model.errors import FencedError, LogError

from ..contract.kafka_protocol import fresh_log
from .kafka_cluster import KafkaCluster, why_not

pytestmark = pytest.mark.live

FORGETFUL = {"transactional.id.expiration.ms": "3000", "transaction.remove.expired.transaction.cleanup.interval.ms": "500"}
KEY = "pool/bitcoin"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if reason := why_not():
        pytest.skip(reason)
    cluster = KafkaCluster(Path(tmp_path_factory.mktemp("kafka")), 1, settings=FORGETFUL)
    try:
        cluster.start()
        yield cluster.servers
    finally:
        cluster.stop()


@pytest.fixture
def settings(servers: str) -> KafkaSettings:
    return fresh_log(servers)


def _until_forgotten(settings: KafkaSettings) -> None:
    """Wait until the cluster knows of no transactional id of this log."""
    admin = KafkaAdminClient(**settings.client())
    try:
        until = time.monotonic() + 240
        while any(
            found.transactional_id.startswith(f"{settings.prefix}.") for broker in admin.list_transactions().values() for found in broker
        ):
            assert time.monotonic() < until, "the cluster did not forget"
            time.sleep(0.3)
    finally:
        admin.close()


def _ids(log: KafkaLog) -> list[str]:
    return [record.id for record in log.read({})]


def test_a_writer_that_was_idle_begins_anew_by_itself(settings: KafkaSettings):
    with KafkaLog(settings) as log, log.writer("chain", KEY) as writer:
        assert writer.append([NewEvent("e1", b"1")]) == 1
        with log.writer("chain", "pool/litecoin") as other:
            other.append([NewEvent("l1", b"1")])
        for number in (2, 3):
            _until_forgotten(settings)
            assert writer.append([NewEvent("e1", b"1"), NewEvent(f"e{number}", b"2")]) == 1
        _until_forgotten(settings)
        assert writer.append([NewEvent("e1", b"1")]) == 0, "nothing new: the probe begins anew, too"
        assert [id_ for id_ in _ids(log) if id_ != "l1"] == ["e1", "e2", "e3"]


def test_a_writer_that_never_appended_begins_anew(settings: KafkaSettings):
    with KafkaLog(settings) as log, log.writer("chain", KEY) as writer:
        _until_forgotten(settings)
        assert writer.append([NewEvent("e1", b"1")]) == 1
        assert _ids(log) == ["e1"]


@pytest.mark.parametrize("is_forgotten_too", [False, True])
def test_a_writer_whose_place_another_took_meanwhile_stays_out(settings: KafkaSettings, is_forgotten_too: bool):
    with KafkaLog(settings) as log, KafkaLog(settings) as elsewhere, log.writer("chain", KEY) as writer:
        writer.append([NewEvent("e1", b"1")])
        _until_forgotten(settings)
        with elsewhere.writer("chain", KEY) as other:
            other.append([NewEvent("e2", b"2")])
            if is_forgotten_too:
                _until_forgotten(settings)
            for _ in range(2):
                with pytest.raises(LogError, match="another writer has taken it over"):
                    writer.append([NewEvent("mine", b"3")])
            assert other.append([NewEvent("e3", b"3")]) == 1, "the other one was not disturbed"
        assert _ids(log) == ["e1", "e2", "e3"]


def test_of_two_that_were_forgotten_and_wrote_nothing_one_goes_on(settings: KafkaSettings):
    with KafkaLog(settings) as log, KafkaLog(settings) as elsewhere, log.writer("chain", KEY) as writer:
        writer.append([NewEvent("e1", b"1")])
        _until_forgotten(settings)
        with elsewhere.writer("chain", KEY) as other:
            _until_forgotten(settings)
            assert writer.append([NewEvent("e2", b"2")]) == 1
            with pytest.raises(FencedError):
                other.append([NewEvent("e3", b"3")])
        assert _ids(log) == ["e1", "e2"]
