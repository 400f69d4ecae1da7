"""Any SQL database (ADR 22): the pool's own SELECTs for allocations and payments, in the ledger's columns, from a cursor column on.

The statement is read as a table: what is above the cursor, less the look-back, is read again. Everything is read in one read-only transaction, every value as the server's text.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pymysql

from pipeline.capture.kinds.values import instant, moment
from pipeline.capture.outputs import Unreadable
from pipeline.capture.source import NOTHING, Known, Look, TableLook
from pipeline.model.errors import SettingsError, SourceError
from pipeline.model.message import message

from .mysql import MysqlConnection
from .postgres import PostgresConnection
from .sql_text import unreachable

ROWS_A_LOOK = 50_000
ROW_ID = "row_id"
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

    def __init__(
        self, database: PostgresConnection | MysqlConnection, selects: Mapping[str, Select], registry: Mapping[str, str] | None = None
    ) -> None:
        """`selects`: by table, `allocations` and `payments`. `registry`: statements of the registry's tables, which are read whole."""
        self._database, self._selects, self._registry = database, selects, registry or {}
        self._high: dict[str, str] = {}
        self._known: Known | None = None
        self._marks: dict[str, int] = {}
        self._places: dict[str, dict[str, int]] = {}
        """The cursor of each row that the log has, by table and id."""
        self._unplaced: dict[str, set[str]] = {}
        """The ids of the rows that the log has without a cursor."""

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
                looks = self._looks(known)
        else:
            self._database.open()
            looks = self._looks(known)
        for table, (look, is_whole) in looks.items():
            tables[table] = look
            is_last = is_last and is_whole
            for row in look.rows.values() if table in TIMES else ():
                try:
                    at = instant(row.get(TIMES[table]))
                except Unreadable:
                    continue  # the reading says so
                newest = max(newest or at, at)
        return Look(now_us, tables, newest, is_last)

    def _looks(self, known: Known) -> dict[str, tuple[TableLook, bool]]:
        looks = {table: self._table(table, select, known) for table, select in self._selects.items()}
        for table, statement in self._registry.items():
            query = f"SELECT * FROM ({statement}) AS esep_rows"  # noqa: S608 - the operator's own statement, read-only
            looks[table] = TableLook(self._rows(table, (ROW_ID,), query, [])), True
        return looks

    def _table(self, table: str, select: Select, known: Known) -> tuple[TableLook, bool]:
        places = self._catch_up(table, select, known)
        low = self._high.pop(table, None) or _low(select, places)
        # Rows without a cursor are read at each look, and once more by their ids when they have got one, wherever that lies.
        unplaced = sorted(self._unplaced.get(table, ()))
        by_id = f" OR {IDS[table]} IN ({', '.join(['%s'] * len(unplaced))})" if unplaced else ""
        where, values = ("", []) if low is None else (f" WHERE {select.cursor} > %s OR {select.cursor} IS NULL{by_id}", [low, *unplaced])
        statement = select.statement.replace("%", "%%") if values else select.statement
        query = f"SELECT * FROM ({statement}) AS esep_rows{where} ORDER BY {select.cursor} IS NULL, {select.cursor} LIMIT {ROWS_A_LOOK}"  # noqa: S608 - the operator's own statement, read-only
        rows = self._rows(table, (IDS[table], select.cursor), query, values)
        is_whole = len(rows) < ROWS_A_LOOK
        if not is_whole:
            self._high[table] = next((at for row in reversed(rows.values()) if (at := row[select.cursor])), low or "0")
        # In the last of several looks only those rows are judged that lie within it.
        above = (-sys.maxsize if low is None else _place(select, low)) or 0
        covers = [row_id for row_id, place in places.items() if place > above] + unplaced if is_whole else NOTHING
        return TableLook(rows, covers), is_whole

    def _catch_up(self, table: str, select: Select, known: Known) -> dict[str, int]:
        """The cursor of each row that the log has and that has not vanished."""
        if known is not self._known:
            self._known, self._marks, self._places, self._unplaced = known, {}, {}, {}
        places, mark = self._places.setdefault(table, {}), self._marks.get(table, 0)
        unplaced = self._unplaced.setdefault(table, set())
        changed = known.since(table, mark)
        self._marks[table] = mark + len(changed)
        for row_id, row in changed:
            if row is None:
                places.pop(row_id, None)
                unplaced.discard(row_id)
            else:
                found = _place(select, row.get(select.cursor))
                if found is None:
                    places.pop(row_id, None)
                    unplaced.add(row_id)
                else:
                    places[row_id] = found
                    unplaced.discard(row_id)
        return places

    def _rows(self, table: str, needed: tuple[str, ...], query: str, values: list[str]) -> dict[str, dict[str, str | None]]:
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
        missing = [name for name in needed if name not in names]
        if missing:
            raise SettingsError(
                [
                    message(
                        "{table}: the statement gives no column {name}; it gives {names}",
                        table=table,
                        name=repr(name),
                        names=", ".join(names),
                    )
                    for name in missing
                ],
                source=message("source {name}", name=self._database.address.name),
            )
        rows: dict[str, dict[str, str | None]] = {}
        for cells in found:
            row = dict(zip(names, cells, strict=True))
            row_id = row.pop(needed[0])
            if not row_id or row_id in rows:
                raise SourceError(
                    message(
                        "source {name}: {table}: {ids} {row_id} is empty, or stands twice: it must name one row",
                        name=self._database.address.name,
                        table=table,
                        ids=needed[0],
                        row_id=repr(row_id),
                    ),
                    is_retryable=True,
                )
            rows[row_id] = row
        return rows

    def close(self) -> None:
        """Close the connection."""
        self._high.clear()
        self._database.close()


def _low(select: Select, places: Mapping[str, int]) -> str | None:
    """The cursor above which rows are read: the greatest known one, less the look-back."""
    greatest = max(places.values(), default=None)
    if greatest is None:
        return None
    if not select.is_time:
        return str(greatest - select.lookback)
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=greatest, seconds=-select.lookback)).strftime("%Y-%m-%d %H:%M:%S.%f")


def _place(select: Select, text: str | None) -> int | None:
    """Where a row stands; None where its cursor is NULL, or MySQL's zero date: the row is told by the reading, and stops nothing."""
    if text is None or (select.is_time and text.startswith("0000-00-00")):
        return None
    try:
        return moment(text) if select.is_time else int(text or "")
    except ValueError as error:
        raise SettingsError(
            [
                message(
                    "the cursor column {cursor} holds {text}, which is no {more}",
                    cursor=select.cursor,
                    text=repr(text),
                    more="instant" if select.is_time else message("whole number"),
                )
            ],
            source=message("a source's SELECT"),
        ) from error
