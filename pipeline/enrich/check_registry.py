"""Issues of the registry: overlaps, accounts that change hands, miners without a licence, invalid IIN/BINs (rules 4.1, 4.3 to 4.5).

Each function makes one code's issues, as ISSUE_ROWS, of one month (rule 9.2); refs by rule 9.8. Nothing here changes a row of the report.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

import polars as pl

from pipeline.model.issues import IssueCode
from pipeline.model.miner_id import miner_id_fault
from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .identify import holders
from .issue_rows import NO_ISSUES, day_text, is_in_month, make_issues

_SHARED = {"key": pl.String, "chain": pl.String, "from": pl.Date, "to": pl.Date, "miners": pl.String}


def overlaps(wallets: pl.DataFrame, accounts: pl.DataFrame, month: Month, rules: Rules) -> pl.DataFrame:
    """Wallets and accounts that two miners hold on one day of the month (rules 4.1, 9.2).

    One issue for each unbroken run of such days; its ref names the first of them in the month (rule 9.8). In edition 1 one for each wallet or account.
    """
    if rules.edition == 1:
        return pl.concat(
            [_overlaps_of_edition_1(wallets, ["address", "chain"], month), _overlaps_of_edition_1(accounts, ["account"], month)]
        )
    held = wallets.rename({"address": "key"})
    runs = pl.DataFrame(
        [*_shared_runs(held, month), *_shared_runs(accounts.rename({"account": "key"}).with_columns(chain=pl.lit(None, pl.String)), month)],
        schema=_SHARED,
        orient="row",
    )
    is_wallet = pl.col("chain").is_not_null()
    chains = pl.col("chain").drop_nulls().n_unique().over("key", "from")
    return make_issues(
        IssueCode.REGISTRY_OVERLAP,
        runs,
        ref=pl.concat_str("key", day_text("from"), separator=":"),
        ref_before=pl.col("key"),
        detail=pl.format(
            "held by {} on the days {} to {}", pl.col("miners").str.replace_all("\n", " and "), day_text("from"), day_text("to")
        ),
        facts=[pl.col("chain"), pl.col("miners")],
        place=pl.when(~is_wallet).then(pl.lit("account")).when(chains > 1).then("chain").otherwise(pl.lit("wallet")),
    )


def _shared_runs(registry: pl.DataFrame, month: Month) -> Iterator[tuple[str, str | None, date, date, str]]:
    """Each unbroken run of days of the month on which several miners hold one key: key, chain, first day, last day, the miners one a line."""
    shared = registry.filter(pl.col("miner_id").n_unique().over("chain", "key") > 1).sort("chain", "key", "valid_from")
    for (chain, key), rows in shared.group_by("chain", "key", maintain_order=True):
        spans = [(row["miner_id"], row["valid_from"], row["valid_to"] or date.max) for row in rows.iter_rows(named=True)]
        bounds = {day for _, *days in spans for day in days} | {month.first, month.next.first}
        found: list[tuple[date, date, set[str]]] = []
        for first, end in pairwise(sorted(day for day in bounds if month.first <= day <= month.next.first)):
            miners = {miner_id for miner_id, valid_from, valid_to in spans if valid_from <= first < valid_to}
            if len(miners) < 2:
                continue
            if found and found[-1][1] == first:
                found[-1] = (found[-1][0], end, found[-1][2] | miners)
            else:
                found.append((first, end, miners))
        for first, end, miners in found:
            yield str(key), chain if chain is None else str(chain), first, end - timedelta(days=1), "\n".join(sorted(miners))


def _overlaps_of_edition_1(registry: pl.DataFrame, keys: list[str], month: Month) -> pl.DataFrame:
    """One issue per wallet or account, regardless of the days."""
    spans = (
        registry.filter(pl.col("valid_to").is_null() | (pl.col("valid_from") < pl.col("valid_to")))
        .filter((pl.col("valid_from") <= month.last) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > month.first)))
        .with_columns(pl.col("valid_to").fill_null(date.max))
    )
    shared = spans.join(spans, on=keys, suffix="_2").filter(
        (pl.col("miner_id") < pl.col("miner_id_2"))
        & (
            pl.max_horizontal("valid_from", "valid_from_2", pl.lit(month.first))
            < pl.min_horizontal("valid_to", "valid_to_2", pl.lit(month.next.first))
        )
    )
    found = shared.group_by(keys[0]).agg(pl.len())
    return make_issues(IssueCode.REGISTRY_OVERLAP, found, ref=pl.col(keys[0]), detail=pl.lit("held by two miners on one day"))


def bad_miner_ids(miners: pl.DataFrame) -> pl.DataFrame:
    """Registered miners with an invalid IIN/BIN (rule 4.5); in every month (rule 9.2)."""
    faults = [(miner_id, fault) for miner_id in miners["miner_id"].unique() if (fault := miner_id_fault(miner_id))]
    found = pl.DataFrame(faults, schema={"miner_id": pl.String, "fault": pl.String}, orient="row")
    return make_issues(IssueCode.BAD_MINER_ID, found, ref=pl.col("miner_id"), detail=pl.col("fault"))


def unlicensed_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Miners and allocation dates of the month's rows, carried ones too, without a licence in force (rules 4.3, 9.2).

    `rows`: miner_id, allocation_date, and what `licences_on` says of the day that counts for the licence (an opening's own day, rule 6.4).
    """
    found = rows.filter(~pl.col("is_licensed")).unique(["miner_id", "allocation_date"], keep="first", maintain_order=True)
    return make_issues(
        IssueCode.LICENCE_NOT_IN_FORCE,
        found,
        ref=pl.concat_str("miner_id", day_text("allocation_date"), separator=":"),
        detail=pl.format("shows {}", pl.col("licence_number").fill_null("none")),
        facts=[pl.col("licence_number")],
    )


