"""What a source refuses, and what stops none: payouts in exchanged coins, writes with the documented grants, rows whose time is NULL, a database that falls silent."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from connectors.sources.mysql import MysqlConnection
from connectors.sources.postgres import PostgresConnection
from connectors.sources.sql import Select, SqlSource
from connectors.sources.sql_text import DatabaseAddress
from pipeline.capture.seen import SeenRows
from pipeline.model.errors import SourceError

from .databases import PASSWORD, DatabaseServer, MariadbServer
from .pool_software import Mpos, Yiimp
from .relay import Cut, Relay
from .test_sources import ESEP, OWN_SELECTS, OWN_TABLES, ROOT, create, esep, held, mariadb, postgres, settings, writes_are_refused

pytestmark = pytest.mark.live
__all__ = ["mariadb", "postgres"]
INSERT = "INSERT INTO credits (allocation_id, account, asset, allocated_at, amount, seq) VALUES (%s, 'acct', 'BTC', %s, 0.5, %s)"
GOOD = "2026-10-05T10:00:00+05:00"


def test_yiimp_with_payouts_in_exchanged_coins_is_refused(tmp_path: Path, mariadb: MariadbServer) -> None:
    software = Yiimp(mariadb, "pool", miners=2, seed=1)
    create(mariadb, Yiimp.SCHEMA, Yiimp.GRANTS, Yiimp.TABLES)
    software.prepare()
    config = settings(
        tmp_path, f'kind = "yiimp"\nport = {mariadb.port}\ndatabase = "pool"\ncoin = "btc"\ncoin_id = {Yiimp.COIN}\nasset = "BTC"'
    )
    software.find_block(1)
    esep(config, "capture", "--once")
    before = held(config)[1]
    with mariadb.connect("pool") as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE accounts SET coinid = %s WHERE id IN (SELECT userid FROM earnings)", [Yiimp.COIN + 1])
    done = subprocess.run(
        [*ESEP, "capture", "--once", "--config", str(config)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    words = " ".join(done.stderr.split())
    assert done.returncode != 0
    assert "paid in another coin than they mine (bc1-miner-" in words, words
    assert held(config)[1] == before, "nothing of that look stands in the log"


def test_a_balance_of_yiimp_changed_by_hand_is_told_until_it_is_mended(tmp_path: Path, mariadb: MariadbServer) -> None:
    software = Yiimp(mariadb, "pool", miners=3, seed=2)
    create(mariadb, Yiimp.SCHEMA, Yiimp.GRANTS, Yiimp.TABLES)
    software.prepare()
    config = settings(
        tmp_path, f'kind = "yiimp"\nport = {mariadb.port}\ndatabase = "pool"\ncoin = "btc"\ncoin_id = {Yiimp.COIN}\nasset = "BTC"'
    )

    def differing() -> dict[str, str]:
        esep(config, "capture", "--once")
        return {name: str(item.detail) for name, item in held(config)[0].open_items().items() if name.startswith("sums:")}

    for act in (lambda: software.find_block(1), software.mature, software.pay, lambda: software.pay(fails=True), software.pay):
        act()
        assert differing() == {}
    with mariadb.connect("pool") as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE accounts SET balance = balance + 0.25 WHERE id = 2")
    told = differing()
    assert list(told) == ["sums:2:25000000"]
    assert "account bc1-miner-002: its cleared earnings less its payouts add up to" in told["sums:2:25000000"]
    with mariadb.connect("pool") as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE accounts SET balance = balance - 0.25 WHERE id = 2")
    assert differing() == {}


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_a_ledger_read_by_selects_needs_no_right_to_write_and_a_null_time_stops_nothing(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    server: DatabaseServer = request.getfixturevalue("postgres" if engine == "postgresql" else "mariadb")
    own_database(server)
    by_time = OWN_SELECTS.replace('cursor = "seq"\ncursor_is = "number"', 'cursor = "allocated_at"\ncursor_is = "time"', 1)
    for number, selects in enumerate((OWN_SELECTS, by_time)):
        folder = tmp_path / str(number)
        folder.mkdir()
        config = settings(folder, f'kind = "sql"\nengine = "{engine}"\nport = {server.port}\ndatabase = "pool"\n{selects}')
        names = [f"{kind}-{number}" for kind in ("early", "null", "late")]
        put(server, names[0], GOOD, 1)
        put(server, names[1], None, None)
        esep(config, "capture", "--once")
        esep(config, "capture", "--once")
        put(server, names[2], "2026-10-06T10:00:00+05:00", 2)
        esep(config, "capture", "--once")
        found, _ = held(config)
        assert {f"books:{names[0]}", f"books:{names[2]}"} <= found.rows.keys()
        (told,) = [str(item.detail) for item in found.open_items().values()]
        assert names[1] in told and "is no instant" in told
        with server.connect("pool") as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE credits SET allocated_at = '2026-10-01T10:00:00+05:00', seq = -500 WHERE allocation_id = %s", [names[1]])
        esep(config, "capture", "--once")
        found, _ = held(config)
        assert f"books:{names[1]}" in found.rows and not found.open_items(), "mended, and far below the cursor"
        with server.connect("pool") as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM credits")
    statements = ("DELETE FROM payouts", "UPDATE credits SET amount = 0", "INSERT INTO credits (allocation_id) VALUES ('x')")
    if isinstance(server, MariadbServer):
        writes_are_refused(server, statements)
        return
    with psycopg.connect(host="127.0.0.1", port=server.port, user="esep", password=PASSWORD, dbname="pool") as reader:
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)
            reader.rollback()


def test_an_mpos_row_without_a_time_stops_nothing(tmp_path: Path, mariadb: MariadbServer) -> None:
    software = Mpos(mariadb, "pool", miners=2, seed=4)
    create(mariadb, Mpos.SCHEMA, Mpos.GRANTS, Mpos.TABLES)
    software.prepare()
    config = settings(tmp_path, f'kind = "mpos"\nport = {mariadb.port}\ndatabase = "pool"\ncoin = "btc"\nasset = "BTC"')
    with mariadb.connect("pool") as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE transactions MODIFY timestamp TIMESTAMP NULL DEFAULT NULL")
        cursor.execute("INSERT INTO transactions (account_id, type, amount, timestamp) VALUES (1, 'Credit_PPS', 0.5, NULL)")
        cursor.execute(
            "INSERT INTO transactions (account_id, type, amount, timestamp) VALUES (1, 'Credit_PPS', 0.25, '2026-10-05 10:00:00')"
        )
    esep(config, "capture", "--once")
    esep(config, "capture", "--once")
    found, _ = held(config)
    assert "mpos:btc:2" in found.rows
    (told,) = [str(item.detail) for item in found.open_items().values()]
    assert told == "transactions row 1, with its fees: None is no instant"


def own_database(server: DatabaseServer) -> None:
    """A pool's own tables, and the user with the rights that docs/sources.md names."""
    quoted = PASSWORD.replace("'", "''")
    is_mariadb = isinstance(server, MariadbServer)
    user = "esep@'127.0.0.1'" if is_mariadb else "esep"
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE pool")
        cursor.execute(f"CREATE USER {user} {'IDENTIFIED BY' if is_mariadb else 'PASSWORD'} '{quoted}'")
    with server.connect("pool") as connection, connection.cursor() as cursor:
        for statement in OWN_TABLES:
            cursor.execute(statement)
            cursor.execute(f"GRANT SELECT ON {statement.split()[2]} TO {user}")


