"""The conditions for closing a month, one by one (rule 8.1).

Enters: the chain's state, the ledger's declaration of completeness, the issues and waivers. Leaves: `Condition`s, each met or not, with an
explanation. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import polars as pl

from pipeline.enrich.balance import last_heights
from pipeline.enrich.classify import chains_of
from pipeline.enrich.frames import Facts
from pipeline.enrich.payers import PAYERS_SINCE
from pipeline.enrich.witnesses import month_witnesses, span_words
from pipeline.log.events.months import Waived
from pipeline.model.message import joined, message
from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .waivers import blocking_issues

ConditionKind = Literal[
    "chain-passed", "chain-final", "nodes-agree", "payers-seen", "ledger-complete", "registry-loaded", "issues-resolved"
]


@dataclass(frozen=True)
class Condition:
    """One thing that must hold before the month closes."""

    name: str
    is_met: bool
    detail: str
    kind: ConditionKind
    """What it is about, whatever the chain: not part of a bundle."""

    def for_manifest(self) -> dict[str, object]:
        """The condition as a bundle's manifest has it."""
        return {"name": str(self.name), "is_met": self.is_met, "detail": str(self.detail)}


def closing_conditions(
    facts: Facts,
    issues: pl.DataFrame,
    waivers: list[Waived],
    month: Month,
    rules: Rules,
    *,
    complete_through: date | None,
    has_registry: bool,
) -> list[Condition]:
    """Everything that rule 8.1 asks for, in its order; the month can close when all are met."""
    conditions = [
        condition for chain in sorted(rules.finality) for condition in _chain_conditions(facts, chain, month, rules.finality[chain])
    ]
    conditions += _witness_conditions(facts, month, rules)
    conditions += _payer_conditions(facts, rules)
    is_complete = complete_through is not None and complete_through >= month.last
    said = (
        message("declared complete through {complete_through}", complete_through=complete_through)
        if complete_through
        else message("never declared complete")
    )
    conditions.append(
        Condition(
            message("ledger complete"),
            is_complete,
            message(
                "{said}{more}",
                said=said,
                more="" if is_complete else message("; needed: {last} (esep import complete {last})", last=month.last),
            ),
            "ledger-complete",
        )
    )
    conditions.append(
        Condition(
            message("registry loaded"),
            has_registry,
            message("loaded") if has_registry else message("none was imported (esep import registry)"),
            "registry-loaded",
        )
    )
    left = blocking_issues(issues, waivers)
    by_code = ", ".join(f"{code} ({count})" for code, count in left.group_by("code").len().sort("code").iter_rows())
    lapsed = left["lapsed"].len() - left["lapsed"].null_count()
    listed = [by_code, *([message("{count} of them waived before, on other facts", count=lapsed)] if lapsed else [])]
    waived = issues.filter(pl.col("severity") == "blocking").height - left.height
    conditions.append(
        Condition(
            message("no blocking issue left"),
            left.is_empty(),
            message("none left, {waived} waived by name", waived=waived)
            if left.is_empty()
            else message(
                "{by_code}; {waived} waived (esep issues {month}; esep waive)", by_code=joined("; ", listed), waived=waived, month=month
            ),
            "issues-resolved",
        )
    )
    return conditions


def _chain_conditions(facts: Facts, chain: str, month: Month, finality: int) -> list[Condition]:
    blocks = facts.blocks.filter(pl.col("chain") == chain).sort("height")
    passed, final = message("{chain} has passed the month", chain=chain), message("{chain} is final", chain=chain)
    if blocks.is_empty():
        nothing = message("no block was read yet (esep watch)")
        return [Condition(passed, False, nothing, "chain-passed"), Condition(final, False, nothing, "chain-final")]
    tip = blocks.row(-1, named=True)
    is_past = tip["mediantime"] >= month.end_at
    reached = message(
        "tip {height} has median time {mediantime}; the month ends {end_at}",
        height=tip["height"],
        mediantime=_utc(tip["mediantime"]),
        end_at=_utc(month.end_at),
    )
    last = last_heights(blocks, month)
    if last.is_empty():
        return [
            Condition(passed, is_past, reached, "chain-passed"),
            Condition(final, True, message("its first known block lies after the month"), "chain-final"),
        ]
    height = last["height"][0]
    confirmations = tip["height"] - height + 1
    return [
        Condition(passed, is_past, reached, "chain-passed"),
        Condition(
            final,
            confirmations >= finality,
            message(
                "the month's last block {height} has {confirmations} confirmations of {finality}",
                height=height,
                confirmations=confirmations,
                finality=finality,
            ),
            "chain-final",
        ),
    ]


def _witness_conditions(facts: Facts, month: Month, rules: Rules) -> list[Condition]:
    """Whether the log says of all of the month's final blocks how many nodes told them (ADR 20): a condition for each chain that needs several."""
    conditions = []
    for chain, found in month_witnesses(facts, month, rules).items():
        detail = f"the month's blocks {found.first} to {found.last} were read from {found.needed} nodes"
        if found.by_fewer:
            detail += f", but for {span_words(found.by_fewer)}"
        if found.unread:
            detail = f"blocks {span_words(found.unread)} were not read from a second node yet (esep nodes)"
        conditions.append(Condition(f"{chain} was read from {found.needed} nodes", not found.unread, detail, "nodes-agree"))
    return conditions


def _payer_conditions(facts: Facts, rules: Rules) -> list[Condition]:
    """Whether every payment of an on-chain payer was looked for in the main chain (rule 10.8): a condition for each chain with such payers."""
    chains = {payer.chain for payer in rules.payers.values() if payer.chain} if rules.edition >= PAYERS_SINCE else set()
    conditions = []
    for chain in sorted(chains):
        of_chain = (pl.col("chain") == chain) & pl.col("payer").is_in(rules.on_chain_payers(chain))
        named = facts.payments.join(chains_of(rules), on="asset").filter(of_chain)
        left = named.join(facts.payees, on=["chain", "address"], how="anti")
        detail = message("all {height} payments of on-chain payers were looked for", height=named.height)
        if left.height:
            detail = message(
                "{left} of {all} payments of on-chain payers were not looked for yet (esep watch)",
                left=left.height,
                all=named.height,
            )
        conditions.append(
            Condition(message("{chain}: payers' transactions looked for", chain=chain), left.is_empty(), detail, "payers-seen")
        )
    return conditions


def describe_chains(
    facts: Facts, month: Month, finality: Mapping[str, int], internal_calls: Mapping[str, str]
) -> dict[str, dict[str, object]]:
    """The state of each chain at the month's closing, for the manifest; on account chains also how calls inside transactions were read."""
    described: dict[str, dict[str, object]] = {}
    for chain in sorted(finality):
        blocks = facts.blocks.filter(pl.col("chain") == chain).sort("height")
        if blocks.is_empty():
            continue
        tip = blocks.row(-1, named=True)
        described[chain] = {
            "tip_height": tip["height"],
            "tip_hash": tip["hash"],
            "tip_mediantime": tip["mediantime"],
            "finality": finality[chain],
        }
        if chain in internal_calls:
            described[chain]["internal_calls"] = internal_calls[chain]
        for height in last_heights(blocks, month)["height"]:
            last = blocks.row(by_predicate=pl.col("height") == height, named=True)
            described[chain] |= {
                "last_block_height": height,
                "last_block_hash": last["hash"],
                "last_block_confirmations": tip["height"] - height + 1,
            }
    return described


def _utc(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
