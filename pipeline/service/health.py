"""Liveness and readiness of the process, for a supervisor and a load balancer.

Enters: what the loops report (heartbeats, lags, failures), and a monotonic clock. Leaves: the faults, one line each; none if all is well. Live:
every loop completed an iteration recently. Ready: also caught up within limits, and without a trouble that is being tried again. Left out: numbers over time (`pipeline.service.metrics`) and
the HTTP endpoints (`pipeline/service/probes.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True)
class Limits:
    """The limits beyond which there is a fault."""

    stalled_after_s: float = 900.0
    """Seconds without a heartbeat after which a loop counts as stalled. The longest single task is assessing a large month."""
    ready_lag_events: int = 1000
    """How many events the store may be behind the log."""
    ready_lag_blocks: int = 3
    """How many blocks the log may be behind a node."""


class Health:
    """The loops' last reports. Thread-safe."""

    def __init__(self, clock: Callable[[], float], limits: Limits) -> None:
        """`clock`: seconds of a monotonic clock, such as `time.monotonic`."""
        self._clock = clock
        self.limits = limits
        self._lock = threading.Lock()
        self._beats: dict[str, float] = {}
        self._lags: dict[str, int] = {}
        self._blocks: dict[tuple[str, str], int] = {}
        self._troubles: dict[str, str] = {}

    def beat(self, loop: str, *, patience_s: float = 0.0) -> None:
        """The loop is alive. Its next heartbeat may come `patience_s` later than the limit allows."""
        with self._lock:
            self._beats[loop] = self._clock() + patience_s

    def ended(self, loop: str) -> None:
        """The loop ended as intended; no more heartbeats are expected."""
        with self._lock:
            self._beats.pop(loop, None)

    def lag(self, pool: str, events: int | None) -> None:
        """How many events the pool's store is behind the log; None if this process no longer fills it."""
        with self._lock:
            _put(self._lags, pool, events)

    def blocks(self, pool: str, chain: str, behind: int | None) -> None:
        """How many blocks the log is behind the chain's node; None if unknown."""
        with self._lock:
            _put(self._blocks, (pool, chain), behind)

    def trouble(self, what: str, words: str | None) -> None:
        """The error that stops a part; None once it works again."""
        with self._lock:
            _put(self._troubles, what, words)

    def stalled(self) -> list[str]:
        """The stalled loops: the process should be restarted."""
        with self._lock:
            now = self._clock()
            late = {loop: now - at for loop, at in sorted(self._beats.items()) if now - at > self.limits.stalled_after_s}
        return [f"{loop}: did not go round for {late_s:.0f} s" for loop, late_s in late.items()]

    def troubles(self) -> list[str]:
        """The errors that parts are in now. They are tried again: restarting the process would not help, and would stop the other parts."""
        with self._lock:
            return [f"{what}: {words}" for what, words in sorted(self._troubles.items())]

    def behind(self) -> list[str]:
        """What is not caught up or has failed, including stalled loops."""
        faults = self.stalled() + self.troubles()
        with self._lock:
            for pool, events in sorted(self._lags.items()):
                if events > self.limits.ready_lag_events:
                    faults.append(f"{pool}: the store is {events} events behind the log (limit {self.limits.ready_lag_events})")
            for (pool, chain), blocks in sorted(self._blocks.items()):
                if blocks > self.limits.ready_lag_blocks:
                    faults.append(f"{pool} {chain}: the log is {blocks} blocks behind the node (limit {self.limits.ready_lag_blocks})")
        return faults


_K = TypeVar("_K")
_V = TypeVar("_V")


def _put(held: dict[_K, _V], key: _K, value: _V | None) -> None:
    """Set the value; None removes the key."""
    if value is None:
        held.pop(key, None)
    else:
        held[key] = value
