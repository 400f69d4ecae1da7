"""Imports the pool's ledger from files: allocations, payments, openings, and the declaration that it is complete through a day.

In: a file (CSV, XLSX, Parquet) and the log. Out: events of the topic `ledger`. All events of a file are one append, so an import happens
whole or not at all. A row already in the log is skipped; a changed one is appended with the next version (ADR 1,
`pipeline.validate.restate`). Rule 6.4 is also checked against the log. Left out: deletion (a wrong row is restated with the amount 0).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from pipeline.chains.networks import AnyNetwork
from pipeline.log.events import AnyEvent, content_digest, encode
from pipeline.log.events.ledger import (
    Agreed,
    AllocationColumns,
    Allocations,
    Complete,
    OpeningColumns,
    Openings,
    PayerPaymentColumns,
    PayerPayments,
    PaymentColumns,
    Payments,
)
from pipeline.log.events.months import Frozen
from pipeline.log.events.registry import Registry
from pipeline.log.protocol import EventLog, NewEvent
from pipeline.log.read import events_of, refuse_newer
from pipeline.model.errors import ConsentNeeded
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.plain import plain_name
from pipeline.model.rules import Asset
from pipeline.validate.check import Checked
from pipeline.validate.columns import CellContext, headings_of
from pipeline.validate.layout import OWN, Layout
from pipeline.validate.ledger import COLUMNS, KEYS, LEDGER_KINDS, LedgerKind, check_ledger, headings, older_than_opening, said
from pipeline.validate.restate import newest, restate
from pipeline.validate.review import MOVES, Consent, Review, ReviewContext, review
from pipeline.validate.table import Fault, raise_if_faults

from .column_json import columns_json
from .seen import SeenFile, SeenFiles, marks_of
from .tables import parse_table, read_bytes

BATCH_ROWS = 2_000
_REDUCE_ROWS = 500_000
_EVENTS: dict[LedgerKind, dict[Any, type[msgspec.Struct]]] = {
    "allocations": {Allocations: AllocationColumns},
    "payments": {Payments: PaymentColumns, PayerPayments: PayerPaymentColumns},
    "openings": {Openings: OpeningColumns},
}
"""The events that carry a kind's rows; payments that name a payer travel apart from those that don't."""
_UNITS = ("amount", "commission_amount")


@dataclass(frozen=True)
class ImportResult:
    """The result of an import: how many of the file's rows were new, restated or in the log already, and the number of events appended."""

    kind: LedgerKind
    source: str
    new: int
    restated: int
    unchanged: int
    events: int
    review: Review


@dataclass(frozen=True)
class ReadOptions:
    """How a ledger file is read."""

    assets: Mapping[str, Asset]
    networks: Mapping[str, AnyNetwork | str]
    """The network of each chain, by chain."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The file's heading by column, where it differs."""
    ignored: Collection[str] = ()
    """Headings to pass over."""
    timezone: str | None = None
    """Of instants that carry no offset; None refuses them."""
    sheet: str | None = None
    """Of a workbook that has several."""
    layout: Layout = OWN
    on_chain_payers: Collection[str] = ()
    """Payers whose payments name a transaction and an address of a chain (rule 10.1)."""


def read_ledger(path: Path, kind: LedgerKind, reading: ReadOptions) -> Checked:
    """A ledger file's checked rows with notes on the reading: amounts Int128 base units, instants Int64 µs, and each row's `line`.

    Raises `InputRefused` with every fault as `file:line: column: what`, `SettingsError` for headings mapped to no column.
    """
    return _checked(read_bytes(Path(path)), plain_name(Path(path).name), kind, reading)


def _checked(data: bytes, source: str, kind: LedgerKind, reading: ReadOptions) -> Checked:
    """As `read_ledger`, from bytes."""
    expected = headings(kind, reading.columns)
    table = parse_table(data, source, expected, sheet=kind, asked=reading.sheet, layout=reading.layout)
    terms = CellContext(reading.assets, reading.networks, reading.timezone, reading.layout, reading.on_chain_payers)
    return check_ledger(table, kind, terms=terms, mapping=reading.columns, ignored=reading.ignored)


def review_ledger(
    log: EventLog,
    pool_id: str,
    path: Path,
    kind: LedgerKind,
    reading: ReadOptions,
    *,
    known: ReviewContext | None = None,
    may_move: bool = False,
) -> tuple[Review, pl.DataFrame]:
    """What importing a ledger file would do now, and the rows it would append, each with its `version`. Appends nothing.

    `known`: the current time and the assets' supplies. Errors as `read_ledger`. Faults against rows in the log are in the review.
    """
    checked = read_ledger(path, kind, reading)
    return _reviewed(log, pool_id, checked, plain_name(Path(path).name), kind, reading, known=known, may_move=may_move)


