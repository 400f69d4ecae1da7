"""Rows that a further version changes, each with the cause that its facts show."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from pipeline.closing.amend import differences, mix_facts
from pipeline.enrich.frames import REPORT, SHAPES, Facts

ROW = {
    "n": 1, "miner_id": "m1", "miner_name": "M", "licence_number": "L", "licence_issue_date": date(2026, 1, 1), "wallet": "w1",
    "allocation_date": date(2026, 10, 1), "asset": "BTC", "amount": 5, "transfer_amount": 5, "transfer_date": date(2026, 10, 2),
    "commission_asset": None, "commission_asset_amount": None, "commission_currency": None, "commission_currency_amount": None,
    "allocation_id": "a1", "txid": "t1", "is_carried": False,
}  # fmt: skip


def frame(frame_name: str, /, **values: object) -> pl.DataFrame:
    return pl.DataFrame([{column: values.get(column) for column in SHAPES[frame_name]}], schema=SHAPES[frame_name])


FACTS = Facts(**{name: pl.DataFrame(schema=shape) for name, shape in SHAPES.items()})
FACTS = replace(
    FACTS,
    transactions=frame("transactions", chain="bitcoin", txid="t1", block_hash="b1"),
    allocations=frame("allocations", allocation_id="a1", account="acc", amount=5),
    payments=frame("payments", payment_id="p1", txid="t1", amount=5),
    miners=frame("miners", miner_id="m1", name="M"),
    licences=frame("licences", miner_id="m1", licence_number="L"),
    labels=frame("labels", chain="bitcoin", address="w1", outflow_class="vendor"),
)


def report(**changes: object) -> pl.DataFrame:
    return pl.DataFrame([{**ROW, **changes}], schema=REPORT)


def test_rows_of_two_payers_with_one_reference_are_two_rows() -> None:
    """Rule 10.5: the payer belongs to what names a transfer."""
    before = pl.concat([report(payer="one"), report(payer="two", amount=3)])
    after = pl.concat([report(payer="one", amount=6), report(payer="two", amount=4)])
    facts = replace(FACTS, **CHANGES["ledger"])
    assert [(row.change, row.before, row.after) for row in differences(FACTS, facts, before, after, nowhere)] == [
        ("changed", ["5"], ["6"]),
        ("changed", ["3"], ["4"]),
    ]


def test_a_payer_who_is_named_later_changes_nothing_of_the_form() -> None:
    assert differences(FACTS, replace(FACTS, **CHANGES["ledger"]), report(), report(payer="one"), nowhere) == []


def nowhere(_: frozenset[str]) -> pl.DataFrame:
    raise AssertionError("one class of facts changed: nothing is to be computed")


CHANGES = {
    "chain": {"transactions": frame("transactions", chain="bitcoin", txid="t1", block_hash="b2")},
    "watch": {"pool_wallets": frame("pool_wallets", chain="bitcoin", wallet="second")},
    "ledger": {"allocations": frame("allocations", allocation_id="a1", account="acc", amount=6)},
    "registry": {"licences": frame("licences", miner_id="m1", licence_number="L2")},
    "label": {"labels": FACTS.labels.clear()},
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_one_class_of_facts_that_changed_is_the_cause(name: str) -> None:
    (row,) = differences(FACTS, replace(FACTS, **CHANGES[name]), report(), report(licence_number="L2"), nowhere)
    assert (row.change, row.cause, row.follows, row.columns, row.before, row.after) == (
        "changed",
        name,
        "",
        ["licence_number"],
        ["L"],
        ["L2"],
    )


def test_a_block_that_left_is_a_reorganisation_and_one_that_came_is_not() -> None:
    old = replace(FACTS, blocks=frame("blocks", chain="bitcoin", hash="b1", height=1))
    come = replace(old, blocks=pl.concat([old.blocks, frame("blocks", chain="bitcoin", hash="b2", height=2)]), **CHANGES["chain"])
    left = replace(come, blocks=frame("blocks", chain="bitcoin", hash="b2", height=2))
    for after, cause in ((come, "chain"), (left, "reorganisation")):
        assert [row.cause for row in differences(old, after, report(), report(amount=6), nowhere)] == [cause]


def test_of_several_classes_the_one_that_alone_gives_the_row_is_its_cause() -> None:
    """Labels and ledger changed, too, and change nothing here; a row that no class alone gives has the first that it can't do without."""
    after = replace(FACTS, **CHANGES["registry"], **CHANGES["label"], **CHANGES["ledger"])

    def report_with(classes: frozenset[str]) -> pl.DataFrame:
        return report(**({"licence_number": "L2"} if "registry" in classes else {}))

    assert [row.cause for row in differences(FACTS, after, report(), report(licence_number="L2"), report_with)] == ["registry"]

    def both_needed(classes: frozenset[str]) -> pl.DataFrame:
        return report(**({"amount": 9} if {"registry", "ledger"} <= classes else {}))

    assert [row.cause for row in differences(FACTS, after, report(), report(amount=9), both_needed)] == ["ledger"]
    # Neither alone nor taken away does any class matter: they stand in for each other.
    (row,) = differences(FACTS, after, report(), report(amount=9), lambda classes: report(amount=9 if len(classes) > 1 else 5))
    assert (row.cause, row.follows) == ("follows", "")


def test_a_row_whose_own_facts_are_the_same_names_the_row_that_it_follows_from() -> None:
    """First in, first out: what the first allocation takes, the next one lacks."""
    after = replace(FACTS, **CHANGES["ledger"])
    rows = [report(amount=amount, allocation_id=name, txid="t8") for name, amount in (("a1", 5), ("a2", 4), ("b1", 3))]
    old = pl.concat([*rows[:2], rows[2].with_columns(miner_id=pl.lit("m2"))])
    new = old.with_columns(amount=pl.Series([6, 3, 2], dtype=pl.Int128))
    assert [(row.allocation_id, row.cause, row.follows) for row in differences(FACTS, after, old, new, nowhere)] == [
        ("a1", "ledger", ""),
        ("a2", "ledger", "a1 t8"),
        ("b1", "ledger", ""),
    ]


def test_changed_rules_are_a_cause_of_their_own() -> None:
    assert [row.cause for row in differences(FACTS, FACTS, report(), report(amount=6), nowhere, rules_changed=True)] == ["rules"]


def test_rows_come_and_go_and_numbers_alone_are_no_change() -> None:
    assert differences(FACTS, FACTS, report(), report(n=9), nowhere) == []
    after = replace(FACTS, **CHANGES["ledger"])
    assert [(r.change, r.allocation_id) for r in differences(FACTS, after, report(), report(allocation_id="a2"), nowhere)] == [
        ("removed", "a1"),
        ("added", "a2"),
    ]
    (gone,) = differences(FACTS, replace(FACTS, transactions=FACTS.transactions.clear()), report(), report().clear(), nowhere)
    assert (gone.change, gone.cause, gone.txid) == ("removed", "chain", "t1")


def test_facts_are_taken_class_by_class() -> None:
    after = replace(FACTS, **CHANGES["registry"], **CHANGES["label"])
    taken = mix_facts(FACTS, after, frozenset({"registry"}))
    assert taken.licences.equals(after.licences) and taken.labels.equals(FACTS.labels)
