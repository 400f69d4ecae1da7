"""Applies waivers to issues, and finds those that lapsed (rules 8.1, 8.5).

Enters: a month's issues, as `enrich.issue_rows.ISSUE_ROWS` has them, and its waivers. Leaves: the issues with who waived each, or why a waiver of it counts no
longer. A waiver records the ids and amounts behind its issue, and lapses when they change. A waiver from before these were recorded may name the
issue by its ref of edition 1, and does not lapse.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.log.events.months import Waived

_GIVEN = {"code": pl.String, "ref": pl.String, "given_on": pl.String, "by": pl.String, "reason": pl.String}
SHOWN_FACTS = 12


def with_waivers(issues: pl.DataFrame, waivers: Sequence[Waived]) -> pl.DataFrame:
    """The issues, in their order, with `waived_by` and `waiver_reason` (null: nobody waived it) and `lapsed` (in words; null: no waiver lapsed).

    `waivers`: oldest first; of several that count the newest is named.
    """
    rows = [(w.code, w.ref, None if w.facts is None else "\n".join(w.facts), w.by, w.reason) for w in waivers]
    given = pl.DataFrame(rows, schema=_GIVEN, orient="row").with_row_index("order")
    exact, early = given.filter(pl.col("given_on").is_not_null()), given.filter(pl.col("given_on").is_null())
    numbered = issues.with_row_index("issue")
    named = [
        numbered.join(exact, left_on=["code", "ref", "facts"], right_on=["code", "ref", "given_on"]),
        numbered.join(early, on=["code", "ref"]),
        numbered.join(early, left_on=["code", "ref_before"], right_on=["code", "ref"]),
    ]
    counting = pl.concat(
        found.select("issue", "order", pl.col("by").alias("waived_by"), pl.col("reason").alias("waiver_reason")) for found in named
    )
    counting = counting.sort("order").unique("issue", keep="last").drop("order")
    old = numbered.join(exact, on=["code", "ref"]).sort("order").unique("issue", keep="last")
    lapsed = old.select(
        "issue", lapsed=pl.format("{} waived it when it rested on {}; now it rests on {}", "by", _words("given_on"), _words("facts"))
    )
    judged = numbered.join(counting, on="issue", how="left", maintain_order="left").join(
        lapsed, on="issue", how="left", maintain_order="left"
    )
    return judged.with_columns(lapsed=pl.when(pl.col("waived_by").is_null()).then("lapsed")).drop("issue")


def blocking_issues(issues: pl.DataFrame, waivers: Sequence[Waived]) -> pl.DataFrame:
    """The blocking issues that nobody waived, or whose waiver lapsed: the issues' columns, and `lapsed`."""
    left = with_waivers(issues, waivers).filter((pl.col("severity") == "blocking") & pl.col("waived_by").is_null())
    return left.drop("waived_by", "waiver_reason")


def _words(column: str) -> pl.Expr:
    """Facts one a line, as words; of many the first."""
    lines = pl.col(column).str.split("\n")
    more = pl.when(lines.list.len() > SHOWN_FACTS).then(pl.lit(", …")).otherwise(pl.lit(""))
    return pl.concat_str(lines.list.head(SHOWN_FACTS).list.join(", "), more)
