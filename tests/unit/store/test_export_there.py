"""A table of a month's file is passed over only where the statement that selects its rows would give none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.store import Store
from pipeline.store.publish import export_statements, tables_there

from .streams import empty_store
from .test_facts_there import ROWS

BOUNDS = {"month": "2026-10", "begins_s": 0, "ends_s": 9, "begins_us": 0, "ends_us": 9}
RESULTS = {
    "out_report": {"n": 1, "miner_id": "m", "miner_name": "Miner", "txid": "t", "wallet": "a", "allocation_id": "A"},
    "out_outflow": {"txid": "t", "address": "v", "chain": "c", "vout": 0},
}
"""What names the rows of the tables that are selected by another table than their own."""
BY_VIEWS = ("raw_watch", "raw_registry", "raw_miner", "raw_licence", "raw_account", "raw_wallet", "raw_counterparty")


def selected(store: Store, table: str) -> list[tuple[object, ...]]:
    statement = export_statements()[table]
    return store.connection.execute(statement, {name: value for name, value in BOUNDS.items() if f"${name}" in statement}).fetchall()


@pytest.fixture
def full() -> Iterator[Store]:
    with empty_store() as store:
        for table, row in ROWS.items():
            store.connection.execute(f"INSERT INTO {table} SELECT {row}")
        for table, values in RESULTS.items():
            needed = store.connection.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = $table AND NOT is_nullable", {"table": table}
            ).fetchall()
            row = {name: {"VARCHAR": "x", "DATE": "2026-10-01", "BOOLEAN": False}.get(kind, 0) for name, kind in needed}
            row |= {"month": "2026-10"} | values
            names = ", ".join(row)
            store.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
        yield store


@pytest.mark.parametrize("table", BY_VIEWS)
def test_what_is_selected_by_a_view_has_rows_of_its_table_alone(full: Store, table: str) -> None:
    assert selected(full, table)
    full.connection.execute(f"DELETE FROM {table}")
    assert not selected(full, table)


def test_without_its_rows_no_table_has_any(full: Store) -> None:
    for table in export_statements():
        full.connection.execute(f"DELETE FROM {table}")
        assert not selected(full, table), table


def test_tables_with_a_row_are_named(full: Store) -> None:
    named = {name for (name,) in full.connection.execute(tables_there(export_statements())).fetchall()}
    assert named == (ROWS.keys() | RESULTS.keys()) & export_statements().keys()
