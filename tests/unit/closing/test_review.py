"""What keeps a month from being filed without a person: transfers far from allocations, and an empty month that may only look empty."""

from __future__ import annotations

from typing import Any, cast

import polars as pl
import pytest

from pipeline.closing.review import CLOCK_S, apart, coverage_faults, review_reasons
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import SHAPES, Facts
from pipeline.model.months import Month

MONTH = Month(2026, 10)
BEGINS_AT = MONTH.previous.end_at
"""The month's first instant, seconds since the Unix epoch."""


class _Month:
    """The three tables of an enriched month that the doubts read."""

    def __init__(self, *, allocated: dict[str, int], moved: list[tuple[str, int, Any]], rows: int = 1) -> None:
        self.report = pl.DataFrame({"n": list(range(rows))})
        self.debts = pl.DataFrame(list(allocated.items()), schema={"asset": pl.String, "allocated": pl.Int128}, orient="row")
        self.transfers = pl.DataFrame(moved, schema={"asset": pl.String, "credited": pl.Int128, "date": pl.Date}, orient="row")


def _enriched(allocated: dict[str, int], moved: list[tuple[str, int, Any]], rows: int = 1) -> Enriched:
    return cast("Enriched", _Month(allocated=allocated, moved=moved, rows=rows))


def _facts(*, first_block: tuple[int, int] | None, allocated_at: int | None = None, owed_at: int | None = None) -> Facts:
    """Facts with a first block of (time, mediantime) in seconds, and the ledger's first instants in microseconds."""
    tables = {name: pl.DataFrame(schema=shape) for name, shape in SHAPES.items()}
    if first_block is not None:
        time, mediantime = first_block
        tables["blocks"] = pl.DataFrame(
            {"chain": ["bitcoin"] * 2, "height": [101, 100], "time": [BEGINS_AT + 9000, time], "mediantime": [BEGINS_AT + 8000, mediantime]}
        )
    if allocated_at is not None:
        tables["allocations"] = pl.DataFrame({"allocated_at": [allocated_at + 5, allocated_at]})
    if owed_at is not None:
        tables["openings"] = pl.DataFrame({"owed_at": [owed_at]})
    return Facts(**tables)


EARLY = (BEGINS_AT - CLOCK_S, BEGINS_AT - 1)


@pytest.mark.parametrize(("moved", "is_apart"), [(900, False), (899, True), (1100, False), (1101, True)])
def test_transfers_may_differ_by_the_share_and_not_by_more(moved: int, is_apart: bool) -> None:
    assert bool(apart(_enriched({"BTC": 1000}, [("BTC", moved, MONTH.first)]), MONTH, 10)) is is_apart


def test_only_transfers_dated_in_the_month_count() -> None:
    moved = [("BTC", 500, MONTH.first), ("BTC", 500, MONTH.last), ("BTC", 9000, MONTH.next.first), ("BTC", 9000, MONTH.previous.last)]
    assert apart(_enriched({"BTC": 1000}, moved), MONTH, 0) == []


def test_each_asset_is_compared_by_itself() -> None:
    found = apart(_enriched({"BTC": 1000, "LTC": 1000}, [("BTC", 2000, MONTH.first), ("DOGE", 5, MONTH.first)]), MONTH, 50)
    assert [text.split(":")[0] for text in found] == ["BTC", "DOGE", "LTC"]
    assert "200.0%" in found[0]
    assert "made without any" in found[1]
    assert "0.0%" in found[2]


@pytest.mark.parametrize(
    ("first_block", "is_covered"),
    [
        (EARLY, True),
        ((BEGINS_AT - CLOCK_S + 1, BEGINS_AT - 1), False),  # its clock may have run ahead: blocks of the month may lie before it
        ((BEGINS_AT - CLOCK_S, BEGINS_AT), False),
        (None, False),
    ],
)
def test_the_first_block_lies_before_the_month(first_block: tuple[int, int] | None, is_covered: bool) -> None:
    faults = coverage_faults(_facts(first_block=first_block, owed_at=0), MONTH)
    assert (faults == []) is is_covered
    assert is_covered or "block" in faults[0]


@pytest.mark.parametrize(("instant", "is_covered"), [(BEGINS_AT * 1_000_000 - 1, True), (BEGINS_AT * 1_000_000, False)])
def test_the_ledger_begins_before_the_month(instant: int, is_covered: bool) -> None:
    for facts in (_facts(first_block=EARLY, allocated_at=instant), _facts(first_block=EARLY, owed_at=instant)):
        assert (coverage_faults(facts, MONTH) == []) is is_covered


def test_a_ledger_that_never_held_a_row_is_a_fault() -> None:
    assert coverage_faults(_facts(first_block=EARLY), MONTH) == ["the ledger has no row and no opening"]


def test_an_empty_month_is_doubted_for_coverage_only_and_others_for_their_sums_only() -> None:
    uncovered = _facts(first_block=None)
    assert len(review_reasons(uncovered, _enriched({}, [], rows=0), MONTH, 0)) == 2
    assert review_reasons(uncovered, _enriched({"BTC": 5}, [("BTC", 5, MONTH.first)]), MONTH, 0) == []
    assert review_reasons(_facts(first_block=EARLY, owed_at=0), _enriched({}, [], rows=0), MONTH, 0) == []
