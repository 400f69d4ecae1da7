"""A few rows are inserted, and a few ids looked for, as values, more of them as frames: what comes of it is the same."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from pipeline.enrich.frames import UNITS
from pipeline.store.facts import _FEW_ROWS, insert
from pipeline.store.ingest import _EVENT, _FEW_IDS, Ingest

from .streams import BIGGEST, Delivery, empty_store, waiver

ODD = ["", "'", '"; DROP TABLE raw_event; --', "?", "$id", "é\u0301", "\U0001f9ff", "a\nb", "NULL", "1e400", "\\"]


@pytest.mark.parametrize("count", [0, 1, _FEW_ROWS, _FEW_ROWS + 1])
def test_rows_come_back_as_they_were(count: int) -> None:
    rows = [
        (ODD[n % len(ODD)], ODD[(n + 1) % len(ODD)], str(n), None if n % 2 else ODD[n % len(ODD)], 2**62 + n, "d") for n in range(count)
    ]
    with empty_store() as store:
        assert insert(store.connection, "raw_event", pl.DataFrame(rows, schema=dict(_EVENT), orient="row")) == count
        assert sorted(store.connection.execute("SELECT * FROM raw_event").fetchall(), key=lambda row: row[4]) == rows


@pytest.mark.parametrize("count", [_FEW_ROWS, _FEW_ROWS + 1])
@pytest.mark.parametrize("dtype", [UNITS, pl.Decimal(38, 0)], ids=str)
def test_amounts_and_days_come_back_to_the_last_unit(count: int, dtype: pl.DataType) -> None:
    amounts = [(BIGGEST, -BIGGEST, 2**64 + 1, -(2**63), 0, None, 1)[n % 7] for n in range(count)]
    days = [None if n % 3 else date(2026, 2, 28) for n in range(count)]
    with empty_store() as store:
        store.connection.execute("CREATE OR REPLACE TEMP TABLE amounts (amount DECIMAL(38, 0), day DATE)")
        frame = pl.DataFrame({"amount": pl.Series(amounts, dtype=dtype), "day": pl.Series(days, dtype=pl.Date)})
        assert insert(store.connection, "amounts", frame) == count
        rows = store.connection.execute("SELECT amount, day FROM amounts").fetchall()
        assert [None if amount is None else int(amount) for amount, _ in rows] == amounts
        assert all(type(amount) in (Decimal, type(None)) for amount, _ in rows) and [day for _, day in rows] == days


@pytest.mark.parametrize("count", [1, _FEW_IDS, _FEW_IDS + 1])
@pytest.mark.parametrize("is_changed", [False, True])
def test_an_id_that_was_read_is_known(count: int, is_changed: bool) -> None:
    with empty_store() as store:
        delivery = Delivery(("months",), count)
        delivery.tell("months", [waiver("2026-10", f"nothing:{n}") for n in range(count)])
        Ingest(delivery, store).catch_up()
        again = [waiver("2026-10", f"nothing:{n}") for n in range(count)]
        if is_changed:
            again = [type(event)(**{name: getattr(event, name) for name in event.__struct_fields__} | {"by": "another"}) for event in again]
        delivery.tell("months", again)
        step = Ingest(delivery, store).catch_up()
        assert (step.events, step.rows, step.bad_events) == (count, 0, count if is_changed else 0)
        assert store.connection.execute("SELECT count(*) FROM raw_event").fetchall() == [(count,)]
