"""Closing as a loop: looks at what is due by the calendar, within `esep run` or as `esep schedule` alone.

Enters: an `App`, whose process holds the right to close the pool's months (`app/closer.py`). Leaves: looks of its closing desk. Within
`esep run` a look uses the live store that the store's loop holds, under that store's lock, so that one thread at a time writes it.
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

    `check`: whether this process still has the right to close.
    """
    desk = app.desk

    def look() -> None:
        check()
        desk.look()

    look_on_schedule(look, stop, every_s=every_s, points=desk.wake_points, now=app.now)


def close_in_run(app: App, check: Check, metrics: Metrics) -> Loop:
    """The loop of closing beside the store's loop: it begins once that one holds the live store. `check` as in `close_months`."""
    name, store_name = f"{app.pool} closing", f"{app.pool} store"
    every_s = app.settings.closing.look_every_minutes * 60
    desk = app.desk

    def freezing(_part: str) -> None:
        # The store's loop waits for the store meanwhile: a freeze that gets on is a sign of life of both.
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
