"""One miner of a month: registry rows with their dates, debts by month, and the statement.

Enters: an `App`, a month's book, the miner's number. Leaves: `MinerView`, `Statement`. Left out: formats of statements (`render`), pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from pipeline.assess.statement import LINKS, MonthTables, rows_on_word, statements_of
from pipeline.model.amounts import from_units
from pipeline.model.months import Month, almaty_date
from pipeline.render.form import COLUMNS
from pipeline.render.statement import Statement
from pipeline.store.form_index import FormQuery

from .app import App
from .books import Book
from .month_figures import Sums, month_figures
from .reading import Reading

MOST_MONTHS = 24
MOST_ROWS = 200_000
"""Rows of one miner's statement of a draft."""


@dataclass(frozen=True)
class Held:
    """An account or an address, with the days on which the miner holds it."""

    chain: str
    """Empty for an account."""
    name: str
    valid_from: date
    valid_to: date | None
    is_now: bool


@dataclass(frozen=True)
class LicenceView:
    """A licence with its dates."""

    number: str
    issue_date: date
    valid_from: date
    valid_to: date | None
    suspended_from: date | None
    suspended_to: date | None


@dataclass(frozen=True)
class MinerView:
    """One miner."""

    miner_id: str
    name: str
    accounts: list[Held]
    wallets: list[Held]
    licences: list[LicenceView]
    months: list[tuple[Month, int | None, list[Sums]]]
    """Each month in which it has a row or a debt, the newest first: the month, its version (None: a draft), its sums by asset."""


def miner_view(app: App, reading: Reading, book: Book, miner_id: str) -> MinerView | None:
    """The miner by the month's own registry; None for a number that neither the registry nor the month has."""
    rows, today = book.rows, almaty_date(app.now())
    names = rows.rows("miner.name", miner_id=miner_id)
    months = []
    for month in _months(app, reading):
        other = book if month == book.month else reading.book(month)
        sums = [one for one in month_figures(other).miners if one.miner_id == miner_id]
        if sums:
            months.append((month, other.version, sums))
    if not names and not months:
        return None
    name = names[0]["name"] if names else months[0][2][0].name
    return MinerView(
        miner_id=miner_id, name=name,
        accounts=[_held(row, "", row["account"], today) for row in rows.rows("miner.accounts", miner_id=miner_id)],
        wallets=[_held(row, row["chain"], row["address"], today) for row in rows.rows("miner.wallets", miner_id=miner_id)],
        licences=[
            LicenceView(row["licence_number"], row["issue_date"], row["valid_from"], row["valid_to"], row["suspended_from"], row["suspended_to"])
            for row in rows.rows("story.licences", miner_id=miner_id)
        ],
        months=months,
    )  # fmt: skip


def _months(app: App, reading: Reading) -> list[Month]:
    """The months that can be read at once, the newest first."""
    frozen = {life.month for life in app.diary.lives.values() if life.frozen}
    return sorted(frozen | set(reading.snapshot().books), key=str, reverse=True)[:MOST_MONTHS]


def _held(row: dict[str, Any], chain: str, name: str, today: date) -> Held:
    is_now = row["valid_from"] <= today and (row["valid_to"] is None or today < row["valid_to"])
    return Held(chain, name, row["valid_from"], row["valid_to"], is_now)


def statement_of(app: App, book: Book, miner_id: str) -> tuple[Statement, Any] | None:
    """The miner's statement and, of a version that states a root, its receipt. Of a frozen version from its bundle's own files, else from the draft. None for who has no row and no debt.

    Raises VerifyError for a bundle whose files are not those that were frozen.
    """
    if book.version is not None:
        tables = app.statements.tables(book.month, book.version)
        receipts = app.statements.receipts(tables)
    else:
        tables, receipts = _draft_tables(app, book, miner_id), None
    if miner_id not in tables.miners:
        return None
    (found,) = statements_of(tables, miner_id)
    return found, receipts.of(miner_id) if receipts is not None else None


def _draft_tables(app: App, book: Book, miner_id: str) -> MonthTables:
    """The tables of one miner's rows in a draft, as they print."""
    rows = app.books.form(book).page(FormQuery(miner_id=miner_id), limit=MOST_ROWS, offset=0).rows
    printed = [row | {name: _printed(row[name], row[asset], book) for name, asset in _AMOUNTS.items()} for row in rows]
    texts = [{name: None if row[name] is None else _text(row[name]) for name in {*COLUMNS, *LINKS}} for row in printed]
    frame = pl.DataFrame(texts, schema=dict.fromkeys({*COLUMNS, *LINKS}, pl.String))
    names = {row["miner_id"]: row["miner_name"] for row in rows[:1]}
    payers = pl.Series([row.get("payer") for row in rows], dtype=pl.String)
    return MonthTables(
        book.month, None, "", book.at, app.settings.header(), frame.select(list(COLUMNS)), frame.select(list(LINKS)),
        book.debts.filter(pl.col("miner_id") == miner_id), names, **rows_on_word(frame, payers, app.rules),
    )  # fmt: skip


_AMOUNTS = {"amount": "asset", "transfer_amount": "asset", "commission_asset_amount": "commission_asset"}


def _printed(units: int | None, asset: str | None, book: Book) -> str | None:
    return None if units is None or asset is None else from_units(units, book.decimals[asset])


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
