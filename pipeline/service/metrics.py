"""What a running process tells Prometheus: lag, throughput, errors, positions, chains, months, leases.

Enters: what the loops did, said by them as they go. Leaves: metrics in a registry that the composition root makes, each with the
label `pool`; the same news goes on to `pipeline.service.health`. Instants are Unix seconds, so that an age is `time() - metric`. No clock is
read here, nothing is asked from the log or a node: a scrape costs nothing and never waits. Left out: serving them
(`pipeline/service/probes.py`); amounts, names and numbers of people, which never become labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Info

from pipeline.follow.nodes import NodeReport
from pipeline.log.protocol import Positions

from .health import Health, Limits

CONNECTOR_STATES = ("following", "rescanning", "waiting", "failed")
MONTH_STATES = ("open", "closable", "frozen")


class MonthSeen(NamedTuple):
    """How a month stands: its state, how many conditions of rule 8.1 are not met, how many blocking issues are open."""

    month: str
    state: str
    unmet: int
    blocking: int


class Metrics:
    """Every metric of a process. Threads may share it."""

    def __init__(self, registry: CollectorRegistry, health: Health, *, version: str = "") -> None:
        """Register all metrics in `registry`. `version`: the program's own."""
        self.registry = registry
        self.health = health

        def gauge(name: str, words: str, *labels: str) -> Gauge:
            return Gauge(f"esep_{name}", words, ("pool", *labels), registry=registry)

        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"esep_{name}", words, ("pool", *labels), registry=registry)

        Info("esep_build", "The program's version.", registry=registry).info({"version": version})
        self._log_end = gauge("log_end_offset", "Next offset of the log's partition.", "topic", "partition")
        self._position = gauge("store_position", "Next offset that the store will read.", "topic", "partition")
        self._lag = gauge(
            "log_lag_events",
            "Offsets of the partition that the store has still to read; 0 when there is no event among them.",
            "topic",
            "partition",
        )
        self._events = counter("ingest_events", "Events of the log committed to the store.")
        self._rows = counter("ingest_rows", "Rows committed to the store.")
        self._bad_events = counter("ingest_bad_events", "Events that can't be read or contradict others; each keeps months open.")
        self._errors = counter("ingest_errors", "Failures of filling the store, by exit code's name.", "kind")
        self._last_commit = gauge("ingest_last_commit_timestamp_seconds", "When something was last committed to the store.")
        self._height = gauge("chain_height", "Height of the newest block in the log.", "chain")
        self._node_height = gauge("chain_node_height", "Height of the node's newest block.", "chain")
        self._blocks = gauge("chain_lag_blocks", "Blocks between the log and the node.", "chain")
        self._witnessed = gauge("chain_witnessed_height", "Height up to which enough nodes stand behind every block.", "chain")
        self._node_tip = gauge("node_height", "Height of one node's newest block.", "chain", "node")
        self._node_trouble = gauge("node_in_trouble", "1 while the node is in trouble.", "chain", "node")
        self._node_followed = gauge("node_followed", "1 for the node that is followed.", "chain", "node")
        self._connector = gauge("connector_state", "1 for what the chain's connector is doing.", "chain", "state")
        self._steps = counter("connector_steps", "Steps of the chain's connector, by what they came to.", "chain", "step")
        self._left = counter("chain_disconnected_blocks", "Blocks that left the main chain.", "chain")
        self._store_height = gauge("store_chain_height", "Height of the newest block in the store.", "chain")
        self._store_tip = gauge("store_chain_tip_timestamp_seconds", "Time of the newest block in the store.", "chain")
        self._published = gauge("published_timestamp_seconds", "When the analysts' copy was last published.")
        self._refresh = gauge("refresh_duration_seconds", "How long the last working out and publishing took.")
        self._state = gauge("month_state", "1 for how the month stands.", "month", "state")
        self._unmet = gauge("month_unmet_conditions", "Conditions of closing the month that are not met (rule 8.1).", "month")
        self._blocking = gauge("month_blocking_issues", "Blocking issues of the month that nobody waived.", "month")
        self._lease = gauge("lease_held", "1 while the pool is this process's to fill.")
        self._lost = counter("lease_lost", "Times that the pool was taken from this process.")

    # --- the store

    def log_read(self, pool: str, ends: Positions, positions: Positions, *, is_at_end: bool) -> None:
        """Where the log ended and how far the store has read. `is_at_end`: nothing was left to read before those ends.

        Then there is no lag, whatever the offsets say: on Kafka some belong to no event, and some to other pools' events.
        """
        behind = 0
        for place, end in ends.items():
            topic, _, partition = place.partition("/")
            at = positions.get(place, 0)
            lag = 0 if is_at_end else max(0, end - at)
            self._log_end.labels(pool, topic, partition).set(end)
            self._position.labels(pool, topic, partition).set(at)
            self._lag.labels(pool, topic, partition).set(lag)
            behind += lag
        self.health.lag(pool, behind)

    def ingested(self, pool: str, *, events: int, rows: int, bad_events: int, at: int) -> None:
        """A batch was committed at `at` (Unix seconds)."""
        if events:
            self._events.labels(pool).inc(events)
            self._rows.labels(pool).inc(rows)
            self._bad_events.labels(pool).inc(bad_events)
            self._last_commit.labels(pool).set(at)
        self.health.trouble(f"{pool} store", None)

    def ingest_failed(self, pool: str, error: BaseException) -> None:
        """Filling the store failed; it is retried, or the process ends."""
        self._errors.labels(pool, type(error).__name__).inc()
        self.health.trouble(f"{pool} store", str(error))

    def refreshed(
        self, pool: str, tips: Mapping[str, tuple[int | None, int | None]], months: Iterable[MonthSeen], *, at: int, took_s: float
    ) -> None:
        """Months were assessed and the copy was published at `at` (Unix seconds). `tips`: height and block time by chain, None before the first block."""
        self._published.labels(pool).set(at)
        self._refresh.labels(pool).set(took_s)
        for chain, (height, time) in tips.items():
            if height is not None and time is not None:
                self._store_height.labels(pool, chain).set(height)
                self._store_tip.labels(pool, chain).set(time)
        for family in (self._state, self._unmet, self._blocking):
            family.remove_by_labels({"pool": pool})
        for seen in months:
            for state in MONTH_STATES:
                self._state.labels(pool, seen.month, state).set(state == seen.state)
            self._unmet.labels(pool, seen.month).set(seen.unmet)
            self._blocking.labels(pool, seen.month).set(seen.blocking)

    # --- a chain

    def chain_stepped(
        self,
        pool: str,
        chain: str,
        step: str,
        *,
        height: int | None,
        node_height: int | None,
        n_disconnected: int = 0,
        trouble: str | None = None,
    ) -> None:
        """A connector's step, by its name (`connected`, `waiting`, …); heights None while they are not known."""
        self._steps.labels(pool, chain, step).inc()
        self._left.labels(pool, chain).inc(n_disconnected)
        self._connector_is(pool, chain, step if step in CONNECTOR_STATES else "following")
        for family, value in ((self._height, height), (self._node_height, node_height)):
            if value is not None:
                family.labels(pool, chain).set(value)
        behind = max(0, node_height - height) if height is not None and node_height is not None else None
        if behind is not None:
            self._blocks.labels(pool, chain).set(behind)
        self.health.blocks(pool, chain, behind)
        self.health.trouble(f"{pool} {chain}", trouble)

    def nodes_seen(self, pool: str, chain: str, nodes: Sequence[NodeReport], witnessed_to: int | None) -> None:
        """What is known of each of the chain's nodes, and up to where enough of them were asked (None: one is enough)."""
        if witnessed_to is not None:
            self._witnessed.labels(pool, chain).set(witnessed_to)
        for node in nodes:
            self._node_trouble.labels(pool, chain, node.node).set(node.is_in_trouble)
            self._node_followed.labels(pool, chain, node.node).set(node.is_followed)
            if node.height is not None:
                self._node_tip.labels(pool, chain, node.node).set(node.height)

    def chain_failed(self, pool: str, chain: str, trouble: str) -> None:
        """A connector failed; it is tried again, or the process ends."""
        self._connector_is(pool, chain, "failed")
        self.health.trouble(f"{pool} {chain}", trouble)

    def _connector_is(self, pool: str, chain: str, state: str) -> None:
        for each in CONNECTOR_STATES:
            self._connector.labels(pool, chain, each).set(each == state)

    # --- leases

    def lease_gained(self, pool: str) -> None:
        """This process now fills the pool's store."""
        self._lease.labels(pool).set(1)

    def lease_ended(self, pool: str, *, is_lost: bool) -> None:
        """This process no longer fills the pool's store: its metrics are removed; another process reports them now."""
        if is_lost:
            self._lost.labels(pool).inc()
        self._lease.labels(pool).set(0)
        for family in (
            self._log_end, self._position, self._lag, self._last_commit, self._store_height, self._store_tip, self._published,
            self._refresh, self._state, self._unmet, self._blocking,
        ):  # fmt: skip
            family.remove_by_labels({"pool": pool})
        self.health.lag(pool, None)
        self.health.trouble(f"{pool} store", None)


def metric_table(registry: CollectorRegistry) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Every metric as a scrape names it: name, kind, meaning, labels; in the order of their registration."""
    found = []
    for collector in list(registry._collector_to_names):
        for family in collector.collect() or ():
            name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
            kind = "gauge" if family.type == "info" else family.type
            found.append((name, kind, family.documentation, tuple(getattr(collector, "_labelnames", ())) or ("version",)))
    return found


def metrics_page() -> str:
    """`docs/metrics.md`."""
    registry = CollectorRegistry()
    Metrics(registry, Health(lambda: 0.0, Limits()))
    lines = [
        "# Metrics", "",
        "What `/metrics` of `esep run`, `watch`, `capture` and `ingest` tells. This page is printed from the program (`make docs`).",
        "On Kafka not every offset is an event of the pool: while a store catches up, its lag is never less than the events to be read.", "",
        "| metric | kind | labels | meaning |", "|---|---|---|---|",
    ]  # fmt: skip
    lines += [f"| `{name}` | {kind} | {', '.join(labels)} | {words} |" for name, kind, words, labels in metric_table(registry)]
    return "\n".join(lines) + "\n"
