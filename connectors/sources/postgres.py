"""Miningcore's PostgreSQL database (ADR 22): what changed of `balance_changes` and `payments`, and accounts whose sums differ, in one read-only snapshot.

Ids are given before a transaction commits, so a row with a smaller id may come later: every look reads again what was new within the last `lookback_s`. Read-only rights
suffice: SELECT on the three tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from pipeline.capture.kinds.values import instant
from pipeline.capture.source import IdsBetween, Known, Look, TableLook
from pipeline.model.errors import SourceError

from .sql_text import DatabaseAddress, missing_columns, newest_of, rows_by_id, unreachable

_COLUMNS = {
    "balance_changes": ("id", "address", "amount", "usage", "created"),
    "payments": ("id", "coin", "address", "amount", "transactionconfirmationdata", "created"),
}
ROWS_A_LOOK = 50_000
"""Rows of a table read in one look; the next follows at once while there are more."""
_TLS = {"off": "disable", "prefer": "prefer", "verify": "verify-full"}


class _BoundedConnection(psycopg.Connection[tuple[object, ...]]):
    """A connection that gives every statement up in time: the server bounds its own work, and nothing else bounds the way to it, whose partition nobody is told of."""

    timeout_s = 30

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """See psycopg. Raises psycopg.OperationalError, and closes the connection, where no answer came in time."""
        try:
            return super().wait(gen, interval, self.timeout_s if timeout is None else timeout)
        except psycopg.OperationalError:
            self.pgconn.finish()
            raise


class PostgresConnection:
    """One connection, opened when it is needed, and again after a failure."""

    def __init__(self, address: DatabaseAddress) -> None:
        self.address = address
        self._connection: _BoundedConnection | None = None

    def open(self) -> psycopg.Connection[tuple[object, ...]]:
        """The connection: read-only, repeatable read, UTC, ISO 8601, floats with all their digits, whatever the database's own settings say. Raises SourceError."""
        if self._connection is None or self._connection.closed:
            address = self.address
            try:
                self._connection = _BoundedConnection.connect(
                    host=address.host, port=address.port, dbname=address.database, user=address.user,
                    password=address.password.get_secret_value() if address.password else None, connect_timeout=address.timeout_s,
                    sslmode=_TLS[address.tls], sslrootcert=address.ca_file or ("system" if address.tls == "verify" else None), application_name="esep", client_encoding="utf8",
                    options=f"-c statement_timeout={address.timeout_s * 1000} -c TimeZone=UTC -c DateStyle=ISO -c extra_float_digits=3 -c default_transaction_read_only=on",
                )  # fmt: skip
            except psycopg.Error as error:
                raise unreachable(address, error) from error
            self._connection.timeout_s = address.timeout_s + 1  # the server's own limit first: it says which statement took long
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
        return self._connection

    def close(self) -> None:
        """Close it; the next `open` connects anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class MiningcoreSource:
    """Reads one pool of a Miningcore database."""

    def __init__(self, address: DatabaseAddress, pool_id: str, *, lookback_s: int, reconcile_s: int) -> None:
        self._database = PostgresConnection(address)
        self._pool_id = pool_id
        self._lookback_us, self._reconcile_us = lookback_s * 1_000_000, reconcile_s * 1_000_000
        self._reconciled_at: int | None = None
        self._is_checked = False
        self._high: dict[str, int] = {}
        """While a table is read in several looks: the greatest id read."""

    def look(self, known: Known, now_us: int) -> Look:
        """See `pipeline.capture.source.Source`."""
        try:
            return self._look(known, now_us)
        except psycopg.Error as error:
            self.close()
            raise unreachable(self._database.address, error) from error
        except SourceError:
            self.close()
            raise

    def _look(self, known: Known, now_us: int) -> Look:
        connection = self._database.open()
        with connection.transaction():
            if not self._is_checked:
                self._check(connection)
                self._is_checked = True
            tables, newest, is_last = {}, None, True
            for table, columns in _COLUMNS.items():
                low = max(known.seen_before(table, now_us - self._lookback_us), self._high.pop(table, 0))
                rows = self._rows(connection, table, columns, low)
                is_whole = len(rows) < ROWS_A_LOOK
                high = max((int(row_id) for row_id in rows), default=low)
                if not is_whole:
                    self._high[table] = high
                tables[table] = TableLook(rows, IdsBetween(low, None if is_whole else high))
                is_last = is_last and is_whole
                newest = max(filter(None, [newest, newest_of((row["created"] for row in rows.values()), instant)]), default=None)
            if is_last and (self._reconciled_at is None or now_us - self._reconciled_at >= self._reconcile_us or known.rows("sums")):
                tables["sums"] = TableLook(self._sums(connection))
                self._reconciled_at = now_us
        return Look(now_us, tables, newest, is_last)

    def _check(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        found: dict[str, list[str]] = {}
        query = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_name = ANY(%s)"
        for table, column in connection.execute(query, [[*_COLUMNS, "balances"]]):
            found.setdefault(str(table), []).append(str(column))
        fault = missing_columns(self._database.address.name, {**_COLUMNS, "balances": ("address", "amount")}, found)
        if fault is not None:
            raise fault

    def _rows(
        self, connection: psycopg.Connection[tuple[object, ...]], table: str, columns: Sequence[str], low: int
    ) -> dict[str, dict[str, str | None]]:
        listed = ", ".join(f"{column}::text" for column in columns)
        query = f"SELECT {listed} FROM {table} WHERE poolid = %s AND id > %s ORDER BY {table}.id LIMIT {ROWS_A_LOOK}"  # noqa: S608 - names of ours
        return rows_by_id(columns, connection.execute(query, [self._pool_id, low]))

    def _sums(self, connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, dict[str, str | None]]:
        query = (
            "SELECT address, c.total::text, b.total::text FROM"
            " (SELECT address, sum(amount) AS total FROM balance_changes WHERE poolid = %(pool)s GROUP BY address) c"
            " FULL JOIN (SELECT address, sum(amount) AS total FROM balances WHERE poolid = %(pool)s GROUP BY address) b USING (address)"
            " WHERE coalesce(c.total, 0) <> coalesce(b.total, 0) ORDER BY address"
        )
        return rows_by_id(("address", "changes", "balance"), connection.execute(query, {"pool": self._pool_id}))

    def close(self) -> None:
        """Close the connection."""
        self._high.clear()
        self._database.close()
