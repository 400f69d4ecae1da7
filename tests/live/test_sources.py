"""The ledger read from real PostgreSQL and MariaDB while pool software writes there, deletes, retries and restates, and everything is killed (-9) again and again.

What must come of it is the writers' own truth: nothing lost, nothing doubled, nothing silently missing; what is uncertain is an open item.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pymysql
import pytest

from connectors.log_sqlite.log import SqliteLog
from pipeline.app.imports import counterparties_of_pool
from pipeline.app.standins import ReplayNode
from pipeline.capture.held import Held
from pipeline.capture.seen import SeenRows
from pipeline.demo.demo import _follow, assess, finish, open_demo, waive_all
from pipeline.log.events.ledger import Allocations, Complete, PayerPayments, Payments
from pipeline.log.events.parts import Event
from pipeline.log.events.sources import SourceItems, SourcePolled, SourceRows
from pipeline.log.read import events_of
from pipeline.model.months import Month, almaty_date
from pipeline.service.capturing import capture_once

from .databases import PASSWORD, DatabaseServer, MariadbServer, PostgresServer, find_postgres
from .pool_software import Miningcore, Mpos, Truth, Yiimp

pytestmark = pytest.mark.live
ROOT = Path(__file__).resolve().parents[2]
ESEP = (sys.executable, "-c", "from pipeline.cli import main; main()")
SETTLE_S = 3600
"""A source's `settle_s` where the settings do not say it."""
KILLS = 6
"""Of the capturing process, and of the database, in each test."""


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    if find_postgres() is None:
        pytest.skip("no PostgreSQL server: install it (on Debian: apt-get install postgresql)")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def mariadb() -> Iterator[MariadbServer]:
    if shutil.which("mariadbd") is None:
        pytest.skip("no MariaDB server: install it (on Debian: apt-get install mariadb-server)")
    with MariadbServer() as server:
        yield server


def settings(folder: Path, source: str) -> Path:
    """A pool whose ledger is one source; its password lies in a file."""
    secret = folder / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    secret.chmod(0o600)
    path = folder / "esep.toml"
    path.write_text(
        f"""
        [pool]
        key = "pool"
        bin = "201040334324"
        name = "A pool"
        [chains.bitcoin]
        network = "regtest"
        asset = "BTC"
        rpc_url = "http://127.0.0.1:1"
        [[chains.bitcoin.wallets]]
        name = "hot"
        addresses = ["bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"]
        [sources.books]
        since = "2026-10-01"
        poll_s = 1
        user = "esep"
        password_file = "{secret}"
        {source}
        """,
        encoding="utf-8",
    )
    return path


