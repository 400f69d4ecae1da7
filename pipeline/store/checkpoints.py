"""Checkpoints in the store: what a month begins with, so that looking at it does not read the years before (ADR 25).

Enters: an `Opening` and the log's positions that it rests on; later the events that ingest takes. Leaves: the newest checkpoint that still holds. Derived (law 1): whatever
drops one, or all, the months' bytes are the same. A checkpoint that may not hold is dropped, in the transaction that writes what it does not know of.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from importlib.metadata import version
from typing import Any
from weakref import WeakKeyDictionary

import duckdb
import msgspec
import polars as pl

from pipeline.enrich.frames import ACCOUNTS, MINERS, UNITS
from pipeline.enrich.frames import WALLETS as MINERS_WALLETS
from pipeline.enrich.line import OPEN_ALLOCATIONS, OPEN_CREDITS, Line
from pipeline.enrich.match import WINDOW_US
from pipeline.enrich.opening import (
    COINS,
    HEIGHTS,
    NAMED_PAYMENTS,
    NAMED_TRANSACTIONS,
    PAYER_COUNTS,
    WALLETS,
    Opening,
    first_instant,
)
from pipeline.log.events.chain import Connect, Disconnect, NotTraced, Retold, Stretch, Watch
from pipeline.log.events.ledger import Allocations, Openings, PayerPayments, Payments
from pipeline.log.events.months import Labelled
from pipeline.log.events.registry import Registry
from pipeline.model.months import ALMATY, Month
from pipeline.model.rules import Rules

from .queries import statements
from .store import Store

FORMAT = 1
"""Of what a checkpoint holds; another one is not read."""
KEPT = 12
"""The newest checkpoints that are kept; earlier months begin from the log's start."""
MARGIN_US = 2 * WINDOW_US + 86_400_000_000
"""A payment or a transfer can change what is settled this long before it: a replacement lies within the window of its payment, and leaves another one, within that one's (rule 5.2)."""
HELD, HELD_BYTES = 4, 1 << 20
"""So many openings of a store are held between two looks, none of them of more bytes as it is packed."""
ALWAYS = -(2**62)
_FRAMES: dict[str, dict[str, Any]] = {
    "allocations": OPEN_ALLOCATIONS, "credits": OPEN_CREDITS, "heights": HEIGHTS, "coins": COINS, "wallets": WALLETS,
    "transactions": NAMED_TRANSACTIONS, "payments": NAMED_PAYMENTS, "payers": PAYER_COUNTS,
}  # fmt: skip
_REGISTRY = {
    "accounts": (ACCOUNTS, ["account", "miner_id", "valid_from"]),
    "wallets": (MINERS_WALLETS, ["chain", "address", "miner_id", "valid_from"]),
}

_held: WeakKeyDictionary[Store, list[tuple[tuple[Any, ...], Opening]]] = WeakKeyDictionary()
"""Of open stores: rows of checkpoints, and the openings that they were made into."""


def rules_digest(rules: Rules) -> str:
    """What a checkpoint's numbers depend on besides the log: the rules' parameters, the program, the format."""
    content = [FORMAT, version("esep"), rules.to_json()]
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def read_checkpoint(store: Store, month: Month, rules: Rules) -> Opening | None:
    """The newest opening of the month or of an earlier one; None where there is none that holds."""
    found = store.connection.execute(statements()["checkpoint"], {"month": str(month), "rules": rules_digest(rules)}).fetchall()
    reached = store.positions()
    for row in found:
        if all(reached.get(place, 0) >= offset for place, offset in msgspec.json.decode(row[1]).items()):
            return _opening_of(store, row)
    return None


