"""The part of a bundle's manifest that can be recomputed from the month's facts. Pure.

Enters: facts, what enrichment made of them, the rules. Leaves: the manifest's keys that follow from them. `freeze` writes them, `verify` compares them.
Left out: what only the log knows (who froze it, when and why, positions, waivers) and the section `debts` (`assess.debts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import Facts
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.render.totals import printed_totals

from .conditions import describe_chains

FORM = "ЦМПМ1"
NOT_REPRODUCIBLE = ("month.duckdb",)
"""Files whose bytes may differ between two equal freezes; their content may not."""


def describe_month(enriched: Enriched, facts: Facts, month: Month, rules: Rules, internal_calls: Mapping[str, str]) -> dict[str, Any]:
    """The computed keys of the manifest, as JSON has them."""
    return {
        "schema": rules.edition,
        "form": FORM,
        "month": str(month),
        "rows": enriched.reported.height,
        "rows_carried": enriched.reported.count_carried(),
        "rows_unsettled": enriched.reported.rows["transfer"].null_count(),
        "due": month.deadline.isoformat(),
        "totals": printed_totals(enriched.totals, rules.assets),
        "rules": rules.to_json(),
        "chains": describe_chains(facts, month, rules.finality, internal_calls),
        "issues": dict(enriched.issues.group_by("code").len().sort("code").iter_rows()),
        "not_reproducible": list(NOT_REPRODUCIBLE),
    }
