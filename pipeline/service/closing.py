"""Closing as a loop: takes the steps that are due, within `esep run` or in a process of its own (`esep schedule`).

Enters: an `App` whose process holds the lock for closing (`app/closer.py`). Leaves: looks of its closing desk. Within `esep run` a look uses the
live store that the store's loop has open, under that store's lock, so that only one thread at a time writes it.
"""

from __future__ import annotations

import threading

from pipeline.app.app import App
from pipeline.app.closer import Check
from pipeline.model.errors import EsepError

from .loops import Loop
from .metrics import Metrics
from .schedule import look_on_schedule

WAIT_S = 0.2


def close_months(app: App, check: Check, stop: threading.Event, *, every_s: int) -> None:
    """Look now, every `every_s` seconds and at the calendar's points, until `stop` is set. Raises SettingsError, LogError, StoreError.

    `check`: raises if this process no longer holds the lock for closing.
    """
    desk = app.desk

    def look() -> None:
        check()
        desk.look()

    look_on_schedule(look, stop, every_s=every_s, points=desk.wake_points, now=app.now)


def close_in_run(app: App, check: Check, metrics: Metrics) -> Loop:
    """The closing loop within `esep run`: starts once the store's loop has the live store open. `check` as in `close_months`."""
    name, store_name = f"{app.pool} closing", f"{app.pool} store"
    every_s = app.settings.closing.look_every_minutes * 60
    desk = app.desk

    def freezing(_part: str) -> None:
        # The store's loop waits for the store meanwhile, so progress of a freeze is a heartbeat of both loops.
        metrics.health.beat(name)
        metrics.health.beat(store_name)

    def look() -> None:
        metrics.health.beat(name)
        check()
        desk.look()
        metrics.health.trouble(name, None)
        metrics.health.beat(name, patience_s=every_s)

    def loop(stop: threading.Event) -> None:
        desk.months.progress = freezing
        try:
            while not stop.is_set() and not app.stores.is_holding_live.wait(WAIT_S):
                continue
            look_on_schedule(look, stop, every_s=every_s, points=desk.wake_points, now=app.now)
        except EsepError as error:
            metrics.health.trouble(name, str(error))
            raise
        finally:
            metrics.health.ended(name)

    return loop
