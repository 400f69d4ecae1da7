"""Wakes a look at what is due: at the start, every so often, and at the calendar's points (ADR 5).

Enters: a function that looks, the instants to wake at. Leaves: calls of it, in the caller's thread. What is due follows from state, so a
wake-up that was missed, doubled or late changes nothing; APScheduler only saves us from looking all the time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

STOP_WITHIN_S = 0.2
"""How often `stop` is looked at between two looks."""


def look_on_schedule(
    look: Callable[[], None], stop: threading.Event, *, every_s: int, points: Callable[[], Iterable[int]], now: Callable[[], int]
) -> None:
    """Look now, then at every wake-up, until `stop` is set. What a look raises is raised here.

    `points` (Unix seconds) is asked again after each look: what happened may have moved them. Those before the look began are over; one
    that came while we looked wakes us at once.
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
