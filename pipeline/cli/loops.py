"""The loops of a running service: one thread a chain, one for the store; each stops when told, or when one of them fails.

A thread's failure ends all of them and is raised in the caller's, so that a supervisor sees one clear message and exit code.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog

from connectors.bitcoin.steps import Connected, Idle, Reorganised, Step, Waiting

from ..app import App
from ..store import Store

_journal = structlog.get_logger("esep")

WAIT_S = 1.0
"""How long the store's loop waits for the log before it looks whether it should stop."""

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


def run_together(loops: Mapping[str, Loop], stop: threading.Event) -> None:
    """Run every loop in a thread until `stop` is set or one of them fails or ends; then stop all, and raise the first failure."""
    failures: list[BaseException] = []

    def guarded(name: str, loop: Loop) -> None:
        try:
            loop(stop)
        except BaseException as error:
            failures.append(error)
            stop.set()
            _journal.error("loop-failed", loop=name, error=str(error))
            raise SystemExit from error  # ends this thread alone; the caller raises what happened

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


def follow_chain(app: App, chain: str, tell: Callable[[Step, dict[str, object]], None]) -> Loop:
    """The loop that brings a chain's events into the log."""

    def loop(stop: threading.Event) -> None:
        with app.connector(chain) as connector:
            connector.run(stop, lambda step: tell(step, connector.describe()), poll_s=float(app.settings.chains[chain].poll_s))

    return loop


def journal_step(step: Step, state: dict[str, object]) -> None:
    """A chain's step as a line of the log; nothing for a look that found nothing."""
    where = {"chain": state["chain"], "height": state["height"], "node_height": state["node_height"]}
    if isinstance(step, Connected):
        _journal.info("connected", blocks=step.n_blocks, **where)
    elif isinstance(step, Reorganised):
        _journal.warning("reorganised", left=step.n_disconnected, joined=step.n_connected, **where)
    elif isinstance(step, Waiting):
        _journal.info("waiting", reason=step.reason, **where)
    elif not isinstance(step, Idle):
        _journal.info(type(step).__name__.lower(), detail=str(step), **where)


def follow_log(app: App) -> Loop:
    """The loop that fills the live store, works out the open months and publishes the analysts' copy."""

    def loop(stop: threading.Event) -> None:
        app.bring_settings_decisions()
        shown: dict[str, int] | None = None
        shown_at = 0.0
        with app.live_store() as store:
            while not stop.is_set():
                app.fill(store, tell=lambda done, total: _journal.info("ingested", records=done, of=total))
                is_due = shown is None or time.monotonic() - shown_at >= app.settings.store.publish_every_s
                if is_due and store.positions() != shown:
                    shown, shown_at = refresh(app, store), time.monotonic()
                app.log.wait(store.positions(), WAIT_S)

    return loop


def refresh(app: App, store: Store) -> dict[str, int]:
    """Work out the open months anew and publish the analysts' copy; the positions shown there."""
    positions = store.positions()
    for month in app.open_months(store):
        _, assessed = app.assess(store, month)
        app.show_month(store, month, assessed)
        _journal.info("assessed", month=str(month), unmet=[condition.name for condition in assessed.unmet])
    path = app.publish(store)
    _journal.info("published", path=str(path))
    return positions
