"""Fills the stores of several pools in one process: one thread for each pool whose lease this process holds.

Enters: the pools' settings, and the leases (`pipeline.log.lease`). A thread starts when a lease is gained and stops when it is lost; a pool that
fails is retried at growing intervals and does not affect the others. Ends on `stop`, when the leases can't be renewed, and on a defect of the
program. Left out: the filling itself (`loops.follow_log`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager

from pipeline.app.app import App
from pipeline.log.lease import Leases, PoolLease
from pipeline.model.errors import EsepError, LeaseLost, StoreLocked
from pipeline.model.journal import Journal

from .loops import follow_log
from .metrics import Metrics

_journal = Journal("esep")

LOOK_S = 0.5
"""Seconds between checks of the leases."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

OpenApp = Callable[[], AbstractContextManager[App]]


def share_pools(apps: Mapping[str, OpenApp], leases: Leases, metrics: Metrics, stop: threading.Event) -> None:
    """Fill the pools whose leases are held, until `stop`. Raises LogError if the leases can't be renewed, and defects of the program."""
    workers: dict[PoolLease, Future[None]] = {}

    def work(lease: PoolLease) -> None:
        try:
            _fill_pool(apps[lease.pool], lease, metrics)
        finally:
            lease.release()

    with ThreadPoolExecutor(max_workers=2 * len(apps), thread_name_prefix="pool") as threads:
        try:
            while not stop.is_set():
                metrics.health.beat("leases")
                for lease in leases.poll(LOOK_S):
                    if lease not in workers and not lease.lost.is_set():
                        workers[lease] = threads.submit(work, lease)
                for lease in [lease for lease, worker in workers.items() if worker.done()]:
                    workers.pop(lease).result()  # re-raises a defect of the program
        finally:
            for lease in workers:
                lease.revoke()
            wait(workers.values())
            leases.close()


def _fill_pool(opened: OpenApp, lease: PoolLease, metrics: Metrics) -> None:
    """Fill one pool's store until its lease is lost; failures are retried."""
    pool, pause_s = lease.pool, FIRST_PAUSE_S
    metrics.lease_gained(pool)
    _journal.info("pool-gained", pool=pool)
    while not lease.lost.is_set():
        try:
            with opened() as app:
                follow_log(app, metrics, lease)(lease.lost)
        except LeaseLost:
            break
        except StoreLocked as held:
            # Its last holder has not closed it yet, or a person has it open: try again.
            _journal.info("store-held", pool=pool, detail=str(held))
            lease.lost.wait(FIRST_PAUSE_S)
        except EsepError as error:
            _journal.error("pool-failed", pool=pool, error=str(error), again_in_s=pause_s)
            lease.lost.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    metrics.lease_ended(pool, is_lost=lease.lost.is_set())
    _journal.info("pool-ended", pool=pool)
