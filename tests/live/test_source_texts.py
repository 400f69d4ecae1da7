"""Texts of databases that are not UTF-8: of a PostgreSQL database in Windows-1251 or without an encoding, and of MariaDB's binary columns."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from connectors.sources.mysql import MysqlConnection
from connectors.sources.postgres import MiningcoreSource, PostgresConnection
from connectors.sources.sql import Select, SqlSource
from connectors.sources.sql_text import DatabaseAddress
from pipeline.capture.seen import SeenRows
from pipeline.model.errors import SettingsError, SourceError

from .databases import DatabaseServer, MariadbServer, PostgresServer
from .test_sources import mariadb, postgres

pytestmark = pytest.mark.live
__all__ = ["mariadb", "postgres"]
SELECTS = {"allocations": Select("SELECT * FROM credits", "seq", is_time=False, lookback=0)}
TABLE = "CREATE TABLE credits (allocation_id {id}, account {text}, asset {text}, allocated_at {text}, amount {text}, seq INT)"
NOW_US = 1_790_796_600_000_000


def address(server: DatabaseServer, database: str) -> DatabaseAddress:
    user = "postgres" if isinstance(server, PostgresServer) else "root"
    return DatabaseAddress("books", "127.0.0.1", server.port, database, user, SecretStr(""), 10, "off")


def made(server: PostgresServer, encoding: str) -> str:
    name = encoding.lower()
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")  # type: ignore[arg-type]
    return name


def accounts(source: SqlSource) -> dict[str, str | None]:
    look = source.look(SeenRows(), NOW_US)
    return {row_id: row["account"] for row_id, row in look.tables["allocations"].rows.items()}


def test_a_database_in_windows_1251_is_read_in_unicode(postgres: PostgresServer) -> None:
    database = made(postgres, "WIN1251")
    with postgres.connect(database) as connection:
        connection.execute(TABLE.format(id="text", text="text"))  # type: ignore[arg-type]
        connection.execute("INSERT INTO credits VALUES ('A1', 'счёт 7', 'BTC', '2026-10-01T00:00:00Z', '0.5', 1)")
    source = SqlSource(PostgresConnection(address(postgres, database)), SELECTS)
    try:
        assert accounts(source) == {"A1": "счёт 7"}
    finally:
        source.close()


def test_text_in_no_encoding_is_refused_and_read_once_it_is_mended(postgres: PostgresServer) -> None:
    database = made(postgres, "SQL_ASCII")
    with postgres.connect(database) as connection:
        connection.execute(TABLE.format(id="text", text="text"))  # type: ignore[arg-type]
        connection.execute(rb"INSERT INTO credits VALUES ('A1', E'\xf1\xf7\xb8\xf2', 'BTC', '2026-10-01T00:00:00Z', '0.5', 1)")
        connection.execute(
            "CREATE TABLE balance_changes (id BIGSERIAL, poolid TEXT, address TEXT, amount decimal(28,12), usage TEXT, created TIMESTAMPTZ);"
            "CREATE TABLE payments (id BIGSERIAL, poolid TEXT, coin TEXT, address TEXT, amount decimal(28,12), transactionconfirmationdata TEXT, created TIMESTAMPTZ);"
            "CREATE TABLE balances (poolid TEXT, address TEXT, amount decimal(28,12))"
        )
        connection.execute(rb"INSERT INTO balance_changes VALUES (1, 'p', E'\xf1\xf7', 1, 'Reward for block 1', now())")
        source = SqlSource(PostgresConnection(address(postgres, database)), SELECTS)
        miningcore = MiningcoreSource(address(postgres, database), "p", lookback_s=0, reconcile_s=0)
        try:
            for each in (source, miningcore):
                with pytest.raises(SourceError, match="can't be read: invalid byte sequence for encoding"):
                    each.look(SeenRows(), NOW_US)
            connection.execute("UPDATE credits SET account = 'acct'; UPDATE balance_changes SET address = 'bc1', created = 'infinity'")
            assert accounts(source) == {"A1": "acct"}
            assert list(miningcore.look(SeenRows(), NOW_US).tables["balance_changes"].rows) == ["1"], "of a time that Python has not"
        finally:
            source.close()
            miningcore.close()


def test_binary_columns_of_mariadb_are_their_text_or_hexadecimal_digits(mariadb: MariadbServer) -> None:
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE texts")
    with mariadb.connect("texts") as connection, connection.cursor() as cursor:
        cursor.execute(TABLE.format(id="VARBINARY(40)", text="VARBINARY(40)"))
        cursor.execute(
            "INSERT INTO credits VALUES ('A1', 'счёт', 'BTC', '2026-10-01T00:00:00Z', '0.5', 1), ('A2', x'ab01ff', 'BTC', 'x', '1', 2)"
        )
    source = SqlSource(MysqlConnection(address(mariadb, "texts")), SELECTS)
    try:
        assert accounts(source) == {"A1": "счёт", "A2": "0xab01ff"}
    finally:
        source.close()


def test_a_postgresql_database_with_formats_of_its_own_is_read_like_any_other(postgres: PostgresServer) -> None:
    with postgres.connect() as connection:
        connection.execute("CREATE DATABASE formats")
        for setting in ("datestyle = 'German, DMY'", "timezone = 'Asia/Almaty'", "extra_float_digits = -5"):
            connection.execute(f"ALTER DATABASE formats SET {setting}")  # type: ignore[arg-type]
    with postgres.connect("formats") as connection:
        connection.execute(
            "CREATE TABLE credits (allocation_id text, account text, asset text, allocated_at timestamptz, amount double precision, seq int)"
        )
        connection.execute("INSERT INTO credits VALUES ('A1', 'acct', 'BTC', '2026-11-01T00:30:00+05:00', 12345.12345678, 1)")
    source = SqlSource(PostgresConnection(address(postgres, "formats")), SELECTS)
    try:
        row = source.look(SeenRows(), NOW_US).tables["allocations"].rows["A1"]
        assert (row["allocated_at"], row["amount"]) == ("2026-10-31 19:30:00+00", "12345.12345678")
    finally:
        source.close()


def test_an_amount_of_which_mariadb_shows_six_digits_is_refused(mariadb: MariadbServer) -> None:
    """A FLOAT of 12345.678 is sent as 12345.7."""
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE floats")
    with mariadb.connect("floats") as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE credits (allocation_id VARCHAR(9), account FLOAT, asset VARCHAR(9), allocated_at DATETIME, amount FLOAT, seq INT)"
        )
        cursor.execute("INSERT INTO credits VALUES ('A1', 1.5, 'BTC', '2026-10-01 00:00:00', 12345.678, 1)")
        for statement, amount in (
            ("SELECT * FROM credits", None),
            ("SELECT seq, allocation_id, account, asset, allocated_at, CAST(amount AS DOUBLE) AS amount FROM credits", "12345.677734375"),
        ):
            source = SqlSource(
                MysqlConnection(address(mariadb, "floats")), {"allocations": Select(statement, "seq", is_time=False, lookback=0)}
            )
            try:
                if amount is None:
                    with pytest.raises(SettingsError, match="amount is FLOAT, and the server shows six digits"):
                        source.look(SeenRows(), NOW_US)
                else:
                    assert source.look(SeenRows(), NOW_US).tables["allocations"].rows["A1"]["amount"] == amount
            finally:
                source.close()
