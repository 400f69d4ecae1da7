"""Ledger, registry and month events into rows.

In: decoded events. Out: rows of their raw_* tables. Rules: every version of a ledger row is kept; an identical row is dropped; an
event with a known (id, version) but other content is bad (law 8). Left out: which version counts, which the core_* views decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import duckdb
import msgspec
import polars as pl

from pipeline.enrich.frames import UNITS
from pipeline.log.events.ledger import (
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
from pipeline.log.events.months import ClosingEvent, Documented, Frozen, Labelled, Waived, WalletSigned
from pipeline.log.events.registry import Registry
from pipeline.log.events.sources import LedgerSourceEvent, SourceComplete, SourceDecided, SourceItems, SourcePolled, SourceRows
from pipeline.model.message import message
from pipeline.model.typed import decoder

from .facts import Shape, insert

BulkEvent = Allocations | Payments | PayerPayments | Openings


class Bulk(NamedTuple):
    """The table of one kind of bulk event, and the constraints of its rows."""

    table: str
    key: tuple[str, ...]
    shape: Shape
    """The table's columns."""
    patterns: dict[str, str]
    """The patterns that the texts of a column must match, by column, from the event types."""
    absent: tuple[str, ...] = ()
    """The table's columns that the event does not have: null in its rows."""


_INTEGERS: Shape = {"version": pl.Int32, "allocated_at": pl.Int64, "paid_at": pl.Int64, "owed_at": pl.Int64}
_AMOUNTS = ("amount", "commission_amount")


def _pattern(hint: Any) -> str | None:
    """The pattern within a column's type, if there is one."""
    for part in get_args(hint):
        if isinstance(part, msgspec.Meta) and part.pattern is not None:
            return part.pattern
        if (found := _pattern(part)) is not None:
            return found
    return None


def _bulk(table: str, key: tuple[str, ...], columns: type[msgspec.Struct], *absent: str) -> Bulk:
    hints = get_type_hints(columns, include_extras=True)
    shape = {name: _INTEGERS.get(name, pl.String) for name in (*columns.__struct_fields__, *absent)}
    # polars' $ is the end of the text, and its patterns have no look-ahead
    patterns = {name: found.removesuffix(r"(?!\n)") for name, hint in hints.items() if (found := _pattern(hint)) is not None}
    return Bulk(table, key, shape, patterns, absent)


BULK: dict[type[BulkEvent], Bulk] = {
    Allocations: _bulk("raw_allocation", ("allocation_id", "version"), AllocationColumns),
    Payments: _bulk("raw_payment", ("payment_id", "version"), PaymentColumns, "payer"),
    PayerPayments: _bulk("raw_payment", ("payment_id", "version"), PayerPaymentColumns),
    Openings: _bulk("raw_opening", ("account", "asset", "version"), OpeningColumns),
}


def _without_patterns(hint: Any) -> Any:
    """The type without its patterns, which are checked column by column instead: ten times as fast."""
    if get_origin(hint) is Annotated:
        kept = [part for part in hint.__metadata__ if not (isinstance(part, msgspec.Meta) and part.pattern is not None)]
        return Annotated[(hint.__origin__, *kept)] if kept else hint.__origin__
    if get_origin(hint) is list:
        return list[_without_patterns(get_args(hint)[0])]  # type: ignore[misc]
    if get_args(hint):
        return Union[tuple(_without_patterns(part) for part in get_args(hint))]  # noqa: UP007 - made at run time
    return hint


def _relaxed(struct: type[msgspec.Struct], replaced: dict[str, Any]) -> type[msgspec.Struct]:
    """A subclass that decodes the same JSON, with other types for the fields that have patterns or are in `replaced`."""
    hints = get_type_hints(struct, include_extras=True)
    fields = {name: replaced.get(name) or _without_patterns(hints[name]) for name in struct.__struct_fields__}
    changed = [(name, hint) for name, hint in fields.items() if hint != hints[name]]
    return msgspec.defstruct(struct.__name__, changed, bases=(struct,), frozen=True, kw_only=True, tag=struct.__struct_config__.tag)


_RELAXED = {_relaxed(kind, {"rows": _relaxed(get_type_hints(kind)["rows"], {})}): kind for kind in BULK}
_relaxed_decoder: msgspec.json.Decoder[BulkEvent] = decoder(Union[tuple(_RELAXED)])  # noqa: UP007 - made at run time


