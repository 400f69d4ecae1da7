"""The month's tables as they are printed: amounts with all decimals (rule 2.2), whole units where a column says `_sat`.

Enters: `Enriched`. Leaves: frames of strings, days and whole numbers whose canonical CSV is the bundle's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

import polars as pl

from pipeline.enrich.enriched import Enriched
from pipeline.enrich.frames import ISSUES
from pipeline.enrich.payers import PAYERS_SINCE
from pipeline.model.rules import Rules
from pipeline.render.canonical import ROWS_AT_ONCE
from pipeline.render.form import COLUMNS

AMOUNTS = {"amount": "asset", "transfer_amount": "asset", "commission_asset_amount": "commission_asset"}
"""The report's amounts, each with the column that names its asset."""
_DIGITS = 38


def printed_amount(amount: str, asset: str, rules: Rules) -> pl.Expr:
    """Whole units as text with all the decimals of the row's asset, a dot, no grouping; null stays null (rule 2.2)."""
    text = pl.lit(None, pl.String)
    for decimals in sorted({a.decimals for a in rules.assets.values()}):
        names = sorted(a.name for a in rules.assets.values() if a.decimals == decimals)
        text = pl.when(pl.col(asset).is_in(names)).then(_with_decimals(pl.col(amount), decimals)).otherwise(text)
    return text.alias(amount)


def _with_decimals(units: pl.Expr, decimals: int) -> pl.Expr:
    """Of at most 38 digits, as the log holds; more raise polars' error."""
    if decimals == 0:
        return units.cast(pl.String)
    unit = pl.lit(Decimal(1).scaleb(-decimals), pl.Decimal(_DIGITS, decimals))
    return (units.cast(pl.Decimal(_DIGITS, 0)) * unit).cast(pl.String)


def printed_report(enriched: Enriched, rules: Rules) -> pl.DataFrame:
    """The form's fifteen columns, all strings, null where empty: the canonical report (rule 8.2)."""
    return pl.concat(printed_parts(enriched, rules))


def printed_parts(enriched: Enriched, rules: Rules) -> Iterator[pl.DataFrame]:
    """The same in parts, at least one: a month of millions of rows is never whole in memory as text."""
    amounts = [printed_amount(amount, asset, rules) for amount, asset in AMOUNTS.items()]
    for part in enriched.reported.slices(ROWS_AT_ONCE, COLUMNS):
        days = [_printed_days(part[name]) for name, dtype in part.schema.items() if dtype == pl.Date]
        yield part.with_columns(*amounts, *days).select(pl.col(COLUMNS).cast(pl.String))


def _printed_days(days: pl.Series) -> pl.Series:
    """Days as text, `2026-10-31`: where they are close together, each of the days between the first and the last is written once."""
    numbers = days.to_physical()
    first, last = numbers.min(), numbers.max()
    if not (isinstance(first, int) and isinstance(last, int)) or last - first > len(days):
        return days.cast(pl.String)
    return pl.int_range(first, last + 1, dtype=pl.Int32, eager=True).cast(pl.Date).cast(pl.String).gather(numbers - first).alias(days.name)


def printed_outflows(enriched: Enriched) -> pl.DataFrame:
    """Everything that left the pool in the month, by output; with the asset where the pool's wallets hold several."""
    return enriched.outflows.select(
        "txid", "vout", "address", *_asset(enriched), pl.col("amount").cast(pl.String).alias("amount_sat"), "class", "block_height", "date"
    )


def printed_transfers(enriched: Enriched) -> pl.DataFrame:
    """Every transfer as frozen, with what it credits (rules 5.1 to 5.5) and who paid; with the asset as in `printed_outflows`."""
    amounts = [pl.col(amount).cast(pl.String).alias(f"{amount}_sat") for amount in ("amount", "credited")]
    return enriched.transfers.select("txid", "address", *_asset(enriched), "miner_id", *amounts, "explanation", "date", *_payer(enriched))


def printed_balances(enriched: Enriched) -> pl.DataFrame:
    """The balance proof by wallet (rule 3.4). Where wallets hold several assets, the asset follows the wallet's name."""
    amounts = ["opening", "in", "out", "fee", "closing", "unspent"]
    wallet = pl.concat_str("wallet", *_asset(enriched), separator="/").alias("wallet")
    return enriched.balances.select(wallet, *[pl.col(amount).cast(pl.String).alias(f"{amount}_sat") for amount in amounts])


def _asset(enriched: Enriched) -> list[str]:
    """The column `asset`, if the month has several assets; otherwise none."""
    return ["asset"] if enriched.balances["asset"].n_unique() > 1 else []


def printed_links(enriched: Enriched) -> pl.DataFrame:
    """The allocation and the transaction of each row of the report, and who paid (rule 10.9)."""
    return pl.concat(links_parts(enriched))


def links_parts(enriched: Enriched) -> Iterator[pl.DataFrame]:
    """The same in parts, at least one."""
    for part in enriched.reported.slices():
        yield part.select("n", "allocation_id", "txid", "is_carried", *_payer(enriched))


def _payer(enriched: Enriched) -> list[str]:
    """The column that tells who paid, empty for the pool itself; editions 1 and 2 have none (rule 10.9)."""
    return ["payer"] if enriched.reported.rules.edition >= PAYERS_SINCE else []


TABLES: dict[str, Callable[[Enriched], Iterable[pl.DataFrame]]] = {
    "outflows.csv": lambda enriched: [printed_outflows(enriched)],
    "transfers.csv": lambda enriched: [printed_transfers(enriched)],
    "balances.csv": lambda enriched: [printed_balances(enriched)],
    "issues.csv": lambda enriched: [enriched.issues.select(list(ISSUES))],
    "rows.csv": links_parts,
}
"""The bundle's tables beside the report, and what prints each, in parts, at least one."""
