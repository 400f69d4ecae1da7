"""MPOS's and yiimp's MySQL or MariaDB databases (ADR 22): what may have changed of their tables, in one read-only snapshot.

Every value is taken as the server's text, so that doubles keep their digits. The session's time zone is UTC. MPOS: new rows, those without a transaction id, and those whose block is
not final yet; yiimp: all earnings and payouts that it still has, since it deletes and restates them. Read-only rights suffice: SELECT on the tables.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import pymysql
from pymysql import converters
from pymysql.constants import FIELD_TYPE

from pipeline.capture.kinds.values import instant, unix_instant
from pipeline.capture.kinds.yiimp_balances import YiimpBalances
from pipeline.capture.source import NOTHING, Content, IdsBetween, Known, Look, TableLook
from pipeline.model.errors import SettingsError, SourceError
from pipeline.model.message import message

from .sql_text import DatabaseAddress, as_text, missing_columns, newest_of, rows_by_id, unreachable

ROWS_A_LOOK = 50_000
IDS_A_QUERY = 1_000
Rows = dict[str, dict[str, str | None]]


class MysqlConnection:
    """One connection, opened when it is needed, and again after a failure."""

    def __init__(self, address: DatabaseAddress) -> None:
        self.address = address
        self._connection: Any = None

    def open(self) -> Any:
        """The connection, in a new read-only snapshot. Raises SourceError."""
        address = self.address
        try:
            if self._connection is None:
                self._connection = pymysql.connect(
                    host=address.host, port=address.port, database=address.database, user=address.user,
                    password=address.password.get_secret_value() if address.password else "", connect_timeout=address.timeout_s,
                    read_timeout=address.timeout_s, write_timeout=address.timeout_s, charset="utf8mb4", conv=dict[Any, Any](converters.encoders), autocommit=False,
                    ssl=_tls(address), ssl_disabled=address.tls == "off", init_command="SET SESSION time_zone = '+00:00'",
                )  # fmt: skip
            with self._connection.cursor() as cursor:
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        except (pymysql.Error, OSError) as error:
            self.close()
            raise unreachable(address, error) from error
        return self._connection

    def query(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """The rows of a statement. Raises pymysql.Error, OSError."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            found: list[tuple[object, ...]] = list(cursor.fetchall())
        return found

    def named(
        self, statement: str, values: Sequence[object] = (), *, amounts: Collection[str] = ()
    ) -> tuple[list[str], list[list[str | None]]]:
        """The names of a statement's columns, and its rows as text. Raises SettingsError where one of `amounts` is a FLOAT: the server shows six digits of it."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            columns = [(str(column[0]), column[1]) for column in cursor.description or ()]
            names = [name for name, _ in columns]
            cut = [name for name, kind in columns if kind == FIELD_TYPE.FLOAT and name in amounts]
            if cut:
                faults = [
                    message(
                        "{name} is FLOAT, and the server shows six digits of it: keep it as DECIMAL, or have the statement give CAST({name} AS DOUBLE)",
                        name=name,
                    )
                    for name in cut
                ]
                raise SettingsError(faults, source=message("source {name}", name=self.address.name))
            rows = [[as_text(value) for value in row] for row in cursor.fetchall()]
        return names, rows

    def columns(self, tables: Sequence[str]) -> dict[str, list[str]]:
        """The columns of tables that the user may see."""
        marks = ", ".join(["%s"] * len(tables))
        query = (
            f"SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN ({marks})"  # noqa: S608 - only marks
        )
        found: dict[str, list[str]] = {}
        for table, column in self.query(query, list(tables)):
            found.setdefault(str(table), []).append(str(column))
        return found

    def rows(self, table: str, columns: Sequence[str], where: str = "1 = 1", values: Sequence[object] = ()) -> Rows:
        """Rows of a table by their first column."""
        listed = ", ".join(columns)
        return rows_by_id(columns, self.query(f"SELECT {listed} FROM {table} WHERE {where} ORDER BY {columns[0]}", values))  # noqa: S608 - names of ours

    def rows_of(self, table: str, columns: Sequence[str], ids: Sequence[str]) -> Rows:
        """Rows of a table by ids."""
        found: Rows = {}
        for first in range(0, len(ids), IDS_A_QUERY):
            some = ids[first : first + IDS_A_QUERY]
            found |= self.rows(table, columns, f"{columns[0]} IN ({', '.join(['%s'] * len(some))})", some)
        return found

    def end(self) -> None:
        """End the snapshot: while one is open, the pool can't change its tables' columns (a metadata lock), and what is updated is kept for it. Raises pymysql.Error, OSError."""
        if self._connection is not None:
            self._connection.rollback()

    def close(self) -> None:
        """Close it; the next `open` connects anew."""
        if self._connection is not None:
            with contextlib.suppress(pymysql.Error, OSError):
                self._connection.close()
            self._connection = None


def _tls(address: DatabaseAddress) -> ssl.SSLContext | None:
    if address.tls == "verify":
        return ssl.create_default_context(cafile=address.ca_file)
    return None


class _DatabaseSource:
    """What both have: a look in one snapshot, and the check of the tables at the first."""

    columns: ClassVar[Mapping[str, Sequence[str]]]

    def __init__(self, address: DatabaseAddress) -> None:
        self._database = MysqlConnection(address)
        self._is_checked = False

    def look(self, known: Known, now_us: int) -> Look:
        """See `pipeline.capture.source.Source`."""
        self._database.open()
        try:
            if not self._is_checked:
                fault = missing_columns(self._database.address.name, self.columns, self._database.columns(list(self.columns)))
                if fault is not None:
                    raise fault
                self._is_checked = True
            found = self._read(known, now_us)
            self._database.end()
            return found
        except (pymysql.Error, OSError) as error:
            self.close()
            raise unreachable(self._database.address, error) from error
        except (SourceError, SettingsError):
            self.close()
            raise

    def _read(self, known: Known, now_us: int) -> Look:
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


class MposSource(_DatabaseSource):
    """Reads an MPOS database: one coin."""

    columns: ClassVar = {
        "transactions": ("id", "account_id", "type", "coin_address", "amount", "block_id", "timestamp", "txid"),
        "blocks": ("id", "height", "blockhash", "confirmations", "time"),
        "accounts": ("id", "username"),
    }

    def __init__(self, address: DatabaseAddress, *, confirmations: int, lookback_s: int) -> None:
        super().__init__(address)
        self._confirmations, self._lookback_us = confirmations, lookback_s * 1_000_000
        self._high = 0
        self._known: Known | None = None
        self._marks = {"transactions": 0, "blocks": 0}
        self._waiting: set[str] = set()
        """Debits that the log has without a transaction id."""
        self._open: set[str] = set()
        """Blocks that the log's credits name, and that are not final in the log."""
        self._final: set[str] = set()

    def _read(self, known: Known, now_us: int) -> Look:
        self._catch_up(known)
        table, columns = "transactions", self.columns["transactions"]
        low = max(known.seen_before(table, now_us - self._lookback_us), self._high)
        rows = self._newer(low)
        is_whole = len(rows) < ROWS_A_LOOK
        high = max((int(row_id) for row_id in rows), default=low)
        self._high = 0 if is_whole else high
        waiting = sorted((row_id for row_id in self._waiting if int(row_id) <= low), key=int)
        again = self._database.rows_of(table, columns, waiting)
        named = {block for row in rows.values() if (block := row["block_id"]) and block not in self._final}
        blocks = self._database.rows_of("blocks", self.columns["blocks"], sorted(self._open | named, key=int))
        newest = newest_of((row["timestamp"] for row in rows.values()), instant)
        tables = {
            "accounts": TableLook(self._database.rows("accounts", self.columns["accounts"]), NOTHING),
            "blocks": TableLook(blocks, self._open | named),
            table: TableLook(rows | again, IdsBetween(low, None if is_whole else high, waiting)),
        }
        return Look(now_us, tables, newest, is_whole)

    def _catch_up(self, known: Known) -> None:
        """Take what the log holds since the last look: the debits and blocks that are to be asked about again."""
        if known is not self._known:
            self._known, self._marks = known, dict.fromkeys(self._marks, 0)
            self._waiting, self._open, self._final = set(), set(), set()
        changed = {table: known.since(table, mark) for table, mark in self._marks.items()}
        for table, rows in changed.items():
            self._marks[table] += len(rows)
        for block_id, block in changed["blocks"]:
            if self._is_final(block):
                self._final.add(block_id)
                self._open.discard(block_id)
            else:
                self._final.discard(block_id)
                self._open.add(block_id)
        for row_id, row in changed["transactions"]:
            if row is not None and row["txid"] is None and (row["type"] or "").startswith("Debit"):
                self._waiting.add(row_id)
            else:
                self._waiting.discard(row_id)
            if row is not None and (named := row["block_id"]) and named not in self._final:
                self._open.add(named)

    def _newer(self, low: int) -> Rows:
        columns = self.columns["transactions"]
        query = f"SELECT {', '.join(columns)} FROM transactions WHERE id > %s ORDER BY id LIMIT %s"  # noqa: S608 - names of ours
        return rows_by_id(columns, self._database.query(query, [low, ROWS_A_LOOK]))

    def _is_final(self, block: Content | None) -> bool:
        return block is not None and (block["confirmations"] or "").isdecimal() and int(block["confirmations"] or "") >= self._confirmations

    def close(self) -> None:
        """Close the connection."""
        self._high = 0
        super().close()