def _single_row_type(kind: type[BulkEvent]) -> type[msgspec.Struct]:
    """A class that decodes the same JSON only if it has exactly one row: its lists are tuples of one, so no lengths need checking."""
    columns = get_type_hints(get_type_hints(kind)["rows"], include_extras=True)
    one = [(name, tuple[_without_patterns(get_args(hint)[0])]) for name, hint in columns.items()]  # type: ignore[misc]
    rows = msgspec.defstruct("Row", one, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False)
    fields: list[Any] = [("schema", Literal[1], 1), ("rows", rows)]
    return msgspec.defstruct(kind.__name__, fields, bases=(kind,), frozen=True, kw_only=True, gc=False, tag=kind.__struct_config__.tag)


_SINGLE_ROW = {_single_row_type(kind): kind for kind in BULK}
_decode_one_row: Callable[[bytes], BulkEvent] = decoder(Union[tuple(_SINGLE_ROW)]).decode  # noqa: UP007 - made at run time
KIND_OF: dict[type, type[BulkEvent]] = {**_SINGLE_ROW, **_RELAXED, **{kind: kind for kind in BULK}}
"""The kind of a bulk event by its class, as `events` or as `decode_bulk` gives it."""


def decode_bulk(value: bytes) -> BulkEvent | None:
    """A bulk event, checked except for the patterns of its texts (`add_bulk` checks them); None for anything else.

    The columns of an event of one row may be tuples instead of lists.
    """
    try:
        return _decode_one_row(value)
    except (ValueError, RecursionError):
        pass  # not one row, or invalid: the decoder below tells which
    try:
        event = _relaxed_decoder.decode(value)
    except (ValueError, RecursionError):
        return None
    return event if event.schema == 1 else None


class Contradiction(Exception):
    """The event is invalid, or contradicts an earlier one."""


def add_bulk(connection: duckdb.DuckDBPyConnection, kind: type[BulkEvent], events: Sequence[BulkEvent]) -> int:
    """Insert the rows of bulk events of one kind; the number that were new.

    Raises `Contradiction`, before anything is written, when a text does not match its pattern, or a row differs from the same version
    in the store or in another of the events.
    """
    bulk = BULK[kind]
    frame = _frame(bulk, events)
    if frame.get_column(bulk.key[0]).n_unique() < frame.height and frame.select(pl.struct(bulk.key).is_duplicated().any()).item():
        frame = frame.unique(maintain_order=True)
        twice = frame.filter(pl.struct(bulk.key).is_duplicated())
        if twice.height:
            raise Contradiction(
                message("{describe_row} stands twice with different content", describe_row=_describe_row(bulk, twice.row(0, named=True)))
            )
    if not frame.height:
        return 0
    connection.register(
        "batch", frame.with_columns(pl.col(name).cast(pl.Decimal(38, 0)) for name in _AMOUNTS if name in bulk.shape).to_arrow()
    )
    try:
        keys = ", ".join(bulk.key)
        if connection.execute(f"SELECT EXISTS (SELECT 1 FROM {bulk.table} SEMI JOIN batch USING ({keys}))").fetchone() == (True,):  # noqa: S608 - tables and columns of ours
            differs = " OR ".join(f"s.{name} IS DISTINCT FROM b.{name}" for name in bulk.shape)
            found = connection.execute(
                f"SELECT {', '.join('b.' + k for k in bulk.key)} FROM {bulk.table} s JOIN batch b USING ({keys}) WHERE {differs} ORDER BY ALL LIMIT 1"  # noqa: S608 - tables and columns of ours
            ).fetchone()
            if found is not None:
                raise Contradiction(
                    message(
                        "{describe_row} was read before with different content",
                        describe_row=_describe_row(bulk, dict(zip(bulk.key, found, strict=True))),
                    )
                )
            before = _count(connection, bulk.table)
            connection.execute(f"INSERT INTO {bulk.table} BY NAME SELECT * FROM batch ANTI JOIN {bulk.table} USING ({keys})")  # noqa: S608 - tables and columns of ours
            return _count(connection, bulk.table) - before
        connection.execute(f"INSERT INTO {bulk.table} BY NAME SELECT * FROM batch")  # noqa: S608 - tables and columns of ours
    finally:
        connection.unregister("batch")
    return frame.height


