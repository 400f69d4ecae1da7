"""Whom a waiver reaches, and when it lapses (rule 8.5)."""

from __future__ import annotations

import polars as pl

from pipeline.app.issues import LAPSED
from pipeline.assess.issue_names import waiver_facts
from pipeline.assess.waivers import blocking_issues, with_waivers
from pipeline.enrich.issue_rows import ISSUES_WITH_FACTS
from pipeline.log.events.months import Waived
from pipeline.texts.catalogue import matched


def issues(*rows: tuple[str, str, str, str | None]) -> pl.DataFrame:
    """Blocking issues: code, ref, facts, ref in edition 1."""
    return pl.DataFrame(
        [(code, "blocking", ref, "", facts, before) for code, ref, facts, before in rows], schema=ISSUES_WITH_FACTS, orient="row"
    )


def waiver(code: str, ref: str, facts: list[str] | None, by: str = "A") -> Waived:
    return Waived(id=f"w:{by}", month="2026-10", code=code, ref=ref, facts=facts, by=by, reason="why", at=1)


def open_refs(found: pl.DataFrame, *waivers: Waived) -> list[str]:
    return blocking_issues(found, waivers)["ref"].to_list()


TWO = issues(("unknown-outflow", "a:0", "5", None), ("unknown-outflow", "a:1", "5", None))


def test_a_waiver_takes_the_issue_it_names_and_no_other() -> None:
    assert open_refs(TWO, waiver("unknown-outflow", "a:0", ["5"])) == ["a:1"]
    assert open_refs(TWO, waiver("mixed-inputs", "a:0", ["5"])) == ["a:0", "a:1"]


def test_a_waiver_without_facts_counts_for_the_ref_it_names() -> None:
    assert open_refs(TWO, waiver("unknown-outflow", "a:0", None)) == ["a:1"]


def test_a_waiver_of_an_issue_that_rests_on_nothing_counts() -> None:
    found = issues(("bad-miner-id", "1", "", None))
    assert open_refs(found, waiver("bad-miner-id", "1", waiver_facts(""))) == []


def test_a_waiver_given_on_three_ids_does_not_cover_a_fourth() -> None:
    given = waiver("allocation-twice", "A1", ["A1", "A2", "A3"])
    assert open_refs(issues(("allocation-twice", "A1", "A1\nA2\nA3", None)), given) == []
    found = issues(("allocation-twice", "A1", "A1\nA2\nA3\nA4", None))
    assert open_refs(found, given) == ["A1"]
    row = with_waivers(found, [given]).row(0, named=True)
    assert row["waived_by"] is None and row["lapsed"] == "A waived it when it rested on A1, A2, A3; now it rests on A1, A2, A3, A4"
    assert matched(row["lapsed"], LAPSED) == {"by": "A", "given": "A1, A2, A3", "now": "A1, A2, A3, A4"}, (
        "so that it can be said in other languages"
    )


def test_what_lapsed_can_be_waived_again() -> None:
    found = issues(("allocation-twice", "A1", "A1\nA2", None))
    row = with_waivers(found, [waiver("allocation-twice", "A1", ["A1"], "A"), waiver("allocation-twice", "A1", ["A1", "A2"], "B")]).row(
        0, named=True
    )
    assert (row["waived_by"], row["lapsed"]) == ("B", None)


def test_a_waiver_of_one_passing_leaves_the_next() -> None:
    found = issues(("account-changed-hands", "m:2026-10-10", "x", "m"), ("account-changed-hands", "m:2026-10-20", "y", "m"))
    assert open_refs(found, waiver("account-changed-hands", "m:2026-10-10", ["x"])) == ["m:2026-10-20"]


def test_an_early_waiver_of_an_account_counts_for_what_it_meant_then() -> None:
    found = issues(
        ("account-changed-hands", "m:2026-10-10", "x", "m"),
        ("account-changed-hands", "m:2026-10-20", "y", "m"),
        ("account-changed-hands", "n:2026-10-20", "y", "n"),
    )
    assert open_refs(found, waiver("account-changed-hands", "m", None)) == ["n:2026-10-20"]
    assert open_refs(found, waiver("account-changed-hands", "m", ["x"])) == ["m:2026-10-10", "m:2026-10-20", "n:2026-10-20"]


def test_of_several_waivers_the_newest_is_named_and_the_order_stays() -> None:
    judged = with_waivers(TWO, [waiver("unknown-outflow", "a:1", None, "A"), waiver("unknown-outflow", "a:1", ["5"], "B")])
    assert judged.select("ref", "waived_by").rows() == [("a:0", None), ("a:1", "B")]
