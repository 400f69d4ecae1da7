"""Frames of issues: code, ref (rule 9.8), explanation, and the facts that a waiver records (rule 8.5).

Enters: faulty rows. Leaves: ISSUE_ROWS; and, for a whole month, refs made unique where two issues would share one.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.model.issues import IssueCode
from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .frames import ISSUES

ISSUES_WITH_FACTS = {**ISSUES, "facts": pl.String, "ref_before": pl.String}
"""ISSUES; `facts`: the ids and amounts behind the issue, one per line; `ref_before`: its ref in edition 1, null where it was the same."""
ISSUE_ROWS = {**ISSUES_WITH_FACTS, "place": pl.String}
"""ISSUES_WITH_FACTS; `place`: the prefix that tells apart issues with the same ref; null where that can't happen."""
NO_ISSUES = pl.DataFrame(schema=ISSUE_ROWS)
_NONE = pl.lit(None, pl.String)


def make_issues(
    code: IssueCode,
    found: pl.DataFrame,
    *,
    ref: pl.Expr,
    detail: pl.Expr,
    facts: Sequence[pl.Expr] = (),
    place: pl.Expr = _NONE,
    ref_before: pl.Expr = _NONE,
) -> pl.DataFrame:
    """Rows of `found` as issues of one code, as ISSUE_ROWS. `facts`: ids and amounts; a list of texts counts as several."""
    if found.is_empty():
        return NO_ISSUES  # most months have none of most codes, and a small month's time goes into such steps
    lines = [expr.cast(pl.String).fill_null("") for expr in facts]
    # In one piece: `pl.format` panics on a column whose first piece a filter left empty (polars 2.1.0), which joined frames can have.
    return found.rechunk().select(
        pl.lit(code.value).alias("code"),
        pl.lit(code.severity.value).alias("severity"),
        ref.cast(pl.String).alias("ref"),
        detail.alias("detail"),
        (pl.concat_str(lines, separator="\n") if lines else pl.lit("")).alias("facts"),
        ref_before.cast(pl.String).alias("ref_before"),
        place.cast(pl.String).alias("place"),
    )


def make_refs_unique(found: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Each issue once, by code and ref, as ISSUES_WITH_FACTS.

    Where two things would share a ref, `account:`, `wallet:` or the chain's name is put before it, so that a waiver applies to only one of them
    (rule 9.8); in edition 1 they were one issue.
    """
    if rules.edition == 1:
        return found.unique(["code", "ref"], keep="first", maintain_order=True).sort("code", "ref").drop("place")
    once = found.unique(["code", "ref", "place"], keep="first", maintain_order=True)
    is_shared = (pl.len().over("code", "ref") > 1) & pl.col("place").is_not_null()
    return (
        once.with_columns(
            pl.when(is_shared).then(pl.concat_str("place", "ref", separator=":")).otherwise("ref").alias("ref"),
            pl.when(is_shared).then(pl.coalesce("ref_before", "ref")).otherwise("ref_before").alias("ref_before"),
        )
        .sort("code", "ref")
        .drop("place")
    )


def is_in_month(month: Month, column: str = "date") -> pl.Expr:
    """Whether a day lies in the month."""
    return pl.col(column).is_between(pl.lit(month.first), pl.lit(month.last))


def with_token(ref: pl.Expr, rules: Rules) -> pl.Expr:
    """The ref, followed by the asset where that is a token: a transaction or wallet may have several (rule 9.8)."""
    tokens = sorted(a.name for a in rules.assets.values() if a.contract is not None)
    return pl.when(pl.col("asset").is_in(tokens)).then(pl.concat_str(ref, "asset", separator=":")).otherwise(ref)


def chain_of_asset(rules: Rules) -> pl.Expr:
    """The chain of the row's asset."""
    return pl.col("asset").replace_strict({a.name: a.chain for a in rules.assets.values()}, default=None, return_dtype=pl.String)


def transfer_ref() -> pl.Expr:
    """TXID:ADDRESS."""
    return pl.concat_str("txid", "address", separator=":")


def credit_ref(rules: Rules) -> pl.Expr:
    """A credit's payment, or its transfer where no payment is linked."""
    transfer = transfer_ref() if rules.edition == 1 else with_token(transfer_ref(), rules)
    return pl.when(pl.col("payment_id") != "").then("payment_id").otherwise(transfer)


def day_text(column: str) -> pl.Expr:
    """A day as YYYY-MM-DD."""
    return pl.col(column).dt.to_string("%Y-%m-%d")
