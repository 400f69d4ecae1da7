"""Reads one month's rows: from a frozen month's own `month.duckdb`, or from a store that has the month's enriched tables.

Enters: a month and what gives connections. Leaves: rows as dictionaries, amounts as whole numbers, and the whole form as frames. Each read has a connection
of its own, so that threads can read side by side. Left out: which store it is, what the numbers mean (`app`), and pages of the form (`form_index`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import polars as pl

from pipeline.enrich.frames import REPORT
from pipeline.model.months import Month

from .errors import translate_errors
from .store import STORE_VERSION, text
from .threads import threads_for

ROWS_A_SLICE = 100_000


class MonthRows:
    """One month's rows. Thread-safe."""

    def __init__(self, month: Month, connect: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]) -> None:
        """`connect` gives each read a connection of its own, which shows one moment."""
        self.month = month
        self._connect = connect

    def rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        """The rows of a statement of month_rows.sql, by column; amounts are whole numbers. Raises StoreError."""
        statement = statements()[name]
        return self._rows(statement, values | ({"month": str(self.month)} if "$month" in statement else {}))

    @contextmanager
    def held(self) -> Iterator[MonthRows]:
        """The same rows through one connection for many reads, of the caller's thread alone: all of them show one moment, and none opens another."""
        with self._connect() as connection:
            yield MonthRows(self.month, lambda: nullcontext(connection))

    def form_slices(self) -> Iterator[pl.DataFrame]:
        """The form's rows in their own order, as frames of the shape REPORT: what a `FormIndex` is made of. Raises StoreError."""
        with self._connect() as connection:
            reader = connection.execute(statements()["form.all"], {"month": str(self.month)}).to_arrow_reader(ROWS_A_SLICE)
            for batch in reader:
                yield pl.DataFrame(batch).select(pl.col(name).cast(kind) for name, kind in REPORT.items())

    def _rows(self, statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        with self._connect() as connection:
            found = connection.execute(statement, dict(values))
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, map(_whole, row), strict=True)) for row in found.fetchall()]


class MonthFile(MonthRows):
    """A month's own file, opened read-only and shared by threads. `close` it."""

    def __init__(self, path: Path, month: Month) -> None:
        """Open it. Raises StoreError for a file that is damaged or missing, ValueError for one of another version of the tables."""
        super().__init__(month, self._cursor)
        self.path = path
        with translate_errors(path):
            self._connection = duckdb.connect(str(path), read_only=True, config=threads_for(path) | {"enable_external_access": "false"})
            self._connection.execute("SET TimeZone = 'UTC'")
            found = self._connection.execute("SELECT version FROM store_version").fetchall()
        if found != [(STORE_VERSION,)]:
            self._connection.close()
            raise ValueError(f"{path} has the tables of version {found}")

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with translate_errors(self.path), self._connection.cursor() as cursor:
            yield cursor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close it for all threads."""
        self._connection.close()


def _whole(value: Any) -> Any:
    """DuckDB's DECIMAL(38,0) as the whole number that it is (law 7)."""
    return int(value) if isinstance(value, Decimal) else value


@functools.cache
def statements() -> dict[str, str]:
    """The statements of month_rows.sql by name."""
    found = re.findall(r"^-- ([a-z_.]+): .*?\n(.*?);\s*$", text("month_rows.sql"), re.MULTILINE | re.DOTALL)
    return {name: statement.strip() for name, statement in found}