def _reviewed(
    log: EventLog,
    pool_id: str,
    checked: Checked,
    source: str,
    kind: LedgerKind,
    reading: ReadOptions,
    *,
    known: ReviewContext | None,
    may_move: bool,
) -> tuple[Review, pl.DataFrame]:
    """As `review_ledger`, of a file's checked rows."""
    rows, names = checked.rows, headings_of(COLUMNS[kind], reading.columns)
    opening_us = _opening_instant(log, pool_id)
    faults: list[Fault] = []
    if kind == "allocations":
        faults = older_than_opening(rows, opening_us, names["allocated_at"])
    if kind == "openings":
        faults = _misplaced_openings(log, pool_id, rows, names["owed_at"])
    held = _rows_in_log(log, pool_id, kind)
    months = _frozen_months(log, pool_id) if kind == "payments" else []
    known = dataclasses.replace(
        known or ReviewContext(),
        opening_us=opening_us,
        frozen_until_us=max(months, key=str).end_at * 1_000_000 if months else None,
        accounts=_accounts(log, pool_id, kind),
        assets=reading.assets,
        on_chain_payers=reading.on_chain_payers,
    )
    found = review(rows, held, kind, known=known, names=names, may_move=may_move)
    changes = restate(rows.drop("line"), held if held.is_empty() else held.join(rows, KEYS[kind], "semi"), KEYS[kind])
    questions = [*checked.notes.odd, *found.questions]
    told = _reading_notes(checked, source)
    return dataclasses.replace(found, faults=[*faults, *found.faults], questions=questions, **told), changes.rows


def import_ledger(
    log: EventLog,
    pool_id: str,
    path: Path,
    kind: LedgerKind,
    reading: ReadOptions,
    *,
    known: ReviewContext | None = None,
    consent: Consent | None = None,
    seen: SeenFiles | None = None,
) -> ImportResult:
    """Append the new and changed rows of a ledger file in one append.

    Arguments and errors as `review_ledger`; `ConsentNeeded` for unusual rows without consent; `FencedError` if another import began meanwhile.
    `seen`: files that the log has whole, which are not read again.
    """
    consent = consent or Consent()
    source = plain_name(Path(path).name)
    data = read_bytes(Path(path))
    file = SeenFile(None if Path(path).is_symlink() else seen, data, source, kind, reading, known)
    with log.writer("ledger", pool_id) as writer:  # opened before the log is read: what is read stays the newest, or the append is fenced
        before = marks_of(log, pool_id)
        if (again := file.found(before)) is not None:
            return ImportResult(kind, source, again.new, again.restated, again.known, 0, again)
        checked = _checked(data, source, kind, reading)
        del data
        found, rows = _reviewed(log, pool_id, checked, source, kind, reading, known=known, may_move=consent.to_moves)
        raise_if_faults(source, found.faults)
        if found.questions and found.new + found.restated and not consent.to_oddities:
            raise ConsentNeeded(source, found.questions)
        events = list(_events(rows, kind, source, _agreed(found, consent, (known or ReviewContext()).now_us)))
        appended = writer.append(events) if events else 0
        after = marks_of(log, pool_id)
        # Nothing but these events came since the log was read: they are the ledger's newest, and the other topics stand as they stood.
        is_ours = after[0] is not None and after[0][2] == events[-1].id if events else after[0] == before[0]
        if is_ours and appended == len(events) and after[1:] == before[1:]:
            file.keep(found, after)
    return ImportResult(kind, source, found.new, found.restated, found.known, len(events), found)


def _agreed(found: Review, consent: Consent, now_us: int | None) -> Agreed | None:
    """Who agreed to what the review asks, and when; None where nothing was asked, or nobody gave a name."""
    moves = [
        message("{count} row(s) move to another {name}", count=count, name=name)
        for name, count in found.restated_by.items()
        if name in MOVES
    ]
    asked = [*found.questions, *moves]
    if not asked or not consent.by or now_us is None:
        return None
    return Agreed(by=consent.by, at=now_us, to=asked)


def _reading_notes(checked: Checked, source: str) -> dict[str, Any]:
    """The fields of a review about reading the file."""
    notes = checked.notes
    warnings = [warning.at(source) for warning in sorted(notes.warnings, key=lambda warning: warning.line or 0)]
    return {
        "zones": notes.zones, "rounded": notes.rounded, "passed_over": notes.passed_over, "netted": notes.netted, "days": notes.days,
        "warnings": warnings,
    }  # fmt: skip


def declare_complete(log: EventLog, pool_id: str, through: date) -> bool:
    """Declare the ledger complete through a day in Almaty (rule 8.1); whether that was new."""
    event = Complete(id=f"complete:{through.isoformat()}", through=through.isoformat())
    with log.writer("ledger", pool_id) as writer:
        return writer.append([encode(event)]) == 1


def _events(rows: pl.DataFrame, kind: LedgerKind, source: str, agreed: Agreed | None) -> Iterator[NewEvent]:
    """The rows as events, in batches; an event's id is the digest of its rows."""
    texts = rows.with_columns(pl.col(name).cast(pl.String) for name in _UNITS if name in rows.columns)
    for event, columns in _EVENTS[kind].items():
        has_payer = "payer" in columns.__struct_fields__
        own = texts.filter(pl.col("payer").is_not_null() == has_payer) if kind == "payments" else texts
        for held in columns_json(own.select(columns.__struct_fields__), BATCH_ROWS):
            yield encode(event(id=f"{kind}:{content_digest(held)}", source=source, rows=held, agreed=agreed))