class YiimpSource(_DatabaseSource):
    """Reads one coin of a yiimp database. Raises SettingsError where its payouts are in exchanged coins."""

    columns: ClassVar = {
        "earnings": ("id", "userid", "coinid", "blockid", "create_time", "amount", "status", "mature_time"),
        "payouts": ("id", "account_id", "time", "completed", "amount", "fee", "tx", "errmsg"),
        "blocks": ("id", "height", "category", "confirmations", "blockhash", "time"),
        "accounts": ("id", "username", "coinid", "balance"),
    }

    def __init__(self, address: DatabaseAddress, coin_id: int) -> None:
        super().__init__(address)
        self._coin_id = coin_id
        self._balances = YiimpBalances()

    def _read(self, known: Known, now_us: int) -> Look:
        database, coin = self._database, [self._coin_id]
        earnings = database.rows("earnings", self.columns["earnings"], "coinid = %s", coin)
        users = sorted({row["userid"] or "" for row in earnings.values()})
        accounts = database.rows("accounts", self.columns["accounts"], "coinid = %s", coin) | database.rows_of(
            "accounts", self.columns["accounts"], users
        )
        # A balance changes with every block: the log keeps only those that its rows do not explain.
        balances = {account: row.pop("balance") for account, row in accounts.items()}
        exchanged = sorted(
            accounts[user]["username"] or user for user in users if user in accounts and accounts[user]["coinid"] != str(self._coin_id)
        )
        if exchanged:
            shown = ", ".join(exchanged[:5])
            raise SettingsError(
                [
                    message(
                        "{count} account(s) are paid in another coin than they mine ({shown}): payouts in exchanged coins can't be reported from yiimp's rows",
                        count=len(exchanged),
                        shown=shown,
                    )
                ],
                source=f"source {database.address.name}",
            )
        by_coin = "account_id IN (SELECT id FROM accounts WHERE coinid = %s)"
        payouts = database.rows("payouts", self.columns["payouts"], by_coin, coin)
        blocks = database.rows("blocks", self.columns["blocks"], "coin_id = %s", coin)
        newest = newest_of((row["create_time"] for row in earnings.values()), unix_instant)
        tables = {
            "accounts": TableLook(accounts, NOTHING), "blocks": TableLook(blocks, NOTHING),
            "earnings": TableLook(earnings), "payouts": TableLook(payouts),
        }  # fmt: skip
        tables |= self._balances.tables(known, {"earnings": earnings, "payouts": payouts}, balances)
        return Look(now_us, tables, newest)
