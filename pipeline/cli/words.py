"""Words that screens share: a month's states, and sums with their assets, in the terminal's language."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.closing.submission import STATE_WORDS, State
from pipeline.model.message import joined, message

from .frame import terminal_words


def state_word(state: str) -> str:
    """A month's state for people; as data it is the word of `State`."""
    return message(STATE_WORDS[State(state)])


def differences(columns: list[str], before: list[str], after: list[str]) -> list[str]:
    """What each column of a row said, and what it would say."""
    if not before or not after:
        return []
    return [
        message("{name}: {old} → {new}", name=name, old=old or message("(empty)"), new=new or message("(empty)"))
        for name, old, new in zip(columns, before, after, strict=True)
    ]


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
