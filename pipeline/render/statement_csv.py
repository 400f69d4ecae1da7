"""A miner's statement as one CSV table: data, the same in every language.

What enters: a `Statement`. What leaves: canonical CSV (`canonical`), a line for each amount. `record` says what a line is: `opening`, then `row` for
each row, then `allocated`, `settled`, `closing` and `advance` by asset. Amounts are those of the report, as printed, and no others.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from .canonical import table_csv
from .statement import BALANCES, ROWS, Statement

BEFORE: Final = ("opening",)
AFTER: Final = ("allocated", "settled", "closing", "advance")
OF_ROW: Final = tuple(column.name for column in ROWS if column.name not in ("asset", "amount"))
COLUMNS: Final = ("month", "version", "miner_id", "miner_name", "record", "asset", "amount", *OF_ROW)
assert {*BEFORE, *AFTER, "asset"} == {column.name for column in BALANCES}


def statement_csv(statement: Statement) -> bytes:
    """The statement's bytes. `version` is the report's, or `draft`."""
    parts = [
        *(_balances(statement.debts, name) for name in BEFORE),
        statement.rows.with_columns(record=pl.lit("row")),
        *(_balances(statement.debts, name) for name in AFTER),
    ]
    lines = pl.concat(parts, how="diagonal").with_columns(
        month=pl.lit(str(statement.month)),
        version=pl.lit("draft" if statement.version is None else str(statement.version)),
        miner_id=pl.lit(statement.miner_id),
        miner_name=pl.lit(statement.miner_name),
    )
    return table_csv(lines.select(COLUMNS))


def _balances(debts: pl.DataFrame, name: str) -> pl.DataFrame:
    return debts.select(pl.lit(name).alias("record"), "asset", pl.col(name).alias("amount"))
