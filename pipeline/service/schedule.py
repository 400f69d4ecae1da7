"""Calls a function at the start, at an interval, and at the calendar's points (ADR 5).

Enters: the function, the instants to call it at. Leaves: calls of it, in the caller's thread. What is due follows from state, so a call that is
missed, doubled or late does no harm; APScheduler only avoids polling.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

STOP_WITHIN_S = 0.2
"""Seconds between checks of `stop` while waiting."""


def look_on_schedule(
    look: Callable[[], None], stop: threading.Event, *, every_s: int, points: Callable[[], Iterable[int]], now: Callable[[], int]
) -> None:
    """Call `look` now, every `every_s` seconds and at the `points`, until `stop` is set. What `look` raises is raised here.

    `points` (Unix seconds) is called again after each look, which may have moved them. Points before the look began are ignored; one that
    passed during the look causes the next look at once.
    """
    is_due = threading.Event()
    is_due.set()
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
    scheduler.start()
    try:
        scheduler.add_job(is_due.set, IntervalTrigger(seconds=every_s), id="every")
        while not stop.is_set():
            if not is_due.wait(STOP_WITHIN_S):
                continue
            is_due.clear()
            began_at = now()
            look()
            _set_points(scheduler, [at for at in points() if at > began_at], is_due)
    finally:
        scheduler.shutdown(wait=True)


def _set_points(scheduler: BackgroundScheduler, points: Iterable[int], is_due: threading.Event) -> None:
    """Wake at exactly these instants, Unix seconds, besides the interval."""
    wanted = {f"point:{at}": at for at in points}
    for job in scheduler.get_jobs():
        if job.id.startswith("point:") and job.id not in wanted:
            scheduler.remove_job(job.id)
    for name, at in wanted.items():
        scheduler.add_job(is_due.set, DateTrigger(datetime.fromtimestamp(at, UTC)), id=name, replace_existing=True)