def esep(config: Path, *arguments: str, timeout: int = 300) -> str:
    """A command's output; it must end well."""
    done = subprocess.run([*ESEP, *arguments, "--config", str(config)], cwd=ROOT, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


class Capturing:
    """`esep capture` as a process of its own."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._config.parent / "capture.log").open("ab") as output:
            self._process = subprocess.Popen([*ESEP, "capture", "--config", str(self._config)], cwd=ROOT, stdout=output, stderr=output)

    def kill(self) -> None:
        assert self._process is not None and self._process.poll() is None, (self._config.parent / "capture.log").read_text()[-3000:]
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()


def live(config: Path, server: DatabaseServer, acts: list[Callable[[], object]], *, seed: int, kills: int = KILLS) -> None:
    """Have the software act while the ledger is captured; kill the capture and the database in between, `kills` times each."""
    chance = random.Random(seed)
    capturing = Capturing(config)
    capturing.start()
    killed = {chance.randrange(len(acts)): "capture" for _ in range(kills)} | {
        chance.randrange(len(acts)): "database" for _ in range(kills)
    }
    for number, act in enumerate(acts):
        act()
        if killed.get(number) == "capture":
            time.sleep(chance.random() * 2)
            capturing.kill()
            capturing.start()
        elif killed.get(number) == "database":
            server.kill()
            server.start()
        else:
            time.sleep(0.02)
    capturing.kill()
    esep(config, "capture", "--once")


def held(config: Path) -> tuple[Held, list[Event]]:
    """What the log holds of the source, and all events of its ledger."""
    log = SqliteLog(config.parent / "var" / "log.sqlite")
    try:
        kinds: list[type[Event]] = [Allocations, Payments, PayerPayments, SourceItems, SourceRows, SourcePolled, Complete]
        events: list[Event] = [event for _, event in events_of(log, "ledger", "pool", kinds)]
    finally:
        log.close()
    found = Held("books", "")
    for event in events:
        found.apply(event)
    return found, events


def compare(config: Path, truth: Truth, *, commission_units: int = 1) -> None:
    """The ledger is the truth: every id, account, amount; each account's sum within a unit, never above; commissions within `commission_units`."""
    found, _ = held(config)
    rows = {name: one.row for name, one in found.rows.items()}
    # A row that was deleted with its orphaned block before anybody saw it is no credit, and no row.
    owed = {name for name, (_, amount) in truth.credits.items() if amount}
    assert owed | truth.payments.keys() <= rows.keys() <= truth.credits.keys() | truth.payments.keys()
    exact: dict[str, Decimal] = {}
    rounded: dict[str, int] = {}
    for name, (account, amount) in truth.credits.items():
        if (row := rows.get(name)) is None:
            continue
        assert row.account == account
        assert abs(row.amount - amount * 10**8) <= 1
        exact[account] = exact.get(account, Decimal(0)) + amount * 10**8
        rounded[account] = rounded.get(account, 0) + row.amount
        if name in truth.commissions:
            assert row.commission is not None and abs(row.commission - truth.commissions[name] * 10**8) <= commission_units  # type: ignore[union-attr]
    for account, sum_ in rounded.items():
        assert 0 <= exact[account] - sum_ < 1
    for name, (address, amount, txid) in truth.payments.items():
        row = rows[name]
        assert (row.address, row.txid) == (address, txid)  # type: ignore[union-attr]
        assert abs(row.amount - amount * 10**8) <= 1
    assert set(found.open_items()) == truth.uncertain


def ended(at_s: float) -> str:
    """The last day of the newest month that had ended, and settled, at an instant of the machine's clock: by that the capturing process goes."""
    return Month.parse(f"{almaty_date(int(at_s) - SETTLE_S):%Y-%m}").previous.last.isoformat()


def assert_complete(events: list[Event], begun: float) -> None:
    """The ledger was declared complete, once through each, through the newest month that has ended, or the one that had when the test began."""
    through = [event.through for event in events if isinstance(event, Complete)]
    assert through
    assert set(through) <= {ended(begun), ended(time.time())}
    assert len(through) == len(set(through))


def test_miningcore_month_survives_kills(tmp_path: Path, postgres: PostgresServer) -> None:
    begun = time.time()
    with postgres.connect() as connection:
        connection.execute("CREATE DATABASE pool")
        connection.execute(f"CREATE USER esep PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
    software = Miningcore(postgres, "pool", miners=12, seed=1)
    with postgres.connect("pool") as connection:
        connection.execute(Miningcore.SCHEMA)
        connection.execute(Miningcore.GRANTS)
    config = settings(
        tmp_path,
        f'kind = "miningcore"\nport = {postgres.port}\ndatabase = "pool"\npool_id = "btc1"\nasset = "BTC"\nrecipients = ["pool-fee"]\n'
        'reconcile_s = 0\nfees = [{since = "2026-01-01", percent = "1.5"}]',
    )
    acts: list[Callable[[], object]] = []
    for height in range(1, 121):
        acts.append(lambda height=height: software.credit(height))
        if height % 6 == 0:
            acts.append(software.pay)
    live(config, postgres, acts, seed=11)
    compare(config, software.truth)
    _, events = held(config)
    assert_complete(events, begun)

    with psycopg.connect(host="127.0.0.1", port=postgres.port, user="esep", password=PASSWORD, dbname="pool") as reader:
        for statement in (
            "DELETE FROM payments",
            "UPDATE balances SET amount = 0",
            "INSERT INTO balance_changes (poolid, address, created) VALUES ('btc1', 'x', now())",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)
            reader.rollback()


def test_mpos_month_survives_kills(tmp_path: Path, mariadb: MariadbServer) -> None:
    begun = time.time()
    software = Mpos(mariadb, "pool", miners=8, seed=2)
    create(mariadb, Mpos.SCHEMA, Mpos.GRANTS, Mpos.TABLES)
    software.prepare()
    config = settings(
        tmp_path,
        f'kind = "mpos"\nport = {mariadb.port}\ndatabase = "pool"\ncoin = "btc"\nasset = "BTC"\nfee_payer = "payout-fees"\n[payers.payout-fees]\nway = "off-chain"',
    )
    acts: list[Callable[[], object]] = []
    for height in range(1, 81):
        acts.append(lambda height=height: software.find_block(height))
        if height > 3:
            acts.append(lambda height=height: software.confirm(orphan=height % 9 == 0))
        if height % 5 == 0:
            acts.append(lambda height=height: software.pay(fails=height % 25 == 0))
    acts += [software.confirm] * 3
    live(config, mariadb, acts, seed=12)
    compare(config, software.truth)
    assert software.truth.uncertain, "payments without an outcome are part of this"

    # A person ends the first unknown outcome as paid, and the others as not paid: then the month is complete by itself.
    first, *others = sorted(software.truth.uncertain)
    person = ("--by", "A. Person", "--reason", "looked up in the wallet")
    esep(config, "sources", "decide", "books", first, "paid", "--txid", "ab" * 32, *person)
    for item in others:
        esep(config, "sources", "decide", "books", item, "not-paid", *person)
    debit = int(first.removeprefix("payment:"))  # what the payout cost, written right after it, is set off with it
    esep(config, "capture", "--once")
    found, events = held(config)
    assert not found.open_items()
    assert found.rows[f"mpos:btc:{debit}"].row.txid == "ab" * 32  # type: ignore[union-attr]
    assert found.rows[f"mpos:btc:{debit + 1}"].row.txid == f"TXFee {debit + 1}"  # type: ignore[union-attr]
    assert_complete(events, begun)
    writes_are_refused(mariadb, ("DELETE FROM transactions", "UPDATE blocks SET confirmations = 1"))


def test_yiimp_month_survives_kills(tmp_path: Path, mariadb: MariadbServer) -> None:
    software = Yiimp(mariadb, "pool", miners=8, seed=3)
    create(mariadb, Yiimp.SCHEMA, Yiimp.GRANTS, Yiimp.TABLES)
    software.prepare()
    config = settings(
        tmp_path, f'kind = "yiimp"\nport = {mariadb.port}\ndatabase = "pool"\ncoin = "btc"\ncoin_id = {Yiimp.COIN}\nasset = "BTC"'
    )

    def clean_what_was_seen() -> None:
        """In life the cleaning comes 12 hours after; here, once the capture has seen the rows as they were last."""
        deadline = time.monotonic() + 300
        while missing := software.cleared_ids - seen_as(config, "earnings", status="2"):
            assert time.monotonic() < deadline, f"not seen: {sorted(missing)}"
            time.sleep(0.5)
        software.clean()

    acts: list[Callable[[], object]] = []
    for height in range(1, 41):
        acts.append(lambda height=height: software.find_block(height))
        if height > 3:
            acts.append(software.mature)
        if height % 10 == 0:
            acts += [software.orphan, clean_what_was_seen]
        if height % 5 == 0:
            acts.append(lambda height=height: software.pay(fails=height % 20 == 0))
    acts += [software.mature] * 4
    live(config, mariadb, acts, seed=13, kills=4)
    assert software.truth.uncertain
    # yiimp keeps a cleared earning for 12 hours, and nobody looked in October: what is older may be missing, and is said to be.
    holes = {item for item in held(config)[0].open_items() if item.startswith("hole:")}
    assert {item[-7:] for item in holes} >= {"2026-10", "2026-11"}
    software.truth.uncertain |= holes
    compare(config, software.truth)
    for hole in sorted(holes):
        esep(config, "sources", "decide", "books", hole, "accept", "--by", "A. Person", "--reason", "this pool began today")
    esep(config, "capture", "--once")
    software.truth.uncertain -= holes
    compare(config, software.truth)
    assert "waiting     " in esep(config, "sources", "list")
    writes_are_refused(mariadb, ("DELETE FROM earnings", "UPDATE payouts SET tx = 'x'"))


AFTER_BOTH = int(datetime(2026, 12, 5, tzinfo=UTC).timestamp())
"""The recorded months are over, whenever the test runs."""
OWN_TABLES = (
    "CREATE TABLE credits (allocation_id VARCHAR(40) PRIMARY KEY, account VARCHAR(40), asset VARCHAR(10), allocated_at VARCHAR(40), amount DECIMAL(28,8), commission_asset VARCHAR(10), commission_amount DECIMAL(28,8), commission_currency VARCHAR(3), commission_currency_amount VARCHAR(20), seq INT)",
    "CREATE TABLE payouts (payment_id VARCHAR(40) PRIMARY KEY, account VARCHAR(40), asset VARCHAR(10), address VARCHAR(100), amount DECIMAL(28,8), txid VARCHAR(64), paid_at VARCHAR(40), payer VARCHAR(40), seq INT)",
)
OWN_SELECTS = """
[sources.books.allocations]
statement = "SELECT * FROM credits"
cursor = "seq"
cursor_is = "number"
lookback = 100
[sources.books.payments]
statement = "SELECT * FROM payouts"
cursor = "seq"
cursor_is = "number"
lookback = 100
"""


@pytest.mark.parametrize(("engine", "recorded"), [("postgresql", "docs/example/2026-10"), ("mysql", "tests/captures/2026-11-upstream")])
def test_a_recorded_month_read_from_the_pool_s_own_tables_is_byte_for_byte_the_expected_one(
    tmp_path: Path, engine: str, recorded: str, request: pytest.FixtureRequest
) -> None:
    """The recorded node's chain, the ledger by SELECTs: nobody exports or imports a file, nobody declares the ledger complete."""
    server: DatabaseServer = request.getfixturevalue("postgres" if engine == "postgresql" else "mariadb")
    folder = tmp_path / "recorded"
    shutil.copytree(ROOT / recorded, folder)
    own_tables(server, folder)
    settings = folder / "esep.toml"
    with settings.open("a", encoding="utf-8") as lines:
        lines.write(
            f'\n[sources.books]\nkind = "sql"\nengine = "{engine}"\nsince = "2020-01-01"\nport = {server.port}\ndatabase = "pool"\nuser = "esep"\n'
        )
        lines.write(OWN_SELECTS)
    app, run, pool = open_demo(
        folder, tmp_path / "var", {"ESEP_SOURCES_BOOKS_PASSWORD": PASSWORD}, lambda: max(int(time.time()), AFTER_BOTH)
    )
    with app:
        with ReplayNode(folder) as node:
            _follow(app, pool.chain, node, lambda done, total: None)
        app.imports.registry(folder, counterparties=counterparties_of_pool(json.loads((folder / "pool.json").read_bytes())))
        assert capture_once(app, "books").open_items == 0
        with ReplayNode(folder) as node:  # once more: whom payers pay is known now
            _follow(app, pool.chain, node, lambda done, total: None)
        app.decisions.record_settings_labels()
        with app.stores.live() as store:
            app.stores.fill(store)
            assess(app, store, run)
            waive_all(app, store, run, "a recorded month")
            finish(app, store, run, lambda words: None)
    assert run.outcome is not None
    expected = ROOT / recorded / "expected" / "report.csv"
    assert (run.outcome.folder / "report.csv").read_bytes() == expected.read_bytes()


def own_tables(server: DatabaseServer, folder: Path) -> None:
    """A database with the recorded ledger in tables of the pool's own; the files are deleted."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE pool")
        quoted = PASSWORD.replace("'", "''")
        cursor.execute(
            f"CREATE USER esep@'127.0.0.1' IDENTIFIED BY '{quoted}'"
            if isinstance(server, MariadbServer)
            else f"CREATE USER esep PASSWORD '{quoted}'"
        )
    with server.connect("pool") as connection, connection.cursor() as cursor:
        for statement, name in zip(OWN_TABLES, ("allocations", "payments"), strict=True):
            cursor.execute(statement)
            table = statement.split()[2]
            with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as lines:
                for number, row in enumerate(csv.DictReader(lines)):
                    values = {key: value or None for key, value in row.items()} | {"seq": number}
                    cursor.execute(
                        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})", list(values.values())
                    )
            cursor.execute(
                f"GRANT SELECT ON {table} TO esep@'127.0.0.1'" if isinstance(server, MariadbServer) else f"GRANT SELECT ON {table} TO esep"
            )
            (folder / f"{name}.csv").unlink()


def seen_as(config: Path, table: str, **wanted: str) -> set[str]:
    """The ids of a table's rows that the log holds with these values."""
    found = SeenRows()
    if not (config.parent / "var" / "log.sqlite").exists():
        return set()  # the capture is still starting
    for event in held(config)[1]:
        if isinstance(event, SourceRows):
            found.apply(event)
    return {row_id for row_id, row in found.tables.get(table, {}).items() if wanted.items() <= row.content.items()}


def create(server: MariadbServer, schema: tuple[str, ...], grants: str, tables: tuple[str, ...]) -> None:
    """The database `pool` with its tables, and the user `esep`, who may read them."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE pool")
        cursor.execute("USE pool")
        for statement in schema:
            cursor.execute(statement)
        cursor.execute("CREATE USER esep@'127.0.0.1' IDENTIFIED BY %s", [PASSWORD])
        for table in tables:
            cursor.execute(grants.format(table=table))


def writes_are_refused(server: MariadbServer, statements: tuple[str, ...]) -> None:
    """The rights that docs/sources.md names can write nothing."""
    with (
        pymysql.connect(host="127.0.0.1", port=server.port, user="esep", password=PASSWORD, database="pool") as reader,
        reader.cursor() as cursor,
    ):
        for statement in statements:
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)
