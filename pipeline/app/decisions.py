"""What people decide about a pool, in its log: labels and waivers, from commands and from the settings.

Enters: the settings, the log and a clock. Leaves: events of topic `months`, durable when a call returns. Left out: whether the issue
that is waived exists, which is asked of the store.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.closing.decisions import Decisions, decisions_of_settings, label_event, waive_event
from pipeline.closing.diary import Diary
from pipeline.log.events import encode
from pipeline.log.events.parts import Event
from pipeline.log.protocol import EventLog, append_beside
from pipeline.model.months import Month
from pipeline.settings import Settings


class PoolDecisions:
    """One pool's labels and waivers."""

    def __init__(self, settings: Settings, log: EventLog, now: Callable[[], int], *, diary: Diary) -> None:
        self._settings = settings
        self._log = log
        self._now = now
        self._diary = diary

    def held(self) -> Decisions:
        """The labels and waivers that the log holds."""
        self._diary.refresh()
        return self._diary.decisions

    def bring_settings(self) -> int:
        """Append the labels and waivers of the settings that the log does not hold yet; how many."""
        events = decisions_of_settings(self._settings.labels, self._settings.waivers, self.held(), at=self._now())
        if events:
            append_beside(self._log, "months", self._settings.pool.key, events)
        return len(events)

    def label(self, *, chain: str, address: str, outflow_class: str, name: str, by: str, reason: str) -> None:
        """Name whose address it is (rule 3)."""
        at = self._now()
        self._append(label_event(chain=chain, address=address, outflow_class=outflow_class, name=name, by=by, reason=reason, at=at))

    def waive(self, *, month: Month, code: str, ref: str, by: str, reason: str) -> None:
        """Let a month close although one blocking issue stands, in a person's name (rule 8.1)."""
        self._append(waive_event(month=str(month), code=code, ref=ref, by=by, reason=reason, at=self._now()))

    def _append(self, event: Event) -> None:
        append_beside(self._log, "months", self._settings.pool.key, [encode(event)])
