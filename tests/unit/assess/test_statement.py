"""A miner's statement holds that miner's lines and no others, word for word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.assess.statement import MonthTables, rows_on_word, statements_of
from pipeline.enrich.frames import DEBTS
from pipeline.model.errors import MonthError
from pipeline.model.months import Month
from pipeline.model.rules import Asset, Payer, Rules
from pipeline.render.form import COLUMNS

ONE, TWO, THREE = "180141952211", "970619382695", "240440639442"


def tables(rows: Iterable[dict[str, str]], debts: Iterable[dict[str, str]] = (), *, version: int | None = 1) -> MonthTables:
    """A month of these rows (the form's columns and `allocation_id`, `txid`, `is_carried`) and debts."""
    rows = [{"n": str(number), "is_carried": "false", **row} for number, row in enumerate(rows, 1)]
    report = pl.DataFrame([{name: row.get(name) for name in COLUMNS} for row in rows], schema=dict.fromkeys(COLUMNS, pl.String))
    links = ("n", "allocation_id", "txid", "is_carried")
    return MonthTables(
        month=Month(2026, 10),
        version=version,
        digest="ab" * 32 if version else "",
        at=1_790_000_000,
        pool={"name": "Мысал пул", "bin": "201040000023"},
        report=report,
        links=pl.DataFrame([{name: row.get(name) for name in links} for row in rows], schema=dict.fromkeys(links, pl.String)),
        debts=pl.DataFrame([{name: debt.get(name, "0.0") for name in DEBTS} for debt in debts], schema=dict.fromkeys(DEBTS, pl.String)),
        names={ONE: "registry's one", TWO: "registry's two", THREE: "registry's three"},
    )


def test_rows_are_the_miner_s_own_in_the_report_s_order_numbered_anew() -> None:
    made = tables(
        [
            {"miner_id": TWO, "miner_name": "Two", "allocation_id": "b", "amount": "0.20"},
            {"miner_id": ONE, "miner_name": "One", "allocation_id": "a", "amount": "007.10", "txid": "ff", "is_carried": "true"},
            {"miner_id": TWO, "miner_name": "Two", "allocation_id": "c", "amount": "0.30"},
        ]
    )
    one, two = statements_of(made)
    assert (one.miner_id, one.miner_name, two.miner_id) == (ONE, "One", TWO)
    assert one.rows.select("n", "allocation_id", "amount", "txid", "is_carried").rows() == [("1", "a", "007.10", "ff", "true")]
    assert two.rows.select("n", "allocation_id", "amount", "txid", "is_carried").rows() == [
        ("1", "b", "0.20", None, "false"),
        ("2", "c", "0.30", None, "false"),
    ]


def test_who_is_owed_and_has_no_row_has_a_statement_with_the_registry_s_name() -> None:
    made = tables([{"miner_id": ONE, "miner_name": "One"}], [{"miner_id": THREE, "asset": "BTC", "opening": "1.5", "closing": "1.5"}])
    one, three = statements_of(made)
    assert one.debts.is_empty() and three.rows.is_empty()
    assert (three.miner_name, three.debts.row(0, named=True)["closing"]) == ("registry's three", "1.5")


def test_one_miner_is_picked_or_named_in_the_refusal() -> None:
    made = tables([{"miner_id": ONE}, {"miner_id": TWO}], version=None)
    (two,) = statements_of(made, TWO)
    assert (two.miner_id, two.label, two.version, two.digest) == (TWO, "draft", None, "")
    with pytest.raises(MonthError, match=f"{THREE} has no row and no debt"):
        list(statements_of(made, THREE))
    with pytest.raises(MonthError, match="no miner has a row or a debt"):
        list(statements_of(tables([])))


def test_tables_that_do_not_belong_together_are_refused() -> None:
    made = tables([{"miner_id": ONE}, {"miner_id": TWO}])
    parts = {name: getattr(made, name) for name in ("month", "version", "digest", "at", "pool", "report", "links", "debts", "names")}
    with pytest.raises(ValueError, match="not of this report"):
        MonthTables(**{**parts, "links": made.links.reverse()})
    with pytest.raises(ValueError, match=r"debts\.csv has the columns"):
        MonthTables(**{**parts, "debts": made.debts.drop("advance")})


@given(st.lists(st.tuples(st.sampled_from([ONE, TWO, THREE]), st.integers(0, 99)), min_size=1, max_size=30))
def test_every_row_and_debt_stands_in_exactly_one_statement(drawn: list[tuple[str, int]]) -> None:
    rows = [{"miner_id": miner, "allocation_id": f"{number}:{place}"} for place, (miner, number) in enumerate(drawn)]
    debts = [{"miner_id": miner, "asset": f"X{place}"} for place, (miner, _) in enumerate(drawn)]
    made = list(statements_of(tables(rows, debts)))
    assert [one.miner_id for one in made] == sorted({miner for miner, _ in drawn})
    for one in made:
        assert one.rows["allocation_id"].to_list() == [row["allocation_id"] for row in rows if row["miner_id"] == one.miner_id]
        assert one.debts["asset"].to_list() == [debt["asset"] for debt in debts if debt["miner_id"] == one.miner_id]


def test_rows_that_others_paid_say_whose_word_their_sums_rest_on() -> None:
    """A payer's coin on an account chain: the node's; a token's log and a Bitcoin transaction are proved; off chain: the ledger's (rule 10.5)."""
    rules = Rules(
        {
            "ETH": Asset("ETH", "eth", 18),
            "USDT": Asset("USDT", "eth", 6, "0xdAC17F958D2ee523a2206206994597C13D831ec7"),
            "BTC": Asset("BTC", "bitcoin", 8),
        },
        {"eth": 6, "bitcoin": 6},
        {},
        network={"eth": "evm:1", "bitcoin": "bitcoin"},
        payers={"big": Payer("on-chain", "eth"), "luxor": Payer("on-chain", "bitcoin"), "desk": Payer("off-chain")},
    )
    paid = [("ETH", "big"), ("USDT", "big"), ("BTC", "luxor"), ("BTC", "desk"), ("ETH", None), ("ETH", "nobody")]
    report = pl.DataFrame({"n": [str(n) for n in range(1, 7)], "asset": [asset for asset, _ in paid]})
    told = rows_on_word(report, pl.Series([payer for _, payer in paid], dtype=pl.String), rules)
    assert told == {"on_nodes_word": {"1"}, "on_ledgers_word": {"4"}}
    made = tables([{"miner_id": ONE}, {"miner_id": TWO}, {"miner_id": TWO}])
    one, two = statements_of(replace(made, on_nodes_word=frozenset({"2"}), on_ledgers_word=frozenset({"1"})))
    assert (one.is_on_nodes_word, one.is_on_ledgers_word, two.is_on_nodes_word, two.is_on_ledgers_word) == (False, True, True, False)
