"""Settles ranges of miners one after another, to bound memory.

Enters: all allocations and credits that the month sees. Leaves: the report's rows, and the issues and sums that depend on settlement. A
miner's rows do not depend on other miners, and the report is sorted by miner first (rule 7.5), so the results of the ranges are simply
concatenated. A single miner is never split over ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from pipeline.model.months import Month
from pipeline.model.rules import Rules

from . import check, check_registry
from .debts import list_debts
from .frames import Facts
from .identify import day_of_micros, licences_on
from .issue_rows import is_in_month
from .line import Open, what_is_open
from .opening import first_instant
from .report import PLACES, list_rows
from .settle import left_after, settle, with_left
from .sorting import sort_by_number_then_text

ALLOCATIONS_AT_ONCE = 500_000
"""About how many allocations a range has."""


@dataclass(frozen=True)
class Settled:
    """The result for one range of miners."""

    rows: pl.DataFrame
    """The month's rows of these miners, as PLACES."""
    issues: list[pl.DataFrame]
    outstanding: pl.DataFrame
    """The unsettled rest, at the month's end, of allocations dated before it: asset, left."""
    debts: pl.DataFrame
    """The pool's debts to these miners, as DEBTS."""
    begins: Open
    """What was open when the month began."""
    ends: Open
    """What is open at its end."""


def settle_ranges(
    facts: Facts,
    allocations: pl.DataFrame,
    held: pl.DataFrame,
    credits: pl.DataFrame,
    transfers: pl.DataFrame,
    month: Month,
    rules: Rules,
    *,
    at_once: int,
) -> Iterator[Settled]:
    """Each range of miners settled (rule 6), in the order of miners; one range at least.

    `allocations` and `held`: as `month.list_allocations` and `month.assign_holders` leave them; `credits`: those seen (rule 7.1), with
    `transfer`, their place in `transfers`.
    """
    ranges = _ranges(held, credits, at_once)
    range_of_allocation = _place(held, ranges)
    range_of_credit = _place(credits, ranges)
    for number in range(max(ranges["range"].n_unique(), 1)):
        own = select_allocations(allocations, held.filter(range_of_allocation == number))
        own = sort_by_number_then_text(own, pl.col("allocated_at"), "allocation_id")
        paid = credits.filter(range_of_credit == number)
        own, paid, begins = _from_line(own, paid, month)
        own = own.with_columns(is_of_month=is_in_month(month, "allocation_date"), licence_date=day_of_micros("allocated_at"))
        own, paid = own.with_row_index("row"), paid.with_row_index("row")
        portions = settle(own, paid)
        begins = begins or _open_before(own, paid, portions, month)
        own, paid = with_left(own, portions, "allocation"), with_left(paid, portions, "credit")
        rows = list_rows(own, paid, transfers, portions, month)
        yield Settled(
            rows.select(list(PLACES)),
            [
                check_registry.accounts_changed_hands(facts.accounts, own, portions, paid, month, rules),
                check_registry.unlicensed_rows(_licences_of(rows, facts.licences)),
                check.allocated_twice(own, month, rules),
                check.credit_issues(paid, portions, own, month, rules),
            ],
            _outstanding(own, month),
            list_debts(own, paid, rows, month),
            begins,
            what_is_open(own, paid),
        )


def _from_line(allocations: pl.DataFrame, credits: pl.DataFrame, month: Month) -> tuple[pl.DataFrame, pl.DataFrame, Open | None]:
    """Both sides without what was settled before the month, their `amount` what was left of it then, and what was open when the month began.

    Nothing is cut, and None, where an opening of the last day before (rule 6.4) stands among the month's own allocations in the order of settlement.
    """
    is_old = pl.col("allocation_date") < month.first
    if not allocations.filter(is_old & (pl.col("allocated_at") >= first_instant(month))).is_empty():
        return allocations, credits, None
    owed, later = allocations.filter(is_old), allocations.filter(~is_old)
    paid, after = credits.filter(pl.col("date") < month.first), credits.filter(pl.col("date") >= month.first)
    owed, paid = left_after(owed, paid), left_after(paid, owed)
    begins = what_is_open(owed, paid)
    owed, paid = (side.filter(pl.col("left") > 0).with_columns(amount="left").drop("left") for side in (owed, paid))
    return pl.concat([owed, later], rechunk=True), pl.concat([paid, after], rechunk=True), begins


def _open_before(allocations: pl.DataFrame, credits: pl.DataFrame, portions: pl.DataFrame, month: Month) -> Open:
    """What was open when the month began: later allocations and credits come after all others in their orders (rule 6.1), and so move no portion of those before."""
    owed, paid = allocations.filter(pl.col("allocation_date") < month.first), credits.filter(pl.col("date") < month.first)
    settled = portions.join(owed.select(allocation="row"), on="allocation", how="semi").join(
        paid.select(credit="row"), on="credit", how="semi"
    )
    return what_is_open(with_left(owed, settled, "allocation"), with_left(paid, settled, "credit"))


def select_allocations(allocations: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """The allocations that some rows of `held` name, with their place, allocation_date and miner_id."""
    return allocations[held["place"]].with_columns(held["place"], held["allocation_date"], held["miner_id"])


def _licences_of(rows: pl.DataFrame, licences: pl.DataFrame) -> pl.DataFrame:
    """The distinct miners and allocation dates of rows, with the licence of the day that counts for it."""
    days = rows.select("miner_id", "allocation_date", "licence_date").unique().cast({"miner_id": pl.String})
    found = days.join(licences_on(licences, days, day="licence_date"), on=["miner_id", "licence_date"])
    return found.sort("miner_id", "allocation_date", "licence_date")


def _ranges(allocations: pl.DataFrame, credits: pl.DataFrame, at_once: int) -> pl.DataFrame:
    """Every miner of either side and the number of its range: miner_id, range (from 0, in the order of miners)."""
    sides = pl.concat([allocations.select("miner_id"), credits.select("miner_id")])
    counts = sides.drop_nulls().group_by("miner_id").len().sort("miner_id")
    # A new range begins where the rows before a miner fill the one before: counted from the first, so it depends on nothing but the rows.
    before = pl.col("len").cum_sum().cast(pl.Int64) - pl.col("len").cast(pl.Int64)
    return counts.select("miner_id", range=(before // at_once).rle_id())


def _place(side: pl.DataFrame, ranges: pl.DataFrame) -> pl.Series:
    """The range of each row; null for rows that are nobody's."""
    return side.select("miner_id").join(ranges, on="miner_id", how="left", maintain_order="left")["range"]


def _outstanding(allocations: pl.DataFrame, month: Month) -> pl.DataFrame:
    is_older = pl.col("allocation_date") < month.first
    return allocations.filter(is_older & (pl.col("left") > 0)).group_by("asset").agg(pl.col("left").sum())
