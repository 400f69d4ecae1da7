"""The closing desk: each look takes the due steps of every month, drafts changes of frozen months and sends notices; also the calendar.

Enters: the parts of closing, made by `App`. Leaves: events, files in the bundles, notices. Left out: when a look happens (`service`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.closing.advance import Closing, Filing, MonthStatus
from pipeline.closing.calendar import Plan, Point, plan_of, points
from pipeline.closing.notices import Channel, Notice, deliver, notices_of, notices_of_key
from pipeline.closing.steps import step_to_decide, waits_for_decision, what_changed, what_differs
from pipeline.closing.submission import state_words
from pipeline.model.message import message
from pipeline.model.months import Month, almaty_date

if TYPE_CHECKING:
    from pipeline.closing.diary import Diary
    from pipeline.closing.stamping import Stamping
    from pipeline.settings import Settings
    from pipeline.signing.signer import Signer

    from .closing_months import ClosingMonths
    from .drafts import Drafts

AHEAD_MONTHS = 3
"""How many months that have not ended the calendar shows at least."""


@dataclass(frozen=True)
class CalendarEntry:
    """A point of the calendar, and what became of it, or what stands in its way."""

    point: Point
    standing: str
    """Of a past point: what happened by the log, or that it did not. Of one to come: why it will not happen, else empty."""


@dataclass(frozen=True)
class Foreseen:
    """What a look would begin with."""

    statuses: list[MonthStatus]
    notices: list[Notice]
    """Those that no channel has delivered yet and one would."""


@dataclass(frozen=True)
class DeskParts:
    """The parts of a closing desk."""

    settings: Settings
    now: Callable[[], int]
    diary: Diary
    months: ClosingMonths
    drafts: Drafts
    filing: Filing
    signer: Signer | None
    channels: Sequence[Channel]
    stamping: Stamping | None = None


class ClosingDesk:
    """One pool's closing. Not thread-safe: one look at a time."""

    def __init__(self, parts: DeskParts, *, plan: Plan | None = None, step_done: Callable[[str], None] = lambda _: None) -> None:
        """`plan`: instead of the settings'. `step_done` as in `Closing`."""
        self._settings = parts.settings
        self._now = parts.now
        self.channels = list(parts.channels)
        self._signer = parts.signer
        self._retries: list[int] = []
        self.diary = parts.diary
        self.months = parts.months
        self.drafts = parts.drafts
        self.stamping = parts.stamping
        self.filing = parts.filing
        self.plan = plan or plan_of(parts.settings.closing, parts.settings.signing, parts.settings.filing)
        self.closing = Closing(
            parts.diary, parts.settings.pool.key, self.plan, parts.months, parts.filing, parts.signer, step_done=step_done
        )  # fmt: skip

    def look(self) -> list[MonthStatus]:
        """Draft changes of the frozen months, advance every month, send notices; the months' statuses."""
        now = self._now()
        statuses = self.closing.advance(now, stopped=self.drafts.watch())
        for status in statuses:
            self.months.keep_approvals(status.month)
        notices = notices_of(statuses, self.plan, now)
        notices += notices_of_key(self._signer, self._settings.pool.bin, now, warn_days=self._settings.signing.warn_days)
        deliver(self.diary, self.channels, notices, now)
        if self.stamping is not None:
            self.stamping.look(now)
        self._retries = [status.step.until for status in statuses if status.step.until is not None]
        return statuses

    def foresee(self) -> Foreseen:
        """Every month with the step that a look would take now, and what people would be told; nothing is appended, written or sent."""
        now = self._now()
        self.diary.refresh()
        with self.months.recording_nothing():
            statuses = [self._unless_changed(status) for status in self.closing.foresee(now)]
        notices = notices_of(statuses, self.plan, now)
        untold = [n for n in notices if any((n.name, channel.name) not in self.diary.notices for channel in self.channels)]
        return Foreseen(statuses, untold)

    def _unless_changed(self, status: MonthStatus) -> MonthStatus:
        """The status; or one for a person, where the month's report would come out different from the version that is about to be filed."""
        life, step = status.life, status.step
        if not life.frozen or life.blocking_draft is not None or not waits_for_decision(life, step):
            return status
        if status.month not in self.drafts.watched_months() or not self.drafts.is_undecided(status.month):
            return status
        return replace(status, step=step_to_decide(life, step, what_differs(life)))

    def wake_points(self) -> list[int]:
        """Unix seconds at which to look again: the points of the calendar, and the instants that steps wait for."""
        return self._retries + [
            point.at for month in self.calendar_months() for point in points(month, self.plan, frozen_at=self.frozen_at(month))
        ]

    def calendar_months(self) -> list[Month]:
        """The months that are not filed, the current month, and the next ones: at least `AHEAD_MONTHS` that have not ended."""
        now = self._now()
        self.diary.refresh()
        today = almaty_date(now)
        month = Month(today.year, today.month)
        found = [m for m in self.months.known(now) if not self.diary.life(m).is_filed]
        while len([m for m in found if m.end_at > now]) < AHEAD_MONTHS:
            found += [month] if month not in found else []
            month = month.next
        return found

    def calendar(self) -> list[CalendarEntry]:
        """Every point of `calendar_months`, in order of time. A past point is told by what the log proves, never as done because its day has come.

        A frozen month whose facts changed has an entry also where it is filed, until a person decides."""
        now = self._now()
        entries = []
        for month in self.calendar_months():
            for point in points(month, self.plan, frozen_at=self.frozen_at(month)):
                standing = self._became(month, point) if point.at <= now else self._hindrance(month, point)
                entries.append(CalendarEntry(point, standing))
        entries += [
            CalendarEntry(
                Point(draft.at, str(life.month), message("facts changed"), what_changed(life, draft)), message("a person decides")
            )
            for life in self.diary.lives.values()
            if (draft := life.blocking_draft) is not None
        ]
        return sorted(entries, key=lambda entry: entry.point)

    def _became(self, month: Month, point: Point) -> str:
        """What became of a past point. Only months that are not filed have points here."""
        life = self.diary.life(month)
        if point.what == "month ends":
            return message("past; frozen as v{version}", version=life.version) if life.frozen else message("past; not frozen yet")
        if point.days_before:
            named = f"deadline:{month}:{point.days_before}"
            return message("past; done") if any(notice == named for notice, _ in self.diary.notices) else message("past; nobody was called")
        if life.accepted_version:
            return message(
                "past; v{version} is filed, and v{next_version} corrects it", version=life.accepted_version, next_version=life.version
            )
        if point.what == "filed":
            return message("past; NOT DONE, it is {state}", state=state_words(life.state()))
        return message("LATE: not filed, it is {state}", state=state_words(life.state()))

    def _hindrance(self, month: Month, point: Point) -> str:
        """Why a point to come will not happen by itself, as things are now; empty where nothing stands in its way."""
        first = self.plan.first_month
        if point.what == "filed" and (first is None or str(month) < str(first)):
            return (
                message("not by Esep: closing.first_month is {first}", first=first)
                if first
                else message("not by Esep: closing.first_month is not set")
            )
        if point.days_before and not self.channels:
            return message("nobody: [notices] is not set")
        return ""

    def frozen_at(self, month: Month) -> int | None:
        """When the month's newest version was frozen, Unix seconds; None for a month that is not frozen."""
        life = self.diary.life(month)
        return life.frozen[life.version].at if life.frozen else None
