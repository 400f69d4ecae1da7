"""Months that begin from checkpoints, held against the same months from the whole history each time somebody looks (ADR 25).

Enters: the life's months. Leaves: the same months; a `Broken` where one byte of one differs. Checkpoints are dropped at random, too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import polars as pl

from pipeline.app.months import PoolMonths, month_state
from pipeline.assess.month import Assessment, MonthState, assess_month
from pipeline.enrich.opening import Opening, cut_facts, first_instant
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.store import Store
from pipeline.store.checkpoints import drop_checkpoints

from .dice import Dice
from .judge import hold

FRAMES = ("report", "outflows", "balances", "issues", "debts")


def watched(months: PoolMonths, dice: Dice, seen: Counter[str]) -> None:
    """From now on each month that `months` assesses from a checkpoint, or freezes from its opening line, is assessed from the whole history besides; `seen` counts how often."""
    assess = months.assess

    def assess_twice(store: Store, month: Month, **how: Any) -> tuple[MonthState, Assessment]:
        if dice.happens("store-loses-checkpoints"):
            drop_checkpoints(store)
        state, assessed = assess(store, month, **how)
        seen["from the whole history" if state.opening is None else "from a checkpoint"] += 1
        if state.opening is not None:
            require_same(store, month, state, assessed, assessed.enriched.reported.rules)
        return state, assessed

    months.assess = assess_twice  # type: ignore[method-assign]
    assess_as_frozen = months.assess_as_frozen

    def freeze_twice(store: Store, month: Month, rules: Rules) -> tuple[MonthState, Assessment]:
        if dice.happens("store-loses-checkpoints"):
            drop_checkpoints(store)
        state, assessed = assess_as_frozen(store, month, rules)
        seen["to freeze, with the whole ledger" if state.opening is None else "to freeze, from its line"] += 1
        if state.opening is not None:
            require_same(store, month, state, assessed, rules)
        return state, assessed

    months.assess_as_frozen = freeze_twice  # type: ignore[method-assign]


def require_same(store: Store, month: Month, state: MonthState, assessed: Assessment, rules: Rules) -> None:
    """(e) The month from its checkpoint is the month from the whole history, and the store reads just what the checkpoint leaves out."""
    assert state.opening is not None
    whole_state = month_state(store, month)
    whole = assess_month(whole_state, month, rules)
    what = f"{month} from the checkpoint of {state.opening.since}"
    for name in FRAMES:
        cut, all_of_it = getattr(assessed.enriched, name), getattr(whole.enriched, name)
        hold(
            "e", cut.equals(all_of_it), f"{what}: {name}\n{cut.join(all_of_it, on=cut.columns, how='anti', nulls_equal=True)}\n{all_of_it}"
        )
    hold("e", assessed.enriched.totals == whole.enriched.totals, f"{what}: totals")
    hold("e", assessed.conditions == whole.conditions, f"{what}: {assessed.conditions} {whole.conditions}")
    least = whole_state.facts
    if isinstance(state.opening, Opening):
        least = cut_facts(least, state.opening, month)
    else:
        is_of_month = pl.col("allocated_at").is_between(state.opening.since_us, first_instant(month.next), closed="left")
        least = replace(least, allocations=least.allocations.filter(is_of_month))
        hold("e", assessed.enriched.transfers.equals(whole.enriched.transfers), f"{what}: transfers")
    for name, frame in vars(least).items():
        hold("e", frame.equals(getattr(state.facts, name)), f"{what}: facts.{name}\n{frame}\n{getattr(state.facts, name)}")
    for line in ("opening_line", "closing_line"):
        for side in ("allocations", "credits"):
            cut, all_of_it = (getattr(getattr(one.enriched, line), side) for one in (assessed, whole))
            hold("e", cut.equals(all_of_it), f"{what}: {line}.{side}")
