"""The event log's contract on Apache Kafka itself; the suite is `tests/contract/test_event_log.py`."""

from __future__ import annotations

import pytest

from ..contract.test_event_log_kafka_protocol import *  # noqa: F403 - the same tests, other fixtures

pytestmark = pytest.mark.live
