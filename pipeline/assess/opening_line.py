"""A month's opening line in its bundle: each unsettled allocation and each unused credit at the month's first instant, one by one (rules 6.1, 7.4, ADR 25).

Enters: a line of the enriched month. Leaves: its rows in `evidence/opening_line.csv`, its digest, and the line again of such rows. A digest is that of the line's canonical CSV,
so the closing digest of a month is the SHA-256 of the next month's file, unless facts of earlier days changed after the freeze (rule 8.3). Pure.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.enrich.frames import UNITS
from pipeline.enrich.identify import day_of_micros, is_midnight
from pipeline.enrich.line import OPEN_ALLOCATIONS, OPEN_CREDITS, Line
from pipeline.enrich.settle import ACCOUNT
from pipeline.render.canonical import write_table_csv

OPENING_LINE_CSV = "evidence/opening_line.csv"
SINCE = 3
"""The first edition whose bundles may have the file; which of them have it, the `frozen` event says (`closing_line_digest`)."""
NEWEST_FORMAT = 2
"""Format 1 says which allocations and credits are open; format 2 has all of them that settlement and the report need, so that a bundle's allocations can begin with it (ADR 27)."""
LINE = {
    "miner_id": pl.String,
    "asset": pl.String,
    "place": pl.Int64,
    "kind": pl.String,
    "id": pl.String,
    "txid": pl.String,
    "address": pl.String,
    "payer": pl.String,
    "instant_us": pl.Int64,
    "amount_units": pl.String,
    "left_units": pl.String,
    "account": pl.String,
    "commission_asset": pl.String,
    "commission_units": pl.String,
    "commission_currency": pl.String,
    "commission_currency_amount": pl.String,
    "chain": pl.String,
    "via": pl.String,
    "transfer_units": pl.String,
}
"""`place`: from 1, of the miner and asset, in the order of settlement. `kind`: allocation, opening (rule 6.4) or credit. `id`: the allocation's; of a credit its payment's, empty for none.
`txid`, `address`, `payer`: of a credit's transfer. `instant_us`: since 1970. Amounts in base units: the whole, and what is left of it. From `account` on not in format 1. `account`, `commission_…`: of an allocation, as the ledger has them. `chain`, `via`, `transfer_units`: of a
credit's transfer, where it is, the off-chain payer whose reference stands in `txid`, and its whole sum."""
_OF_FORMAT_1 = list(LINE)[: list(LINE).index("account")]


@dataclass(frozen=True)
class LineDigests:
    """SHA-256 of both lines of a month, hex."""

    opening: str
    closing: str
    format: int = NEWEST_FORMAT


def printed_line(line: Line, format: int = NEWEST_FORMAT) -> pl.DataFrame:
    """LINE: a line as text, by miner, asset and place, in that format."""
    allocations = line.allocations.sort(*ACCOUNT, "allocated_at", "allocation_id", "is_opening").select(
        *ACCOUNT,
        pl.when("is_opening").then(pl.lit("opening")).otherwise(pl.lit("allocation")).alias("kind"),
        pl.col("allocation_id").alias("id"),
        *(pl.lit(None, pl.String).alias(name) for name in ("txid", "address", "payer")),
        pl.col("allocated_at").alias("instant_us"),
        "whole",
        "amount",
        "account",
        "commission_asset",
        pl.col("commission_amount").cast(pl.String).alias("commission_units"),
        "commission_currency",
        "commission_currency_amount",
        *(pl.lit(None, pl.String).alias(name) for name in ("chain", "via", "transfer_units")),
    )
    credits = line.credits.sort(*ACCOUNT, "instant", "txid", "address", "payment_id", "via").select(
        *ACCOUNT,
        pl.lit("credit").alias("kind"),
        pl.col("payment_id").alias("id"),
        "txid",
        "address",
        "payer",
        pl.col("instant").alias("instant_us"),
        "whole",
        "amount",
        pl.lit(None, pl.String).alias("account"),
        *(pl.lit(None, pl.String).alias(name) for name in LINE if name.startswith("commission_")),
        "chain",
        "via",
        pl.col("transfer_amount").cast(pl.String).alias("transfer_units"),
    )
    # Of one miner and asset either side alone is open, so neither comes between the other's places.
    rows = pl.concat([allocations, credits]).sort(ACCOUNT, maintain_order=True)
    assert rows.filter((pl.col("amount") <= 0) | (pl.col("amount") > pl.col("whole"))).is_empty(), "what is open is part of its whole"
    printed = rows.select(
        *ACCOUNT,
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(ACCOUNT).alias("place"),
        *("kind", "id", "txid", "address", "payer", "instant_us"),
        pl.col("whole").cast(UNITS).cast(pl.String).alias("amount_units"),
        pl.col("amount").cast(UNITS).cast(pl.String).alias("left_units"),
        *(name for name in LINE if name not in _OF_FORMAT_1),
    )
    return printed if format > 1 else printed.select(_OF_FORMAT_1)


def line_of(printed: pl.DataFrame) -> Line:
    """The line of rows that `printed_line` made in format 2, all strings, empty fields null. Raises a polars error for values that are none of their columns."""
    rows = printed.select(pl.col(name).cast(dtype) for name, dtype in LINE.items())
    is_credit = pl.col("kind") == "credit"
    amounts = {"amount": "left_units", "whole": "amount_units"}
    units = [pl.col(text).cast(UNITS).alias(name) for name, text in amounts.items()]
    instant, is_opening = pl.col("instant_us"), pl.col("kind") == "opening"
    allocations = rows.filter(~is_credit).select(
        *ACCOUNT, "account", *(name for name in LINE if name.startswith("commission_") and name != "commission_units"),
        *units, pl.col("id").alias("allocation_id"), instant.alias("allocated_at"), pl.col("commission_units").cast(UNITS).alias("commission_amount"),
        is_opening=is_opening, is_of_day_before=is_opening & is_midnight("instant_us"),
    )  # fmt: skip
    credits = rows.filter(is_credit).select(
        *ACCOUNT, *("txid", "address", "payer", "chain"), *units, instant.alias("instant"), day_of_micros("instant_us").alias("date"),
        *(pl.col(name).fill_null("").alias(alias) for name, alias in {"id": "payment_id", "via": "via"}.items()),
        transfer_amount=pl.col("transfer_units").cast(UNITS),
    )  # fmt: skip
    return Line(
        allocations.select(pl.col(name).cast(dtype) for name, dtype in OPEN_ALLOCATIONS.items()),
        credits.select(pl.col(name).cast(dtype) for name, dtype in OPEN_CREDITS.items()),
    )


def digest_of_line(printed: pl.DataFrame) -> str:
    """SHA-256 of a printed line's canonical CSV, hex; its bytes are never in memory at once."""
    with Path(os.devnull).open("wb") as nowhere:
        return write_table_csv(printed, nowhere)
