"""The part of a bundle's manifest that can be recomputed from the month's facts. Pure.

Enters: facts, what enrichment made of them, the rules. Leaves: the manifest's keys that follow from them. `freeze` writes them, `verify` compares them.
Left out: what only the log knows (who froze it, when and why, positions, waivers) and the section `debts` (`assess.debts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.enrich.classify import chains_of
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import Facts
from pipeline.enrich.payers import PAYERS_SINCE
from pipeline.enrich.witnesses import nodes_behind
from pipeline.model.amounts import from_units
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.render.totals import printed_totals

from .conditions import describe_chains

FORM = "ЦМПМ1"
NOT_REPRODUCIBLE = ("month.duckdb",)
"""Files whose bytes may differ between two equal freezes; their content may not."""


def describe_month(
    enriched: Enriched, facts: Facts, month: Month, rules: Rules, internal_calls: Mapping[str, str], authorizations_from: Mapping[str, int]
) -> dict[str, Any]:
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
        "chains": describe_chains(facts, month, rules.finality, internal_calls, authorizations_from),
        "issues": dict(enriched.issues.group_by("code").len().sort("code").iter_rows()),
        "not_reproducible": list(NOT_REPRODUCIBLE),
        **({"by_payer": describe_payers(enriched, rules)} if rules.edition >= PAYERS_SINCE else {}),
        **({"witnesses": describe_witnesses(enriched, facts, rules)} if rules.witnesses else {}),
    }


def describe_witnesses(enriched: Enriched, facts: Facts, rules: Rules) -> dict[str, dict[str, Any]]:
    """By chain that needs several nodes: how many transactions with reported transfers stand on how many nodes, and those that stand on fewer (ADR 20)."""
    paid = enriched.reported.settled_by().join(chains_of(rules), on="asset").select("chain", "txid")
    behind = nodes_behind(facts, paid)
    found = {}
    for chain, needed in sorted(rules.witnesses.items()):
        ours = behind.filter(pl.col("chain") == chain)
        few = ours.filter(pl.col("n_nodes") < needed)
        found[chain] = {
            "needed": needed,
            "transactions": {str(n): count for n, count in ours.group_by("n_nodes").len().sort("n_nodes").iter_rows()},
            "by_fewer": {str(n): few.filter(pl.col("n_nodes") == n)["txid"].to_list() for n in few["n_nodes"].unique().sort()},
        }
    return found


def describe_payers(enriched: Enriched, rules: Rules) -> dict[str, dict[str, Any]]:
    """Transfers and sums by payer, "" for the pool itself, declared ones with nothing too (rule 10.9).

    All transfers with their amounts and credits; and apart, as `distinct_transfers`, those with a row in the month.
    """
    found: dict[str, dict[str, Any]] = {
        name: {"transfers": 0, "amount": {}, "credited": {}, "distinct_transfers": {}, "distinct_transfers_count": 0}
        for name in ("", *sorted(rules.payers))
    }
    for frame, count, sums in (
        (enriched.transfers, "transfers", ("amount", "credited")),
        (enriched.reported.settled_by().rename({"amount": "distinct_transfers"}), "distinct_transfers_count", ("distinct_transfers",)),
    ):
        by_asset = frame.group_by(pl.col("payer").fill_null(""), "asset").agg(
            pl.len().alias("count"), *[pl.col(name).sum() for name in sums]
        )
        for row in by_asset.sort("payer", "asset").iter_rows(named=True):
            entry = found[row["payer"]]
            entry[count] += row["count"]
            for name in sums:
                entry[name][row["asset"]] = from_units(row[name], rules.assets[row["asset"]].decimals)
    return found
