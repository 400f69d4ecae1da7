"""What `KafkaLog` does beyond the contract, on Apache Kafka itself; the suite is `tests/contract/test_kafka_log.py`.

The race of writers stands here alone: the broker that pip installs never gives up the append of a writer that was fenced within it.
"""

from __future__ import annotations

import threading

import pytest

from connectors.log_kafka import KafkaLog
from pipeline.log.protocol import NewEvent
from pipeline.model.errors import LogError

from ..contract.kafka_protocol import fresh_log
from ..contract.test_kafka_log import *  # noqa: F403 - the same tests, other fixtures

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
