"""Credits of a block itself: reward, uncles, priority fees, withdrawals. Pure.

Enters: a block's header fields, its uncles, the gas fees of its transactions. Leaves: movements without a sender. `ecip1017` is Ethereum
Classic's schedule: 5 coins, a fifth less in each era of 5,000,000 blocks (block 5,000,001 begins the second); a block gets a 32nd of its
reward for each uncle included; the uncle's miner gets (8 - distance)/8 of the reward in the first era, later a 32nd.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.chains.evm.address import to_checksum

from .answers import Withdrawal, number
from .movements import Movement

BlockReward = Literal["none", "ecip1017"]
ERA_BLOCKS = 5_000_000
FIRST_REWARD_WEI = 5 * 10**18
WEI_A_GWEI = 10**9


@dataclass(frozen=True)
class Uncle:
    """An uncle: a stale block that a later block includes."""

    miner: str
    height: int


def reward_wei(height: int) -> int:
    """The block's reward by ECIP-1017 in wei, without the rewards for uncles."""
    era = (height - 1) // ERA_BLOCKS
    return FIRST_REWARD_WEI * int(4**era) // int(5**era)


def uncle_reward_wei(height: int, uncle_height: int) -> int:
    """The reward of an uncle's miner in wei, from the block that includes it."""
    reward = reward_wei(height)
    return reward * (uncle_height + 8 - height) // 8 if height <= ERA_BLOCKS else reward // 32


def block_credits(
    height: int,
    miner: str,
    *,
    asset: str,
    block_reward: BlockReward,
    uncles: Sequence[Uncle],
    priority_fees_wei: int,
    withdrawals: Sequence[Withdrawal],
) -> list[Movement]:
    """Movements without a sender, in the order reward, uncles, fees, withdrawals. Raises ValueError for a malformed field."""
    found = []
    if block_reward == "ecip1017":
        reward = reward_wei(height)
        found.append(Movement(asset, None, to_checksum(miner), reward + len(uncles) * (reward // 32), "reward"))
        found += [
            Movement(asset, None, to_checksum(uncle.miner), uncle_reward_wei(height, uncle.height), f"uncle:{place}")
            for place, uncle in enumerate(uncles)
        ]
    if priority_fees_wei:
        found.append(Movement(asset, None, to_checksum(miner), priority_fees_wei, "fees"))
    for withdrawal in withdrawals:
        value = number(withdrawal.amount) * WEI_A_GWEI
        if value:
            found.append(Movement(asset, None, to_checksum(withdrawal.address), value, f"withdrawal:{number(withdrawal.index)}"))
    return found
