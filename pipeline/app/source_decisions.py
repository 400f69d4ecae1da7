"""What a decision about something that waits at a source would change, before it is taken (ADR 22).

Enters: an `App`, an item of a source, an outcome. Leaves: `SourceEffect`: the rows that the ledger would get, the items that would end or begin, and how the open months' reports would change. Nothing is
recorded. It is worked out from what the log holds of the source, as the source's next look would, without a look at the source. Left out: taking the decision (`PoolSources.decide`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import msgspec
import polars as pl

from pipeline.capture.source_state import SourceState
from pipeline.closing.preview import MonthChange, preview, with_ledger_rows, with_registry
from pipeline.enrich.frames import SHAPES, Facts
from pipeline.log.events.ledger import Allocations, PayerPayments, Payments
from pipeline.log.events.parts import Event
from pipeline.log.events.sources import SourceItems
from pipeline.model.amounts import from_units
from pipeline.model.message import message
from pipeline.model.months import Month, almaty_date
from pipeline.model.rules import Rules
from pipeline.store.facts import read_facts
from pipeline.store.queries import frozen_months, labels
from pipeline.validate.ledger import LedgerKind

from .app import App
from .open_source import source_plan
from .tasks import Told


@dataclass(frozen=True)
class LedgerLine:
    """A row that the ledger would get: a new one, or the next version of one that it has."""

    kind: LedgerKind
    row_id: str
    version: int
    account: str
    day: date
    asset: str
    amount: str
    """As printed."""
    txid: str
    """Empty for an allocation."""


@dataclass(frozen=True)
class SourceEffect:
    """What a decision would change."""

    source: str
    item: str
    outcome: str
    txid: str
    day: date | None
    lines: list[LedgerLine]
    ended: list[str]
    """Items that would no longer wait."""
    begun: list[str]
    months: list[MonthChange]
    reason: str = ""
    """What the person had written already when they asked."""


def source_effect(
    app: App, told: Told, source: str, item: str, outcome: str, *, txid: str | None, day: date | None, by: str
) -> SourceEffect:
    """What the decision would change. Raises SettingsError as `PoolSources.decide`, LogError."""
    told.step(message("reading the log"))
    with app.stores.current(told.progress) as store:
        event = app.sources.checked(app.sources.items(store), source, item, outcome, txid=txid, day=day, by=by, reason="looked at")
        facts, months = read_facts(store.connection), set(app.months.open_months(store))
        frozen = {Month.parse(name) for name in frozen_months(store.connection)}
        labelled = {(label.chain, label.address) for label in labels(store.connection)}
    told.step(message("reading the source's rows"))
    state = SourceState(app.log, app.pool, source_plan(app.settings, source))
    events = state.foresee(event)
    lines = list(_lines(events, app.rules))
    told.step(message("comparing the reports"))
    after = _with_events(facts, source, events)
    if state.registry is not None and outcome in ("dated", "accept", "refuse"):
        content: Any = state.registry.content()
        after = after if content is None else with_registry(after, content, labelled)
    months |= {Month(line.day.year, line.day.month) for line in lines if line.kind == "allocations"} - frozen
    changes = preview(facts, after, sorted(months, key=str), app.rules)
    items = [part.rows for part in events if isinstance(part, SourceItems)]
    return SourceEffect(
        source, item, outcome, txid or "", day, lines,
        ended=[name for rows in items for name, is_open in zip(rows.item, rows.is_open, strict=True) if not is_open],
        begun=[name for rows in items for name, is_open in zip(rows.item, rows.is_open, strict=True) if is_open], months=changes,
    )  # fmt: skip


def _lines(events: Iterable[Event], rules: Rules) -> Iterable[LedgerLine]:
    for event in events:
        if isinstance(event, Allocations | Payments | PayerPayments):
            kind: LedgerKind = "allocations" if isinstance(event, Allocations) else "payments"
            rows: dict[str, list[Any]] = msgspec.structs.asdict(event.rows)
            instants = rows["allocated_at" if kind == "allocations" else "paid_at"]
            for index, row_id in enumerate(rows["allocation_id" if kind == "allocations" else "payment_id"]):
                asset = rows["asset"][index]
                yield LedgerLine(
                    kind, row_id, rows["version"][index], rows["account"][index], almaty_date(instants[index] // 1_000_000), asset,
                    from_units(int(rows["amount"][index]), rules.assets[asset].decimals), "" if kind == "allocations" else rows["txid"][index] or "",
                )  # fmt: skip


def _with_events(facts: Facts, source: str, events: Iterable[Event]) -> Facts:
    """The facts once these events are in the log."""
    for event in events:
        if isinstance(event, Allocations | Payments | PayerPayments):
            kind: LedgerKind = "allocations" if isinstance(event, Allocations) else "payments"
            shape = SHAPES[kind]
            columns = msgspec.structs.asdict(event.rows)
            frame = pl.DataFrame({name: columns.get(name, [None] * len(columns["version"])) for name in shape}, strict=False)
            facts = with_ledger_rows(facts, kind, frame.select(pl.col(name).cast(dtype) for name, dtype in shape.items()))
        elif isinstance(event, SourceItems):
            rows = event.rows
            kept = facts.source_items.filter(~((pl.col("source") == source) & pl.col("item").is_in(rows.item)))
            opened = [
                (source, item, code, date.fromisoformat(day), detail)
                for item, is_open, code, day, detail in zip(rows.item, rows.is_open, rows.code, rows.date, rows.detail, strict=True)
                if is_open
            ]
            added = pl.DataFrame(opened, schema=SHAPES["source_items"], orient="row")
            facts = replace(facts, source_items=pl.concat([kept, added]).sort("source", "item"))
    return facts
