"""Looks up the registry on a day: holders (rules 4.1, 9.6), licences (4.3), days in Almaty (1.2).

Enters: registry tables and (key, day) pairs. Leaves: the holder, or the licence, of each pair.
"""

from __future__ import annotations

from datetime import time, timedelta

import polars as pl

ALMATY = "Asia/Almaty"
_QUARTER = 900_000_000
"""A quarter of an hour in microseconds: since 1970 no zone's clocks were set within one, nor Almaty's since 1924."""


def day_of_seconds(column: str) -> pl.Expr:
    """The day in Almaty of an instant in Unix seconds (rules 1.2, 1.3)."""
    return pl.from_epoch(pl.col(column), time_unit="s").dt.replace_time_zone("UTC").dt.convert_time_zone(ALMATY).dt.date()


def day_of_micros(column: str) -> pl.Expr:
    """The day in Almaty of an instant in Unix microseconds."""
    return pl.col(column).map_batches(_days_of_micros, return_dtype=pl.Date, is_elementwise=True)


def _days_of_micros(instants: pl.Series) -> pl.Series:
    """Where instants are close together, each quarter of an hour between the first and the last is looked up once."""
    quarters = instants // _QUARTER
    first, last = quarters.min(), quarters.max()
    if not (isinstance(first, int) and isinstance(last, int)) or first < 0 or last - first > len(instants):
        return _looked_up(instants)
    return _looked_up(pl.int_range(first, last + 1, eager=True) * _QUARTER).gather(quarters - first).alias(instants.name)


def _looked_up(instants: pl.Series) -> pl.Series:
    local = pl.from_epoch(instants, time_unit="us").dt.replace_time_zone("UTC").dt.convert_time_zone(ALMATY)
    return local.dt.date()


def allocation_day(day: pl.Expr | None = None) -> pl.Expr:
    """The allocation date of rows with `allocated_at` and `is_of_day_before`: an opening at 00:00 belongs to the day that ended (rule 6.4).

    `day`: that of `allocated_at`, where it was worked out already.
    """
    day = day_of_micros("allocated_at") if day is None else day
    return pl.when(pl.col("is_of_day_before")).then(day - timedelta(days=1)).otherwise(day)


def is_midnight(column: str) -> pl.Expr:
    """Whether an instant in Unix microseconds is 00:00 in Almaty, to the microsecond."""
    local = pl.from_epoch(pl.col(column), time_unit="us").dt.replace_time_zone("UTC").dt.convert_time_zone(ALMATY)
    return local.dt.time() == time(0)


def is_in_force(day: str, valid_from: str = "valid_from", valid_to: str = "valid_to") -> pl.Expr:
    """`valid_from <= D < valid_to`, an empty end is open (rule 4.1)."""
    return (pl.col(valid_from) <= pl.col(day)) & (pl.col(valid_to).is_null() | (pl.col(day) < pl.col(valid_to)))


def holders(registry: pl.DataFrame, asked: pl.DataFrame, *, keys: list[str], day: str) -> pl.DataFrame:
    """The holder of each account, or wallet, on each day: `keys`, `day`, `miner_id`; pairs without a holder are absent.

    On an overlap the latest `valid_from` counts, then the smallest id (rule 9.6).
    """
    return (
        asked.select([*keys, day])
        .unique()
        .join(registry, on=keys, how="inner")
        .filter(is_in_force(day))
        .sort([*keys, day, "valid_from", "miner_id"], descending=[False] * len(keys) + [False, True, False])
        .unique([*keys, day], keep="first", maintain_order=True)
        .select([*keys, day, "miner_id"])
    )


def with_holder(frame: pl.DataFrame, registry: pl.DataFrame, *, keys: list[str], day: str, name: str) -> pl.DataFrame:
    """`frame` with the holder of `keys` on `day` as column `name`, null where nobody holds it (as `holders` has them)."""
    is_one = pl.struct(keys).is_unique()
    once = registry.filter(is_one).select(*keys, pl.col("miner_id").alias(name), _from="valid_from", _to="valid_to")
    # One holder ever, as most accounts and wallets have: no day need be looked for among several rows.
    found = frame.join(once, on=keys, how="left", maintain_order="left")
    found = found.with_columns(pl.when(is_in_force(day, "_from", "_to")).then(name)).drop("_from", "_to")
    if once.height == registry.height:
        return found
    of_several = holders(registry.filter(~is_one), frame, keys=keys, day=day).rename({"miner_id": "_of_several"})
    found = found.join(of_several, on=[*keys, day], how="left", maintain_order="left")
    return found.with_columns(pl.coalesce(name, "_of_several").alias(name)).drop("_of_several")


