"""Any SQL database (ADR 22): the pool's own SELECTs for allocations and payments, in the ledger's columns, from a cursor column on.

The statement is read as a table: what is above the cursor, less the look-back, is read again. Everything is read in one read-only transaction, every value as the server's text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pymysql

from pipeline.capture.kinds.values import instant
from pipeline.capture.outputs import Unreadable
from pipeline.capture.source import Content, Known, Look, TableLook
from pipeline.model.errors import SettingsError, SourceError

from .mysql import MysqlConnection
from .postgres import PostgresConnection
from .sql_text import unreachable

ROWS_A_LOOK = 50_000
IDS = {"allocations": "allocation_id", "payments": "payment_id"}
TIMES = {"allocations": "allocated_at", "payments": "paid_at"}


@dataclass(frozen=True)
class Select:
    """A statement of the pool's, without a semicolon at its end."""

    statement: str
    cursor: str
    """The column by which new and changed rows are found."""
    is_time: bool
    """Whether the cursor is an instant; else a whole number."""
    lookback: int
    """How far below the greatest cursor rows are read again: seconds, or numbers."""


class SqlSource:
    """Reads allocations and payments by the pool's own statements."""

    def __init__(self, database: PostgresConnection | MysqlConnection, selects: Mapping[str, Select]) -> None:
        """`selects`: by table, `allocations` and `payments`."""
        self._database, self._selects = database, selects
        self._high: dict[str, str] = {}

    def look(self, known: Known, now_us: int) -> Look:
        """See `pipeline.capture.source.Source`."""
        try:
            return self._look(known, now_us)
        except (psycopg.Error, pymysql.Error, OSError) as error:
            self.close()
            raise unreachable(self._database.address, error) from error
        except (SourceError, SettingsError):
            self.close()
            raise

    def _look(self, known: Known, now_us: int) -> Look:
        tables, newest, is_last = {}, None, True
        if isinstance(self._database, PostgresConnection):
            with self._database.open().transaction():
                looks = {table: self._table(table, select, known) for table, select in self._selects.items()}
        else:
            self._database.open()
            looks = {table: self._table(table, select, known) for table, select in self._selects.items()}
        for table, (look, is_whole) in looks.items():
            tables[table] = look
            is_last = is_last and is_whole
            for row in look.rows.values():
                try:
                    at = instant(row.get(TIMES[table]))
                except Unreadable:
                    continue  # the reading says so
                newest = max(newest or at, at)
        return Look(now_us, tables, newest, is_last)

    def _table(self, table: str, select: Select, known: Known) -> tuple[TableLook, bool]:
        held = known.rows(table)
        low = self._high.pop(table, None) or _low(select, held)
        where, values = ("", []) if low is None else (f" WHERE {select.cursor} > %s", [low])
        statement = select.statement.replace("%", "%%") if values else select.statement
        query = f"SELECT * FROM ({statement}) AS esep_rows{where} ORDER BY {select.cursor} LIMIT {ROWS_A_LOOK}"  # noqa: S608 - the operator's own statement, read-only
        rows = self._rows(table, select, query, values)
        is_whole = len(rows) < ROWS_A_LOOK
        if not is_whole:
            self._high[table] = next(reversed(rows.values()))[select.cursor] or ""
        return TableLook(rows, _covers(select, low, is_whole)), is_whole

    def _rows(self, table: str, select: Select, query: str, values: list[str]) -> dict[str, dict[str, str | None]]:
        if isinstance(self._database, PostgresConnection):
            cursor = self._database.open().execute(query, values or None)
            result, names = cursor.pgresult, [column.name for column in cursor.description or ()]
            found = [
                [None if (cell := result.get_value(row, place)) is None else cell.decode() for place in range(len(names))]
                for row in range(result.ntuples if result else 0)
                if result is not None
            ]  # fmt: skip
        else:
            names, found = self._database.named(query, values)
        missing = [name for name in (IDS[table], select.cursor) if name not in names]
        if missing:
            raise SettingsError(
                [f"{table}: the statement gives no column {name!r}; it gives {', '.join(names)}" for name in missing],
                source=f"source {self._database.address.name}",
            )
        rows: dict[str, dict[str, str | None]] = {}
        for cells in found:
            row = dict(zip(names, cells, strict=True))
            row_id = row.pop(IDS[table])
            if not row_id or row_id in rows:
                raise SourceError(
                    f"source {self._database.address.name}: {table}: {IDS[table]} {row_id!r} is empty, or stands twice: it must name one row",
                    is_retryable=True,
                )
            rows[row_id] = row
        return rows

    def close(self) -> None:
        """Close the connection."""
        self._high.clear()
        self._database.close()


def _low(select: Select, held: Mapping[str, Content]) -> str | None:
    """The cursor above which rows are read: the greatest known one, less the look-back."""
    greatest = max((_place(select, row.get(select.cursor)) for row in held.values()), default=None)
    if greatest is None:
        return None
    if not select.is_time:
        return str(greatest - select.lookback)
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=greatest, seconds=-select.lookback)).strftime("%Y-%m-%d %H:%M:%S.%f")


def _place(select: Select, text: str | None) -> int:
    try:
        return instant(text) if select.is_time else int(text or "")
    except ValueError as error:
        raise SettingsError(
            [f"the cursor column {select.cursor} holds {text!r}, which is no {'instant' if select.is_time else 'whole number'}"],
            source="a source's SELECT",
        ) from error


def _covers(select: Select, low: str | None, is_whole: bool) -> Callable[[str, Content], bool]:
    """The rows that a look would have found. In the last of several looks only those are judged that lie within it."""
    if not is_whole:
        return lambda row_id, row: False
    return lambda row_id, row: low is None or _place(select, row.get(select.cursor)) > _place(select, low)
