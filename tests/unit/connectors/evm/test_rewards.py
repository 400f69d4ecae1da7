"""What a block credits: reward, uncles, fees, withdrawals."""

from __future__ import annotations

from connectors.evm.answers import Withdrawal
from connectors.evm.rewards import Uncle, block_credits
from pipeline.chains.networks import OURS

MINER, OTHER = "0x" + 40 * "1", "0x" + 40 * "2"


def test_all_a_block_credits() -> None:
    found = block_credits(
        5_000_001, MINER, asset="ETC", schedule=OURS.of("evm:61").facts.reward, uncles=[Uncle(OTHER, 5_000_000)], priority_fees_wei=77,
        withdrawals=[Withdrawal(index="0x5", validator_index="0x1", address=OTHER, amount="0x3"), Withdrawal(index="0x6", validator_index="0x1", address=OTHER, amount="0x0")],
    )  # fmt: skip
    assert [(m.recipient, m.value, m.ref) for m in found] == [
        (MINER, 4 * 10**18 + 4 * 10**18 // 32, "reward"),
        (OTHER, 4 * 10**18 // 32, "uncle:0"),
        (MINER, 77, "fees"),
        (OTHER, 3 * 10**9, "withdrawal:5"),
    ]
    assert block_credits(7, MINER, asset="X", schedule=None, uncles=[], priority_fees_wei=0, withdrawals=[]) == []
    merged = OURS.of("evm:1").facts.reward
    assert block_credits(15_537_394, MINER, asset="ETH", schedule=merged, uncles=[], priority_fees_wei=0, withdrawals=[]) == [], (
        "stake creates nothing"
    )