def _frame(bulk: Bulk, events: Sequence[BulkEvent]) -> pl.DataFrame:
    columns: list[pl.Series] = []
    rows = list(map(attrgetter("rows"), events))
    for name, dtype in bulk.shape.items():
        if name in bulk.absent:
            columns.append(pl.Series(name, [None], dtype=dtype).new_from_index(0, len(columns[0])))
            continue
        values = list(chain.from_iterable(map(attrgetter(name), rows)))
        column = pl.Series(name, values, dtype=dtype, strict=True)
        if name in bulk.patterns and not column.str.contains(bulk.patterns[name]).all():
            raise Contradiction(message("a text of {name} does not match {patterns}", name=name, patterns=bulk.patterns[name]))
        columns.append(column)
    return pl.DataFrame(columns).with_columns(pl.col(name).cast(UNITS) for name in _AMOUNTS if name in bulk.shape)


def _describe_row(bulk: Bulk, row: dict[str, Any]) -> str:
    return f"{bulk.table.removeprefix('raw_')} " + ", ".join(f"{name} {row[name]!r}" for name in bulk.key)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])  # noqa: S608 - a table of ours


def add_complete(connection: duckdb.DuckDBPyConnection, event: Complete) -> int:
    """Insert the day through which the ledger is complete, if it is new."""
    before = _count(connection, "raw_complete")
    connection.execute(
        "INSERT INTO raw_complete SELECT $day WHERE NOT EXISTS (SELECT 1 FROM raw_complete WHERE through = $day)",
        {"day": date.fromisoformat(event.through)},
    )
    return _count(connection, "raw_complete") - before


def add_source(connection: duckdb.DuckDBPyConnection, event: LedgerSourceEvent) -> int:
    """Insert what was seen at a source of the ledger, or follows from it (ADR 22)."""
    match event:
        case SourceRows(rows=rows):
            columns: dict[str, Any] = {
                "source_table": rows.table, "row_id": rows.row_id, "version": pl.Series(rows.version, dtype=pl.Int32),
                "content": pl.Series(rows.content, dtype=pl.String), "seen_at": [event.seen_at] * len(rows.table),
            }  # fmt: skip
            return insert(connection, "raw_source_row", pl.DataFrame(columns).with_columns(source=pl.lit(event.source)))
        case SourceItems(rows=rows):
            columns = {
                "item": rows.item, "version": pl.Series(rows.version, dtype=pl.Int32), "is_open": rows.is_open, "code": rows.code,
                "date": [date.fromisoformat(day) for day in rows.date], "detail": rows.detail,
            }  # fmt: skip
            return insert(connection, "raw_source_item", pl.DataFrame(columns).with_columns(source=pl.lit(event.source)))
        case SourcePolled():
            connection.execute(
                "INSERT INTO raw_source_look VALUES ($source, $first, $last, $looks, $newest)",
                {"source": event.source, "first": event.first_at, "last": event.at, "looks": event.polls, "newest": event.newest},
            )
        case SourceComplete():
            connection.execute(
                "INSERT INTO raw_source_complete VALUES ($source, $through, $reason)",
                {"source": event.source, "through": date.fromisoformat(event.through), "reason": event.reason},
            )
        case _:
            return 0  # settings are for the follower: nothing in a month depends on them
    return 1


def add_registry(connection: duckdb.DuckDBPyConnection, event: Registry) -> int:
    """Insert one part of a registry version. Raises `Contradiction` when the version has another digest, or this part other content."""
    if event.part >= event.parts:
        raise Contradiction(
            message(
                "part {part} of {parts} of registry {version}: parts count from 0",
                part=event.part,
                parts=event.parts,
                version=event.version,
            )
        )
    rows = connection.execute(
        "SELECT digest, part, parts FROM raw_registry WHERE version = $version", {"version": event.version}
    ).fetchall()
    if any((digest, parts) != (event.digest, event.parts) for digest, _, parts in rows):
        raise Contradiction(message("registry {version} was read before with another digest or number of parts", version=event.version))
    if any(part == event.part for _, part, _ in rows):
        raise Contradiction(
            message("part {part} of registry {version} was read before with different content", part=event.part, version=event.version)
        )
    connection.execute(
        "INSERT INTO raw_registry VALUES ($version, $digest, $part, $parts)",
        {"version": event.version, "digest": event.digest, "part": event.part, "parts": event.parts},
    )
    added = 1
    for table, structs in (
        ("raw_miner", event.miners),
        ("raw_licence", event.licences),
        ("raw_account", event.accounts),
        ("raw_wallet", event.wallets),
        ("raw_counterparty", event.counterparties),
    ):
        if structs:
            names = structs[0].__struct_fields__
            columns = {name: pl.Series([getattr(row, name) for row in structs], dtype=pl.String) for name in names}
            days = [name for name in names if name in ("issue_date", "valid_from", "valid_to", "suspended_from", "suspended_to")]
            frame = pl.DataFrame(columns).with_columns(
                pl.col(days).str.to_date("%Y-%m-%d"), pl.lit(event.version, pl.Int32).alias("version")
            )
            added += insert(connection, table, frame)
    return added


