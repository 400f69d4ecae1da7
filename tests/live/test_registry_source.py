"""The registry read from real PostgreSQL and MariaDB that keep only the present: a payout address is overwritten, and what was there before is a dated row.

The capture and the database are killed (-9) in between. The capturing process has a clock of the test's, so that a month passes in a minute.
"""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pymysql
import pytest

from connectors.log_sqlite.log import SqliteLog
from pipeline.capture.held import Held
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import address_of
from pipeline.enrich.undated import Doubt, doubt_of
from pipeline.log.events.parts import Event
from pipeline.log.events.registry import Registry
from pipeline.log.events.sources import SourceItems, SourcePolled, SourceRows
from pipeline.log.read import events_of
from pipeline.log.registry_versions import RegistryVersions

from .databases import PASSWORD, DatabaseServer, MariadbServer
from .test_sources import ROOT, esep, mariadb, postgres, settings

pytestmark = pytest.mark.live
__all__ = ["mariadb", "postgres"]
MEMBERS, STEPS, KILLS = 6, 40, 8
BEGIN = datetime(2026, 10, 1, 12, tzinfo=ZoneInfo("Asia/Almaty"))
CAPTURE = """
import sys
from pathlib import Path
from pipeline.app.app import App
from pipeline.model.errors import SourceError
from pipeline.service.capturing import capture_once
from pipeline.settings.load import load_settings
clock = Path(sys.argv[2])
with App(load_settings(Path(sys.argv[1]), {}), lambda: int(clock.read_text())) as app:
    while True:
        try:
            capture_once(app, "books")
        except SourceError as error:
            print(error, flush=True)
"""
TABLES = {
    "postgresql": "CREATE TABLE members (id BIGSERIAL PRIMARY KEY, login TEXT NOT NULL, wallet TEXT NOT NULL)",
    # MPOS keeps them so.
    "mysql": "CREATE TABLE members (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, login VARCHAR(40) NOT NULL, wallet VARCHAR(255) NOT NULL UNIQUE)",
}
SELECT = "SELECT id AS row_id, login AS account, 'bitcoin' AS chain, wallet AS address FROM members"


class Clocked:
    """The capturing process, by the test's clock, again and again."""

    def __init__(self, config: Path) -> None:
        self._config, self._clock = config, config.parent / "clock"
        self._process: subprocess.Popen[bytes] | None = None

    def set(self, now: datetime) -> None:
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(str(int(now.timestamp())))
        fresh.replace(self._clock)

    def start(self) -> None:
        with (self._config.parent / "capture.log").open("ab") as output:
            command = [sys.executable, "-c", CAPTURE, str(self._config), str(self._clock)]
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        assert self._process is not None and self._process.poll() is None, (self._config.parent / "capture.log").read_text()[-3000:]
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()


def events(config: Path) -> list[Event]:
    path = config.parent / "var" / "log.sqlite"
    if not path.exists():
        return []
    log = SqliteLog(path)
    try:
        kinds: list[type[Event]] = [SourceItems, SourceRows, SourcePolled]
        return [event for _, event in events_of(log, "ledger", "pool", kinds)] + [
            event for _, event in events_of(log, "registry", "pool", [Registry])
        ]
    finally:
        log.close()


def wait_until_looked(config: Path, now: datetime) -> None:
    """Until the log has a look of this moment."""
    deadline, wanted = time.monotonic() + 240, int(now.timestamp()) * 1_000_000
    while not any(isinstance(event, SourcePolled) and event.at >= wanted for event in events(config)):
        assert time.monotonic() < deadline, (config.parent / "capture.log").read_text()[-3000:]
        time.sleep(0.1)


def wait_until_seen(config: Path, wallet: str) -> None:
    """Until the log has a row with this wallet."""
    deadline = time.monotonic() + 240
    while not any(isinstance(event, SourceRows) and any(wallet in (text or "") for text in event.rows.content) for event in events(config)):
        assert time.monotonic() < deadline, (config.parent / "capture.log").read_text()[-3000:]
        time.sleep(0.1)


def address(number: int) -> str:
    """A regtest address by its number."""
    found = address_of(b"\x00\x14" + number.to_bytes(20, "big"), network("regtest"))
    assert found is not None
    return found


