"""What a month came to is held between two looks at the same facts: the scheduler asks whether a month can close, a person asks why not, it is frozen.

Enters: facts, a month, rules, what the month begins with. Leaves: the enriched month, worked out once for the same facts. Enrichment is pure and facts never change
in place, so what it gave for the very same `Facts` and `Opening` objects is what it would give again; which rows make new ones, `pipeline.store` alone decides.
Left out: all that a month's state has besides facts (waivers, bad events, positions).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

if TYPE_CHECKING:
    from pipeline.enrich.enriched import Enriched
    from pipeline.enrich.frames import Facts
    from pipeline.enrich.opening import Beginning
    from pipeline.model.months import Month
    from pipeline.model.rules import Rules

KEPT = 4
"""Months that are held, the ones looked at last."""


class HeldEnrichments:
    """Enriched months of one pool, of the facts that were looked at last. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: list[tuple[ReferenceType[Facts], Month, Rules, Enriched]] = []

    def enrich(self, facts: Facts, month: Month, rules: Rules, opening: Beginning | None = None) -> Enriched:
        """`enrich_month`, or what it gave for the same arguments before. Facts of more than `HELD_ROWS` rows are enriched each time."""
        from pipeline.enrich.month import enrich_month
        from pipeline.store.facts import are_held

        with self._lock:
            # What the store's facts are no more is let go before others are worked out.
            self._found = [held for held in self._found if held[0]() is not None]
            for of, its_month, its_rules, enriched in self._found:
                if of() is facts and enriched.opening is opening and (its_month, its_rules) == (month, rules):
                    return enriched
        enriched = enrich_month(facts, month, rules, opening)
        if are_held(facts):
            with self._lock:
                self._found = [*self._found, (ref(facts), month, rules, enriched)][-KEPT:]
        return enriched
