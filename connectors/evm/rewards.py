"""What a block itself credits: reward, uncles, priority fees, withdrawals. Pure.

Enters: a block's header fields, its uncles, what its transactions paid for gas. Leaves: movements from nobody. `ecip1017` is Ethereum
Classic's: 5 coins, a fifth less in each era of 5,000,000 blocks (block 5,000,001 begins the second); whoever includes an uncle gets a
32nd of the block's reward for it; the uncle's miner gets in the first era (8 - distance)/8 of the reward, later a 32nd.
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
    """A block that lost its race and was included."""

    miner: str
    height: int


def reward_wei(height: int) -> int:
    """The block's reward by ECIP-1017, without what uncles bring."""
    era = (height - 1) // ERA_BLOCKS
    return FIRST_REWARD_WEI * int(4**era) // int(5**era)


def uncle_reward_wei(height: int, uncle_height: int) -> int:
    """What the miner of an uncle gets from the block that includes it."""
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
    """Movements from nobody, in the order reward, uncles, fees, withdrawals. Raises ValueError for a malformed field."""
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
