"""Reads the facts for enrichment from the store, and writes the results of enrichment back.

In: committed raw rows. Out: `Facts`: the main chain only, the version in force of every ledger row, the newest complete registry, in an
order that depends only on the rows. Amounts are DECIMAL(38,0) and Int128, never floats (law 7). Left out: every judgement (`enrich`).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary

import duckdb
import msgspec
import polars as pl  # before the lines on pandas: it looks for it once, when it is loaded

from pipeline.enrich.combine import combine
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import BALANCES, OUTFLOWS, REPORT, SHAPES, TRANSFERS, UNITS, Facts
from pipeline.enrich.issue_rows import ISSUES_WITH_FACTS
from pipeline.enrich.opening import Opening, first_instant
from pipeline.model.errors import StoreError
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.render.totals import printed_totals

from .queries import statements
from .store import Store

if "pandas" not in sys.modules and importlib.util.find_spec("pandas") is None:
    # DuckDB tries to import pandas for each value of each statement: where it is not installed, a statement of six values took three times as long.
    cast("dict[str, Any]", sys.modules)["pandas"] = None

Shape = Mapping[str, type[pl.DataType]]
_DECIMAL = pl.Decimal(38, 0)
_ROWS_A_BATCH = 100_000
_BATCHES_PER_PART = 5
ROWS_AT_ONCE = 250_000
"""Rows inserted into the store at a time."""
HELD_ROWS = 100_000
"""Facts of at most so many rows, some tens of MiB, are held between two looks at one open store."""
_FEW_ROWS = 10
"""So many rows of plain values are inserted as values: to scan a frame costs a statement three milliseconds more."""
_PLAIN = frozenset({pl.String, pl.Int64, pl.Int32, pl.Boolean, pl.Date, UNITS, _DECIMAL})
_held: WeakKeyDictionary[Store, tuple[list[tuple[str, int]], list[tuple[Month | None, Opening | None, Facts]]]] = WeakKeyDictionary()
"""Of open stores: the positions that facts were read at, and those facts with what they were asked for, the oldest first."""


def facts_of(store: Store, month: Month | None = None, opening: Opening | None = None) -> Facts:
    """`read_facts` of the store, or `read_facts_since` for a month and its opening, read anew only when rows came that facts are made of: several months are
    looked at one after another, and most of what the closing of months writes changes no fact. Facts of more than `HELD_ROWS` rows are read each time.
    """
    at = store.connection.execute(statements()["facts_at"]).fetchall()
    held_at, held = _held.pop(store, (at, []))  # taken out before others are read: more than `HELD_ROWS` rows are never held beside them
    if held_at != at:
        held = []
    facts = next((facts for of, since, facts in held if of == month and since is opening), None)
    if facts is None:
        facts = read_facts(store.connection) if opening is None or month is None else read_facts_since(store.connection, opening, month)
        if are_held(facts):
            held = [*held, (month, opening, facts)]
            while sum(_rows(one) for *_, one in held) > HELD_ROWS:
                held = held[1:]
    _held[store] = at, held
    return facts


def are_held(facts: Facts) -> bool:
    """Whether the facts are few enough to be held."""
    return _rows(facts) <= HELD_ROWS


def _rows(facts: Facts) -> int:
    return sum(frame.height for frame in vars(facts).values())


def read_facts(connection: duckdb.DuckDBPyConnection, allocated_in: Month | None = None) -> Facts:
    """The facts in force, each frame exactly in its shape of `enrich.frames.SHAPES`, in the order of its keys. `allocated_in`: of the allocations those of this month alone."""
    there = _frames_there(connection)
    found = {
        name: read_frame(connection, statements()[f"facts.{name}"], shape) if name in there else _empty(shape)
        for name, shape in SHAPES.items()
        if allocated_in is None or name != "allocations"
    }
    return Facts(**found) if allocated_in is None else Facts(**found, allocations=read_allocations(connection, allocated_in))


def read_allocations(connection: duckdb.DuckDBPyConnection, month: Month) -> pl.DataFrame:
    """The allocations in force whose instant lies in the month, in the shape and order of `read_facts`."""
    bounds = {"since": first_instant(month), "until": first_instant(month.next)}
    return read_frame(connection, statements()["since.allocations"], SHAPES["allocations"], bounds)


def read_facts_since(connection: duckdb.DuckDBPyConnection, opening: Opening, month: Month) -> Facts:
    """What `month` sees of the facts in force beside its opening, or that of an earlier month: `enrich.opening.cut_facts` of the whole."""
    cuts = {"cut_height": opening.heights, "cut_transaction": opening.transactions, "cut_payment": opening.payments}
    bounds = {"since": opening.since_us, "until": first_instant(month.next)}
    there = _frames_there(connection)
    for name, frame in cuts.items():
        connection.register(name, frame.to_arrow())
    try:
        found = {}
        for name, shape in SHAPES.items():
            if name not in there:
                found[name] = _empty(shape)
                continue
            statement = statements().get(f"since.{name}") or statements()[f"facts.{name}"]
            found[name] = read_frame(connection, statement, shape, {key: value for key, value in bounds.items() if f"${key}" in statement})
        return Facts(**found)
    finally:
        for name in cuts:
            connection.unregister(name)


def _frames_there(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The frames that may have rows. Of a small store, planning the statements of the others took a third of the time in which its facts are read."""
    return {name for (name,) in connection.execute(statements()["facts_there"]).fetchall()}


