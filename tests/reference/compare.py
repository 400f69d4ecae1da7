"""The enrichment beside the oracle, table by table.

Enters: a world. Leaves: the differences, as lines to read; none when the two agree in every row, column, order and total.
An issue's `detail` is free.
"""

from __future__ import annotations

from pipeline.enrich.enriched import Enriched
from pipeline.enrich.month import before_settling, settle_month
from pipeline.enrich.ranges import ALLOCATIONS_AT_ONCE
from pipeline.render.totals import printed_totals

from .registry import Outcome, Row
from .rules import apply_rules
from .worlds import World, frames_of

TABLES = ("outflows", "transfers", "balances", "report")


def differences(world: World, outcome: Outcome | None = None) -> list[str]:
    """What differs between `enrich_month` and the oracle on this world, settled all at once and miner by miner. `outcome`: the oracle's, where it is known."""
    outcome = outcome or apply_rules(world.facts, world.month, world.rules)
    unsettled = before_settling(frames_of(world.facts), world.month, world.rules)
    together = compare(settle_month(unsettled, at_once=ALLOCATIONS_AT_ONCE), outcome)
    return together or compare(settle_month(unsettled, at_once=1), outcome)


def compare(enriched: Enriched, outcome: Outcome) -> list[str]:
    """Differences by table, the first few rows of each."""
    lines = []
    for name in TABLES:
        lines += _rows(name, getattr(enriched, name).to_dicts(), getattr(outcome, name))
    keys = ("code", "severity", "ref")
    lines += _rows(
        "issues", [{k: row[k] for k in keys} for row in enriched.issues.to_dicts()], [{k: row[k] for k in keys} for row in outcome.issues]
    )
    totals = printed_totals(enriched.totals, enriched.reported.rules.assets)
    for key in sorted({*totals, *outcome.totals}):
        ours, theirs = totals.get(key), outcome.totals.get(key)
        if ours != theirs:
            lines.append(f"totals: {key}: enriched {ours}, oracle {theirs}")
    return lines


def _rows(name: str, enriched: list[Row], oracle: list[Row]) -> list[str]:
    if enriched == oracle:
        return []
    only_enriched = [row for row in enriched if row not in oracle]
    only_oracle = [row for row in oracle if row not in enriched]
    if not only_enriched and not only_oracle:
        return [f"{name}: the same rows in another order, or another number of times ({len(enriched)}, {len(oracle)})"]
    return [f"{name}: only enriched: {row}" for row in only_enriched[:3]] + [f"{name}: only oracle: {row}" for row in only_oracle[:3]]
