"""Block rewards by schedule, against figures that the networks' own documents give."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.chains.facts import typed
from pipeline.chains.networks import OURS
from pipeline.chains.rewards import RewardFacts, block_reward, including_reward, reward_faults, uncle_reward

COIN, ETHER = 10**8, 10**18


def of(name: str) -> RewardFacts:
    found = OURS.of(name).facts.reward
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "height", "reward"),
    [
        ("bitcoin", 0, 50 * COIN), ("bitcoin", 209_999, 50 * COIN), ("bitcoin", 210_000, 25 * COIN), ("bitcoin", 840_000, 312_500_000),
        ("bitcoin", 33 * 210_000, 0), ("bitcoin", 64 * 210_000, 0), ("bitcoin", 32 * 210_000, 1),
        ("litecoin", 840_000, 25 * COIN), ("litecoin", 2_520_000, 625_000_000),
        ("dogecoin", 144_999, None), ("dogecoin", 145_000, 250_000 * COIN), ("dogecoin", 599_999, 15_625 * COIN), ("dogecoin", 5_000_000, 10_000 * COIN),
        ("evm:61", 0, None), ("evm:61", 1, 5 * ETHER), ("evm:61", 5_000_000, 5 * ETHER), ("evm:61", 5_000_001, 4 * ETHER), ("evm:61", 10_000_000, 4 * ETHER),
        ("evm:61", 10_000_001, 32 * 10**17), ("evm:61", 15_000_001, 256 * 10**16), ("evm:61", 20_000_001, 2048 * 10**15), ("evm:61", 25_000_001, 16384 * 10**14),
        ("evm:1", 4_369_999, 5 * ETHER), ("evm:1", 4_370_000, 3 * ETHER), ("evm:1", 7_280_000, 2 * ETHER), ("evm:1", 15_537_393, 2 * ETHER),
        ("evm:1", 15_537_394, 0),
    ],
)  # fmt: skip
def test_what_a_block_creates(name: str, height: int, reward: int | None) -> None:
    assert block_reward(of(name), height) == reward


def test_uncles_by_distance_and_from_a_height_on_a_flat_share() -> None:
    etc = of("evm:61")
    assert uncle_reward(etc, 100, 99) == 5 * ETHER * 7 // 8
    assert uncle_reward(etc, 100, 94) == 5 * ETHER * 2 // 8
    assert uncle_reward(etc, 5_000_000, 4_999_999) == 5 * ETHER * 7 // 8
    assert uncle_reward(etc, 5_000_001, 5_000_000) == 4 * ETHER // 32
    assert including_reward(etc, 5_000_001, 2) == 2 * (4 * ETHER // 32)
    assert uncle_reward(of("evm:1"), 12_000_000, 11_999_998) == 2 * ETHER * 6 // 8, "no flat share there"
    assert (uncle_reward(of("bitcoin"), 9, 8), including_reward(of("bitcoin"), 9, 1)) == (0, 0)


def test_a_fixed_reward_is_the_same_everywhere() -> None:
    facts, faults = typed(RewardFacts, {"schedule": "fixed", "reward": "7", "ends": 10}, "x")
    assert facts is not None and faults == [] and reward_faults(facts, "x") == []
    assert [block_reward(facts, height) for height in (0, 9, 10)] == [7, 7, 0]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"schedule": "halving", "reward": "5"}, "x.every: is missing"),
        ({"schedule": "fixed", "reward": "5", "every": 2}, "x.every: schedule fixed has none"),
        ({"schedule": "eras", "reward": "5", "every": 0, "keep": [4, 5]}, "x.every: 0 is below 1"),
        ({"schedule": "heights"}, "x.steps: is missing"),
        ({"schedule": "heights", "steps": [{"begins": 5, "reward": "1"}, {"begins": 5, "reward": "2"}]}, "x.steps: their heights"),
        ({"schedule": "fixed", "reward": "5", "uncles": {"including": [1, 32], "flat": [1, 32]}}, "x.uncles: flat and flat_begins"),
        ({"schedule": "fixed", "reward": "5", "uncles": {"including": [1, 32], "distance": 0}}, "x.uncles.distance: 0 is below 1"),
        ({"schedule": "fixed", "reward": "5.0"}, "x.reward: expected `str` matching"),
        ({"schedule": "ecip1017"}, "x.schedule: invalid enum value"),
    ],
)
def test_a_faulty_schedule_is_told(table: dict[str, Any], fault: str) -> None:
    facts, faults = typed(RewardFacts, table, "x")
    assert any(told.startswith(fault) for told in faults + (reward_faults(facts, "x") if facts else [])), faults
