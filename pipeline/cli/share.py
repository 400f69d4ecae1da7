"""Filling the stores of several pools in one process: one thread for each pool that is ours to fill.

Enters: the pools' settings, and leases that say whose turn it is (`pipeline.lease`). A pool that is gained gets a thread, a pool that
is lost loses it; a pool that fails is tried again later and later, and does not disturb the others. Ends on `stop`, on a lost
log's grant of leases, and on a defect of the program. Left out: what filling is (`loops.follow_log`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import structlog

from ..app import App
from ..errors import EsepError, LeaseLost, StoreHeld
from ..lease import Leases, PoolLease
from ..metrics import Metrics
from .loops import follow_log

_journal = structlog.get_logger("esep")

LOOK_S = 0.5
"""How often the leases are looked at."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

OpenApp = Callable[[], AbstractContextManager[App]]


def share_pools(apps: Mapping[str, OpenApp], leases: Leases, metrics: Metrics, stop: threading.Event) -> None:
    """Fill the pools whose leases are held, until `stop`. Raises LogError when the leases can't be asked for, and defects."""
    workers: dict[PoolLease, threading.Thread] = {}
    defects: list[BaseException] = []

    def work(lease: PoolLease) -> None:
        try:
            _fill_pool(apps[lease.pool], lease, metrics)
        except BaseException as error:
            defects.append(error)
            stop.set()
            raise SystemExit from error  # ends this thread alone; the caller raises what happened
        finally:
            lease.release()

    try:
        while not stop.is_set():
            metrics.health.beat("leases")
            for lease in leases.held(LOOK_S):
                if lease not in workers and not lease.lost.is_set():
                    workers[lease] = threading.Thread(target=work, args=(lease,), name=lease.pool)
                    workers[lease].start()
            workers = {lease: thread for lease, thread in workers.items() if thread.is_alive()}
    finally:
        for lease in workers:
            lease.lose()
        for thread in workers.values():
            thread.join()
        leases.close()
    if defects:
        raise defects[0]


def _fill_pool(opened: OpenApp, lease: PoolLease, metrics: Metrics) -> None:
    """Fill one pool's store until its lease is lost, whatever fails meanwhile."""
    pool, pause_s = lease.pool, FIRST_PAUSE_S
    metrics.lease_gained(pool)
    _journal.info("pool-gained", pool=pool)
    while not lease.lost.is_set():
        try:
            with opened() as app:
                follow_log(app, metrics, lease)(lease.lost)
        except LeaseLost:
            break
        except StoreHeld as held:
            # Its last holder has not let go yet, or a person has it open: soon or at last it is free.
            _journal.info("store-held", pool=pool, detail=str(held))
            lease.lost.wait(FIRST_PAUSE_S)
        except EsepError as error:
            _journal.error("pool-failed", pool=pool, error=str(error), again_in_s=pause_s)
            lease.lost.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    metrics.lease_ended(pool, is_lost=lease.lost.is_set())
    _journal.info("pool-ended", pool=pool)