def accounts_changed_hands(
    accounts: pl.DataFrame, allocations: pl.DataFrame, portions: pl.DataFrame, credits: pl.DataFrame, month: Month, rules: Rules
) -> pl.DataFrame:
    """Accounts that pass to another miner in the month while allocations of the first are unsettled (rule 4.4).

    What counts as settled is what was transferred before the day of passing. Each passing is an issue of its own (rule 9.8); in edition 1 all of an account were one.
    """
    passings = _holder_changes(accounts, month)
    if passings.is_empty():
        return NO_ISSUES
    owed = passings.join(
        allocations.select("account", "miner_id", "allocation_date", "row", "amount", "asset"),
        left_on=["account", "first"],
        right_on=["account", "miner_id"],
    ).filter(pl.col("allocation_date") < pl.col("passed_on"))
    dated = portions.join(credits.select(pl.col("row").alias("credit"), "date"), on="credit").rename(
        {"allocation": "row", "amount": "part"}
    )
    settled = (
        owed.select("row", "passed_on")
        .join(dated, on="row")
        .filter(pl.col("date") < pl.col("passed_on"))
        .group_by("row", "passed_on")
        .agg(pl.col("part").sum())
    )
    left = (
        owed.join(settled, on=["row", "passed_on"], how="left")
        .with_columns(left=pl.col("amount") - pl.col("part").fill_null(0))
        .filter(pl.col("left") > 0)
    )
    if rules.edition == 1:
        found = left.group_by("account").agg(pl.col("left").sum(), pl.col("passed_on").min())
        detail = pl.format("{} unsettled on {}", pl.col("left").cast(pl.String), day_text("passed_on"))
        return make_issues(IssueCode.ACCOUNT_CHANGED_HANDS, found, ref=pl.col("account"), detail=detail)
    found = (
        left.group_by("account", "first", "second", "passed_on", "asset")
        .agg(pl.col("left").sum())
        .sort("account", "passed_on", "asset")
        .group_by("account", "first", "second", "passed_on", maintain_order=True)
        .agg(pl.format("{} {}", pl.col("left").cast(pl.String), pl.col("asset")).str.join("\n").alias("left"))
    )
    return make_issues(
        IssueCode.ACCOUNT_CHANGED_HANDS,
        found,
        ref=pl.concat_str("account", day_text("passed_on"), separator=":"),
        ref_before=pl.col("account"),
        detail=pl.format("from {} to {}, {} unsettled then", "first", "second", pl.col("left").str.replace_all("\n", ", ")),
        facts=[pl.col("first"), pl.col("second"), pl.col("left")],
    )


def _holder_changes(accounts: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Accounts that go from one miner to another on a day of the month: account, first, second, passed_on.

    A gap between two holders still counts as a change.
    """
    shared = accounts.filter(pl.col("miner_id").n_unique().over("account") > 1)
    bounds = pl.concat(
        [shared.select("account", pl.col("valid_from").alias("day")), shared.select("account", pl.col("valid_to").alias("day"))]
    ).drop_nulls()
    if bounds.filter(is_in_month(month, "day")).is_empty():
        return pl.DataFrame(schema={"account": pl.String, "first": pl.String, "second": pl.String, "passed_on": pl.Date})
    held = holders(shared, bounds, keys=["account"], day="day").sort("account", "day")
    return (
        held.with_columns(first=pl.col("miner_id").shift(1).over("account"))
        .filter(pl.col("first").is_not_null() & (pl.col("first") != pl.col("miner_id")))
        .select("account", "first", pl.col("miner_id").alias("second"), pl.col("day").alias("passed_on"))
        .filter(is_in_month(month, "passed_on"))
    )
