"""Credits of a block itself: reward, uncles, priority fees, withdrawals. Pure.

Enters: a block's header fields, its uncles, the gas fees of its transactions, the chain's schedule of rewards (`chains.rewards`). Leaves: movements without a
sender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.chains.evm.address import to_checksum
from pipeline.chains.rewards import RewardFacts, block_reward, including_reward, uncle_reward

from .answers import Withdrawal, number
from .movements import Movement

WEI_A_GWEI = 10**9


@dataclass(frozen=True)
class Uncle:
    """An uncle: a stale block that a later block includes."""

    miner: str
    height: int


def block_credits(
    height: int,
    miner: str,
    *,
    asset: str,
    schedule: RewardFacts | None,
    uncles: Sequence[Uncle],
    priority_fees_wei: int,
    withdrawals: Sequence[Withdrawal],
) -> list[Movement]:
    """Movements without a sender, in the order reward, uncles, fees, withdrawals. `schedule`: None where blocks create nothing that is counted. Raises ValueError for a
    malformed field.
    """
    found = []
    if schedule is not None:
        paid = [(miner, (block_reward(schedule, height) or 0) + including_reward(schedule, height, len(uncles)), "reward")]
        paid += [(uncle.miner, uncle_reward(schedule, height, uncle.height), f"uncle:{place}") for place, uncle in enumerate(uncles)]
        found += [Movement(asset, None, to_checksum(to), value, ref) for to, value, ref in paid if value]
    if priority_fees_wei:
        found.append(Movement(asset, None, to_checksum(miner), priority_fees_wei, "fees"))
    for withdrawal in withdrawals:
        value = number(withdrawal.amount) * WEI_A_GWEI
        if value:
            found.append(Movement(asset, None, to_checksum(withdrawal.address), value, f"withdrawal:{number(withdrawal.index)}"))
    return found
