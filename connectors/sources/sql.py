"""Any SQL database (ADR 22): the pool's own SELECTs for allocations and payments, in the ledger's columns, from a cursor column on.

The statement is read as a table: what is above the cursor, less the look-back, is read again. Everything is read in one read-only transaction, every value as the server's text.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pymysql

from pipeline.capture.kinds.values import instant, moment
from pipeline.capture.outputs import Unreadable
from pipeline.capture.source import NOTHING, Known, Look, TableLook
from pipeline.model.errors import SettingsError, SourceError
from pipeline.model.message import message

from .mysql import IDS_A_QUERY, MysqlConnection
from .postgres import PostgresConnection
from .sql_text import unreachable

ROWS_A_LOOK = 50_000
COUNTED_S = 3600
ROW_ID = "row_id"
IDS = {"allocations": "allocation_id", "payments": "payment_id"}
NEEDED = {"allocations": ("account", "asset", "allocated_at", "amount"), "payments": ("account", "asset", "address", "amount", "paid_at")}
"""What a statement must give, also after a column of the database was renamed: a row without its amount would be none."""
AMOUNTS = ("amount", "commission_amount", "commission_currency_amount")
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


@dataclass(frozen=True)
class _Run:
    """How far a table was read that is read in several looks."""

    above: int
    """The place above which the run reads."""
    low: str | None
    """The cursor above which its next look reads; None: from the beginning."""
    found: frozenset[str] = frozenset()
    """The ids of the rows that its looks have found."""


class SqlSource:
    """Reads allocations and payments by the pool's own statements."""

    def __init__(
        self,
        database: PostgresConnection | MysqlConnection,
        selects: Mapping[str, Select],
        registry: Mapping[str, str] | None = None,
        *,
        forgets: bool = False,
    ) -> None:
        """`selects`: by table, `allocations` and `payments`. `registry`: statements of the registry's tables, which are read whole. `forgets`: whether old rows leave the statements."""
        self._database, self._selects, self._registry = database, selects, registry or {}
        self._forgets = forgets
        self._now_us = 0
        self._runs: dict[str, _Run] = {}
        """Of each table that is being read in several looks."""
        self._counted: dict[str, int] = {}
        self._missed: set[str] = set()
        """The tables that are to be read from their beginning."""
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
        self._now_us = now_us
        tables, newest, is_last = {}, None, True
        if isinstance(self._database, PostgresConnection):
            with self._database.open().transaction():
                looks = self._looks(known)
        else:
            self._database.open()
            looks = self._looks(known)
            self._database.end()
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
            looks[table] = TableLook(self._rows(table, (ROW_ID,), _query(statement), [])), True
        return looks

    def _table(self, table: str, select: Select, known: Known) -> tuple[TableLook, bool]:
        places = self._catch_up(table, select, known)
        run = self._runs.pop(table, None) or self._begin(table, select, places)
        rows, high = self._piece(table, select, run.low)
        if high is not None:
            self._runs[table] = _Run(run.above, high, run.found.union(rows))
            return TableLook(rows, NOTHING), False
        # Rows without a cursor are read at each look, and once more by their ids when they have got one, wherever that lies.
        unplaced = self._unplaced.get(table, set())
        rows |= self._by_id(table, select, sorted(unplaced.difference(rows, run.found)))
        judged = [row_id for row_id, place in places.items() if place > run.above and row_id not in run.found]
        covers = judged + [row_id for row_id in unplaced if row_id not in run.found]
        is_whole = self._has_all(
            table, select, run, {*places, *unplaced, *rows}.difference(row_id for row_id in covers if row_id not in rows)
        )
        return TableLook(rows, covers), is_whole

    def _begin(self, table: str, select: Select, places: Mapping[str, int]) -> _Run:
        """Where the next looks begin: at the greatest cursor less the look-back, or at the beginning where rows are missing below it."""
        low = None if table in self._missed else _low(select, places)
        self._missed.discard(table)
        return _Run(-sys.maxsize if low is None else _place(select, low) or 0, low)

    def _has_all(self, table: str, select: Select, run: _Run, known: Collection[str]) -> bool:
        """Whether the table has as many rows as are known, asked at the first look and then once in `COUNTED_S`: what was deleted, or written below the look-back, shows in nothing else."""
        if self._forgets or run.above == -sys.maxsize or self._now_us - self._counted.get(table, -sys.maxsize) < COUNTED_S * 1_000_000:
            return True
        self._counted[table] = self._now_us
        query = f"SELECT count(*) AS {IDS[table]} FROM ({select.statement.replace('%', '%%')}) AS esep_rows"  # noqa: S608 - the operator's own statement, read-only
        (count,) = self._rows(table, (IDS[table],), query, [])
        if int(count) == len(known):
            return True
        self._missed.add(table)
        return False

    def _piece(self, table: str, select: Select, low: str | None) -> tuple[dict[str, dict[str, str | None]], str | None]:
        """Rows above a cursor, and the cursor above which there are more; None where these are all.

        A piece ends with all rows of its last cursor: what one transaction wrote has one time, however much it is, and the next piece begins above it.
        """
        needed, cursor = (IDS[table], select.cursor, *NEEDED[table]), select.cursor
        above, values = ("TRUE", []) if low is None else (f"{cursor} > %s OR {cursor} IS NULL", [low])
        query = f"{_query(select.statement, above)} ORDER BY {cursor} IS NULL, {cursor} LIMIT {ROWS_A_LOOK}"
        rows = self._rows(table, needed, query, values)
        if len(rows) < ROWS_A_LOOK:
            return rows, None
        high = rows[next(reversed(rows))][cursor]
        if high is None:
            return rows | self._rows(table, needed, _query(select.statement, f"{cursor} IS NULL"), []), None
        return rows | self._rows(table, needed, _query(select.statement, f"{cursor} = %s"), [high]), high

    def _by_id(self, table: str, select: Select, ids: Sequence[str]) -> dict[str, dict[str, str | None]]:
        found: dict[str, dict[str, str | None]] = {}
        for first in range(0, len(ids), IDS_A_QUERY):
            some = ids[first : first + IDS_A_QUERY]
            where = f"{IDS[table]} IN ({', '.join(['%s'] * len(some))})"
            found |= self._rows(table, (IDS[table], select.cursor), _query(select.statement, where), some)
        return found

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

    def _rows(self, table: str, needed: tuple[str, ...], query: str, values: Sequence[str]) -> dict[str, dict[str, str | None]]:
        if isinstance(self._database, PostgresConnection):
            cursor = self._database.open().execute(query, values)
            result, names = cursor.pgresult, [column.name for column in cursor.description or ()]
            found = [
                [None if (cell := result.get_value(row, place)) is None else cell.decode() for place in range(len(names))]
                for row in range(result.ntuples if result else 0)
                if result is not None
            ]  # fmt: skip
        else:
            names, found = self._database.named(query, values, amounts=AMOUNTS)
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
        self._runs.clear()
        self._database.close()


def _query(statement: str, where: str = "TRUE") -> str:
    """The statement's rows of which `where` holds, values of which are `%s`."""
    return f"SELECT * FROM ({statement.replace('%', '%%')}) AS esep_rows WHERE {where}"  # noqa: S608 - the operator's own statement, read-only


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
