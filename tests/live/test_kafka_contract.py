"""The event log's contract on Apache Kafka itself; the suite is `tests/contract/test_event_log.py`."""

from __future__ import annotations

import pytest

from ..contract import test_event_log
from ..contract.test_event_log_kafka_protocol import *  # noqa: F403 - the same tests, other fixtures

pytestmark = pytest.mark.live

# Skipped there for its broker's sake; Apache Kafka answers a fenced writer.
test_several_that_append_at_the_same_moment_all_get_through = test_event_log.test_several_that_append_at_the_same_moment_all_get_through
