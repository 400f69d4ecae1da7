"""All migrations in their order give the same tables as schema.sql; newer and damaged stores are refused."""

from __future__ import annotations

import duckdb
import pytest

from pipeline.model.errors import StoreError
from pipeline.store import STORE_VERSION, Store
from pipeline.store.store import migrate, migrations, prepare, text


def _catalogue(connection: duckdb.DuckDBPyConnection) -> list[tuple]:
    return (
        connection.execute(
            "SELECT table_name, column_name, column_index, data_type, is_nullable, column_default FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        + connection.execute("SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() ORDER BY ALL").fetchall()
        + connection.execute("SELECT index_name, table_name, sql FROM duckdb_indexes() ORDER BY ALL").fetchall()
    )


def test_all_migrations_give_the_schema():
    with duckdb.connect(":memory:") as migrated, duckdb.connect(":memory:") as fresh:
        for version in sorted(migrations()):
            migrated.execute(migrations()[version])
        fresh.execute(text("schema.sql"))
        assert _catalogue(migrated) == _catalogue(fresh)


def test_there_is_a_migration_for_every_version():
    assert sorted(migrations()) == list(range(1, STORE_VERSION + 1))


def test_an_older_store_is_brought_up_step_by_step_and_keeps_its_rows():
    with duckdb.connect(":memory:") as connection:
        prepare(connection, "old", has_comments=False)
        connection.execute("INSERT INTO raw_complete VALUES (DATE '2026-10-31')")
        steps = migrations() | {
            STORE_VERSION + 1: "ALTER TABLE raw_complete ADD COLUMN source VARCHAR",
            STORE_VERSION + 2: "UPDATE raw_complete SET source = 'before'",
        }
        migrate(connection, "old", steps)
        assert connection.execute("SELECT source FROM raw_complete").fetchall() == [("before",)]
        assert connection.execute("SELECT version FROM store_version").fetchall() == [(STORE_VERSION + 2,)]
        migrate(connection, "old", steps)  # nothing left to do
        with pytest.raises(StoreError, match="newer version of the program"):
            migrate(connection, "old", migrations())


@pytest.mark.parametrize("statement", ["DELETE FROM store_version", "INSERT INTO store_version SELECT * FROM store_version"])
def test_a_store_that_does_not_know_its_version_is_damaged(statement: str):
    with Store.memory() as store:
        store.connection.execute(statement)
        with pytest.raises(StoreError, match="rebuilt from the log"):
            migrate(store.connection, "it", migrations())
