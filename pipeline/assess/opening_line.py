"""A month's opening line in its bundle: each unsettled allocation and each unused credit at the month's first instant, one by one (rules 6.1, 7.4, ADR 25).

Enters: a line of the enriched month. Leaves: its rows in `evidence/opening_line.csv`, and its digest. A digest is that of the line's canonical CSV, so the
closing digest of a month is the SHA-256 of the next month's file, unless facts of earlier days changed after the freeze (rule 8.3). Pure.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.enrich.frames import UNITS
from pipeline.enrich.line import Line
from pipeline.enrich.settle import ACCOUNT
from pipeline.render.canonical import write_table_csv

OPENING_LINE_CSV = "evidence/opening_line.csv"
SINCE = 3
"""The first edition whose bundles may have the file; which of them have it, the `frozen` event says (`closing_line_digest`)."""
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
}
"""`place`: from 1, of the miner and asset, in the order of settlement. `kind`: allocation, opening (rule 6.4) or credit. `id`: the allocation's; of a credit its payment's, empty for none.
`txid`, `address`, `payer`: of a credit's transfer. `instant_us`: since 1970. Amounts in base units: the whole, and what is left of it."""


@dataclass(frozen=True)
class LineDigests:
    """SHA-256 of both lines of a month, hex."""

    opening: str
    closing: str


def printed_line(line: Line) -> pl.DataFrame:
    """LINE: a line as text, by miner, asset and place."""
    allocations = line.allocations.sort(*ACCOUNT, "allocated_at", "allocation_id", "is_opening").select(
        *ACCOUNT,
        pl.when("is_opening").then(pl.lit("opening")).otherwise(pl.lit("allocation")).alias("kind"),
        pl.col("allocation_id").alias("id"),
        *(pl.lit(None, pl.String).alias(name) for name in ("txid", "address", "payer")),
        pl.col("allocated_at").alias("instant_us"),
        "whole",
        "amount",
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
    )
    # Of one miner and asset either side alone is open, so neither comes between the other's places.
    rows = pl.concat([allocations, credits]).sort(ACCOUNT, maintain_order=True)
    assert rows.filter((pl.col("amount") <= 0) | (pl.col("amount") > pl.col("whole"))).is_empty(), "what is open is part of its whole"
    return rows.select(
        *ACCOUNT,
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(ACCOUNT).alias("place"),
        *("kind", "id", "txid", "address", "payer", "instant_us"),
        pl.col("whole").cast(UNITS).cast(pl.String).alias("amount_units"),
        pl.col("amount").cast(UNITS).cast(pl.String).alias("left_units"),
    )


def digest_of_line(printed: pl.DataFrame) -> str:
    """SHA-256 of a printed line's canonical CSV, hex; its bytes are never in memory at once."""
    with Path(os.devnull).open("wb") as nowhere:
        return write_table_csv(printed, nowhere)
