"""Whether the process is alive, and whether it has caught up: what a supervisor and a load balancer ask.

Enters: what the loops say of themselves as they go (a beat, a lag, a failure), and a monotonic clock that the caller gives. Leaves:
the faults, one line each, none when all is well. Alive means that every loop went round not long ago; ready means caught up within
limits. Left out: numbers over time (`pipeline.service.metrics`) and who asks (`pipeline/service/probes.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True)
class Limits:
    """From where on it is a fault."""

    stalled_after_s: float = 900.0
    """A loop that did not go round for so long is stuck. The longest single piece of work is a large month's assessment."""
    ready_lag_events: int = 1000
    """Events of the log that the store may be behind."""
    ready_lag_blocks: int = 3
    """Blocks of a node that the log may be behind."""


class Health:
    """What the loops last said. Threads may share it."""

    def __init__(self, clock: Callable[[], float], limits: Limits) -> None:
        """`clock`: seconds that only ever grow, such as `time.monotonic`."""
        self._clock = clock
        self.limits = limits
        self._lock = threading.Lock()
        self._beats: dict[str, float] = {}
        self._lags: dict[str, int] = {}
        self._blocks: dict[tuple[str, str], int] = {}
        self._troubles: dict[str, str] = {}

    def beat(self, loop: str, *, patience_s: float = 0.0) -> None:
        """The loop goes round, and may wait `patience_s` beyond the limit before it does again."""
        with self._lock:
            self._beats[loop] = self._clock() + patience_s

    def ended(self, loop: str) -> None:
        """The loop ended as it should, and is not waited for."""
        with self._lock:
            self._beats.pop(loop, None)

    def lag(self, pool: str, events: int | None) -> None:
        """How many events the pool's store is behind the log; None when it isn't this process's to fill any more."""
        with self._lock:
            _put(self._lags, pool, events)

    def blocks(self, pool: str, chain: str, behind: int | None) -> None:
        """How many blocks the log is behind the chain's node; None when nobody knows."""
        with self._lock:
            _put(self._blocks, (pool, chain), behind)

    def trouble(self, what: str, words: str | None) -> None:
        """What keeps a part from going on; None when it goes on."""
        with self._lock:
            _put(self._troubles, what, words)

    def stalled(self) -> list[str]:
        """The loops that don't go round: the process should be started again."""
        with self._lock:
            now = self._clock()
            late = {loop: now - at for loop, at in sorted(self._beats.items()) if now - at > self.limits.stalled_after_s}
        return [f"{loop}: did not go round for {late_s:.0f} s" for loop, late_s in late.items()]

    def behind(self) -> list[str]:
        """What is not caught up, or can't go on; stalled loops too."""
        faults = self.stalled()
        with self._lock:
            faults += [f"{what}: {words}" for what, words in sorted(self._troubles.items())]
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
    """Keep the value; None takes the former one away."""
    if value is None:
        held.pop(key, None)
    else:
        held[key] = value
