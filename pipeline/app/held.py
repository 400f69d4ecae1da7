"""What a month came to is held between two looks at the same facts: the scheduler asks whether a month can close, a person asks why not, it is frozen.

Enters: facts, a month, rules. Leaves: the enriched month, worked out once for the same facts. Enrichment is pure and facts never change in place, so what
it gave for the very same `Facts` object is what it would give again; which rows make new facts, `pipeline.store.facts.facts_of` alone decides.
Left out: months from a checkpoint, whose facts are read each time, and all that a month's state has besides facts (waivers, bad events, positions).
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
        self._facts: ReferenceType[Facts] | None = None
        self._found: list[tuple[Month, Rules, Enriched]] = []

    def enrich(self, facts: Facts, month: Month, rules: Rules, opening: Beginning | None = None) -> Enriched:
        """`enrich_month`, or what it gave for the same facts, month and rules before. Facts of more than `HELD_ROWS` rows are enriched each time."""
        from pipeline.enrich.month import enrich_month
        from pipeline.store.facts import are_held

        if opening is not None:
            return enrich_month(facts, month, rules, opening)
        with self._lock:
            if self._facts is None or self._facts() is not facts:
                self._facts, self._found = None, []  # before others are worked out: never two facts' at once
            held = next((one for of, by, one in self._found if of == month and by == rules), None)
        if held is not None:
            return held
        enriched = enrich_month(facts, month, rules)
        if are_held(facts):
            with self._lock:
                if self._facts is None:
                    self._facts = ref(facts)
                if self._facts() is facts:
                    self._found = [*self._found, (month, rules, enriched)][-KEPT:]
        return enriched
