"""One closer of a pool's months on a cluster, whatever machine it runs on: the first keeps it, and a dead one is followed."""

from __future__ import annotations

import pytest

from connectors.log_kafka import KafkaSettings
from connectors.log_kafka.closer import KafkaCloser
from pipeline.model.errors import FencedError

from .kafka_protocol import fresh_log

SESSION_S = 6


@pytest.fixture
def settings(servers: str) -> KafkaSettings:
    return fresh_log(servers, partitions=6)


def test_a_second_closer_is_refused_and_disturbs_the_first_in_nothing(settings: KafkaSettings) -> None:
    with KafkaCloser(settings, "pool-1", session_s=SESSION_S) as first:
        with pytest.raises(FencedError, match=r"months of pool 'pool-1' are closed by .+ already"):
            KafkaCloser(settings, "pool-1", session_s=SESSION_S)
        first.check()
        with KafkaCloser(settings, "pool-2", session_s=SESSION_S) as other:
            other.check()
        first.check()
    with KafkaCloser(settings, "pool-1", session_s=SESSION_S) as next_one:
        next_one.check()
