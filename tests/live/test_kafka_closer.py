"""The closer's right on Apache Kafka itself: the suite of `tests/contract/test_kafka_closer.py`, and a closer that dies."""

from __future__ import annotations

import time

import pytest

from connectors.log_kafka import KafkaSettings
from connectors.log_kafka.closer import KafkaCloser
from pipeline.model.errors import FencedError, LogError

from ..contract import test_kafka_closer as suite
from ..contract.test_kafka_closer import SESSION_S, settings

pytestmark = pytest.mark.live
__all__ = ["settings"]

test_a_second_closer_is_refused = suite.test_a_second_closer_is_refused_and_disturbs_the_first_in_nothing


def fall_silent(closer: KafkaCloser) -> None:
    closer._stop.set()
    closer._thread.join()
    closer._leases._consumer._coordinator._disable_heartbeat()


def test_a_closer_that_falls_silent_is_followed_and_told_so(settings: KafkaSettings) -> None:
    first = KafkaCloser(settings, "pool-1", session_s=SESSION_S)
    fall_silent(first)
    with KafkaCloser(settings, "pool-1", session_s=SESSION_S) as second:
        second.check()
        with pytest.raises(FencedError, match=r"by .+ already"):
            first.check()
        second.check()
    first.close()


def test_a_closer_that_was_cut_off_is_started_again(settings: KafkaSettings) -> None:
    """The units start a process again that ended with the error of a log, and not one that another process follows."""
    first = KafkaCloser(settings, "pool-1", session_s=SESSION_S)
    fall_silent(first)
    time.sleep(SESSION_S + 2)
    with pytest.raises(LogError, match="nobody else has it: start again") as told:
        first.check()
    assert not isinstance(told.value, FencedError)
    with KafkaCloser(settings, "pool-1", session_s=SESSION_S) as next_one:
        next_one.check()
    first.close()
