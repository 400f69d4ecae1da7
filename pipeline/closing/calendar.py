"""When a month is due, when it is filed, when people are reminded: calendar arithmetic in Almaty time (rules 1.1, 1.2, 1.4). Pure.

Enters: a month, the pool's plan, instants in Unix seconds. Leaves: instants, with the reason as text. Local times follow the time zone's
rules, never a fixed offset. Non-working days are shown only: they move no deadline (rule 1.4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING

from pipeline.model.message import counted, message
from pipeline.model.months import ALMATY, Month
from pipeline.texts import N_

if TYPE_CHECKING:
    from pipeline.settings.closing import ClosingSettings, FilingSettings, SigningSettings

LAST_DAY = 24
"""The last day, of the following month, to which a hold for review may reach: the day before the report is due."""


@dataclass(frozen=True)
class Plan:
    """The pool's calendar, approvals and retry limits, from the settings."""

    file_day: int = 15
    """Day of the following month on which a month is filed, 1 to 24."""
    file_hour: int = 10
    """Hour of that day, Almaty time."""
    hold_hours: int = 0
    """How long a frozen month is held for review before it is filed."""
    approvals: int = 0
    """How many people must approve it by name."""
    approvers: tuple[str, ...] = ()
    """Who may approve; anybody if empty."""
    four_eyes: bool = False
    """Whether the approval of the person who froze the version does not count."""
    escalate_days: tuple[int, ...] = (10, 5, 2, 1)
    """Days before the 25th on which people are reminded while a month is not filed."""
    retry_s: int = 60
    """Seconds before the first retry; doubled with each retry up to `retry_max_s`."""
    retry_max_s: int = 3600
    most_sends: int = 5
    """How often one submission is transmitted before a person must decide; failed connections do not count."""
    transmission_s: int = 60
    """How long a transmission may take; its outcome is not asked for earlier."""
    first_month: Month | None = None
    """The first month that is frozen, signed and filed automatically; None: no month is."""
    freezes_by_itself: bool = True
    has_signer: bool = False
    moved_off: tuple[date, ...] = ()
    """Days made free by decree."""
    moved_on: tuple[date, ...] = ()
    """Days made working days by decree."""


def almaty_at(day: date, hour: int = 0) -> int:
    """The instant of a full hour in Almaty, Unix seconds; for an hour that occurs twice, the first."""
    return int(datetime.combine(day, time(hour), ALMATY).timestamp())


def due_at(month: Month) -> int:
    """The first instant at which the month is late: Almaty midnight after the 25th (rule 1.1)."""
    return almaty_at(month.deadline + timedelta(days=1))


def file_at(month: Month, plan: Plan, frozen_at: int) -> int:
    """When a version frozen at `frozen_at` is filed, Unix seconds: on the pool's day and after the hold.

    The hold ends on the 24th at the latest, except for a version frozen after that: its hold is kept in full.
    """
    wished = max(almaty_at(month.deadline.replace(day=plan.file_day), plan.file_hour), frozen_at + plan.hold_hours * 3600)
    if is_held_past_the_24th(month, plan, frozen_at):
        return wished
    return max(frozen_at, min(wished, _latest(month, plan)))


def _latest(month: Month, plan: Plan) -> int:
    return almaty_at(month.deadline.replace(day=LAST_DAY), plan.file_hour)


def is_held_past_the_24th(month: Month, plan: Plan, frozen_at: int) -> bool:
    """Whether a version was frozen only on the 24th or later: it is still held for review, until a person approves it or the hold ends."""
    return frozen_at >= _latest(month, plan)


def escalations(month: Month, plan: Plan) -> list[tuple[int, int]]:
    """(days before the deadline, instant) of each reminder, the earliest first."""
    days = sorted(set(plan.escalate_days), reverse=True)
    return [(days_before, almaty_at(month.deadline - timedelta(days=days_before), plan.file_hour)) for days_before in days]


def is_working_day(day: date, plan: Plan) -> bool:
    """Whether a day is a working day in Kazakhstan, by the public calendar and the moved days in the settings."""
    if day in plan.moved_on:
        return True
    return day.weekday() < 5 and day not in public_holidays(day.year) and day not in plan.moved_off


