"""Which facts a month is assessed by: all of them, those beside what it begins with, or those that its bundle carries (ADR 25, 27).

Enters: a store, a month, what it begins with. Leaves: facts, or the month's state with them. Left out: reading what else a state has (`months`).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.assess.month import MonthState
    from pipeline.enrich.frames import Facts
    from pipeline.enrich.opening import Beginning
    from pipeline.model.months import Month
    from pipeline.store import Store


def facts_beside(store: Store, month: Month, opening: Beginning | None) -> Facts:
    """The facts in force, without those that the opening stands for."""
    from pipeline.enrich.opening import Opening
    from pipeline.store.facts import facts_of, read_facts

    if opening is None:
        return facts_of(store)
    return facts_of(store, month, opening) if isinstance(opening, Opening) else read_facts(store.connection, month)


def carrying(store: Store, state: MonthState, month: Month, begins: Beginning | None) -> MonthState:
    """The state, assessed by all facts, with the allocations of a bundle that begins with the month's opening line."""
    from pipeline.store.facts import read_allocations

    facts = dataclasses.replace(state.facts, allocations=read_allocations(store.connection, month))
    return dataclasses.replace(state, facts=facts, opening=begins)
