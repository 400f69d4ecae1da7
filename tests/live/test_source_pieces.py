"""A pool's own tables that are read in several looks: many rows of one cursor, as one transaction writes them, and many without any."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from connectors.sources import sql
from connectors.sources.mysql import MposSource, MysqlConnection
from connectors.sources.postgres import PostgresConnection
from connectors.sources.sql import Select, SqlSource
from connectors.sources.sql_text import DatabaseAddress
from pipeline.capture.seen import SeenRows
from pipeline.log.events.sources import SourceRows
from pipeline.model.errors import SettingsError, SourceError

from .databases import DatabaseServer, MariadbServer, PostgresServer
from .pool_software import Mpos
from .test_sources import create, mariadb, postgres

pytestmark = pytest.mark.live
__all__ = ["mariadb", "postgres"]
TABLE = (
    "CREATE TABLE credits (allocation_id VARCHAR(40) PRIMARY KEY, account VARCHAR(40), asset VARCHAR(10), allocated_at TIMESTAMP NULL,"
    " amount DECIMAL(28,8), updated_at TIMESTAMP NULL)"
)
SELECT = Select("SELECT * FROM credits WHERE account NOT LIKE '%test'", "updated_at", is_time=True, lookback=60)
NOW_US = 1_790_796_600_000_000


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    found: DatabaseServer = request.getfixturevalue(request.param)
    with found.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE pool")
    execute(found, TABLE)
    return found


@pytest.fixture(autouse=True)
def few_rows_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "ROWS_A_LOOK", 100)


def execute(server: DatabaseServer, *statements: str) -> None:
    with server.connect("pool") as connection, connection.cursor() as cursor:
        cursor.execute(
            "SET lock_timeout = '5s'" if isinstance(server, PostgresServer) else "SET lock_wait_timeout = 5"
        )  # a reader holds nothing
        for statement in statements:
            cursor.execute(statement)


def written_at(server: DatabaseServer, ids: range, at: str) -> None:
    """Rows of one transaction."""
    rows = ", ".join(f"('A{number}', 'acct', 'BTC', '2026-10-05 00:00:00', 0.5, {at})" for number in ids)
    execute(server, f"INSERT INTO credits VALUES {rows}")


def opened(server: DatabaseServer) -> SqlSource:
    is_postgres = isinstance(server, PostgresServer)
    address = DatabaseAddress("books", "127.0.0.1", server.port, "pool", "postgres" if is_postgres else "root", SecretStr(""), 10, "off")
    return SqlSource(PostgresConnection(address) if is_postgres else MysqlConnection(address), {"allocations": SELECT})


def read(source: SqlSource, seen: SeenRows) -> int:
    """Look until there is nothing more, and take what was found; the number of looks."""
    for looks in range(1, 100):
        look = source.look(seen, NOW_US + looks)
        for columns in seen.changes(look, 1000):
            seen.apply(SourceRows(id=f"rows:{looks}", source="books", seen_at=look.at, rows=columns))
        if look.is_last:
            return looks
    raise AssertionError("it never ends")


def ids(seen: SeenRows) -> set[str]:
    return set(seen.rows("allocations"))


def test_rows_of_one_time_are_all_read_however_many_they_are(server: DatabaseServer) -> None:
    written_at(server, range(350), "'2026-10-06 12:00:00'")
    written_at(server, range(350, 420), "'2026-10-06 12:00:01'")
    written_at(server, range(420, 800), "'2026-10-06 12:00:02'")
    source, seen = opened(server), SeenRows()
    try:
        assert read(source, seen) > 1
        assert ids(seen) == {f"A{number}" for number in range(800)}
        execute(server, "UPDATE credits SET amount = 0.75, updated_at = '2026-10-06 12:05:00'")
        read(source, seen)
        assert {row["amount"] for row in seen.rows("allocations").values()} == {"0.75000000"}
        execute(server, "DELETE FROM credits WHERE allocation_id = 'A7'")
        read(source, seen)
        assert ids(seen) == {f"A{number}" for number in range(800) if number != 7}
    finally:
        source.close()


def test_rows_without_a_time_are_all_read_and_again_once_they_have_one(server: DatabaseServer) -> None:
    written_at(server, range(120), "'2026-10-06 12:00:00'")
    written_at(server, range(120, 500), "NULL")
    source, seen = opened(server), SeenRows()
    try:
        read(source, seen)
        assert ids(seen) == {f"A{number}" for number in range(500)}
        execute(
            server, "UPDATE credits SET amount = 0.75, updated_at = '2026-10-01 12:00:00' WHERE updated_at IS NULL AND allocation_id < 'A3'"
        )
        execute(server, "DELETE FROM credits WHERE allocation_id = 'A499'")
        read(source, seen)
        rows = seen.rows("allocations")
        assert ids(seen) == {f"A{number}" for number in range(499)}
        changed = {f"A{number}" for number in range(120, 500) if f"A{number}" < "A3"}
        assert {row_id for row_id, row in rows.items() if row["amount"] == "0.75000000"} == changed, "far below the cursor"
    finally:
        source.close()


def test_rows_deleted_or_written_below_the_look_back_are_told_by_the_number_of_rows(server: DatabaseServer) -> None:
    written_at(server, range(250), "'2026-10-06 12:00:00'")
    written_at(server, range(250, 260), "'2026-10-09 12:00:00'")
    source, seen = opened(server), SeenRows()
    try:
        read(source, seen)
        execute(server, "DELETE FROM credits WHERE allocation_id IN ('A3', 'A200')")
        source.close()
        read(reopened := opened(server), seen)
        reopened.close()
        assert ids(seen) == {f"A{number}" for number in range(260)} - {"A3", "A200"}
        written_at(server, range(300, 310), "'2026-10-02 12:00:00'")  # of a transaction that took days
        read(later := opened(server), seen)
        later.close()
        assert ids(seen) >= {f"A{number}" for number in range(300, 310)}
    finally:
        source.close()


def test_a_column_renamed_by_a_new_version_stops_the_reading_and_changes_no_row(server: DatabaseServer) -> None:
    written_at(server, range(3), "'2026-10-06 12:00:00'")
    source, seen = opened(server), SeenRows()
    try:
        read(source, seen)
        execute(server, "ALTER TABLE credits RENAME COLUMN amount TO amount_btc")
        with pytest.raises(SettingsError, match="the statement gives no column 'amount'; it gives allocation_id, account"):
            read(source, seen)
        execute(server, "ALTER TABLE credits RENAME COLUMN amount_btc TO amount", "ALTER TABLE credits DROP COLUMN updated_at")
        with pytest.raises(SourceError, match="updated_at"):
            read(source, seen)
        assert len(seen.rows("allocations")) == 3
    finally:
        source.close()


def test_a_look_at_mpos_holds_nothing_when_it_is_over(mariadb: MariadbServer) -> None:
    """Within a transaction that stays open, MariaDB keeps every ALTER TABLE waiting, and whatever comes after it."""
    create(mariadb, Mpos.SCHEMA, Mpos.GRANTS, Mpos.TABLES)
    source = MposSource(
        DatabaseAddress("books", "127.0.0.1", mariadb.port, "pool", "root", SecretStr(""), 10, "off"), confirmations=120, lookback_s=0
    )
    try:
        source.look(SeenRows(), NOW_US)
        execute(mariadb, "ALTER TABLE transactions ADD COLUMN note INT", "ALTER TABLE blocks ADD COLUMN note INT")
        assert source.look(SeenRows(), NOW_US).is_last
    finally:
        source.close()
