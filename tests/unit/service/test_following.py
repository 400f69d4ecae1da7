"""Catching up with a chain: how far, and when it gives up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from pipeline.follow.connector import ChainStatus, Connected, Idle, Reorganised, Waiting
from pipeline.model.errors import SourceError
from pipeline.service.following import catch_up, count_step, log_step
from pipeline.service.health import Health, Limits
from pipeline.service.metrics import Metrics

STATE = ChainStatus(
    chain="bitcoin", network="regtest", node="http://node", node_version=None, method=None, method_why=None, start_height=0,
    height=7, node_height=9, n_watched=1,
)  # fmt: skip


class Scripted:
    """An app whose connector takes these steps."""

    def __init__(self, *steps: object) -> None:
        self._steps = iter(steps)

    @contextmanager
    def connector(self, chain: str) -> Iterator[Scripted]:
        yield self

    def step(self) -> object:
        return next(self._steps)

    def describe(self) -> ChainStatus:
        return STATE


def test_it_catches_up_until_nothing_is_new() -> None:
    told: list[tuple[int, int]] = []
    app: Any = Scripted(Connected(2, 7), Reorganised(1, 2, 8), Idle(9))
    assert catch_up(app, "bitcoin", lambda done, total: told.append((done, total))) == 9
    assert told == [(7, 9), (7, 9)]


def test_a_node_that_keeps_us_waiting_ends_it_with_the_reason() -> None:
    app: Any = Scripted(Connected(2, 7), Waiting("the node is starting"))
    with pytest.raises(SourceError, match="bitcoin: the node is starting") as caught:
        catch_up(app, "bitcoin", lambda _done, _total: None)
    assert caught.value.is_retryable


def test_steps_become_lines_and_numbers() -> None:
    metrics = Metrics(CollectorRegistry(), Health(lambda: 0.0, Limits()))
    structlog.reset_defaults()  # a test in the same process may have asked for warnings alone
    with capture_logs() as lines:
        for step in (Idle(7), Connected(3, 7), Reorganised(2, 4, 9), Waiting("out of reach")):
            log_step(step, STATE)
            count_step(metrics, "pool", "bitcoin", step, STATE)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("connected", "info"), ("reorganised", "warning"), ("waiting", "info"),
    ]  # fmt: skip
    value = metrics.registry.get_sample_value
    assert value("esep_chain_disconnected_blocks_total", {"pool": "pool", "chain": "bitcoin"}) == 2
    assert value("esep_chain_lag_blocks", {"pool": "pool", "chain": "bitcoin"}) == 2
    assert metrics.health.behind() == ["pool bitcoin: out of reach"]
