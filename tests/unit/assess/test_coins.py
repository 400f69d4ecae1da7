"""The pool's coins from month to month: opening set + created − spent = closing set, and one month's closing is the next one's opening (ADR 15)."""

from __future__ import annotations

import itertools
from dataclasses import replace

import polars as pl

from pipeline.assess.coins import PreviousCoins, closing_coins, describe_coins, digest_of_coins, month_coins, printed_coins
from pipeline.enrich.frames import SHAPES, Facts
from pipeline.model.months import Month
from pipeline.model.rules import Asset, Rules

MONTHS = [Month(2026, 9), Month(2026, 10), Month(2026, 11)]
RULES = Rules({"BTC": Asset("BTC", "bitcoin", 8)}, {"bitcoin": 6}, {}, network={"bitcoin": "regtest"})
FIRST = 100


def facts(*, first: int = FIRST) -> Facts:
    """Two blocks a month from height 100 on. Coin a0: August to October; b0: created in October, spent in November; c0 and c1: one stays, one is older than all."""
    blocks = []
    for place, month in enumerate([MONTHS[0].previous, *MONTHS]):
        for n in range(2):
            at = month.end_at - 1000 + n
            blocks.append(
                {"chain": "bitcoin", "hash": f"h{FIRST + 2 * place + n}", "height": FIRST + 2 * place + n, "time": at, "mediantime": at}
            )
    outputs = [output("h100", "a", 0, 5), output("h104", "b", 0, 4), output("h105", "c", 0, 3), output("h104", "b", 1, 1, wallet=None)]
    inputs = [spent("h104", "b", "a", 0, 5), spent("h106", "d", "b", 0, 4), spent("h105", "c", "old", 1, 9)]
    rows = {"blocks": [b for b in blocks if b["height"] >= first], "outputs": outputs, "inputs": inputs}
    return Facts(**{name: pl.DataFrame(rows.get(name, []), schema=shape) for name, shape in SHAPES.items()})


def output(block: str, txid: str, vout: int, value: int, wallet: str | None = "pool") -> dict[str, object]:
    return {"chain": "bitcoin", "block_hash": block, "txid": txid, "vout": vout, "value": value, "address": f"at-{txid}", "wallet": wallet,
            "asset": "BTC", "script_type": "pubkeyhash", "is_unspendable": False}  # fmt: skip


def spent(block: str, txid: str, of: str, vout: int, value: int) -> dict[str, object]:
    return {"chain": "bitcoin", "block_hash": block, "txid": txid, "spent_txid": of, "spent_vout": vout, "value": value, "address": f"at-{of}",
            "wallet": "pool", "asset": "BTC"}  # fmt: skip


def names(coins: pl.DataFrame) -> set[str]:
    return {f"{txid}{vout}" for txid, vout in coins.select("txid", "vout").iter_rows()}


def test_the_sets_of_a_month() -> None:
    october = month_coins(facts(), MONTHS[1], RULES)
    assert october.spans == {"bitcoin": (100, 103, 105)}
    assert names(october.opening("bitcoin")) == {"a0", "old1"}
    assert names(october.closing("bitcoin")) == {"b0", "c0"}
    told = describe_coins(october, None)["chains"]["bitcoin"]
    assert (told["opening"], told["created"], told["spent"], told["closing"]) == (2, 2, 2, 2)


def test_a_month_closes_with_what_the_next_one_opens_with() -> None:
    months = [month_coins(facts(), month, RULES) for month in MONTHS]
    for month, following in itertools.pairwise(months):
        assert digest_of_coins(month.closing("bitcoin")) == digest_of_coins(following.opening("bitcoin"))
    assert closing_coins(describe_coins(months[0], None)) == {
        "bitcoin": describe_coins(months[1], None)["chains"]["bitcoin"]["opening_digest"]
    }


def test_what_is_printed_says_nothing_of_later_months() -> None:
    """A coin spent in November is unspent in October's table, whether or not the facts know of it yet."""
    until = month_coins(facts(), MONTHS[1], RULES)
    known = facts()
    early = replace(known, inputs=known.inputs.filter(pl.col("txid") != "d"))
    assert printed_coins(until).equals(printed_coins(month_coins(early, MONTHS[1], RULES)))
    last = printed_coins(until).filter(pl.col("txid") == "b").row(0, named=True)
    assert (last["amount_units"], last["created_height"], last["spent_txid"]) == ("4", 104, None)


def test_the_digest_is_of_coins_and_not_of_names() -> None:
    coins = month_coins(facts(), MONTHS[1], RULES).closing("bitcoin")
    assert digest_of_coins(coins.with_columns(wallet=pl.lit("renamed"))) == digest_of_coins(coins)
    assert digest_of_coins(coins.with_columns(pl.col("value") + 1)) != digest_of_coins(coins)


def test_a_chain_that_begins_in_the_month_opens_with_what_is_older() -> None:
    october = month_coins(facts(first=104), MONTHS[1], RULES)
    assert october.spans == {"bitcoin": (104, None, 105)}
    assert names(october.opening("bitcoin")) == {"old1"} | {"a0"}, "a0's block is not among those read: it is older than the first"


def test_account_chains_have_no_coins() -> None:
    assert month_coins(facts(), MONTHS[1], replace(RULES, network={"bitcoin": "evm:1"})).spans == {}


def test_the_month_before_is_stated() -> None:
    before = PreviousCoins("2026-09", 2, {"bitcoin": "ab" * 32})
    assert describe_coins(month_coins(facts(), MONTHS[1], RULES), before)["previous"] == {
        "month": "2026-09", "version": 2, "closing": {"bitcoin": "ab" * 32},
    }  # fmt: skip
