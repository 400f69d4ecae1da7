"""The conditions for closing a month, one by one (rule 8.1).

Enters: the chain's state, the ledger's declaration of completeness, the issues and waivers. Leaves: `Condition`s, each met or not, with an
explanation. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

import polars as pl

from pipeline.enrich.balance import last_heights
from pipeline.enrich.classify import chains_of
from pipeline.enrich.frames import Facts
from pipeline.enrich.opening import Opening, not_looked_for
from pipeline.enrich.payers import PAYERS_SINCE
from pipeline.enrich.witnesses import month_witnesses, span_words
from pipeline.log.events.months import Waived
from pipeline.model.message import Instant, joined, message
from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .condition import Condition
from .waivers import blocking_issues


def closing_conditions(
    facts: Facts,
    issues: pl.DataFrame,
    waivers: list[Waived],
    month: Month,
    rules: Rules,
    *,
    complete_through: date | None,
    has_registry: bool,
    opening: Opening | None = None,
) -> list[Condition]:
    """Everything that rule 8.1 asks for, in its order; the month can close when all are met. `opening`: what `facts` leave out."""
    conditions = [
        condition for chain in sorted(rules.finality) for condition in _chain_conditions(facts, chain, month, rules.finality[chain])
    ]
    conditions += _witness_conditions(facts, month, rules)
    conditions += _payer_conditions(facts, rules, opening)
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
                more="" if is_complete else message("; needed: {last} (esep import complete {day})", last=month.last, day=str(month.last)),
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
        detail = message(
            "the month's blocks {first} to {last} were read from {needed} nodes", first=found.first, last=found.last, needed=found.needed
        )
        if found.by_fewer:
            detail += message(", but for {span_words}", span_words=span_words(found.by_fewer))
        if found.unread:
            detail = message("blocks {span_words} were not read from a second node yet (esep nodes)", span_words=span_words(found.unread))
        conditions.append(
            Condition(
                message("{chain} was read from {needed} nodes", chain=chain, needed=found.needed), not found.unread, detail, "nodes-agree"
            )
        )
    return conditions


def _payer_conditions(facts: Facts, rules: Rules, opening: Opening | None) -> list[Condition]:
    """Whether every payment of an on-chain payer was looked for in the main chain (rule 10.8): a condition for each chain with such payers."""
    chains = rules.paying_chains() if rules.edition >= PAYERS_SINCE else set()
    before = dict(opening.payers.iter_rows()) if opening else {}
    conditions = []
    for chain in sorted(chains):
        of_chain = (pl.col("chain") == chain) & pl.col("payer").is_in(rules.on_chain_payers(chain))
        named = facts.payments.join(chains_of(rules), on="asset").filter(of_chain)
        if opening is not None:
            named = named.filter(pl.col("paid_at") >= opening.since_us)
        count, left = named.height + before.get(chain, 0), not_looked_for(named, facts)
        detail = message("all {height} payments of on-chain payers were looked for", height=count)
        if left.height and chain in rules.finality:
            detail = message(
                "{left} of {all} payments of on-chain payers were not looked for yet (esep watch)",
                left=left.height,
                all=count,
            )
        elif left.height:
            detail = message(
                "{left} of {all} payments of on-chain payers were not looked for: there is no [chains.{chain}], whose node finds them",
                left=left.height,
                all=count,
                chain=chain,
            )
        conditions.append(
            Condition(message("{chain}: payers' transactions looked for", chain=chain), left.is_empty(), detail, "payers-seen")
        )
    return conditions


def describe_chains(
    facts: Facts, month: Month, finality: Mapping[str, int], internal_calls: Mapping[str, str], authorizations_from: Mapping[str, int]
) -> dict[str, dict[str, object]]:
    """The state of each chain at the month's closing, for the manifest; on account chains also how calls inside transactions were read, and from where on authorizations of code."""
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
        if chain in authorizations_from:
            described[chain]["authorizations_from"] = authorizations_from[chain]
        for height in last_heights(blocks, month)["height"]:
            last = blocks.row(by_predicate=pl.col("height") == height, named=True)
            described[chain] |= {
                "last_block_height": height,
                "last_block_hash": last["hash"],
                "last_block_confirmations": tip["height"] - height + 1,
            }
    return described


def _utc(at_s: int) -> str:
    return Instant(datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"))
