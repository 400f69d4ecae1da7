"""Assesses the current state of a month: enriches it, and checks whether it can close (rule 8.1).

Enters: the month's state in a store, read in one transaction. Leaves: the enriched month and the conditions of rule 8.1. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import polars as pl

from pipeline.assess.coins import PreviousCoins
from pipeline.assess.condition import Condition
from pipeline.assess.conditions import closing_conditions
from pipeline.assess.debts import PreviousDebts
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import Facts
from pipeline.enrich.month import enrich_month
from pipeline.enrich.opening import Beginning, Opening
from pipeline.log.authenticity import SignedEvent, StreamState
from pipeline.log.events.months import Documented, Waived, WalletSigned
from pipeline.model.issues import Issue
from pipeline.model.months import Month
from pipeline.model.rules import Rules


@dataclass(frozen=True)
class MonthState:
    """A month's state in a store at one moment."""

    facts: Facts
    """All of the history; with an `opening` what the month sees beside it."""
    waivers: list[Waived]
    complete_through: date | None
    has_registry: bool
    bad_events: list[Issue]
    """Events of the log that can't be read, or that are not authentic (law 8, ADR 14)."""
    positions: dict[str, int]
    previous_digest: str | None
    """Digest of the newest frozen version of the month before."""
    newest: dict[str, str] = field(default_factory=dict)
    """Id of the newest event of each `topic/key`: what `positions` mean in any copy of the log."""
    previous_debts: PreviousDebts | None = None
    """What that version closed with."""
    previous_coins: PreviousCoins | None = None
    """And its closing sets of coins."""
    wallet_signatures: list[WalletSigned] = field(default_factory=list)
    """What owners signed with the keys of the pool's addresses, oldest first."""
    streams: list[StreamState] = field(default_factory=list)
    """What is known of each stream at `positions`, by topic and key; none where no root key is in force (ADR 14)."""
    signed: list[SignedEvent] = field(default_factory=list)
    """What proves people's decisions, and what the root key said."""
    opening: Beginning | None = None
    """What the month, or an earlier one, begins with (ADR 25, 27)."""
    documents: list[Documented] = field(default_factory=list)
    """Documents that labels, waivers and off-chain transfers rest on, oldest first."""
    internal_calls: Mapping[str, str] = field(default_factory=dict)
    """How calls inside transactions were read, by chain; chains without such calls are absent (ADR 7)."""
    authorizations_from: Mapping[str, int] = field(default_factory=dict)
    """From which block on authorizations of code (EIP-7702) were told, by chain; absent where they were not."""


@dataclass(frozen=True)
class Assessment:
    """The result of enriching a month, and the conditions for closing it."""

    enriched: Enriched
    conditions: list[Condition]

    @property
    def unmet(self) -> list[Condition]:
        return [condition for condition in self.conditions if not condition.is_met]


Enrich = Callable[[Facts, Month, Rules, Beginning | None], Enriched]
"""`enrich_month`, or what gives the same."""


def assess_month(state: MonthState, month: Month, rules: Rules, enrich: Enrich = enrich_month) -> Assessment:
    """Enrich the month and check every condition of rule 8.1. Events that can't be read are blocking issues."""
    enriched = enrich(state.facts, month, rules, state.opening)
    if state.bad_events:
        unreadable = pl.DataFrame(
            [(issue.code.value, issue.severity.value, issue.ref, issue.detail, issue.detail, None) for issue in state.bad_events],
            schema=enriched.issues.schema,
            orient="row",
        )
        enriched = replace(enriched, issues=pl.concat([enriched.issues, unreadable]).sort("code", "ref"))
    conditions = closing_conditions(
        state.facts,
        enriched.issues,
        state.waivers,
        month,
        rules,
        complete_through=state.complete_through,
        has_registry=state.has_registry,
        opening=state.opening if isinstance(state.opening, Opening) else None,
    )
    return Assessment(enriched, conditions)
