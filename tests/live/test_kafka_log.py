"""What `KafkaLog` does beyond the contract, on Apache Kafka itself; the suite is `tests/contract/test_kafka_log.py`.

The race of writers stands here alone: the broker that pip installs never gives up the append of a writer that was fenced within it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient, TopicPartition

from connectors.log_kafka import KafkaLog, KafkaSettings, alter_topics, check_topics, make_topics, partition_of, require_topics
from pipeline.log.events import encode
from pipeline.log.protocol import NewEvent
from pipeline.model.errors import LogError
from pipeline.store.ingest import Ingest

from ..contract.kafka_protocol import fresh_log
from ..contract.test_kafka_log import *  # noqa: F403 - the same tests, other fixtures
from ..unit.store.streams import POOL, allocations, empty_store, tables

pytestmark = pytest.mark.live


def test_of_writers_that_race_each_event_is_appended_once_and_losers_stop(servers: str):
    """Three writers take one key from each other while all append numbered events: none is lost, doubled or out of order."""
    settings = fresh_log(servers, timeout_s=4.0)
    stopped: list[str] = []

    def work() -> None:
        with KafkaLog(settings) as log:
            for _ in range(5):
                with log.writer("chain", "pool/bitcoin") as writer:
                    last = log.last("chain", "pool/bitcoin")
                    start = 0 if last is None else int(last.id[1:]) + 1
                    try:
                        for number in range(start, start + 4):
                            writer.append([NewEvent(f"e{number}", b"{}")])
                    except LogError as error:
                        stopped.append(str(error))
                        with pytest.raises(LogError):
                            writer.append([NewEvent("more", b"{}")])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with KafkaLog(settings) as log:
        ids = [r.id for r in log.read({})]
    assert ids == [f"e{n}" for n in range(len(ids))]
    assert len(ids) >= 4  # the last writer of all was not disturbed
    assert [words for words in stopped if "another writer has taken it over" not in words and "no answer" not in words] == []


def test_a_topic_that_has_forgotten_is_refused_though_it_would_no_more(servers: str):
    """Retention that was mended deletes nothing more, and what it deleted is missing only when the store is rebuilt: years later, perhaps."""
    settings = fresh_log(servers, partitions=3)
    with KafkaLog(settings) as log:
        log.writer("ledger", POOL).append([encode(allocations(range(3))), encode(allocations(range(3, 6)))])
        place = TopicPartition(settings.topic("ledger"), partition_of(POOL, settings.partitions))
        assert check_topics(settings) == []
        _ask(settings, lambda admin: admin.delete_records({place: 1}))
        (fault,) = check_topics(settings)
        assert fault.startswith(f"{place.topic}/{place.partition}: begins at offset 1: the events before it were deleted")
        assert alter_topics(settings) == []
        with pytest.raises(LogError, match="begins at offset 1"):
            require_topics(settings)
        with pytest.raises(LogError, match="events that were not read yet are gone"):
            log.read({})


def test_a_topic_that_is_gone_is_named_and_one_made_again_is_not_read_on_from(servers: str):
    settings = fresh_log(servers, timeout_s=8.0)
    name = settings.topic("ledger")
    with KafkaLog(settings) as log, empty_store() as store:
        with log.writer("ledger", POOL) as writer:
            writer.append([encode(allocations(range(3)))])
        ingest = Ingest(log, store)
        ingest.catch_up()
        _ask(settings, lambda admin: admin.delete_topics([name]))
        with pytest.raises(LogError, match=rf"topic {re.escape(name)} was deleted: bring it back"):
            ingest.step()
        before = tables(store.connection)
        assert make_topics(settings) == [name]
        with KafkaLog(settings) as other, other.writer("ledger", POOL) as writer:
            for first in range(100, 200, 10):
                writer.append([encode(allocations(range(first, first + 3)))])
        for reading in (ingest, Ingest(log, store)):
            with pytest.raises(LogError, match="which the store has read there"):
                reading.step()
        assert tables(store.connection) == before


def _ask(settings: KafkaSettings, question: Callable[[KafkaAdminClient], object]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=list(settings.servers))
    question(admin)
    admin.close()
