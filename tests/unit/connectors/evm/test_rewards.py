"""Ethereum Classic's rewards, against figures that its ECIP-1017 gives."""

from __future__ import annotations

import pytest

from connectors.evm.answers import Withdrawal
from connectors.evm.rewards import Uncle, block_credits, reward_wei, uncle_reward_wei

MINER, OTHER = "0x" + 40 * "1", "0x" + 40 * "2"


@pytest.mark.parametrize(
    ("height", "wei"),
    [
        (1, 5 * 10**18), (5_000_000, 5 * 10**18), (5_000_001, 4 * 10**18), (10_000_000, 4 * 10**18), (10_000_001, 32 * 10**17),
        (15_000_001, 256 * 10**16), (20_000_001, 2048 * 10**15), (25_000_001, 16384 * 10**14),
    ],
)  # fmt: skip
def test_a_fifth_less_each_era(height: int, wei: int) -> None:
    assert reward_wei(height) == wei


def test_uncles_by_distance_in_the_first_era_and_a_32nd_later() -> None:
    assert uncle_reward_wei(100, 99) == 5 * 10**18 * 7 // 8
    assert uncle_reward_wei(100, 94) == 5 * 10**18 * 2 // 8
    assert uncle_reward_wei(5_000_001, 5_000_000) == 4 * 10**18 // 32


def test_all_a_block_credits() -> None:
    found = block_credits(
        5_000_001, MINER, asset="ETC", block_reward="ecip1017", uncles=[Uncle(OTHER, 5_000_000)], priority_fees_wei=77,
        withdrawals=[Withdrawal(index="0x5", validator_index="0x1", address=OTHER, amount="0x3"), Withdrawal(index="0x6", validator_index="0x1", address=OTHER, amount="0x0")],
    )  # fmt: skip
    assert [(m.recipient, m.value, m.ref) for m in found] == [
        (MINER, 4 * 10**18 + 4 * 10**18 // 32, "reward"),
        (OTHER, 4 * 10**18 // 32, "uncle:0"),
        (MINER, 77, "fees"),
        (OTHER, 3 * 10**9, "withdrawal:5"),
    ]
    assert block_credits(7, MINER, asset="X", block_reward="none", uncles=[], priority_fees_wei=0, withdrawals=[]) == []
