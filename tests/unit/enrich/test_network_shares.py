"""What eCash takes of a coinbase, on the one of its block 819,346: the miner fund by address, the staker by amount."""

from __future__ import annotations

import polars as pl
import pytest

from pipeline.chains.networks import OURS
from pipeline.enrich.network_shares import with_network_shares
from pipeline.model.rules import Rules

FUND = "ecash:prfhcnyqnl5cgrnmlfmms675w93ld7mvvqd0y8lz07"
RULES = Rules({}, {"ecash": 12}, {}, network={"ecash": "ecash"}, network_facts={"ecash": OURS.of("ecash").facts.to_json()})
POOL, STAKER, OTHER = "ecash:pool", "ecash:staker", "ecash:other"
PUBLISHED = [(POOL, 362_500_000, "pool"), (FUND, 200_000_000, None), (STAKER, 62_500_000, None)]


def shares(paid: list[tuple[str, int, str | None]], *, height: int = 819_346, rules: Rules = RULES, is_coinbase: bool = True) -> list[str]:
    rows = [("ecash", "b", "t", address, value, wallet, is_coinbase, height) for address, value, wallet in paid]
    schema = {
        "chain": pl.String, "block_hash": pl.String, "txid": pl.String, "address": pl.String, "value": pl.Int128, "wallet": pl.String,
        "is_coinbase": pl.Boolean, "height": pl.Int64,
    }  # fmt: skip
    found = with_network_shares(pl.DataFrame(rows, schema=schema, orient="row"), rules)
    return found.filter("is_network_share")["address"].to_list()


def test_the_published_coinbase() -> None:
    assert shares(PUBLISHED) == [FUND, STAKER]


def test_the_pools_own_output_is_none_whatever_its_amount() -> None:
    assert shares([(POOL, 58, None), (FUND, 32, None), (STAKER, 10, "pool")]) == [FUND]


@pytest.mark.parametrize(
    ("paid", "told"),
    [
        ([*PUBLISHED[:2], (STAKER, 62_499_999, None), (OTHER, 1, None)], [FUND]),  # another amount
        (
            [(POOL, 300_000_000, "pool"), (FUND, 200_000_000, None), (STAKER, 62_500_000, None), (OTHER, 62_500_000, None)],
            [FUND],
        ),  # two of it
        ([(POOL, 400_000_000, "pool"), (FUND, 162_500_000, None), (STAKER, 62_500_000, None)], [STAKER]),  # the fund gets too little
        ([(POOL, 300_000_000, "pool"), (FUND, 262_500_000, None), (STAKER, 62_500_000, None)], [FUND, STAKER]),  # more than it must
    ],
)
def test_what_does_not_fit_is_not_taken_for_it(paid: list[tuple[str, int, str | None]], told: list[str]) -> None:
    assert shares(paid) == told


def test_only_in_coinbases_from_the_block_on_and_on_networks_that_take_any() -> None:
    assert shares(PUBLISHED, height=818_669) == []
    assert shares(PUBLISHED, is_coinbase=False) == []
    assert shares(PUBLISHED, rules=Rules({}, {"ecash": 12}, {}, network={"ecash": "ecash"})) == []
