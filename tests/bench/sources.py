"""Sources of the ledger on real databases: rows a second to the log, a restart with nothing new, and seconds from a row's commit until an analyst's query shows it.

Enters: nothing; PostgreSQL and MariaDB are started in folders of their own where they are installed. Leaves: rows of `tests.bench`, or lines.
`python -m tests.bench sources` and `python -m tests.bench.sources --rows 100000 --commits 60`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pipeline.app.app import App
from pipeline.service.capturing import capture_once
from pipeline.settings.load import load_settings

from ..live.databases import PASSWORD, DatabaseServer, MariadbServer, PostgresServer, find_postgres
from .row import CannotRun, Row

ROOT = Path(__file__).resolve().parents[2]
ESEP = (sys.executable, "-c", "from pipeline.cli import main; main()")
ROWS, A_BLOCK, COMMITS = 20_000, 50, 40
BEGIN = "2026-10-01 03:00:00"
BESIDE = "the driver fetches the rows"


def fill_miningcore(server: DatabaseServer, rows: int) -> str:
    """Credits of blocks with fifty rows each; the source's settings."""
    with server.connect() as connection:
        connection.execute("CREATE DATABASE pool")
        connection.execute(f"CREATE USER esep PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
    with server.connect("pool") as connection:
        connection.execute(
            "CREATE TABLE balance_changes (id BIGSERIAL PRIMARY KEY, poolid TEXT, address TEXT, amount DECIMAL(28,12), usage TEXT, tags TEXT[], created TIMESTAMPTZ)"
        )
        connection.execute(
            "CREATE TABLE balances (poolid TEXT, address TEXT, amount DECIMAL(28,12), created TIMESTAMPTZ, updated TIMESTAMPTZ)"
        )
        connection.execute(
            "CREATE TABLE payments (id BIGSERIAL PRIMARY KEY, poolid TEXT, coin TEXT, address TEXT, amount DECIMAL(28,12), transactionconfirmationdata TEXT, created TIMESTAMPTZ)"
        )
        connection.execute(
            f"INSERT INTO balance_changes (poolid, address, amount, usage, created) SELECT 'btc1', 'miner-' || (n * 7919 % 500), 0.000123456789 + n * 0.000000001,"
            f" 'Reward for 7 shares for block ' || (n / {A_BLOCK}), timestamptz '{BEGIN}+00' + n * interval '10 s' FROM generate_series(1, {rows}) n"
        )
        connection.execute("INSERT INTO balances SELECT 'btc1', address, sum(amount), now(), now() FROM balance_changes GROUP BY address")
        connection.execute("GRANT SELECT ON balance_changes, balances, payments TO esep")
    return f'kind = "miningcore"\nport = {server.port}\ndatabase = "pool"\npool_id = "btc1"\nasset = "BTC"\n'


def fill_mpos(server: DatabaseServer, rows: int) -> str:
    """Credits and their fees, two rows each, of confirmed blocks; the source's settings."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE pool")
        cursor.execute("USE pool")
        cursor.execute(
            "CREATE TABLE transactions (id INT AUTO_INCREMENT PRIMARY KEY, account_id INT, type VARCHAR(25), coin_address VARCHAR(255), amount DECIMAL(50,30), block_id INT, timestamp TIMESTAMP, txid VARCHAR(256), archived TINYINT(1) DEFAULT 0)"
        )
        cursor.execute(
            "CREATE TABLE blocks (id INT AUTO_INCREMENT PRIMARY KEY, height INT, blockhash CHAR(65), confirmations INT, amount DOUBLE, time INT)"
        )
        cursor.execute("CREATE TABLE accounts (id INT AUTO_INCREMENT PRIMARY KEY, username VARCHAR(40))")
        cursor.executemany("INSERT INTO accounts (username) VALUES (%s)", [[f"miner-{n}"] for n in range(500)])
        blocks = rows // A_BLOCK + 1
        cursor.executemany(
            "INSERT INTO blocks (height, blockhash, confirmations, amount, time) VALUES (%s, 'x', 200, 3.125, 0)",
            [[n] for n in range(blocks)],
        )
        found = []
        for n in range(0, rows, 2):
            block, account = n // A_BLOCK + 1, n // 2 % A_BLOCK + 1
            found += [[account, "Credit", f"{0.01 + n * 1e-8:.8f}", block, BEGIN], [account, "Fee", "0.0001", block, BEGIN]]
        cursor.execute("SET time_zone = '+00:00'")
        cursor.executemany("INSERT INTO transactions (account_id, type, amount, block_id, timestamp) VALUES (%s, %s, %s, %s, %s)", found)
        cursor.execute("CREATE USER esep@'127.0.0.1' IDENTIFIED BY %s", [PASSWORD])
        for table in ("transactions", "blocks", "accounts"):
            cursor.execute(f"GRANT SELECT ON {table} TO esep@'127.0.0.1'")
    return f'kind = "mpos"\nport = {server.port}\ndatabase = "pool"\ncoin = "btc"\nasset = "BTC"\n'


DATABASES: dict[str, tuple[type[DatabaseServer], Any]] = {
    "PostgreSQL, Miningcore": (PostgresServer, fill_miningcore),
    "MariaDB, MPOS": (MariadbServer, fill_mpos),
}


def settings(folder: Path, source: str) -> Path:
    path = folder / "esep.toml"
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    (folder / "password").chmod(0o600)
    path.write_text(
        '[pool]\nkey = "pool"\nbin = "201040334324"\nname = "A pool"\n[store]\npublish_every_s = 1\n[chains.bitcoin]\nnetwork = "regtest"\nasset = "BTC"\nrpc_url = "http://127.0.0.1:1"\n'
        '[[chains.bitcoin.wallets]]\nname = "hot"\naddresses = ["bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"]\n'
        f'[sources.books]\nsince = "2026-10-01"\npoll_s = 1\nuser = "esep"\npassword_file = "{folder / "password"}"\n{source}',
        encoding="utf-8",
    )
    return path


def capture(path: Path) -> tuple[float, float]:
    """Seconds and processor seconds of reading what is there now."""
    with App(load_settings(path, {}), lambda: int(time.time())) as app:
        began, busy = time.perf_counter(), time.process_time()
        capture_once(app, "books")
        return time.perf_counter() - began, time.process_time() - busy


@contextmanager
def running(path: Path, *arguments: str) -> Iterator[None]:
    with (path.parent / "output").open("ab") as output:
        process = subprocess.Popen([*ESEP, *arguments, "--config", str(path)], cwd=ROOT, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def visible(path: Path, row_id: str, since: float) -> float:
    """Seconds until the analysts' copy shows an allocation."""
    published = path.parent / "var" / "published.duckdb"
    while True:
        try:
            with duckdb.connect(str(published), read_only=True) as copy:
                if copy.execute("SELECT 1 FROM raw_allocation WHERE allocation_id = ?", [row_id]).fetchone():
                    return time.monotonic() - since
        except duckdb.Error:
            pass
        if time.monotonic() - since > 120:
            raise RuntimeError(f"{row_id} never became visible: {(path.parent / 'output').read_text()[-2000:]}")
        time.sleep(0.02)


def commit(server: DatabaseServer, number: int) -> str:
    """One credit more, committed; the id of its allocation."""
    with server.connect("pool") as connection, connection.cursor() as cursor:
        if isinstance(server, PostgresServer):
            cursor.execute(
                "INSERT INTO balance_changes (poolid, address, amount, usage, created) VALUES ('btc1', 'miner-1', 0.001, %s, now()) RETURNING id",
                [f"Reward for 1 shares for block {10**7 + number}"],
            )
            return f"mc:btc1:{cursor.fetchone()[0]}"
        cursor.execute(
            "INSERT INTO transactions (account_id, type, amount, block_id, timestamp) VALUES (1, 'Credit_PPS', 0.001, NULL, now())"
        )
        return f"mpos:btc:{cursor.lastrowid}"


def bare(server: DatabaseServer) -> float:
    """Seconds in which the driver alone fetches the rows."""
    table = "balance_changes" if isinstance(server, PostgresServer) else "transactions"
    began = time.perf_counter()
    with server.connect("pool") as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        cursor.fetchall()
    return time.perf_counter() - began


def measure(name: str, rows: int, commits: int) -> tuple[list[Row], list[float]]:
    kind, fill = DATABASES[name]
    with kind() as server, tempfile.TemporaryDirectory(prefix="esep-bench-") as found:
        path = settings(Path(found), fill(server, rows))
        fetched = bare(server)
        seconds, busy = capture(path)
        again, again_busy = capture(path)
        waited = []
        with running(path, "capture"), running(path, "ingest", "--follow"):
            visible(path, commit(server, 0), time.monotonic())  # both have started, and have read all
            for number in range(1, commits + 1):
                row_id, began = commit(server, number), time.monotonic()
                waited.append(visible(path, row_id, began))
                time.sleep(number * 0.37 % 1)
    return [
        Row("sources", f"{name}: to the log", rows, "rows", seconds, BESIDE, fetched, busy),
        Row("sources", f"{name}: again, nothing new", rows, "rows", again, BESIDE, fetched, again_busy),
    ], sorted(waited)


def run(rows: int = ROWS, commits: int = 0) -> list[Row]:
    """Both databases. Raises CannotRun where one is missing."""
    import shutil

    if find_postgres() is None or shutil.which("mariadbd") is None:
        raise CannotRun("needs PostgreSQL and MariaDB (on Debian: apt-get install postgresql mariadb-server)")
    found: list[Row] = []
    for name in DATABASES:
        timed, waited = measure(name, rows, commits)
        found += timed
        for each in timed:
            print(
                f"{each.what}: {each.amount:,} rows in {each.seconds:.2f} s, {each.amount / each.seconds:,.0f} rows/s; {each.cpu_s:.2f} s of CPU",
                file=sys.stderr,
            )
        if waited:
            p50, p99 = statistics.median(waited), waited[min(len(waited) - 1, int(len(waited) * 0.99))]
            print(
                f"{name}: from a commit to an analyst, {len(waited)} commits: p50 {p50:.2f} s, p99 {p99:.2f} s, most {waited[-1]:.2f} s",
                file=sys.stderr,
            )
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--commits", type=int, default=COMMITS)
    given = parser.parse_args()
    run(given.rows, given.commits)
