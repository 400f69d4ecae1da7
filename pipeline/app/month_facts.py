"""Which facts a month is assessed by: all of them, those beside what it begins with, or those that its bundle carries (ADR 25, 27); months that the log knows nothing of, or that come before their turn.

Enters: a store, a month, what it begins with. Leaves: facts, or the month's state with them. Left out: reading what else a state has (`months`).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pipeline.model.message import message
from pipeline.model.months import Month, almaty_date
from pipeline.store.queries import first_fact_at, has_facts

if TYPE_CHECKING:
    from pipeline.assess.month import MonthState
    from pipeline.closing.diary import Diary
    from pipeline.enrich.frames import Facts
    from pipeline.enrich.opening import Beginning
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


def nothing_until(store: Store, month: Month) -> str:
    """That no block, allocation, payment or opening of the month or of any before it is in the log, in words; "" where there is one, and where the log has none at all."""
    at = first_fact_at(store.connection)
    if at is None or at < month.end_at:
        return ""
    return message("nothing of {month} or earlier is in the log, whose facts begin on {day}", month=month, day=almaty_date(at))


def nothing_of(store: Store, month: Month) -> str:
    """That no block, allocation or payment of the month itself is in the log, in words; "" where there is one."""
    if has_facts(store.connection, month.previous.end_at, month.end_at):
        return ""
    return nothing_until(store, month) or message("the log has no block, allocation or payment of {month}", month=month)


def taken_for_mistyped(store: Store, month: Month, first: str | None) -> str:
    """Why the month is taken for a mistyped one, in words: it lies before all facts, and `closing.first_month` (`first`) does not ask for it; else ""."""
    nothing = "" if first and first <= str(month) else nothing_until(store, month)
    if not nothing:
        return ""
    return message(
        '{nothing}: is the year right? If an empty report of {month} is really wanted, set first_month = "{month}" in esep.toml, below [closing]',
        nothing=nothing, month=month,
    )  # fmt: skip


def gap_before(diary: Diary, month: Month, first: str | None) -> Month | None:
    """The month before, where the program is to file it (`first`: `closing.first_month`) and it is not frozen yet."""
    before = month.previous
    return before if first and first <= str(before) and not diary.life(before).frozen else None


def out_of_order(diary: Diary, month: Month, first: str | None) -> str:
    """That the month before is to be frozen first, in words; else "". A month frozen without it never proves what it opened with: its report stays the same, so that no version follows."""
    gap = gap_before(diary, month, first)
    if gap is None:
        return ""
    return message(
        "{month} is not frozen: {gap} comes first, as each month proves what it opened with by the one before it (esep status {gap})",
        month=month, gap=gap,
    )  # fmt: skip
