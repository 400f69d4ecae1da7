"""A writer that was idle until the cluster forgot its transactional id, spoken in the protocol; `tests/live/test_kafka_idle.py` asks Apache Kafka itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.log_kafka import KafkaLog, KafkaSettings
from pipeline.log.protocol import NewEvent
from pipeline.model.errors import FencedError, LogError

from .forgetful_broker import ForgetfulBroker, forgetful_broker
from .kafka_protocol import fresh_log

KEY = "pool/bitcoin"


@pytest.fixture(scope="module")
def forgetful() -> Iterator[ForgetfulBroker]:
    with forgetful_broker() as broker:
        yield broker


@pytest.fixture
def broker(forgetful: ForgetfulBroker) -> ForgetfulBroker:
    forgetful.denies_description = False
    return forgetful


@pytest.fixture
def settings(broker: ForgetfulBroker) -> KafkaSettings:
    return fresh_log(broker.server, timeout_s=10.0)


def _ids(log: KafkaLog) -> list[str]:
    return [record.id for record in log.read({})]


def test_an_idle_writer_begins_anew_by_itself_and_appends_nothing_twice(broker: ForgetfulBroker, settings: KafkaSettings) -> None:
    with KafkaLog(settings) as log, log.writer("chain", KEY) as writer:
        assert writer.append([NewEvent("e1", b"1")]) == 1
        with log.writer("chain", "pool/litecoin") as other:
            other.append([NewEvent("l1", b"1")])  # another key of the same partition is nobody's business
        for number in (2, 3):
            broker.forget()
            assert writer.append([NewEvent("e1", b"1"), NewEvent(f"e{number}", b"2")]) == 1
        broker.forget()
        assert writer.append([NewEvent("e1", b"1")]) == 0, "nothing new: the probe begins anew, too"
        assert [id_ for id_ in _ids(log) if id_ != "l1"] == ["e1", "e2", "e3"]


def test_a_writer_whose_place_another_took_meanwhile_stays_out(broker: ForgetfulBroker, settings: KafkaSettings) -> None:
    with KafkaLog(settings) as log, KafkaLog(settings) as elsewhere, log.writer("chain", KEY) as writer:
        writer.append([NewEvent("e1", b"1")])
        broker.forget()
        with elsewhere.writer("chain", KEY) as other:
            other.append([NewEvent("e2", b"2")])
        broker.forget()
        for _ in range(2):
            with pytest.raises(LogError, match="another writer has taken it over"):
                writer.append([NewEvent("mine", b"3")])
        assert _ids(log) == ["e1", "e2"]


def test_where_nobody_can_be_asked_who_holds_the_place_the_writer_says_so_and_the_next_one_goes_on(
    broker: ForgetfulBroker, settings: KafkaSettings
) -> None:
    with KafkaLog(settings) as log:
        with log.writer("chain", KEY) as writer:
            writer.append([NewEvent("e1", b"1")])
            broker.forget()
            broker.denies_description = True
            with pytest.raises(LogError) as first:
                writer.append([NewEvent("e2", b"2")])
            assert not isinstance(first.value, FencedError) and "see the brokers' own log" not in str(first.value)
            with pytest.raises(LogError, match="its right to write expired at the cluster and could not be renewed; open the log again"):
                writer.append([NewEvent("e2", b"2")])
        with log.writer("chain", KEY) as following:
            assert following.append([NewEvent("e1", b"1"), NewEvent("e2", b"2")]) == 1
        assert _ids(log) == ["e1", "e2"]
