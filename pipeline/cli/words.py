"""Words that screens share: a month's states, and sums with their assets, in the terminal's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.closing.submission import State
from pipeline.model.message import Message, joined, message
from pipeline.texts import N_

from .frame import terminal_words

_STATES: Final = {
    State.OPEN: N_("open"),
    State.CLOSABLE: N_("closable"),
    State.FROZEN: N_("frozen"),
    State.SIGNED: N_("signed"),
    State.SUBMITTING: N_("submitting"),
    State.UNKNOWN: N_("unknown"),
    State.RECEIVED: N_("received"),
    State.ACCEPTED: N_("accepted"),
    State.REJECTED: N_("rejected"),
}


def state_word(state: str) -> Message:
    """A month's state for people; as data it is the word of `State`."""
    return message(_STATES[State(state)])


def amount_words(printed: str) -> str:
    """A printed amount with the marks of the terminal's language; in English as it is printed (rule 2.2), so that it can be copied."""
    words = terminal_words()
    return printed if words.language == "en" else words.amount(printed)


def sum_words(totals: Mapping[str, str], separator: str = ", ") -> str:
    """Sums by asset or currency on one line."""
    return joined(separator, [f"{amount_words(amount)} {name}" for name, amount in totals.items()])
