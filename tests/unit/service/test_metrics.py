"""What the metrics say, that they name nobody, and that the page of them is the program's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pipeline.model.errors import LogError, StoreError
from pipeline.service.health import Health, Limits
from pipeline.service.metrics import Metrics, MonthSeen, metrics_page

DOCS = Path(__file__).parents[3] / "docs"


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Metrics:
    return Metrics(CollectorRegistry(), Health(clock, Limits(stalled_after_s=60, ready_lag_events=10, ready_lag_blocks=2)), version="1.2.3")


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"esep_{name}", labels)


def test_the_page_is_the_programs() -> None:
    assert (DOCS / "metrics.md").read_text("utf-8") == metrics_page(), "make it anew: esep docs"


def test_names_keep_prometheus_habits(metrics: Metrics) -> None:
    families = list(metrics.registry.collect())
    assert len(families) > 10
    for family in families:
        assert re.fullmatch(r"esep_[a-z_]+", family.name) and family.documentation.endswith(".")
        assert not family.name.endswith(("_ms", "_total_total", "_count"))


def test_lag_is_what_is_still_to_be_read_of_each_partition(metrics: Metrics) -> None:
    metrics.log_read("p", {"chain/3": 20, "ledger/3": 7}, {"chain/3": 5}, is_at_end=False)
    assert value(metrics, "log_lag_events", pool="p", topic="chain", partition="3") == 15
    assert value(metrics, "log_lag_events", pool="p", topic="ledger", partition="3") == 7
    assert value(metrics, "store_position", pool="p", topic="chain", partition="3") == 5
    assert value(metrics, "log_end_offset", pool="p", topic="ledger", partition="3") == 7
    assert metrics.health.behind() == ["p: the store is 22 events behind the log (limit 10)"]


def test_offsets_that_hold_no_event_are_no_lag(metrics: Metrics) -> None:
    metrics.log_read("p", {"chain/3": 20}, {"chain/3": 5}, is_at_end=True)
    assert value(metrics, "log_lag_events", pool="p", topic="chain", partition="3") == 0
    assert value(metrics, "store_position", pool="p", topic="chain", partition="3") == 5
    assert metrics.health.behind() == []


def test_throughput_and_errors_are_counted(metrics: Metrics) -> None:
    metrics.ingested("p", events=3, rows=3000, bad_events=1, at=1_700_000_000)
    metrics.ingested("p", events=2, rows=10, bad_events=0, at=1_700_000_005)
    metrics.ingested("p", events=0, rows=0, bad_events=0, at=1_700_000_009)
    assert [value(metrics, f"ingest_{name}_total", pool="p") for name in ("events", "rows", "bad_events")] == [5, 3010, 1]
    assert value(metrics, "ingest_last_commit_timestamp_seconds", pool="p") == 1_700_000_005
    metrics.ingest_failed("p", StoreError("the disk is full"))
    metrics.ingest_failed("p", LogError("no broker"))
    assert value(metrics, "ingest_errors_total", pool="p", kind="StoreError") == 1
    assert metrics.health.behind() == ["p store: no broker"]
    metrics.ingested("p", events=0, rows=0, bad_events=0, at=1_700_000_010)
    assert metrics.health.behind() == [], "a look that works ends the trouble"


def test_a_chain_that_waits_is_not_ready(metrics: Metrics) -> None:
    metrics.chain_stepped("p", "bitcoin", "connected", height=100, node_height=102)
    assert [value(metrics, f"chain_{name}", pool="p", chain="bitcoin") for name in ("height", "node_height", "lag_blocks")] == [100, 102, 2]
    assert metrics.health.behind() == []
    metrics.chain_stepped("p", "bitcoin", "reorganised", height=100, node_height=103, n_disconnected=4)
    assert metrics.health.behind() == ["p bitcoin: the log is 3 blocks behind the node (limit 2)"]
    assert value(metrics, "chain_disconnected_blocks_total", pool="p", chain="bitcoin") == 4
    metrics.chain_stepped("p", "bitcoin", "waiting", height=100, node_height=None, trouble="the node starts")
    assert metrics.health.behind() == ["p bitcoin: the node starts"]
    states = {
        state: value(metrics, "connector_state", pool="p", chain="bitcoin", state=state) for state in ("following", "waiting", "failed")
    }
    assert states == {"following": 0, "waiting": 1, "failed": 0}
    metrics.chain_stepped("p", "bitcoin", "idle", height=103, node_height=103)
    assert metrics.health.behind() == []
    assert value(metrics, "connector_steps_total", pool="p", chain="bitcoin", step="waiting") == 1
    metrics.chain_failed("p", "bitcoin", "fenced")
    assert value(metrics, "connector_state", pool="p", chain="bitcoin", state="failed") == 1


def test_months_are_those_last_seen(metrics: Metrics) -> None:
    metrics.refreshed("p", {"bitcoin": (7, 1_700_000_000), "new": (None, None)}, [MonthSeen("2026-10", "open", 3, 2)], at=9, took_s=0.5)
    assert value(metrics, "month_state", pool="p", month="2026-10", state="open") == 1
    assert value(metrics, "month_blocking_issues", pool="p", month="2026-10") == 2
    assert value(metrics, "store_chain_tip_timestamp_seconds", pool="p", chain="bitcoin") == 1_700_000_000
    assert value(metrics, "store_chain_height", pool="p", chain="new") is None
    metrics.refreshed("p", {}, [MonthSeen("2026-11", "closable", 0, 0)], at=10, took_s=0.5)
    assert value(metrics, "month_state", pool="p", month="2026-10", state="open") is None
    assert value(metrics, "month_state", pool="p", month="2026-11", state="closable") == 1
    assert value(metrics, "published_timestamp_seconds", pool="p") == 10


def test_a_pool_that_moved_elsewhere_is_not_told_of_here(metrics: Metrics) -> None:
    for pool in ("p", "q"):
        metrics.lease_gained(pool)
        metrics.log_read(pool, {"chain/0": 500}, {}, is_at_end=False)
        metrics.ingested(pool, events=1, rows=1, bad_events=0, at=5)
        metrics.ingest_failed(pool, StoreError("held"))
    metrics.lease_ended("p", is_lost=True)
    text = generate_latest(metrics.registry).decode()
    told = {
        line.split("{")[0] for line in text.splitlines() if 'pool="p"' in line and not line.split("{")[0].endswith(("_total", "_created"))
    }
    assert told == {"esep_lease_held"}, "counters stay, for rates; what others say now does not"
    assert value(metrics, "lease_held", pool="p") == 0 and value(metrics, "lease_held", pool="q") == 1
    assert value(metrics, "lease_lost_total", pool="p") == 1
    assert all(fault.startswith("q") for fault in metrics.health.behind()) and metrics.health.behind()


def test_a_loop_that_stopped_going_round_is_stalled(metrics: Metrics, clock: Clock) -> None:
    health = metrics.health
    health.beat("store")
    health.beat("chain", patience_s=30)
    clock.now += 60
    assert health.stalled() == []
    clock.now += 1
    assert health.stalled() == ["store: did not go round for 61 s"] and health.behind() == health.stalled()
    clock.now += 30
    assert len(health.stalled()) == 2
    health.beat("store")
    health.ended("chain")
    assert health.stalled() == []


def test_the_version_is_told(metrics: Metrics) -> None:
    assert value(metrics, "build_info", version="1.2.3") == 1
