"""What counts as the reason of a person's decision: words that an auditor reads in years.

Enters: what was written. Leaves: the reason, or a refusal. White space and what can't be seen give no reason.
"""

from __future__ import annotations

from typing import Final

from .errors import SettingsError
from .message import message

LEAST_CHARACTERS: Final = 3
MOST_CHARACTERS: Final = 1000
"""Of a reason that is written into a form."""


def is_reason(text: str) -> bool:
    """Whether the text says something: it has at least `LEAST_CHARACTERS` that can be seen."""
    return sum(one.isprintable() and not one.isspace() for one in text) >= LEAST_CHARACTERS


def require_reason(text: str, source: str) -> None:
    """Raises SettingsError for a text that is no reason. `source`: the command that takes it."""
    if not is_reason(text):
        raise SettingsError([message("--reason: give a reason that an auditor can follow")], source=source)
