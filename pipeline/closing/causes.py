"""Why rows of a month's report differ from the frozen version, in words for people. Pure.

Enters: what a `DraftedRow` and a `Drafted` have as data (`registry`, `added`). Leaves: a message each. Left out: finding the causes (`amend`).
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.model.message import joined, message
from pipeline.texts import N_

CHANGES = {"added": N_("added"), "removed": N_("removed"), "changed": N_("changed")}
CAUSES = {
    "reorganisation": N_("reorganisation"), "chain": N_("the chain"), "watch": N_("the pool's wallets"), "ledger": N_("ledger"), "registry": N_("registry"),
    "label": N_("label"), "rules": N_("rules"), "follows": N_("follows from another row"),
}  # fmt: skip


def change_word(change: str) -> str:
    """What becomes of a row of the report, in a word."""
    return message(CHANGES[change]) if change in CHANGES else change


def cause_word(cause: str) -> str:
    """Why a row of the report would differ, in a word; as data it is that of `DraftedRow`."""
    return message(CAUSES[cause]) if cause in CAUSES else cause


def cause_words(causes: Iterable[str]) -> str:
    """Several causes in a row."""
    return joined(", ", map(cause_word, causes))
