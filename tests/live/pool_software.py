"""Pool software's way with its database, driven by the tests: schemas from its columns and types, statements in its order, within its transactions, with its deletions.

Each writer keeps the truth: what was credited and paid in the end, by the ids that the ledger must have. Written anew from the facts in docs/sources.md.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

BEGIN = datetime(2026, 10, 1, 3, 0, tzinfo=UTC)
E12, E8 = Decimal("0.000000000001"), Decimal("0.00000001")


@dataclass
class Truth:
    """What the ledger must hold at the end; amounts as the software has them."""

    credits: dict[str, tuple[str, Decimal]] = field(default_factory=dict)
    """Account and net amount, by allocation id; an orphan's is 0."""
    commissions: dict[str, Decimal] = field(default_factory=dict)
    payments: dict[str, tuple[str, Decimal, str]] = field(default_factory=dict)
    """Address, amount, txid, by payment id."""
    uncertain: set[str] = field(default_factory=set)
    """Items that must be open."""


def _txid(source: random.Random) -> str:
    return source.randbytes(32).hex()


class Miningcore:
    """The tables of Miningcore and its payment processing (PostgreSQL)."""

    SCHEMA = """
        CREATE TABLE blocks (id BIGSERIAL PRIMARY KEY, poolid TEXT NOT NULL, blockheight BIGINT NOT NULL, status TEXT NOT NULL, reward DECIMAL(28,12),
            transactionconfirmationdata TEXT, miner TEXT, hash TEXT, created TIMESTAMPTZ NOT NULL);
        CREATE TABLE balances (poolid TEXT NOT NULL, address TEXT NOT NULL, amount DECIMAL(28,12) NOT NULL DEFAULT 0, created TIMESTAMPTZ NOT NULL,
            updated TIMESTAMPTZ NOT NULL, PRIMARY KEY (poolid, address));
        CREATE TABLE balance_changes (id BIGSERIAL PRIMARY KEY, poolid TEXT NOT NULL, address TEXT NOT NULL, amount DECIMAL(28,12) NOT NULL DEFAULT 0,
            usage TEXT, tags TEXT[], created TIMESTAMPTZ NOT NULL);
        CREATE TABLE payments (id BIGSERIAL PRIMARY KEY, poolid TEXT NOT NULL, coin TEXT NOT NULL, address TEXT NOT NULL, amount DECIMAL(28,12) NOT NULL,
            transactionconfirmationdata TEXT NOT NULL, created TIMESTAMPTZ NOT NULL);
        CREATE TABLE miner_settings (poolid TEXT NOT NULL, address TEXT NOT NULL, paymentthreshold DECIMAL(28,12) NOT NULL, created TIMESTAMPTZ NOT NULL,
            updated TIMESTAMPTZ NOT NULL, PRIMARY KEY (poolid, address));
    """
    GRANTS = "GRANT SELECT ON balance_changes, balances, payments TO esep"

    def __init__(
        self, server: Any, database: str, *, miners: int, seed: int, recipient: str = "pool-fee", fee: Decimal = Decimal("0.015")
    ) -> None:
        self._server, self._database = server, database
        self._random = random.Random(seed)
        self._recipient, self._fee = recipient, fee
        self.miners = [f"miner-{n:03}" for n in range(miners)]
        self.truth = Truth()
        self.at = BEGIN
        self._balances: dict[str, Decimal] = {}

    def credit(self, height: int) -> None:
        """A block is confirmed: recipients, then miners, are credited, in one transaction."""
        self.at += timedelta(minutes=self._random.randrange(30, 90))
        reward = Decimal(312_500_000 + self._random.randrange(10**7)) * E8
        fee = (reward * self._fee).quantize(E12, ROUND_DOWN)
        shares = {
            miner: Decimal(self._random.randrange(1, 1000)) for miner in self._random.sample(self.miners, k=max(1, len(self.miners) // 2))
        }
        whole, net = sum(shares.values()), reward - fee
        given = {miner: (net * share / whole).quantize(E12, ROUND_DOWN) for miner, share in shares.items()}
        with self._server.connect(self._database) as connection, connection.transaction():
            self._add(connection, self._recipient, fee, f"Reward for block {height}")
            ids = {
                miner: self._add(connection, miner, amount, f"Reward for {shares[miner]} shares for block {height}") for miner, amount in given.items()
            }  # fmt: skip
            connection.execute(
                "INSERT INTO blocks (poolid, blockheight, status, reward, hash, created) VALUES ('btc1', %s, 'confirmed', %s, %s, %s)",
                [height, reward, _txid(self._random), self.at],
            )
        total = sum(given.values())
        for miner, amount in given.items():
            self.truth.credits[f"mc:btc1:{ids[miner]}"] = miner, amount
            self.truth.commissions[f"mc:btc1:{ids[miner]}"] = fee * amount / total
            self._balances[miner] = self._balances.get(miner, Decimal(0)) + amount

    def pay(self) -> None:
        """`sendmany` first, rounded to four decimals; then the rows, in one transaction, of the full balances."""
        self.at += timedelta(minutes=10)
        due = {miner: amount for miner, amount in self._balances.items() if amount >= Decimal("0.01")}
        txid = _txid(self._random)
        with self._server.connect(self._database) as connection, connection.transaction():
            for miner, amount in due.items():
                row = connection.execute(
                    "INSERT INTO payments (poolid, coin, address, amount, transactionconfirmationdata, created) VALUES ('btc1', 'BTC', %s, %s, %s, %s) RETURNING id",
                    [miner, amount, txid, self.at],
                ).fetchone()
                self._add(connection, miner, -amount, "Balance reset after payment")
                self.truth.payments[f"mc:btc1:payment:{row[0]}"] = miner, amount, txid
            self._add(connection, self._recipient, Decimal(0), "Balance reset after payment")
        for miner in due:
            self._balances[miner] = Decimal(0)

    def _add(self, connection: Any, address: str, amount: Decimal, usage: str) -> int:
        row = connection.execute(
            "INSERT INTO balance_changes (poolid, address, amount, usage, created) VALUES ('btc1', %s, %s, %s, %s) RETURNING id",
            [address, amount, usage, self.at],
        ).fetchone()
        connection.execute(
            "INSERT INTO balances (poolid, address, amount, created, updated) VALUES ('btc1', %s, %s, %s, %s)"
            " ON CONFLICT (poolid, address) DO UPDATE SET amount = balances.amount + EXCLUDED.amount, updated = EXCLUDED.updated",
            [address, amount, self.at, self.at],
        )
        number: int = row[0]
        return number


class Mpos:
    """The tables of MPOS, its block finder and its payouts (MariaDB)."""

    SCHEMA = (
        "CREATE TABLE transactions (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, account_id INT UNSIGNED NOT NULL, type VARCHAR(25), coin_address VARCHAR(255), amount DECIMAL(50,30) DEFAULT 0, block_id INT, timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, txid VARCHAR(256), archived TINYINT(1) NOT NULL DEFAULT 0)",
        "CREATE TABLE blocks (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, height INT UNSIGNED NOT NULL, blockhash CHAR(65) NOT NULL, confirmations INT NOT NULL, amount DOUBLE NOT NULL, difficulty DOUBLE NOT NULL, time INT NOT NULL, accounted TINYINT(1) NOT NULL DEFAULT 0)",
        "CREATE TABLE accounts (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, username VARCHAR(40) NOT NULL UNIQUE, no_fees TINYINT(1) NOT NULL DEFAULT 0, donate_percent FLOAT DEFAULT 0, pass VARCHAR(255), email VARCHAR(255))",
    )
    GRANTS = "GRANT SELECT ON {table} TO esep@'127.0.0.1'"
    TABLES = ("transactions", "blocks", "accounts")

    def __init__(self, server: Any, database: str, *, miners: int, seed: int) -> None:
        self._server, self._database = server, database
        self._random = random.Random(seed)
        self._count = miners
        self.truth = Truth()
        self.at = BEGIN
        self._blocks: dict[int, list[tuple[str, str, Decimal, Decimal]]] = {}
        """Allocation id, account, net, taken, of each block that is not final."""
        self._balances: dict[int, Decimal] = {}
        self._open: list[tuple[int, str, int]] = []

    def prepare(self) -> None:
        """The miners' accounts."""
        with self._connect() as connection, connection.cursor() as cursor:
            for number in range(1, self._count + 1):
                cursor.execute(
                    "INSERT INTO accounts (username, donate_percent, pass, email) VALUES (%s, %s, 'x', 'x@y.kz')",
                    [f"miner-{number:03}", number % 3],
                )

    def _connect(self) -> Any:
        """A connection whose CURRENT_TIMESTAMP is the software's clock."""
        connection = self._server.connect(self._database)
        with connection.cursor() as cursor:
            cursor.execute("SET timestamp = %s", [int(self.at.timestamp())])
        return connection

    def find_block(self, height: int) -> None:
        """A block is found: its credits, fees and donations are written one by one, without a transaction, while it is immature."""
        self.at += timedelta(minutes=self._random.randrange(30, 90))
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO blocks (height, blockhash, confirmations, amount, difficulty, time) VALUES (%s, %s, 0, 3.125, 1.5, %s)",
                [height, self._random.randbytes(32).hex(), int(self.at.timestamp())],
            )
            block, rows = cursor.lastrowid, []
            for account in self._random.sample(range(1, self._count + 1), k=max(1, self._count // 2)):
                gross = Decimal(self._random.randrange(10**4, 10**7)) * E8
                fee = (gross * Decimal("0.01")).quantize(E8)
                donation = (gross * Decimal(account % 3) / 100).quantize(E8)
                credit = self._row(cursor, account, "Credit", gross, block)
                if fee:
                    self._row(cursor, account, "Fee", fee, block)
                if donation:
                    self._row(cursor, account, "Donation", donation, block)
                rows.append((f"mpos:btc:{credit}", f"miner-{account:03}", gross - fee - donation, fee + donation))
                self._balances[account] = self._balances.get(account, Decimal(0)) + gross - fee - donation
            self._blocks[block] = rows
            self._open.append((block, "open", 0))

    def confirm(self, *, orphan: bool = False) -> None:
        """The oldest open block gets its confirmations, in two steps; or becomes an orphan, of which nothing in `transactions` says so."""
        if not self._blocks:
            return
        block = min(self._blocks)
        rows = self._blocks.pop(block)
        for confirmations in (60, 119, -1) if orphan else (60, 119, 120):
            with self._connect() as connection, connection.cursor() as cursor:
                cursor.execute("UPDATE blocks SET confirmations = %s WHERE id = %s", [confirmations, block])
        for allocation_id, account, net, taken in rows:
            self.truth.credits[allocation_id] = account, Decimal(0) if orphan else net
            if not orphan:
                self.truth.commissions[allocation_id] = taken

    def pay(self, *, fails: bool = False) -> None:
        """Debits are written before the coins are sent, and their txid after; when the RPC fails it stays NULL, whatever happened."""
        self.at += timedelta(minutes=10)
        account = max(self._balances, key=lambda one: (self._balances[one], one))
        amount = (self._balances[account] - Decimal("0.0001")).quantize(E8)
        if amount <= 0:
            return
        address = f"bc1-miner-{account:03}"
        with self._connect() as connection, connection.cursor() as cursor:
            debit = self._row(cursor, account, "Debit_AP", amount, None, address)
            fee = self._row(cursor, account, "TXFee", Decimal("0.0001"), None, address)
            cursor.execute("UPDATE transactions SET archived = 1 WHERE account_id = %s AND id <= %s", [account, debit])
        self._balances[account] = Decimal(0)
        if fails:
            self.truth.uncertain.add(f"payment:{debit}")
            return
        txid = _txid(self._random)
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE transactions SET txid = %s WHERE id = %s", [txid, debit])
        self.truth.payments[f"mpos:btc:{debit}"] = address, amount, txid
        self.truth.payments[f"mpos:btc:{fee}"] = address, Decimal("0.0001"), f"TXFee {fee}"

    def _row(self, cursor: Any, account: int, kind: str, amount: Decimal, block: int | None, address: str | None = None) -> int:
        cursor.execute(
            "INSERT INTO transactions (account_id, type, amount, block_id, coin_address) VALUES (%s, %s, %s, %s, %s)",
            [account, kind, f"{amount:.8f}", block, address],
        )
        number: int = cursor.lastrowid
        return number


class Yiimp:
    """The tables of yiimp, its back end and its cleaning (MariaDB)."""

    SCHEMA = (
        "CREATE TABLE accounts (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, coinid INT, last_earning INT, is_locked TINYINT(1), no_fees TINYINT(1), donation TINYINT(3) UNSIGNED NOT NULL DEFAULT 0, balance DOUBLE DEFAULT 0, username VARCHAR(128) BINARY NOT NULL, coinsymbol VARCHAR(16))",
        "CREATE TABLE earnings (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, userid INT, coinid INT, blockid INT, create_time INT, amount DOUBLE, price DOUBLE, status INT, mature_time INT, UNIQUE KEY (userid, blockid))",
        "CREATE TABLE payouts (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, account_id INT, idcoin INT, time INT, completed TINYINT(1) NOT NULL DEFAULT 0, amount DOUBLE, fee DOUBLE, tx VARCHAR(128), memoid VARCHAR(128), errmsg TEXT)",
        "CREATE TABLE blocks (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, coin_id INT, height INT UNSIGNED, confirmations INT, time INT, amount DOUBLE, difficulty DOUBLE, category VARCHAR(16), algo VARCHAR(16), blockhash VARCHAR(128), txhash VARCHAR(128))",
    )
    GRANTS = "GRANT SELECT ON {table} TO esep@'127.0.0.1'"
    TABLES = ("accounts", "earnings", "payouts", "blocks")
    COIN = 6

    def __init__(self, server: Any, database: str, *, miners: int, seed: int) -> None:
        self._server, self._database = server, database
        self._random = random.Random(seed)
        self._count = miners
        self.truth = Truth()
        self.at = BEGIN
        self._immature: dict[int, list[tuple[int, str, str]]] = {}
        self._cleared: list[tuple[int, datetime]] = []

    def prepare(self) -> None:
        with self._server.connect(self._database) as connection, connection.cursor() as cursor:
            for number in range(1, self._count + 1):
                cursor.execute(
                    "INSERT INTO accounts (coinid, username, coinsymbol) VALUES (%s, %s, 'BTC')", [self.COIN, f"bc1-miner-{number:03}"]
                )

    @property
    def _now(self) -> int:
        return int(self.at.timestamp())

    def find_block(self, height: int) -> None:
        """A block is found: earnings, net of the fee, immature."""
        self.at += timedelta(minutes=self._random.randrange(30, 90))
        with self._server.connect(self._database) as connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO blocks (coin_id, height, confirmations, time, amount, difficulty, category, algo, blockhash) VALUES (%s, %s, 0, %s, 3.125, 1, 'immature', 'sha256', %s)",
                [self.COIN, height, self._now, self._random.randbytes(32).hex()],
            )
            block, rows = cursor.lastrowid, []
            for account in self._random.sample(range(1, self._count + 1), k=max(1, self._count // 2)):
                amount = repr(self._random.random() / 100)
                cursor.execute(
                    "INSERT INTO earnings (userid, coinid, blockid, create_time, amount, price, status) VALUES (%s, %s, %s, %s, %s, 1, 0)",
                    [account, self.COIN, block, self._now, amount],
                )
                rows.append((cursor.lastrowid, f"bc1-miner-{account:03}", amount))
            self._immature[block] = rows

    def mature(self) -> None:
        """The oldest block matures; its earnings are cleared into balances."""
        if not self._immature:
            return
        block = min(self._immature)
        rows = self._immature.pop(block)
        with self._server.connect(self._database) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE blocks SET category = 'generate', confirmations = 101 WHERE id = %s", [block])
            cursor.execute("UPDATE earnings SET status = 1, mature_time = %s WHERE blockid = %s", [self._now, block])
        for number, account, amount in rows:
            with self._server.connect(self._database) as connection, connection.cursor() as cursor:
                cursor.execute("UPDATE earnings SET status = 2, price = 1 WHERE id = %s", [number])
                cursor.execute("UPDATE accounts SET balance = balance + %s WHERE username = %s", [amount, account])
            self.truth.credits[f"yiimp:btc:{number}"] = account, Decimal(amount)
            self._cleared.append((number, self.at))

    def orphan(self) -> None:
        """The newest immature block becomes an orphan: its earnings are deleted."""
        if not self._immature:
            return
        block = max(self._immature)
        rows = self._immature.pop(block)
        with self._server.connect(self._database) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE blocks SET category = 'orphan', amount = 0 WHERE id = %s", [block])
            cursor.execute("DELETE FROM earnings WHERE blockid = %s AND status != -1", [block])
        for number, account, _ in rows:
            self.truth.credits[f"yiimp:btc:{number}"] = account, Decimal(0)

    @property
    def cleared_ids(self) -> set[str]:
        """Of the earnings that are cleared and not yet deleted."""
        return {str(number) for number, _ in self._cleared}

    def clean(self) -> None:
        """Earnings cleared more than 12 hours ago are deleted."""
        gone = [number for number, at in self._cleared if self.at - at > timedelta(hours=12)]
        self._cleared = [(number, at) for number, at in self._cleared if number not in gone]
        with self._server.connect(self._database) as connection, connection.cursor() as cursor:
            for number in gone:
                cursor.execute("DELETE FROM earnings WHERE id = %s AND status = 2", [number])

    def pay(self, *, fails: bool = False) -> None:
        """Rows are written before the coins are sent; after a failure the next run deletes them, writes one merged row, and sends again."""
        self.at += timedelta(minutes=10)
        account = self._random.randrange(1, self._count + 1)
        username, amount = f"bc1-miner-{account:03}", repr(self._random.random() / 10)
        taken = amount
        with self._server.connect(self._database) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id, amount FROM payouts WHERE account_id = %s AND tx IS NULL", [account])
            for number, before in cursor.fetchall():
                cursor.execute("DELETE FROM payouts WHERE id = %s", [number])
                amount = repr(float(amount) + before)
            cursor.execute(
                "INSERT INTO payouts (account_id, idcoin, time, amount, fee, completed) VALUES (%s, %s, %s, %s, 0, 0)",
                [account, self.COIN, self._now, amount],
            )
            number = cursor.lastrowid
            cursor.execute("UPDATE accounts SET balance = balance - %s WHERE id = %s", [taken, account])
        if fails:
            with self._server.connect(self._database) as connection, connection.cursor() as cursor:
                cursor.execute("UPDATE payouts SET errmsg = 'Insufficient funds' WHERE id = %s", [number])
            self.truth.uncertain.add(f"payment:{number}")
            return
        txid = _txid(self._random)
        with self._server.connect(self._database) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE payouts SET tx = %s, completed = 1 WHERE id = %s", [txid, number])
        self.truth.payments[f"yiimp:btc:payout:{number}"] = username, Decimal(amount), txid