def _opening_of(store: Store, row: tuple[Any, ...]) -> Opening:
    """The opening of a checkpoint's row: the very same object for the same row, so that what was worked out from it is found again (`app.held`)."""
    held = _held.get(store, [])
    opening = next((opening for its_row, opening in held if its_row == row), None)
    if opening is None:
        since, _, starts_at, observed, *packed = row
        frames = {name: _unpacked(content, _FRAMES[name]) for name, content in zip(_FRAMES, packed, strict=True)}
        line = Line(frames.pop("allocations"), frames.pop("credits"))
        opening = Opening(Month.parse(since), starts_at, line, observed=observed, **frames)
        if sum(map(len, packed)) <= HELD_BYTES:
            _held[store] = [*held, (row, opening)][-HELD:]
    return opening


def write_checkpoint(store: Store, opening: Opening, rules: Rules) -> None:
    """Keep the opening, in place of one of the same month and rules; the oldest beyond `KEPT` go."""
    frames = vars(opening) | vars(opening.line)
    values = {name: _packed(frames[name]) for name in _FRAMES} | {
        "month": str(opening.since), "rules": rules_digest(rules), "since_us": opening.since_us, "starts_at": opening.starts_at,
        "rests_on": msgspec.json.encode(store.positions(), order="deterministic").decode(), "observed": opening.observed,
    }  # fmt: skip
    with store.transaction() as connection:
        connection.execute(
            "DELETE FROM out_checkpoint WHERE month = $month AND rules = $rules", {"month": values["month"], "rules": values["rules"]}
        )
        connection.execute(statements()["keep_checkpoint"], values)
        connection.execute(statements()["old_checkpoints"], {"kept": KEPT})


def drop_checkpoints(store: Store) -> None:
    """Drop all: the next look at a month reads the whole history."""
    with store.transaction() as connection:
        connection.execute("DELETE FROM out_checkpoint")


def _packed(frame: pl.DataFrame) -> bytes:
    amounts = [name for name, dtype in frame.schema.items() if dtype == UNITS]
    file = io.BytesIO()
    frame.with_columns(pl.col(amounts).cast(pl.Decimal(38, 0))).write_parquet(file, compression="zstd", statistics=False)
    return file.getvalue()


def _unpacked(content: bytes, shape: dict[str, Any]) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(content)).select(pl.col(name).cast(dtype) for name, dtype in shape.items())


@dataclass(frozen=True)
class _Before:
    """What was in force before a batch."""

    registry: dict[str, pl.DataFrame]
    watches: dict[str, tuple[str, frozenset[str]]]
    """Of each chain its wallets, as JSON, and the payees."""


