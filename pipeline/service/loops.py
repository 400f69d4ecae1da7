"""Runs the loops of a service in threads, and the loop that fills the store. All stop on request, or when one of them fails.

A loop's failure ends all of them and is raised in the caller's thread, so that a supervisor sees one clear message and exit code. (A chain's loop
fails only by what concerns all of them: `pipeline/service/following.py`.)
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from pipeline.app.app import App
from pipeline.app.stores import OnBatch
from pipeline.assess.waivers import blocking_issues
from pipeline.log.lease import PoolLease
from pipeline.log.protocol import Positions
from pipeline.model.errors import EsepError, LeaseLost, StoreLocked
from pipeline.model.journal import Journal
from pipeline.store import Store
from pipeline.store.queries import chain_state, frozen_months
from pipeline.store.step import IngestStep

from .metrics import Metrics, MonthSeen

_journal = Journal("esep")

WAIT_S = 1.0
"""Seconds that the store's loop waits for new events before it checks whether to stop."""
HELD_S = 60.0
"""Seconds that the store's loop waits for a store that another process has open."""

Loop = Callable[[threading.Event], None]


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop`; the second SIGINT interrupts."""

    def handle(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        _journal.info("stopping", signal=signal.Signals(number).name)
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_loops(loops: Mapping[str, Loop], stop: threading.Event) -> None:
    """Run every loop in a thread until `stop` is set or one of them fails or ends; then stop all, and raise the first failure."""
    failures: list[BaseException] = []

    def guarded(name: str, loop: Loop) -> None:
        try:
            loop(stop)
        except BaseException as error:  # noqa: BLE001 - the outermost frame of the thread; the caller raises what happened
            failures.append(error)
            stop.set()
            _journal.error("loop-failed", loop=name, error=str(error))

    threads = [threading.Thread(target=guarded, args=(name, loop), name=name) for name, loop in loops.items()]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not stop.is_set():
        stop.wait(WAIT_S)
    stop.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def follow_log(app: App, metrics: Metrics, lease: PoolLease | None = None) -> Loop:
    """The loop that fills the live store, assesses the open months and publishes the analysts' copy.

    With a `lease`, nothing is committed or published after it is lost: the loop then ends with LeaseLost.
    """
    name = f"{app.pool} store"
    lease = lease or PoolLease(app.pool)

    def loop(stop: threading.Event) -> None:
        metrics.health.beat(name)
        try:
            app.decisions.record_settings_labels()
            with ExitStack() as held:
                if (store := _hold_store(app, held, metrics, stop)) is not None:
                    store.fence = lease.committing
                    _keep_filled(app, store, metrics, lease, stop)
        except LeaseLost:
            raise
        except EsepError as error:
            metrics.ingest_failed(app.pool, error)
            raise
        finally:
            metrics.health.ended(name)

    return loop


def _hold_store(app: App, held: ExitStack, metrics: Metrics, stop: threading.Event) -> Store | None:
    """The live store, once another process that has it open briefly (a command, the scheduler) closes it; None if stopped before.

    Raises StoreLocked after `HELD_S`: then another service has it.
    """
    on_batch = _measuring(app, metrics)
    begun = time.monotonic()
    while not stop.is_set():
        try:
            return held.enter_context(app.stores.hold_live(on_batch))
        except StoreLocked as error:
            if time.monotonic() - begun > HELD_S:
                raise
            _journal.info("store-held", pool=app.pool, detail=str(error))
            metrics.health.beat(f"{app.pool} store")
            stop.wait(WAIT_S)
    return None


def _keep_filled(app: App, store: Store, metrics: Metrics, lease: PoolLease, stop: threading.Event) -> None:
    shown: dict[str, int] | None = None
    shown_at = 0.0
    on_batch = _measuring(app, metrics)
    told = sum(store.positions().values())

    def tell(done: int, total: int) -> None:
        """Every look at the log says how far the store is: the journal only hears of it when something was read."""
        nonlocal told
        if done != told:
            told = done
            _journal.info("ingested", pool=app.pool, records=done, of=total)

    while not stop.is_set():
        app.stores.fill(store, on_progress=tell, on_batch=on_batch)
        is_due = shown is None or time.monotonic() - shown_at >= app.settings.store.publish_every_s
        if is_due and store.positions() != shown:
            with store.lock:
                shown = refresh(app, store, metrics, lease)
            shown_at = time.monotonic()
        app.log.wait(store.positions(), WAIT_S)


def _measuring(app: App, metrics: Metrics) -> OnBatch:
    """A callback that records ingested batches in the metrics."""

    def on_batch(step: IngestStep, end: Positions) -> None:
        metrics.health.beat(f"{app.pool} store")
        metrics.ingested(app.pool, events=step.events, rows=step.rows, bad_events=step.bad_events, at=app.now())
        metrics.log_read(app.pool, end, step.positions, is_at_end=step.at_end)

    return on_batch


def refresh(app: App, store: Store, metrics: Metrics, lease: PoolLease) -> dict[str, int]:
    """Assess the open months and publish the analysts' copy; the positions that it shows. Raises LeaseLost before publishing."""
    begun = time.monotonic()
    positions = store.positions()
    months = [MonthSeen(month, "frozen", 0, 0) for month in frozen_months(store.connection)]
    for month in app.months.open_months(store):
        app.decisions.record_settings_waivers(app.months, store, month)  # the loop's next turn reads what is appended
        state, assessed = app.months.assess(store, month)
        app.months.write_enriched(store, month, assessed)
        unmet = [condition.name for condition in assessed.unmet]
        blocking = blocking_issues(assessed.enriched.issues, state.waivers).height
        months.append(MonthSeen(str(month), "open" if unmet else "closable", len(unmet), blocking))
        _journal.info("assessed", pool=app.pool, month=str(month), unmet=unmet)
        metrics.health.beat(f"{app.pool} store")
    with lease.committing():
        path = app.stores.publish(store)
    _journal.info("published", pool=app.pool, path=str(path))
    tips = {chain: (tip.height, tip.time) for chain, tip in chain_state(store.connection).items()}
    metrics.refreshed(app.pool, tips, months, at=app.now(), took_s=time.monotonic() - begun)
    return positions
