"""Calendar months and days in Almaty (rules 1.1, 1.2)."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from .message import message

ALMATY = ZoneInfo("Asia/Almaty")
"""Dates are dates here (rule 1.2)."""


@dataclass(frozen=True)
class Month:
    """A calendar month in Almaty (rules 1.1, 1.2)."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`2026-10`, of the years 2 to 9998, which have months beside them. Raises ValueError for anything else."""
        if not re.fullmatch(r"(?!000[01]|9999)[0-9]{4}-(0[1-9]|1[0-2])", text):
            raise ValueError(message("{text} is not a month: write it as 2026-10", text=repr(text)))
        return cls(int(text[:4]), int(text[5:]))

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def first(self) -> date:
        return date(self.year, self.number, 1)

    @property
    def last(self) -> date:
        return date(self.year, self.number, calendar.monthrange(self.year, self.number)[1])

    @property
    def next(self) -> Month:
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def previous(self) -> Month:
        return Month(self.year - (self.number == 1), (self.number - 2) % 12 + 1)

    @property
    def end_at(self) -> int:
        """The first instant after the month, Unix seconds."""
        return int(datetime.combine(self.next.first, datetime.min.time(), ALMATY).timestamp())

    @property
    def deadline(self) -> date:
        """The day it is due by (rule 1.1, law)."""
        return self.next.first.replace(day=25)


def almaty_words(at_s: int) -> str:
    """An instant in Unix seconds for people, by Almaty's clocks: `2026-10-04 12:00 UTC+5`, the day as the reader's language writes it (rule 1.2)."""
    here = datetime.fromtimestamp(at_s, UTC).astimezone(ALMATY)
    return message("{day} {time} UTC{offset}", day=here.date(), time=f"{here:%H:%M}", offset=utc_offset(here))


def utc_offset(here: datetime) -> str:
    """By how much the clocks of an instant are before UTC: `+5`."""
    seconds = int((here.utcoffset() or timedelta()).total_seconds())
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours}{f':{minutes:02}' if minutes else ''}"


def almaty_date(at_s: int) -> date:
    """The day in Almaty of an instant in Unix seconds (rule 1.2)."""
    return datetime.fromtimestamp(at_s, UTC).astimezone(ALMATY).date()
