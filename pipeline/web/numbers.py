"""IINs and BINs on pages: masked for who only looks; whoever sees one in full is in the audit topic before they see it (ADR 24).

Enters: the text of an answer, who gets it. Leaves: the same text, with what they may not see masked; and an entry of what they do see. Pages mask by themselves; this stands behind them, for every
page, so that none can forget.
"""

from __future__ import annotations

import re
from typing import Final

from pipeline.model.miner_id import miner_id_fault

from .parts import Parts, Viewer

SHOWN_DIGITS: Final = 4
MASK: Final = "•"
_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z.,])[0-9]{12}(?![0-9A-Za-z]|[.,][0-9])")
"""Twelve digits that stand alone: no part of a hash, an amount or a longer number."""


def may_see_numbers(viewer: Viewer) -> bool:
    """Whether IINs and BINs are shown in full: not to those who may only look, or manage users."""
    return bool(viewer.roles & {"operator", "approver"})


def masked(number: str) -> str:
    """`••••••••2211`: as long as it is, with its last digits alone; none of a number too short for that."""
    hidden = max(len(number) - SHOWN_DIGITS, 0) if len(number) > 2 * SHOWN_DIGITS else len(number)
    return MASK * hidden + number[hidden:]


def numbers_in(text: str) -> list[str]:
    """Every IIN or BIN in a text, each once."""
    return sorted({found for found in _NUMBER.findall(text) if miner_id_fault(found) is None})


def guarded(parts: Parts, viewer: Viewer, page: str, text: str) -> str:
    """An answer's text as this person may see it; what they see in full is said in the audit topic first."""
    if not may_see_numbers(viewer):
        return _NUMBER.sub(lambda found: masked(found[0]) if miner_id_fault(found[0]) is None else found[0], text)
    parts.app.audit.numbers_seen(viewer.person, page, numbers_in(text))
    return text


def taken(parts: Parts, viewer: Viewer, page: str) -> None:
    """Say that a person takes a file in which numbers stand: all of them."""
    parts.app.audit.file_taken(viewer.person, page)