@cache
def public_holidays(year: int) -> frozenset[date]:
    """Kazakhstan's of a year. Its first call takes a quarter of a second."""
    import holidays

    return frozenset(holidays.country_holidays("KZ", years=year))


def next_working_day(day: date, plan: Plan) -> date:
    """The first working day from `day` on: information, not a deadline (rule 1.4)."""
    while not is_working_day(day, plan):
        day += timedelta(days=1)
    return day


WEEKDAYS = (N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday"), N_("Saturday"), N_("Sunday"))


@dataclass(frozen=True, order=True)
class Point:
    """An entry of the calendar: what happens, or must have happened, at an instant (`at`, Unix seconds)."""

    at: int
    month: str
    what: str
    why: str
    days_before: int = 0
    """Of a reminder: days before the deadline."""


def points(month: Month, plan: Plan, *, frozen_at: int | None = None) -> list[Point]:
    """The month's calendar in order of time, past points included. A month that is not frozen counts as frozen when it ends."""
    name = str(month)
    filed = file_at(month, plan, frozen_at if frozen_at is not None else month.end_at)
    file_day = datetime.fromtimestamp(filed, ALMATY)
    hold = message(", held {hold_hours} h for review", hold_hours=plan.hold_hours) if plan.hold_hours else ""
    approvals = (
        message(
            ", when {approvals} of {approvers} approved",
            approvals=plan.approvals,
            approvers=", ".join(plan.approvers) or message("anybody"),
        )
        if plan.approvals
        else ""
    )
    is_automatic = plan.freezes_by_itself and plan.first_month is not None and str(plan.first_month) <= name
    freeze = message("frozen as soon as it can close") if is_automatic else message("to be frozen by a person")
    found = [
        Point(month.end_at, name, message("month ends"), message("midnight in Almaty; {freeze} (rule 8.1)", freeze=freeze)),
        Point(
            filed,
            name,
            message("filed"),
            message(
                "the pool's day of filing is the {file_day}{hold}{approvals}; it is {file_day_2}",
                file_day=plan.file_day,
                hold=hold,
                approvals=approvals,
                file_day_2=message(WEEKDAYS[file_day.weekday()]),
            ),
        ),
    ]
    found += [
        Point(
            at,
            name,
            message("people are called"),
            counted("{count} day before the 25th, if it is not filed", "{count} days before the 25th, if it is not filed", days),
            days,
        )
        for days, at in escalations(month, plan)
    ]
    working = next_working_day(month.deadline, plan)
    note = (
        ""
        if working == month.deadline
        else message("; the next working day, {working}, is information only: plan to the 25th (rule 1.4)", working=working)
    )
    found.append(
        Point(
            due_at(month),
            name,
            message("late from here on"),
            message(
                "due by the {deadline} {deadline_2}{note}",
                deadline=message(WEEKDAYS[month.deadline.weekday()]),
                deadline_2=month.deadline,
                note=note,
            ),
        )
    )
    return sorted(found)


def months_until(first: Month, last: Month) -> Iterable[Month]:
    """Every month from the first to the last, both included."""
    month = first
    while (month.year, month.number) <= (last.year, last.number):
        yield month
        month = month.next


def plan_of(closing: ClosingSettings, signing: SigningSettings, filing: FilingSettings) -> Plan:
    """The plan that the state machine follows."""
    return Plan(
        file_day=closing.file_day,
        file_hour=closing.file_hour,
        hold_hours=closing.hold_hours,
        approvals=closing.approvals,
        approvers=closing.approvers,
        four_eyes=closing.four_eyes,
        escalate_days=closing.escalate_days,
        retry_s=closing.retry_s,
        retry_max_s=closing.retry_max_s,
        most_sends=filing.most_sends,
        transmission_s=filing.timeout_s,
        first_month=Month.parse(closing.first_month) if closing.first_month else None,
        freezes_by_itself=closing.freezes_by_itself,
        has_signer=signing.way != "none",
        moved_off=tuple(date.fromisoformat(day) for day in closing.days_off),
        moved_on=tuple(date.fromisoformat(day) for day in closing.days_on),
    )
