"""The carry-over of debts in a bundle: the table, its totals in the manifest, and the link to the month before.

Enters: each miner's debts (`enrich.debts`), and the closing debts of the month before. Leaves: `debts.csv` and the manifest's section `debts`.
Months are linked by digest: the digest of a month's closing debts, miner by miner, equals that of the next month's opening debts, and so do the digests of the lines,
allocation by allocation (`opening_line`). Where they do not, facts of earlier days changed after that month's freeze (rule 8.3), and the section shows by how much. `verify.debts` checks both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.enrich.debts import ACCOUNT
from pipeline.enrich.frames import DEBTS
from pipeline.log.events.months import Frozen
from pipeline.model.amounts import from_units, to_units
from pipeline.model.rules import Rules
from pipeline.render.canonical import table_csv

from .opening_line import LineDigests
from .printed import printed_amount

DEBTS_CSV = "debts.csv"
AMOUNTS = [name for name in DEBTS if name not in ACCOUNT]


@dataclass(frozen=True)
class PreviousDebts:
    """The closing debts that the month before was frozen with."""

    month: str
    version: int
    closing: dict[str, str]
    """Debts at its end by asset, as printed."""
    closing_digest: str
    closing_line_digest: str | None = None
    """Of its closing line; None of a version that states none."""
    line_format: int = 1
    """Of that line."""


def previous_debts(event: Frozen | None) -> PreviousDebts | None:
    """The closing debts that a `frozen` event states; None where there is no event, or one that states none."""
    if event is None or event.closing_debts is None or event.closing_debts_digest is None:
        return None
    return PreviousDebts(
        event.month, event.version, event.closing_debts, event.closing_debts_digest, event.closing_line_digest, event.line_format
    )


def printed_debts(debts: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """`debts.csv`: the columns of DEBTS, amounts with all the asset's decimals (rule 2.2)."""
    return debts.with_columns([printed_amount(amount, "asset", rules) for amount in AMOUNTS])


def sums_that_differ(debts: pl.DataFrame) -> list[int]:
    """The line numbers (from 1) where opening + allocated − settled is not the closing debt."""
    lines = debts.with_row_index("line", offset=1)
    return lines.filter(pl.col("opening") + pl.col("allocated") - pl.col("settled") != pl.col("closing"))["line"].to_list()


def describe_debts(debts: pl.DataFrame, before: PreviousDebts | None, rules: Rules, lines: LineDigests | None = None) -> dict[str, Any]:
    """The manifest's section: totals by asset, the digests of opening and closing debts, and the comparison with the month before.

    `lines`: the digests of both lines; None for a bundle without its opening line.
    """
    totals = _totals(debts, rules)
    opening_digest = _digest_of_debts(debts, "opening", rules)
    section: dict[str, Any] = {
        "totals": totals,
        "opening_digest": opening_digest,
        "closing_digest": _digest_of_debts(debts, "closing", rules),
        **(
            {"opening_line_digest": lines.opening, "closing_line_digest": lines.closing, **_format(lines.format)}
            if lines is not None
            else {}
        ),
        "previous": None,
        "restated": None,
    }
    if before is not None:
        section["previous"] = {
            "month": before.month,
            "version": before.version,
            "closing": before.closing,
            "closing_digest": before.closing_digest,
            **(
                {"closing_line_digest": before.closing_line_digest, **_format(before.line_format)}
                if lines is not None and before.closing_line_digest is not None
                else {}
            ),
        }
        if opening_digest != before.closing_digest:
            section["restated"] = {
                asset: _difference(totals.get(asset, {}).get("opening"), before.closing.get(asset), rules.assets[asset].decimals)
                for asset in sorted(totals.keys() | before.closing.keys())
            }
    return section


def _format(number: int) -> dict[str, int]:
    """Of a line, as a section states it: not told of format 1."""
    return {"line_format": number} if number > 1 else {}


def closing_debts(section: dict[str, Any]) -> dict[str, str]:
    """The section's closing debts by asset, as the `frozen` event states them."""
    return {asset: amounts["closing"] for asset, amounts in section["totals"].items()}


def _totals(debts: pl.DataFrame, rules: Rules) -> dict[str, dict[str, str]]:
    sums = debts.group_by("asset").agg(pl.col(AMOUNTS).sum()).sort("asset")
    return {
        row["asset"]: {amount: from_units(int(row[amount]), rules.assets[row["asset"]].decimals) for amount in AMOUNTS}
        for row in sums.iter_rows(named=True)
    }


def _digest_of_debts(debts: pl.DataFrame, end: str, rules: Rules) -> str:
    """SHA-256 of the debts at one end, miner by miner, in canonical CSV: the same whether they close a month or open the next."""
    owed = printed_debts(debts.filter(pl.col(end) != 0).sort(ACCOUNT), rules).select(*ACCOUNT, pl.col(end).alias("debt"))
    return hashlib.sha256(table_csv(owed)).hexdigest()


def _difference(opening: str | None, closing: str | None, decimals: int) -> str:
    difference = to_units(opening or "0", decimals) - to_units(closing or "0", decimals)
    return ("+" if difference > 0 else "") + from_units(difference, decimals)