def registry_files(folder: Path) -> Path:
    """What the database does not know: who the accounts are of."""
    folder.mkdir()
    rows: dict[str, list[tuple[str, ...]]] = {
        "miners": [("miner_id", "name"), ("201040334324", "Miner")],
        "licences": [("miner_id", "licence_number", "issue_date", "valid_from"), ("201040334324", "KZ1", "2024-06-14", "2024-06-14")],
        "accounts": [("account", "miner_id", "valid_from"), *((f"login-{n}", "201040334324", "2024-06-14") for n in range(MEMBERS))],
        "wallets": [("address", "chain", "miner_id", "valid_from")],
    }
    for name, lines in rows.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows(lines)
    return folder


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_overwritten_wallets_are_dated_rows_through_kills(tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> None:
    server: DatabaseServer = request.getfixturevalue("postgres" if engine == "postgresql" else "mariadb")
    numbers = iter(range(1, 1000))
    truth = members(server, engine, numbers)
    config = settings(
        tmp_path,
        f'kind = "sql"\nengine = "{engine}"\nport = {server.port}\ndatabase = "pool"\n[sources.books.wallets]\nstatement = "{SELECT}"',
    )
    esep(config, "import", "registry", str(registry_files(tmp_path / "registry")))
    crossed = change_wallets(server, config, truth, numbers, request)
    esep(config, "capture", "--once")  # the last kill may have come between the rows and what follows from them
    doubts = compare(config, truth)
    assert crossed and crossed <= {doubt.subjects[-1] for doubt in doubts.values()}, "a change over midnight waits for a person"

    item, doubt = next(iter(doubts.items()))
    person = ("--by", "A. Person", "--reason", "asked the miner")
    esep(config, "sources", "decide", "books", item, "dated", "--day", str(doubt.first), *person)
    esep(config, "capture", "--once")
    versions = RegistryVersions()
    for event in events(config):
        if isinstance(event, Registry):
            versions.take(event)
    dated = {row["address"]: row["valid_from"] for row in versions.newest.content()["wallets"]}
    assert dated[doubt.subjects[-1]] == str(doubt.first)
    refused(server, engine)


Truth = dict[str, list[tuple[str, date]]]
"""The wallets of each account, with the day from which on it had them."""


def members(server: DatabaseServer, engine: str, numbers: Iterator[int]) -> Truth:
    """The database with its members, and a user who can read them."""
    quoted = PASSWORD.replace("'", "''")
    user, identified = ("esep", "PASSWORD") if engine == "postgresql" else ("esep@'127.0.0.1'", "IDENTIFIED BY")
    truth: Truth = {}
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE pool")
        cursor.execute(f"CREATE USER {user} {identified} '{quoted}'")
    with server.connect("pool") as connection, connection.cursor() as cursor:
        cursor.execute(TABLES[engine])
        cursor.execute(f"GRANT SELECT ON members TO {user}")
        for n in range(MEMBERS):
            wallet = address(next(numbers))
            cursor.execute("INSERT INTO members (login, wallet) VALUES (%s, %s)", [f"login-{n}", wallet])
            truth[f"login-{n}"] = [(wallet, BEGIN.date())]
    return truth


def change_wallets(server: DatabaseServer, config: Path, truth: Truth, numbers: Iterator[int], request: pytest.FixtureRequest) -> set[str]:
    """Members overwrite their wallets while it is captured, and everything is killed; the wallets that came over midnight while nobody looked."""
    chance = random.Random(21)
    capturing, now = Clocked(config), BEGIN
    request.addfinalizer(capturing.end)
    capturing.set(now)
    capturing.start()
    wait_until_looked(config, now)
    crossed = set()
    killed = {step: what for what in ("database", "capture") for step in chance.sample(range(STEPS), KILLS)}
    for step in range(STEPS):
        before, now = now, now + timedelta(minutes=chance.randrange(20, 600))
        login = f"login-{chance.randrange(MEMBERS)}"
        wallet = address(next(numbers))
        if killed.get(step) == "capture":
            capturing.kill()
        elif killed.get(step) == "database":
            server.kill()
            server.start()
        capturing.set(now)
        with server.connect("pool") as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE members SET wallet = %s WHERE login = %s", [wallet, login])
        if killed.get(step) == "capture":
            capturing.start()
            if before.date() != now.date():
                crossed.add(wallet)
        wait_until_seen(config, wallet)
        truth[login].append((wallet, now.date()))
    capturing.kill()

    return crossed


def compare(config: Path, truth: Truth) -> dict[str, Doubt]:
    """The registry in force is the truth; the days in doubt, by item."""
    found, versions = Held("books", ""), RegistryVersions()
    for event in events(config):
        versions.take(event) if isinstance(event, Registry) else found.apply(event)
    held = {row["address"]: (date.fromisoformat(row["valid_from"]), row["valid_to"]) for row in versions.newest.content()["wallets"]}
    wanted = {}
    for changes in truth.values():
        for place, (wallet, day) in enumerate(changes):
            end = changes[place + 1][1] if place + 1 < len(changes) else None
            if end is None or day < end:  # one that was overwritten on its own day counts on none
                wanted[wallet] = (day, None if end is None else end.isoformat())
    assert held == wanted
    doubts = {item: doubt for item in found.open_items() if (doubt := doubt_of(item)) is not None}
    days = dict(change for changes in truth.values() for change in changes)
    assert all(doubt.first <= days[doubt.subjects[-1]] <= doubt.last for doubt in doubts.values())
    assert len(found.open_items()) == len(doubts), "and nothing else does"
    return doubts


def refused(server: DatabaseServer, engine: str) -> None:
    """The rights that docs/sources.md names can write nothing."""
    statement = "UPDATE members SET wallet = 'x'"
    if engine == "postgresql":
        with (
            psycopg.connect(host="127.0.0.1", port=server.port, user="esep", password=PASSWORD, dbname="pool") as reader,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            reader.execute(statement)
        return
    assert isinstance(server, MariadbServer)
    with (
        pymysql.connect(host="127.0.0.1", port=server.port, user="esep", password=PASSWORD, database="pool") as own,
        own.cursor() as cursor,
        pytest.raises(pymysql.err.OperationalError, match="denied"),
    ):
        cursor.execute(statement)
