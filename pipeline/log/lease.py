"""Who may fill a pool's store: a lease, held by one process at a time and asked again before every commit.

Enters: a set of pools that this process is able to fill. Leaves: a `PoolLease` for each pool that is its to fill now. Losing one
happens in this order: `lost` is set, commits are refused, the one commit that had begun is waited for, and only then may
another process be given the pool. So two processes never commit for the same pool, and the loser's next commit fails.

`LocalLeases` is for a log that one machine has to itself: everything is ours as long as the process lives, and DuckDB's own lock
keeps a second process out. `connectors/log_kafka/lease.py` shares pools among processes by Kafka's group protocol. Left out:
what a holder does with its pool, and when it starts again after a failure.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from pipeline.model.errors import LeaseLost


class PoolLease:
    """The right to fill one pool's store, until `lost` is set. Threads may share it.

    `confirm` asks whoever grants leases whether this one still holds, and raises LeaseLost when it does not.
    """

    def __init__(self, pool: str, confirm: Callable[[PoolLease], None] = lambda lease: None) -> None:
        self.pool = pool
        self.lost = threading.Event()
        """Set when the pool is not ours any more: the holder's loop ends on it, as on any stop."""
        self.released = threading.Event()
        """Set by the holder when it has closed everything of the pool."""
        self._confirm = confirm
        self._committing = threading.Lock()

    @contextlib.contextmanager
    def committing(self) -> Iterator[None]:
        """Around a commit: the pool is ours when it begins, and nobody is given it before it ends. Raises LeaseLost."""
        with self._committing:
            self.check()
            yield

    def check(self) -> None:
        """Raises LeaseLost when the pool is not ours (any more)."""
        if not self.lost.is_set():
            self._confirm(self)
        if self.lost.is_set():
            raise LeaseLost(f"pool {self.pool!r} was given to another process: nothing more of it is committed here")

    def is_committing(self) -> bool:
        """Whether a commit is under way."""
        return self._committing.locked()

    def revoke(self) -> None:
        """Take the lease back: from now on no commit begins. One that has begun ends meanwhile: see `is_committing`."""
        self.lost.set()

    def release(self) -> None:
        """The holder says that it has let go of the pool."""
        self.lost.set()
        self.released.set()


class Leases(Protocol):
    """Grants leases on pools."""

    def poll(self, timeout_s: float) -> Sequence[PoolLease]:
        """The leases held now, after waiting up to about `timeout_s` for a change; to be called again and again.

        Raises LogError when whoever grants them can't be asked.
        """
        ...

    def close(self) -> None:
        """Give every lease back. The holders must have stopped."""
        ...


class LocalLeases:
    """Every pool is ours from the beginning to the end."""

    def __init__(self, pools: Sequence[str]) -> None:
        self._leases = [PoolLease(pool) for pool in pools]
        self._closed = threading.Event()

    def poll(self, timeout_s: float) -> Sequence[PoolLease]:
        """`Leases.poll`: a lease that its holder released is granted anew."""
        self._closed.wait(timeout_s)
        self._leases = [PoolLease(lease.pool) if lease.released.is_set() else lease for lease in self._leases]
        return self._leases

    def close(self) -> None:
        """`Leases.close`."""
        for lease in self._leases:
            lease.revoke()
        self._closed.set()
