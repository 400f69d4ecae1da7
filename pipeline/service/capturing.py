"""Follows the sources of the ledger: as loops of a running service, or once. One source's trouble never ends another's loop.

Enters: an `App`, a configured source's name. Leaves: the source's events in the log (by its follower), metrics, lines in the process's log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from pipeline.app.app import App
from pipeline.capture.follow_source import SourceFollower, Stepped
from pipeline.model.errors import EsepError, FencedError
from pipeline.model.journal import Journal

from .following import FIRST_PAUSE_S, LONGEST_PAUSE_S, concerns_all
from .loops import Loop
from .metrics import Metrics

_journal = Journal("esep")
MOST_FENCED = 20
"""How often in a row another writer of the ledger may come between before a step fails."""


def capture_source(app: App, source: str, metrics: Metrics, *, first_pause_s: float = FIRST_PAUSE_S) -> Loop:
    """The loop that looks at a source every `poll_s` seconds until it is asked to stop. What goes wrong with this source alone is logged, shown by the probes,
    and tried again after a wait that doubles up to `LONGEST_PAUSE_S`; what concerns all loops is raised."""
    name, poll_s = f"{app.pool} source {source}", float(app.settings.sources[source].poll_s)

    def loop(stop: threading.Event) -> None:
        pause_s, follower = first_pause_s, None
        try:
            while not stop.is_set():
                metrics.health.beat(name, patience_s=max(poll_s, pause_s))
                try:
                    follower = follower or app.sources.follower(source)
                    stepped = step_through_fences(follower)
                except Exception as error:
                    is_known = isinstance(error, EsepError)
                    words = str(error) if is_known else f"a defect of the program, {type(error).__name__}: {error}"
                    metrics.health.trouble(name, words)
                    if concerns_all(error):
                        raise
                    wait_s = max(pause_s, getattr(error, "retry_after_s", 0.0))
                    _journal.error("source-failed", source=source, error=words, next_try_s=wait_s, exc_info=None if is_known else error)
                    metrics.health.beat(name, patience_s=wait_s)
                    stop.wait(wait_s)
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                    continue
                pause_s = first_pause_s
                metrics.health.trouble(name, None)
                if stepped.events:
                    _journal.info("captured", source=source, rows=stepped.rows, events=stepped.events, open_items=stepped.open_items)
                if stepped.is_last:
                    stop.wait(poll_s)
        finally:
            metrics.health.ended(name)
            if follower is not None:
                follower.close()

    return loop


def capture_once(app: App, source: str, on_step: Callable[[Stepped], None] = lambda _: None) -> Stepped:
    """Read a source up to its end; the last step. Raises SourceError, SettingsError, LogError."""
    follower = app.sources.follower(source)
    try:
        while True:
            stepped = step_through_fences(follower)
            on_step(stepped)
            if stepped.is_last:
                return stepped
    finally:
        follower.close()


def step_through_fences(follower: SourceFollower) -> Stepped:
    """One step, begun again where another import wrote to the ledger meanwhile. Raises FencedError after `MOST_FENCED` tries in a row."""
    for attempt in range(MOST_FENCED):
        try:
            return follower.step()
        except FencedError:
            if attempt == MOST_FENCED - 1:
                raise
    raise AssertionError("unreachable")