def miner_wallets(wallets: pl.DataFrame, asked: pl.DataFrame, *, day: str) -> pl.DataFrame:
    """Each miner's wallet on a day, for a row not yet transferred: `miner_id`, `chain`, `day`, `wallet` (column 6).

    Of several the latest `valid_from`, then the smallest address; a wallet that belongs to another miner by rule 9.6 is left out.
    """
    own = asked.select("miner_id", "chain", day).unique().join(wallets, on=["miner_id", "chain"], how="inner").filter(is_in_force(day))
    return (
        with_holder(own, wallets, keys=["chain", "address"], day=day, name="holder")
        .filter(pl.col("holder") == pl.col("miner_id"))
        .sort(["miner_id", "chain", day, "valid_from", "address"], descending=[False, False, False, True, False])
        .unique(["miner_id", "chain", day], keep="first", maintain_order=True)
        .select("miner_id", "chain", day, pl.col("address").alias("wallet"))
    )


def with_wallet(rows: pl.DataFrame, wallets: pl.DataFrame, *, day: str) -> pl.DataFrame:
    """`miner_id`, `chain`, `day`, with the `wallet` of `miner_wallets`: row by row of a miner who has one wallet on a chain that nobody else ever had."""
    is_only = pl.struct("miner_id", "chain").is_unique() & pl.struct("chain", "address").is_unique()
    one, several = wallets.filter(is_only), wallets.filter(~is_only)
    asked = ["miner_id", "chain", day]
    found = rows.select(asked).join(one, on=asked[:2], how="left", maintain_order="left")
    found = found.select(*asked, pl.when(is_in_force(day)).then("address").alias("wallet"))
    if several.is_empty():
        return found
    best = miner_wallets(several, found.join(several, on=asked[:2], how="semi"), day=day)
    found = found.join(best, on=asked, how="left", maintain_order="left", suffix=":best")
    return found.select(*asked, pl.coalesce("wallet", "wallet:best"))


def licences_on(licences: pl.DataFrame, asked: pl.DataFrame, *, day: str) -> pl.DataFrame:
    """Each miner's licence on a day: `miner_id`, `day`, `licence_number`, `licence_issue_date`, `is_licensed` (rule 4.3).

    The licence in force and not suspended; of several the latest issue date, then the greatest number (as text, rule 9.6). If none is
    in force, the latest one issued on or before the day, with `is_licensed` false.
    """
    pairs = asked.select("miner_id", day).unique()
    best = (
        pairs.join(licences, on="miner_id", how="inner")
        .with_columns(is_licensed=_allows(day))
        .filter(pl.col("is_licensed") | (pl.col("issue_date") <= pl.col(day)))
        .sort(["miner_id", day, "is_licensed", "issue_date", "licence_number"], descending=[False, False, True, True, True])
        .unique(["miner_id", day], keep="first", maintain_order=True)
        .select("miner_id", day, "licence_number", pl.col("issue_date").alias("licence_issue_date"), "is_licensed")
    )
    return pairs.join(best, on=["miner_id", day], how="left").with_columns(pl.col("is_licensed").fill_null(False))


def _allows(day: str) -> pl.Expr:
    """Whether a licence is in force and not suspended on a day."""
    suspended = (
        pl.col("suspended_from").is_not_null()
        & (pl.col("suspended_from") <= pl.col(day))
        & (pl.col("suspended_to").is_null() | (pl.col(day) < pl.col("suspended_to")))
    )
    return is_in_force(day) & ~suspended


def with_licence(rows: pl.DataFrame, licences: pl.DataFrame, *, day: str) -> pl.DataFrame:
    """Rows of the report with `licence_number` and `licence_issue_date` as by `licences_on`: of a miner who has but one licence, row by row."""
    is_only = pl.col("miner_id").is_unique()
    one, several = licences.filter(is_only), licences.filter(~is_only)
    rows = rows.join(one, on="miner_id", how="left", maintain_order="left")
    names = {"licence_number": pl.col("licence_number"), "licence_issue_date": pl.col("issue_date")}
    is_found = _allows(day) | (pl.col("issue_date") <= pl.col(day))
    rows = rows.with_columns(pl.when(is_found).then(value).alias(name) for name, value in names.items())
    if several.is_empty():
        return rows
    best = licences_on(several, rows.join(several, on="miner_id", how="semi"), day=day)
    found = rows.join(best, on=["miner_id", day], how="left", maintain_order="left", suffix=":best")
    return found.with_columns(pl.coalesce(name, f"{name}:best").alias(name) for name in names)
