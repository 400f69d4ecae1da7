"""The closer's right on Apache Kafka itself: the suite of `tests/contract/test_kafka_closer.py`, and a closer that dies."""

from __future__ import annotations

import pytest

from connectors.log_kafka import KafkaSettings
from connectors.log_kafka.closer import KafkaCloser
from pipeline.model.errors import FencedError

from ..contract import test_kafka_closer as suite
from ..contract.test_kafka_closer import SESSION_S, settings

pytestmark = pytest.mark.live
__all__ = ["settings"]

test_a_second_closer_is_refused = suite.test_a_second_closer_is_refused_and_disturbs_the_first_in_nothing


def test_a_closer_that_falls_silent_is_followed_and_told_so(settings: KafkaSettings) -> None:
    first = KafkaCloser(settings, "pool-1", session_s=SESSION_S)
    first._stop.set()
    first._thread.join()
    first._leases._consumer._coordinator._disable_heartbeat()
    with KafkaCloser(settings, "pool-1", session_s=SESSION_S) as second:
        second.check()
        with pytest.raises(FencedError, match="another process since"):
            first.check()
    first.close()