class CheckpointsInBatch:
    """Finds the earliest instant at which a batch of events changes something, and drops the checkpoints after it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, events: Sequence[object]) -> None:
        """`connection` within the batch's transaction, before anything of it is written."""
        self._connection, self._events = connection, events
        self._are_kept = connection.execute("SELECT EXISTS (SELECT 1 FROM out_checkpoint)").fetchone() == (True,)
        is_compared = self._are_kept and any(isinstance(event, (Registry, Watch)) for event in events)
        self._before = self._in_force() if is_compared else None

    def _in_force(self) -> _Before:
        rows = self._connection.execute("SELECT chain, wallets, coalesce(payees, []) FROM core_watch").fetchall()
        shapes: dict[str, dict[str, Any]] = {"miners": MINERS, **{name: shape for name, (shape, _) in _REGISTRY.items()}}
        registry = {
            name: self._connection.execute(statements()[f"facts.{name}"]).pl().select(list(shape)) for name, shape in shapes.items()
        }
        return _Before(registry, {chain: (wallets, frozenset(payees)) for chain, wallets, payees in rows})

    def drop(self) -> None:
        """Drop the checkpoints that the events change, after their rows are written. Bad events only make it drop more."""
        if not self._are_kept:
            return
        events = self._events
        exact, near = list[int](), list[int]()
        if any(isinstance(event, Openings) for event in events):
            exact.append(ALWAYS)
        owed = [id_ for event in events if isinstance(event, Allocations) for id_ in event.rows.allocation_id]
        paid = [id_ for event in events if isinstance(event, (Payments, PayerPayments)) for id_ in event.rows.payment_id]
        exact += self._instants("touched.allocations", owed)
        near += self._instants("touched.payments", paid)
        near += self._chain(events)
        exact += self._instants("touched.labels", [event.address for event in events if isinstance(event, Labelled)])
        if self._before is not None:
            after = self._in_force()
            near += self._registry(self._before.registry, after.registry)
            for chain, (wallets, payees) in after.watches.items():
                known = self._before.watches.get(chain)
                if known is None or known[0] != wallets or not known[1] <= payees:
                    exact.append(ALWAYS)
        earliest = [*exact, *(instant - MARGIN_US for instant in near)]
        if earliest:
            self._connection.execute("DELETE FROM out_checkpoint WHERE since_us > $instant", {"instant": min(earliest)})

    def _chain(self, events: Sequence[object]) -> list[int]:
        """Of blocks that joined, left or were told again: theirs, of those before them, and of payments that name their transactions."""
        hashes, txids = list[str](), list[str]()
        for event in events:
            match event:
                case Connect() | Disconnect() | Retold():
                    hashes.append(event.hash)
                case Stretch():
                    hashes += event.hash
                case NotTraced():
                    txids += event.txids
            if isinstance(event, (Connect, Retold)):
                txids += [transaction.txid for transaction in event.transactions]
        return self._instants("touched.blocks", hashes) + self._instants("touched.txids", txids)

    def _instants(self, name: str, keys: Sequence[str]) -> list[int]:
        """The earliest instant that a statement finds for what is named, microseconds; none for nothing."""
        if not keys:
            return []
        self._connection.register("touched", pl.DataFrame({"key": pl.Series(keys, dtype=pl.String)}).unique().to_arrow())
        found = self._connection.execute(statements()[name]).fetchall()
        self._connection.unregister("touched")
        return [instant for (instant,) in found if instant is not None]

    def _registry(self, before: dict[str, pl.DataFrame], after: dict[str, pl.DataFrame]) -> list[int]:
        """From the earliest day on which a holder changes: that day, and the transfers whose payments are of it or later (rule 4.2)."""
        days = [day for name, (_, key) in _REGISTRY.items() for day in _changed_days(before[name], after[name], key)]
        miners = set(before["miners"]["miner_id"]) ^ set(after["miners"]["miner_id"])
        for frame in (before["wallets"], after["wallets"]):
            days += frame.filter(pl.col("miner_id").is_in(list(miners)))["valid_from"].to_list()
        if not days:
            return []
        instant = int(datetime.combine(min(days), time(), ALMATY).timestamp()) * 1_000_000
        found = self._connection.execute(statements()["touched.since"], {"instant": instant}).fetchall()
        return [instant, *(early for (early,) in found if early is not None)]


def _changed_days(before: pl.DataFrame, after: pl.DataFrame, key: list[str]) -> list[date]:
    """The days from which on rows that are in one registry alone change something: where only the end moved, the earlier end."""
    parts = [one.join(other, on=one.columns, how="anti", nulls_equal=True) for one, other in ((before, after), (after, before))]
    ends = parts[0].join(parts[1], on=key, how="full", coalesce=True, suffix="_after")
    is_moved = pl.struct(key).is_in(parts[0].select(pl.struct(key)).to_series().implode()) & pl.struct(key).is_in(
        parts[1].select(pl.struct(key)).to_series().implode()
    )
    return (
        ends.select(pl.when(is_moved).then(pl.min_horizontal("valid_to", "valid_to_after")).otherwise("valid_from"))
        .to_series()
        .drop_nulls()
        .to_list()
    )


def is_settled_down(opening_month: Month, blocks: pl.DataFrame, rules: Rules) -> bool:
    """Whether every chain is so far beyond the month's first instant that ordinary new blocks and payments do not drop its checkpoint."""
    tips = dict(blocks.sort("height").group_by("chain").agg(pl.col("time").last()).iter_rows())
    least = (first_instant(opening_month) + MARGIN_US) // 1_000_000
    return all(tips.get(chain, 0) > least for chain in rules.finality)
