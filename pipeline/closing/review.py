"""Why a month needs a person's approval before it is filed: it is empty, or its transfers are far from its allocations. Pure.

Enters: the facts and the enriched month. Leaves: reasons as text, none for a usual month. They are neither issues nor conditions of rule 8.1: the
month can close, but is not filed automatically.
"""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import Facts
from pipeline.model.message import message
from pipeline.model.months import Month

CLOCK_S = 7200
"""How far a block's time may be ahead of the network's (Bitcoin's own limit), so how far into the month an unread earlier block may be dated."""


def review_reasons(facts: Facts, enriched: Enriched, month: Month, most_apart_percent: int) -> list[str]:
    """Why the month is not filed automatically. `most_apart_percent`: by how much of the month's allocations its transfers may differ from them."""
    if enriched.report.is_empty():
        return [message("the month is empty, and {why}", why=why) for why in coverage_faults(facts, month)]
    return apart(enriched, month, most_apart_percent)


def coverage_faults(facts: Facts, month: Month) -> list[str]:
    """Why an empty month may only look empty: a chain or the ledger does not cover all of it.

    A chain covers the month's beginning if the first block read is before its first instant, by the block's own time (less `CLOCK_S`) and by its
    median time. The ledger does if its first row or opening is before that instant: an empty ledger can't be told from one that was never
    connected. That chain and ledger reach the month's end is checked by rule 8.1.
    """
    begins_at = month.previous.end_at
    faults: list[str] = []
    if facts.blocks.is_empty():
        faults.append(message("no block was read"))
    firsts = facts.blocks.sort("chain", "height").group_by("chain", maintain_order=True).first()
    for block in firsts.iter_rows(named=True):
        if block["time"] + CLOCK_S > begins_at or block["mediantime"] >= begins_at:
            faults.append(
                message(
                    "the first block read of {chain} ({height}) is not before the month: the chain was not watched for all of it",
                    chain=block["chain"],
                    height=block["height"],
                )
            )
    instants = [facts.allocations["allocated_at"].min(), facts.payments["paid_at"].min(), facts.openings["owed_at"].min()]
    known = [int(instant) for instant in instants if isinstance(instant, int)]
    if not known:
        faults.append(message("the ledger has no row and no opening"))
    elif min(known) >= begins_at * 1_000_000:
        faults.append(message("the ledger's first row is not before the month: the ledger does not cover all of it"))
    return faults


def apart(enriched: Enriched, month: Month, most_apart_percent: int) -> list[str]:
    """The assets whose transfers dated in the month differ from its allocations by more than `most_apart_percent` of the allocations."""
    is_within = pl.col("date").is_between(pl.lit(month.first), pl.lit(month.last))
    moved = enriched.transfers.filter(is_within).group_by("asset").agg(pl.col("credited").sum().alias("moved"))
    allocated = enriched.debts.group_by("asset").agg(pl.col("allocated").sum())
    both = (
        allocated.join(moved, on="asset", how="full", coalesce=True).with_columns(pl.col("allocated", "moved").fill_null(0)).sort("asset")
    )
    return [
        message(
            "{asset}: transfers of the month are {share} of its allocations, more than {most_apart_percent} % apart (closing.most_apart_percent)",
            asset=asset,
            share=_share(moved, allocated),
            most_apart_percent=most_apart_percent,
        )
        for asset, allocated, moved in both.select("asset", "allocated", "moved").iter_rows()
        if abs(moved - allocated) * 100 > most_apart_percent * allocated
    ]


def _share(moved: int, allocated: int) -> str:
    return f"{Decimal(moved) / Decimal(allocated):.1%}" if allocated else message("made without any")
