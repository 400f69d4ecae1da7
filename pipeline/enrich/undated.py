"""Changes of accounts and wallets whose day is not certain, where something of the days in doubt depends on them (rules 4.2, 4.4, 7.3, ADR 22).

Enters: what waits at the sources of the ledger, the month's frames. Leaves: issues. A change that nothing depends on is none: it stands in `core_source_item` alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import polars as pl

from pipeline.model.issues import IssueCode
from pipeline.model.months import Month

from .frames import Facts
from .issue_rows import NO_ISSUES, make_issues

_ITEM = re.compile(r"undated:(accounts|wallets):(\d{4}-\d\d-\d\d):(\d{4}-\d\d-\d\d):(.*)@[^@]*")


class Doubt(NamedTuple):
    """A change that happened on `first`, or later, and at the latest on `last`: days before `last` are in doubt. `subjects`: the account, or the addresses, before and after."""

    table: str
    first: date
    last: date
    subjects: tuple[str, ...]


def doubt_of(item: str) -> Doubt | None:
    """What an item of a source is about, by its name; None where it is no change without a day."""
    found = _ITEM.fullmatch(item)
    if found is None:
        return None
    return Doubt(found[1], date.fromisoformat(found[2]), date.fromisoformat(found[3]), tuple(found[4].split(",")))


def undated_changes(
    facts: Facts, month: Month, allocations: pl.DataFrame, held: pl.DataFrame, payments: pl.DataFrame, moved: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """Changes in doubt that the month depends on: an allocation or a payment of the account on such a day; a payment or a transfer to the address, or an
    allocation of a miner who holds it (its wallet may be printed, rule 7.3).

    `allocations` with `held` beside it (place, allocation_date, miner_id), `payments` with paid_date; `moved`: outputs and transfers, with address and date. Rule 9.2: by the days that are used.
    """
    waiting = facts.source_items.filter(pl.col("code") == IssueCode.REGISTRY_UNDATED.value)
    if waiting.is_empty():
        return NO_ISSUES
    transfers = pl.concat([frame.select("address", "date") for frame in moved])
    used = []
    for row in waiting.iter_rows(named=True):
        doubt = doubt_of(row["item"])
        days = None if doubt is None else _days_used(doubt, month, facts.wallets, allocations, held, payments, transfers)
        # An item that can't be read is told, not passed over.
        if days is None or days:
            used.append(row | {"used": "" if days is None else ", ".join(str(day) for day in days[:5])})
    found = pl.DataFrame(used, schema={**waiting.schema, "used": pl.String})
    return make_issues(
        IssueCode.REGISTRY_UNDATED,
        found,
        ref=pl.concat_str("source", "item", separator=":"),
        detail=pl.format("{}; used on {}", pl.col("detail"), pl.col("used")),
        facts=[pl.col("detail"), pl.col("used")],
    )


def _days_used(
    doubt: Doubt,
    month: Month,
    wallets: pl.DataFrame,
    allocations: pl.DataFrame,
    held: pl.DataFrame,
    payments: pl.DataFrame,
    transfers: pl.DataFrame,
) -> list[date]:
    """The days in doubt, within the month, of which something depends on the change."""
    first, last = max(doubt.first, month.first), min(doubt.last, month.next.first)
    if first >= last:
        return []

    def in_doubt(column: str) -> pl.Expr:
        return (pl.col(column) >= first) & (pl.col(column) < last)

    near = held.filter(in_doubt("allocation_date"))
    if doubt.table == "accounts":
        rows = allocations[near["place"]] if near.height else allocations.clear()
        mine = near.filter(rows["account"].is_in(doubt.subjects))["allocation_date"]
        paid = payments.filter(in_doubt("paid_date") & pl.col("account").is_in(doubt.subjects))["paid_date"]
        return sorted({*mine.to_list(), *paid.to_list()})
    holders = wallets.filter(pl.col("address").is_in(doubt.subjects))["miner_id"].unique()
    mine = near.filter(pl.col("miner_id").is_in(holders.implode()))["allocation_date"]
    paid = payments.filter(in_doubt("paid_date") & pl.col("address").is_in(doubt.subjects))["paid_date"]
    moved = transfers.filter(in_doubt("date") & pl.col("address").is_in(doubt.subjects))["date"]
    return sorted({*mine.to_list(), *paid.to_list(), *moved.to_list()})
