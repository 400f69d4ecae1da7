"""Words that screens share: a month's states, and sums with their assets, in the terminal's language."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.closing.causes import cause_word
from pipeline.closing.submission import STATE_WORDS, State
from pipeline.log.events.months import DraftedRow
from pipeline.model.message import joined, message

from .frame import terminal_words


def state_word(state: str) -> str:
    """A month's state for people; as data it is the word of `State`."""
    return message(STATE_WORDS[State(state)])


def cause_of_row(row: DraftedRow) -> str:
    """Why a row would change, with the row that it follows from: its allocation, and the beginning of its transaction as the column of transactions has it."""
    if not row.follows:
        return cause_word(row.cause)
    followed = " ".join(part[:16] if len(part) == 64 else part for part in row.follows.split(" "))
    return message("{cause}, follows {row}", cause=cause_word(row.cause), row=followed)


def amount_words(printed: str) -> str:
    """A printed amount with the marks of the terminal's language; in English as it is printed (rule 2.2), so that it can be copied."""
    words = terminal_words()
    return printed if words.language == "en" else words.amount(printed)


def day_words(day: object) -> str:
    """A day as the terminal's language writes it; in English as data has it (2026-10-31), so that it can be copied."""
    words = terminal_words()
    return str(day) if words.language == "en" else words.day(str(day))


def sum_words(totals: Mapping[str, str], separator: str = ", ") -> str:
    """Sums by asset or currency on one line."""
    return joined(separator, [f"{amount_words(amount)} {name}" for name, amount in totals.items()])