def put(server: DatabaseServer, name: str, at: str | None, seq: int | None) -> None:
    with server.connect("pool") as connection, connection.cursor() as cursor:
        cursor.execute(INSERT, [name, at, seq])


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
@pytest.mark.parametrize("when", ["before it connects", "once it has read"])
def test_a_database_that_falls_silent_is_given_up_in_time_and_read_again_once_it_answers(
    engine: str, when: str, request: pytest.FixtureRequest
) -> None:
    """A network's partition: no byte comes any more, and the connection does not end."""
    server: DatabaseServer = request.getfixturevalue("postgres" if engine == "postgresql" else "mariadb")
    own_database(server)
    put(server, "first", GOOD, 1)
    with Relay(server.port) as relay:
        address = DatabaseAddress("books", "127.0.0.1", relay.port, "pool", "esep", SecretStr(PASSWORD), timeout_s=2)
        select = Select("SELECT * FROM credits", "seq", False, 100)
        source = SqlSource(PostgresConnection(address) if engine == "postgresql" else MysqlConnection(address), {"allocations": select})
        if when == "once it has read":
            assert list(source.look(SeenRows(), 0).tables["allocations"].rows) == ["first"]
        relay.cut(Cut.SILENT)
        began = time.monotonic()
        with pytest.raises(SourceError, match="can't be read") as told:
            source.look(SeenRows(), 0)
        assert told.value.is_retryable and time.monotonic() - began < 60, "not the hours after which the system gives a connection up"
        relay.heal()
        assert list(source.look(SeenRows(), 0).tables["allocations"].rows) == ["first"]
        source.close()