def add_decision(
    connection: duckdb.DuckDBPyConnection,
    event: Labelled | Waived | WalletSigned | Documented | SourceDecided | Frozen,
    offset: int,
    value: bytes,
) -> int:
    """Insert a label, a waiver, a signature of a wallet's key or a freeze. Raises `Contradiction` for a version that was frozen before."""
    match event:
        case Labelled():
            connection.execute(
                "INSERT INTO raw_label VALUES ($id, $offset, $chain, $address, $outflow_class, $name, $by, $reason, $at)",
                {"id": event.id, "offset": offset, "chain": event.chain, "address": event.address, "outflow_class": event.outflow_class,
                 "name": event.name, "by": event.by, "reason": event.reason, "at": event.at},
            )  # fmt: skip
        case Waived():
            connection.execute(
                "INSERT INTO raw_waiver VALUES ($id, $offset, $month, $code, $ref, $by, $reason, $at, $facts)",
                {"id": event.id, "offset": offset, "month": event.month, "code": event.code, "ref": event.ref,
                 "by": event.by, "reason": event.reason, "at": event.at, "facts": None if event.facts is None else "\n".join(event.facts)},
            )  # fmt: skip
        case WalletSigned():
            connection.execute(
                "INSERT INTO raw_wallet_signature VALUES ($id, $offset, $chain, $address, $message, $signature, $by, $at)",
                {"id": event.id, "offset": offset, "chain": event.chain, "address": event.address, "message": event.message,
                 "signature": event.signature, "by": event.by, "at": event.at},
            )  # fmt: skip
        case Documented():
            connection.execute(
                "INSERT INTO raw_document VALUES ($id, $offset, $about, $month, $ref, $name, $digest, $size, $by, $reason, $at)",
                {"id": event.id, "offset": offset, "about": event.about, "month": event.month, "ref": event.ref, "name": event.name,
                 "digest": event.digest, "size": event.size, "by": event.by, "reason": event.reason, "at": event.at},
            )  # fmt: skip
        case SourceDecided():
            connection.execute(
                "INSERT INTO raw_source_decision VALUES ($id, $offset, $source, $item, $outcome, $txid, $by, $reason, $at)",
                {"id": event.id, "offset": offset, "source": event.source, "item": event.item,
                 "outcome": event.outcome if event.day is None else f"{event.outcome} {event.day}", "txid": event.txid,
                 "by": event.by, "reason": event.reason, "at": event.at},
            )  # fmt: skip
        case Frozen():
            version = {"month": event.month, "version": event.version}
            if connection.execute("SELECT 1 FROM raw_frozen WHERE month = $month AND version = $version", version).fetchone() is not None:
                raise Contradiction(message("version {version} of {month} was frozen before", version=event.version, month=event.month))
            connection.execute(
                "INSERT INTO raw_frozen VALUES ($id, $offset, $month, $version, $digest, $event)",
                version | {"id": event.id, "offset": offset, "digest": event.digest, "event": value.decode()},
            )
    return 1


def add_closing(connection: duckdb.DuckDBPyConnection, event: ClosingEvent, offset: int, value: bytes) -> int:
    """Insert a step of a month after its freeze. `pipeline.closing.life` decides which steps may follow each other."""
    fields = ("month", "version", "submission_id", "outcome", "receipt", "by", "reason", "at")
    connection.execute(
        "INSERT INTO raw_closing VALUES ($id, $offset, $type, $month, $version, $submission_id, $outcome, $receipt, $by, $reason, $at, $event)",
        {name: getattr(event, name, None) for name in fields}
        | {"id": event.id, "offset": offset, "type": type(event).__struct_config__.tag, "event": value.decode()},
    )
    return 1
