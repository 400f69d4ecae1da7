"""Rows that a further version changes, each with the cause that its facts show."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from pipeline.amend import differences
from pipeline.enrich.frames import REPORT, SHAPES, Facts

ROW = {
    "n": 1, "miner_id": "m1", "miner_name": "M", "licence_number": "L", "licence_issue_date": date(2026, 1, 1), "wallet": "w1",
    "allocation_date": date(2026, 10, 1), "asset": "BTC", "amount": 5, "transfer_amount": 5, "transfer_date": date(2026, 10, 2),
    "commission_asset": None, "commission_asset_amount": None, "commission_currency": None, "commission_currency_amount": None,
    "allocation_id": "a1", "txid": "t1", "is_carried": False,
}  # fmt: skip


def frame(frame_name: str, /, **values: object) -> pl.DataFrame:
    return pl.DataFrame([{column: values.get(column) for column in SHAPES[frame_name]}], schema=SHAPES[frame_name])


FACTS = Facts(**{name: pl.DataFrame(schema=shape) for name, shape in SHAPES.items()})
FACTS = replace(
    FACTS,
    transactions=frame("transactions", chain="bitcoin", txid="t1", block_hash="b1"),
    allocations=frame("allocations", allocation_id="a1", account="acc", amount=5),
    payments=frame("payments", payment_id="p1", txid="t1", amount=5),
    miners=frame("miners", miner_id="m1", name="M"),
    licences=frame("licences", miner_id="m1", licence_number="L"),
    labels=frame("labels", chain="bitcoin", address="w1", outflow_class="vendor"),
)


def report(**changes: object) -> pl.DataFrame:
    return pl.DataFrame([{**ROW, **changes}], schema=REPORT)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"transactions": frame("transactions", chain="bitcoin", txid="t1", block_hash="b2")}, "reorganisation"),
        ({"transactions": FACTS.transactions.clear(), "miners": FACTS.miners.clear()}, "reorganisation"),
        ({"allocations": frame("allocations", allocation_id="a1", account="acc", amount=6)}, "ledger"),
        ({"payments": frame("payments", payment_id="p1", txid="t1", amount=6)}, "ledger"),
        ({"licences": frame("licences", miner_id="m1", licence_number="L2")}, "registry"),
        ({"labels": FACTS.labels.clear()}, "label"),
        ({}, "follows"),
    ],
)
def test_a_changed_row_has_the_cause_that_its_facts_show(changed: dict[str, pl.DataFrame], cause: str) -> None:
    (row,) = differences(FACTS, replace(FACTS, **changed), report(), report(licence_number="L2"))
    assert (row.change, row.cause, row.columns, row.before, row.after) == ("changed", cause, ["licence_number"], ["L"], ["L2"])


def test_rows_come_and_go_and_numbers_alone_are_no_change() -> None:
    assert differences(FACTS, FACTS, report(), report(n=9)) == []
    assert [(r.change, r.allocation_id) for r in differences(FACTS, FACTS, report(), report(allocation_id="a2"))] == [
        ("removed", "a1"),
        ("added", "a2"),
    ]
    (gone,) = differences(FACTS, replace(FACTS, transactions=FACTS.transactions.clear()), report(), report().clear())
    assert (gone.change, gone.cause, gone.txid) == ("removed", "reorganisation", "t1")
