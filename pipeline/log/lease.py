"""Leases: which process may write a pool's store. One process holds a pool's lease at a time, and confirms it before every commit.

Enters: the pools that this process could serve. Leaves: a `PoolLease` for each pool that it may write now. A lease is lost in this
order: `lost` is set, new commits are refused, a commit under way is waited for, and only then is the pool given to another
process. So two processes never commit for the same pool, and the next commit of the former holder fails.

`LocalLeases` is for a log on one machine: the process holds every pool as long as it lives, and DuckDB's file lock keeps a second
process out. `connectors/log_kafka/lease.py` shares pools among processes with Kafka's group protocol. Left out: what a holder does
with its pool, and when it starts again after a failure.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from pipeline.model.errors import LeaseLost
from pipeline.model.message import message


class PoolLease:
    """The right to write one pool's store, until `lost` is set. Threads may share it.

    `confirm` asks the grantor whether the lease is still valid, and raises LeaseLost when it is not.
    """

    def __init__(self, pool: str, confirm: Callable[[PoolLease], None] = lambda lease: None) -> None:
        self.pool = pool
        self.lost = threading.Event()
        """Set when the lease is lost: the holder's loop ends on it, as on any stop."""
        self.released = threading.Event()
        """Set by the holder once it has closed the pool's store."""
        self._confirm = confirm
        self._committing = threading.Lock()

    @contextlib.contextmanager
    def committing(self) -> Iterator[None]:
        """Wraps a commit: confirms the lease first, and the pool is not given to another process before it ends. Raises LeaseLost."""
        with self._committing:
            self.check()
            yield

    def check(self) -> None:
        """Raises LeaseLost when the lease is no longer held."""
        if not self.lost.is_set():
            self._confirm(self)
        if self.lost.is_set():
            raise LeaseLost(message("pool {pool} was given to another process: nothing more of it is committed here", pool=repr(self.pool)))

    def is_committing(self) -> bool:
        """Whether a commit is under way."""
        return self._committing.locked()

    def revoke(self) -> None:
        """Called by the grantor: no new commit begins from now on. One under way may still be running: see `is_committing`."""
        self.lost.set()

    def release(self) -> None:
        """Called by the holder: it has stopped using the pool."""
        self.lost.set()
        self.released.set()


class Leases(Protocol):
    """Grants leases on pools."""

    def poll(self, timeout_s: float) -> Sequence[PoolLease]:
        """The leases held now, after waiting up to about `timeout_s` for a change. Call it repeatedly.

        Raises LogError when the grantor can't be reached.
        """
        ...

    def close(self) -> None:
        """Give every lease back. The holders must have stopped."""
        ...


class LocalLeases:
    """`Leases` on one machine: every pool is held until `close`."""

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
