"""What an import would change in the reports of the open months. Pure.

Enters: the facts as they are, the rows that an import would append, the months that are not frozen, the rules. Leaves: for each month
its report before and after: rows that differ, totals, and issues that appear or disappear.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from pipeline.enrich.classify import chains_of
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import SHAPES, Facts
from pipeline.enrich.month import enrich_month
from pipeline.enrich.opening import not_looked_for
from pipeline.model.amounts import from_units
from pipeline.model.issues import IssueCode
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.validate.ledger import KEYS, LedgerKind
from pipeline.validate.registry import RegistryKind

from .amend import differences
from .row_changes import RowAssets, RowChange, row_change

MAX_ROWS = 1000
"""At most this many rows are listed."""
_ORDER: dict[LedgerKind, tuple[str, ...]] = {
    "allocations": ("allocated_at", "allocation_id"),
    "payments": ("paid_at", "payment_id"),
    "openings": ("account", "asset"),
}
"""The store's order of each kind (`store/queries.sql`)."""


@dataclass(frozen=True)
class MonthChange:
    """How one month's report would change."""

    month: str
    rows_before: int
    rows_after: int
    row_count: int
    """How many rows differ, including those beyond `MAX_ROWS`."""
    rows: list[RowChange]
    allocated: dict[str, tuple[str, str]]
    """Allocated in the month, as printed, before and after, by asset; only where it differs."""
    issues_new: list[str]
    issues_gone: list[str]


def with_ledger_rows(facts: Facts, kind: LedgerKind, rows: pl.DataFrame) -> Facts:
    """The facts after `rows` (complete ledger rows, the newest version of each) are imported."""
    shape = SHAPES[kind]
    held: pl.DataFrame = getattr(facts, kind)
    joined = pl.concat([held.join(rows, list(KEYS[kind]), "anti"), rows.select(list(shape)).cast(pl.Schema(shape))])
    return replace(facts, **{kind: joined.sort(*_ORDER[kind])})


def with_registry(facts: Facts, content: Mapping[RegistryKind, list[dict[str, Any]]], labelled: Collection[tuple[str, str]]) -> Facts:
    """The facts after a registry with these rows is in force. `labelled`: (chain, address) that people labelled; those labels keep precedence."""
    frames = {kind: _frame(content[kind], SHAPES[kind]) for kind in ("miners", "licences", "accounts", "wallets")}
    given = pl.DataFrame(list(labelled), schema={"chain": pl.String, "address": pl.String}, orient="row")
    kept = facts.labels.join(given, ["chain", "address"], "semi")
    counterparties = _frame(content["counterparties"], SHAPES["labels"]).join(given, ["chain", "address"], "anti")
    labels = pl.concat([kept, counterparties]).unique().sort(list(SHAPES["labels"]), nulls_last=True)
    return replace(facts, **frames, labels=labels)


def _frame(rows: list[dict[str, Any]], shape: dict[str, Any]) -> pl.DataFrame:
    texts = pl.DataFrame(rows, schema=dict.fromkeys(rows[0] if rows else shape, pl.String))
    days = [name for name, dtype in shape.items() if dtype == pl.Date]
    frame = texts.select(list(shape)).with_columns(pl.col(name).str.to_date("%Y-%m-%d") for name in days)
    return frame.sort(list(shape), nulls_last=True)


def rows_that_differ(before: Facts, after: Facts) -> dict[str, tuple[int, int]]:
    """How many rows are added and removed, by table of the registry."""
    found = {}
    for kind in ("miners", "licences", "accounts", "wallets", "labels"):
        was, now = getattr(before, kind), getattr(after, kind)
        come, go = (one.join(other, on=was.columns, how="anti", nulls_equal=True).height for one, other in ((now, was), (was, now)))
        if come or go:
            found[kind] = (come, go)
    return found


def preview(before: Facts, after: Facts, months: Sequence[Month], rules: Rules) -> list[MonthChange]:
    """What each month's report would become."""
    return [_change(before, after, month, rules) for month in months]


def _change(before: Facts, after: Facts, month: Month, rules: Rules) -> MonthChange:
    old, new = enrich_month(before, month, rules), enrich_month(after, month, rules)
    rows = differences(before, after, old.report, new.report, lambda _: new.report)
    shown = rows[:MAX_ROWS]
    of_shown = pl.concat([old.report, new.report]).filter(pl.col("allocation_id").is_in({row.allocation_id for row in shown}))
    assets = {id_: RowAssets(*of) for id_, *of in of_shown.select("allocation_id", "asset", "commission_asset").iter_rows()}
    was, now = _allocated(old, rules), _allocated(new, rules)
    return MonthChange(
        month=str(month),
        rows_before=old.report.height,
        rows_after=new.report.height,
        row_count=len(rows),
        rows=[row_change(row, assets[row.allocation_id], rules.assets) for row in shown],
        allocated={
            asset: (was.get(asset, "0"), now.get(asset, "0")) for asset in sorted(was | now) if was.get(asset, "0") != now.get(asset, "0")
        },
        issues_new=_issues(new.issues, old.issues, _unsought(after, rules)),
        issues_gone=_issues(old.issues, new.issues),
    )


def _allocated(enriched: Enriched, rules: Rules) -> dict[str, str]:
    """Allocated in the month, as printed, by asset."""
    sums = enriched.debts.group_by("asset").agg(pl.col("allocated").sum())
    return {asset: from_units(units, rules.assets[asset].decimals) for asset, units in sums.iter_rows()}


def _issues(issues: pl.DataFrame, other: pl.DataFrame, unsought: frozenset[str] = frozenset()) -> list[str]:
    """The issues that `other` lacks. `unsought`: payments of which it is not known yet whether the chain has them."""
    only = issues.join(other, ["code", "ref"], "anti").sort("code", "ref")
    found = []
    for code, severity, ref in only.select("code", "severity", "ref").iter_rows():
        told = f"{code} ({severity}) {ref}"
        waits = code == IssueCode.PAYMENT_NOT_ON_CHAIN and ref in unsought
        found.append(message("{issue}: not looked for yet (esep watch)", issue=told) if waits else told)
    return found


def _unsought(facts: Facts, rules: Rules) -> frozenset[str]:
    """Payments of on-chain payers that nobody looked for in the chain yet (rule 10.8)."""
    named = facts.payments.filter(pl.col("payer").is_in(sorted(rules.payers))).join(chains_of(rules), on="asset")
    return frozenset(not_looked_for(named, facts)["payment_id"])
