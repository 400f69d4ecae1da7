"""Whether the sources of a month's ledger add up: what each source's rows come to beside what it says itself (ADR 22).

Enters: the settings' sources, what a store holds of them. Leaves: a `SourceProof` for each source. Left out: how a source is read, and pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb

from pipeline.model.months import Month
from pipeline.model.typed import decoder
from pipeline.settings import Settings
from pipeline.store.queries import OpenItem, SourceState, source_items, source_sums, sources

RECONCILED = ("miningcore", "yiimp")
"""Kinds of sources that keep balances beside their rows, so that one can be checked by the other."""


@dataclass(frozen=True)
class Difference:
    """An account whose balance is not what its rows come to, as the source prints both."""

    account: str
    by_rows: str
    by_balance: str


@dataclass(frozen=True)
class SourceProof:
    """One source, for one month."""

    source: str
    kind: str
    last_look_at: int | None
    """Unix seconds."""
    complete_through: date | None
    waiting: int
    """Items of the month, and of the days before it, that wait for something."""
    differences: list[Difference]
    """As of the last look."""
    has_balances: bool
    """Whether there is anything to compare the rows with."""
    is_proved: bool | None
    """Read past the month's end, nothing waits, and every account's rows come to its balance. None: there are no balances to compare with, or the month's end was not reached."""


@dataclass(frozen=True)
class SourceFacts:
    """What a store holds of all sources: read once, for the proofs of every month."""

    states: list[SourceState]
    items: list[OpenItem]
    sums: list[tuple[str, str, str]]
    """Accounts that differ: source, account, both numbers as JSON."""


def read_sources(connection: duckdb.DuckDBPyConnection) -> SourceFacts:
    """What the store holds of the sources."""
    return SourceFacts(sources(connection), source_items(connection), source_sums(connection))


def source_proofs(settings: Settings, facts: SourceFacts, month: Month) -> list[SourceProof]:
    """Every source of the settings, and any that the log has besides, by name."""
    held = {state.source: state for state in facts.states}
    waiting = [item.source for item in facts.items if item.day <= month.last]
    differing: dict[str, list[Difference]] = {}
    for source, account, content in facts.sums:
        row = decoder(dict[str, str | None]).decode(content)
        by_rows = row.get("rows") or row.get("changes") or ""
        differing.setdefault(source, []).append(Difference(account, by_rows, row.get("balance") or ""))
    found = []
    for name in sorted({*settings.sources, *held}):
        ours, state = settings.sources.get(name), held.get(name)
        kind, through = ours.kind if ours else "", state.complete_through if state else None
        differences, has_balances = differing.get(name, []), kind in RECONCILED
        is_read = through is not None and through >= month.last
        verdict = False if differences else True if has_balances and is_read and name not in waiting else None
        looked_at = state.last_look // 1_000_000 if state else None
        found.append(SourceProof(name, kind, looked_at, through, waiting.count(name), differences, has_balances, verdict))
    return found