def _empty(shape: Shape) -> pl.DataFrame:
    return pl.DataFrame(schema=dict(shape))


def read_frame(
    connection: duckdb.DuckDBPyConnection, statement: str, shape: Shape, values: Mapping[str, object] | None = None
) -> pl.DataFrame:
    """The result of a statement in the columns of `shape`, converted batch by batch: both whole results in memory would take twice the space."""
    parts, batches = [], []
    for batch in connection.execute(statement, dict(values or {})).to_arrow_reader(_ROWS_A_BATCH):
        frame = pl.DataFrame(batch)
        if frame.schema != shape:
            frame = frame.select(pl.col(column).cast(dtype) for column, dtype in shape.items())
        batches.append(frame)
        if len(batches) == _BATCHES_PER_PART:
            # Copied: a column that refers to DuckDB's batch would keep all of the batch in memory.
            parts.append(pl.concat(batches, rechunk=True))
            batches.clear()
    return combine([*parts, *batches], shape)


def write_enriched(store: Store, month: str, enriched: Enriched) -> None:
    """Replace the month's results in the store by `enriched`, in one transaction. Errors as `lay_enriched`."""
    with store.less_memory(), store.transaction() as connection:
        lay_enriched(connection, month, enriched)


def lay_enriched(connection: duckdb.DuckDBPyConnection, month: str, enriched: Enriched) -> None:
    """Replace the month's results by `enriched`, within the caller's transaction; of the transfers only those dated in the month.

    The views print amounts with the assets that the month was enriched with.
    Raises `StoreError` for a frame that is not in its shape, or an amount that the tables can't hold.
    """
    named, assets = Month.parse(month), enriched.reported.rules.assets
    transfers = enriched.transfers.filter(pl.col("date").is_between(named.first, named.last))
    frames: dict[str, tuple[Iterable[pl.DataFrame], Shape]] = {
        "out_report": (enriched.reported.slices(), REPORT),
        "out_outflow": (enriched.outflows.iter_slices(ROWS_AT_ONCE), OUTFLOWS),
        "out_transfer": (transfers.iter_slices(ROWS_AT_ONCE), TRANSFERS),
        "out_balance": ([enriched.balances], BALANCES),
        "out_issue": (enriched.issues.iter_slices(ROWS_AT_ONCE), ISSUES_WITH_FACTS),
    }
    totals = msgspec.json.encode(printed_totals(enriched.totals, assets), order="deterministic").decode()
    for table, (parts, shape) in frames.items():
        connection.execute(f'DELETE FROM "{table}" WHERE month = $month', {"month": month})  # noqa: S608 - a table of ours
        for part in parts:
            insert(connection, table, _check_shape(table, part, shape).select(pl.lit(month).alias("month"), pl.all()))
    connection.execute("INSERT OR REPLACE INTO out_totals VALUES ($month, $totals)", {"month": month, "totals": totals})
    rows = [{"asset": asset.name, "chain": asset.chain, "decimals": asset.decimals} for asset in assets.values()]
    connection.execute("DELETE FROM out_asset")
    insert(connection, "out_asset", pl.DataFrame(rows, schema={"asset": pl.String, "chain": pl.String, "decimals": pl.Int32}))


def _check_shape(table: str, frame: pl.DataFrame, shape: Shape) -> pl.DataFrame:
    if list(frame.columns) != list(shape):
        raise StoreError(
            message(
                "{table}: enrichment gave the columns {columns}, its shape is {shape}",
                table=table,
                columns=frame.columns,
                shape=list(shape),
            )
        )
    return frame.with_columns(pl.col(column).cast(dtype) for column, dtype in shape.items())


def insert(connection: duckdb.DuckDBPyConnection, table: str, frame: pl.DataFrame) -> int:
    """Insert the frame's rows into a table by column name, Int128 as DECIMAL(38,0); the number of rows."""
    if 0 < frame.height <= _FEW_ROWS and all(dtype in _PLAIN for dtype in frame.schema.values()):
        columns = ", ".join(f'"{column}"' for column in frame.columns)
        row = f"({', '.join('?' * frame.width)})"
        statement = f'INSERT INTO "{table}" ({columns}) VALUES {", ".join([row] * frame.height)}'  # noqa: S608 - a table of ours
        connection.execute(statement, [value for values in frame.rows() for value in values])
    elif frame.height:
        # DuckDB finds the variable by its name. Registered as a view instead, the rows would stay in memory until the transaction ends.
        incoming = frame.with_columns(pl.col(column).cast(_DECIMAL) for column, dtype in frame.schema.items() if dtype == UNITS).to_arrow()  # noqa: F841 - DuckDB finds it by name
        connection.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM incoming')  # noqa: S608 - a table of ours
    return frame.height
