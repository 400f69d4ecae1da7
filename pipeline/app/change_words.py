"""What an import or a label would change, in words for pages: tables of the registry, issues. Pure.

Enters: names as data has them (`wallets`, `unknown-outflow (blocking) …`). Leaves: a message each; an unknown name as it is.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pipeline.model.message import message
from pipeline.texts import N_

from .advice import advice_of_code

TABLES: Final = {
    "miners": N_("Miners"), "licences": N_("Licences"), "accounts": N_("Accounts"), "wallets": N_("Addresses"), "counterparties": N_("Counterparties"),
    "labels": N_("Counterparties"),
}  # fmt: skip
"""The registry's tables; its counterparties are labels to the rules."""
_ISSUE: Final = re.compile(r"([a-z0-9-]+) \((blocking|warning)\) (.+)", re.DOTALL)


def table_word(name: str) -> str:
    """A table of the registry."""
    return message(TABLES[name]) if name in TABLES else name


class ChangedIssue(NamedTuple):
    """An issue of `MonthChange`, taken apart."""

    title: str
    code: str
    is_blocking: bool
    ref: str


def changed_issue(told: str) -> ChangedIssue:
    """What an issue that comes or goes is, and what it names."""
    found = _ISSUE.fullmatch(told)
    if found is None:
        return ChangedIssue(told, "", is_blocking=False, ref="")
    return ChangedIssue(advice_of_code(found[1])[0], found[1], is_blocking=found[2] == "blocking", ref=found[3])
