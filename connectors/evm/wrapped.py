"""Wrapped coins: WETH9's `Deposit` and `Withdrawal` as a mint and a burn. Pure.

Enters: the logs of one transaction, and the contracts that the settings name as wrapped. Leaves: by place among the logs, what was minted to whom, and what was burnt by whom.
WETH9 logs no `Transfer` for them. Contracts made after it log both: then the `Transfer` from or to nobody counts, once. What is burnt goes back to its contract, so one
label of the contract classes both the coins that go in and the wrapped ones that go back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from pipeline.chains.evm.address import to_checksum
from pipeline.chains.evm.receipts import Log, token_movement

DEPOSIT_TOPIC = bytes.fromhex("e1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c")
"""Keccak-256 of `Deposit(address,uint256)`: minted to the address."""
WITHDRAWAL_TOPIC = bytes.fromhex("7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65")
"""Keccak-256 of `Withdrawal(address,uint256)`: burnt by the address."""
NOBODY = "0x" + 40 * "0"


class Wrapping(NamedTuple):
    """Units of a wrapped coin that were minted or burnt."""

    contract: str
    party: str
    """Who got them, or gave them up."""
    value: int
    is_mint: bool

    @property
    def sender(self) -> str | None:
        return None if self.is_mint else self.party

    @property
    def recipient(self) -> str:
        return self.party if self.is_mint else self.contract


def wrappings(logs: Sequence[Log], contracts: Collection[str]) -> dict[int, Wrapping]:
    """The mints and burns of the contracts (EIP-55), by place among the logs."""
    if not contracts:
        return {}
    told: Counter[Wrapping] = Counter()
    for log in logs:
        moved = token_movement(log) if log.address in contracts else None
        if moved is not None and NOBODY in (moved.sender, moved.receiver):
            is_mint = moved.sender == NOBODY
            told[Wrapping(log.address, moved.receiver if is_mint else moved.sender, moved.value, is_mint)] += 1
    found = {}
    for place, log in enumerate(logs):
        one = _wrapping(log) if log.address in contracts else None
        if one is None or not one.value:
            continue
        if told[one]:
            told[one] -= 1
            continue
        found[place] = one
    return found


def _wrapping(log: Log) -> Wrapping | None:
    if len(log.topics) != 2 or len(log.data) != 32 or log.topics[0] not in (DEPOSIT_TOPIC, WITHDRAWAL_TOPIC) or any(log.topics[1][:12]):
        return None
    party = to_checksum("0x" + log.topics[1][12:].hex())
    return Wrapping(log.address, party, int.from_bytes(log.data, "big"), log.topics[0] == DEPOSIT_TOPIC)
