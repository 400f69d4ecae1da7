"""Wakes a look at what is due: at the start, every so often, and at the calendar's points (ADR 5).

Enters: a function that looks, the instants to wake at. Leaves: calls of it, never two at once. What is due follows from state, so a wake-up
that was missed, doubled or late changes nothing; APScheduler only saves us from looking all the time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger


def keep_looking(
    look: Callable[[], None], stop: threading.Event, *, every_s: int, points: Callable[[], Iterable[int]], now: Callable[[], int]
) -> None:
    """Look now, then at every wake-up, until `stop` is set or a look fails: its exception is raised here.

    `points` (Unix seconds) is asked again after each look: what happened may have moved them. Those past when the look began are not waited for.
    """
    failures: list[BaseException] = []
    looking = threading.Lock()
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})

    def guarded() -> None:
        with looking:
            if stop.is_set():
                return
            try:
                began_at = now()
                look()
                set_points(began_at)
            except BaseException as error:
                failures.append(error)
                stop.set()
                raise

    def set_points(began_at: int) -> None:
        # A point that came while we looked was not looked at: it wakes us at once.
        wanted = {f"point:{at}": at for at in points() if at > began_at}
        for job in scheduler.get_jobs():
            if job.id.startswith("point:") and job.id not in wanted:
                scheduler.remove_job(job.id)
        for name, at in wanted.items():
            scheduler.add_job(guarded, DateTrigger(datetime.fromtimestamp(at, UTC)), id=name, replace_existing=True)

    scheduler.start()
    try:
        guarded()
        scheduler.add_job(guarded, IntervalTrigger(seconds=every_s), id="every")
        while not stop.wait(0.2):
            continue
    finally:
        stop.set()
        with looking:
            # Shutting down holds the scheduler's locks until its threads are done, and a look that ends wants them for its points.
            # After this no look touches the scheduler any more: it finds `stop` set.
            pass
        scheduler.shutdown(wait=True)
    if failures:
        raise failures[0]