# --- what the log holds ----------------------------------------------------------------------------------------------


def _rows_in_log(log: EventLog, pool_id: str, kind: LedgerKind, *, only: pl.DataFrame | None = None) -> pl.DataFrame:
    """The newest version of each row in the log; only of those whose keys are in `only`, if given."""
    keys = list(KEYS[kind])
    waiting: list[pl.DataFrame] = []
    waiting_rows = 0

    def reduced() -> pl.DataFrame:
        together = pl.concat(waiting)
        return newest(together if only is None else together.join(only, keys, "semi"), keys)

    for _, event in events_of(log, "ledger", pool_id, list(_EVENTS[kind]), on_unreadable=refuse_newer):
        waiting.append(_frame(event, kind))
        waiting_rows += len(waiting[-1])
        if waiting_rows >= _REDUCE_ROWS + len(waiting[0]):
            waiting = [reduced()]
            waiting_rows = len(waiting[0])
    if not waiting:
        waiting = [pl.DataFrame(schema=_SHAPES[kind])]
    return reduced().with_columns(pl.col(name).cast(pl.Int128) for name in _UNITS if name in waiting[0].columns)


def _frame(event: AnyEvent, kind: LedgerKind) -> pl.DataFrame:
    assert isinstance(event, Allocations | Payments | PayerPayments | Openings)
    rows, absent = event.rows, [None] * len(event.rows.version)
    return pl.DataFrame({name: getattr(rows, name, absent) for name in _SHAPES[kind]}, schema=_SHAPES[kind])


_RAW_TYPES = {"version": pl.Int32, "allocated_at": pl.Int64, "paid_at": pl.Int64, "owed_at": pl.Int64}
_SHAPES: dict[LedgerKind, dict[str, Any]] = {
    kind: {name: _RAW_TYPES.get(name, pl.String) for struct in events.values() for name in struct.__struct_fields__}
    for kind, events in _EVENTS.items()
}
"""The columns of each kind's rows in the log; an event that lacks one has null there."""


# --- rule 6.4 ----------------------------------------------------------------------------------------------------------


def _opening_instant(log: EventLog, pool_id: str) -> int | None:
    openings = _rows_in_log(log, pool_id, "openings")
    return None if openings.is_empty() else int(openings["owed_at"][0])


def _accounts(log: EventLog, pool_id: str, kind: LedgerKind) -> set[str]:
    """Accounts that the registry, or another table of the ledger, knows already."""
    found: set[str] = set()
    for _, version in events_of(log, "registry", pool_id, [Registry]):
        found.update(row.account for row in version.accounts)
    for _, event in events_of(log, "ledger", pool_id, [event for other in LEDGER_KINDS if other != kind for event in _EVENTS[other]]):
        found.update(event.rows.account)
    return found


def _misplaced_openings(log: EventLog, pool_id: str, rows: pl.DataFrame, heading: str) -> list[Fault]:
    """Check that all openings, with those in the log that are not restated, are of one instant, before the first month reported, and that no
    allocation is older (rule 6.4)."""
    if rows.is_empty():
        return []
    opening_us, line = int(rows["owed_at"][0]), int(rows["line"][0])
    faults = []
    kept = _rows_in_log(log, pool_id, "openings").join(rows, list(KEYS["openings"]), "anti")
    elsewhere = kept.filter(pl.col("owed_at") != opening_us)
    if len(elsewhere):
        account, asset, at_us = elsewhere.select("account", "asset", "owed_at").row(0)
        what = message(
            "{count} openings in the log stand at {said}, that of {account} in {asset} first: give them all, at one instant",
            count=len(elsewhere),
            said=said(at_us),
            account=repr(account),
            asset=asset,
        )
        faults.append(Fault(line, heading, what))
    older = _rows_in_log(log, pool_id, "allocations").filter(pl.col("allocated_at") < opening_us).sort("allocated_at", "allocation_id")
    if len(older):
        first = older["allocation_id"][0]
        what = message(
            "{count} allocations in the log are older than the opening, {first} first: open before them, or in another log",
            count=len(older),
            first=repr(first),
        )
        faults.append(Fault(line, heading, what))
    months = _frozen_months(log, pool_id)
    if months:
        first_month = min(months, key=str)
        if opening_us >= first_month.previous.end_at * 1_000_000:
            faults.append(Fault(line, heading, message("is not before {first_month}, the first month reported", first_month=first_month)))
    return faults


def _frozen_months(log: EventLog, pool_id: str) -> list[Month]:
    """The months of which a version was frozen."""
    return [Month.parse(event.month) for _, event in events_of(log, "months", pool_id, [Frozen], on_unreadable=refuse_newer)]
