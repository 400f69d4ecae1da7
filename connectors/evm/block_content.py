"""What a block has of the pool's: its transactions, and which of them rest on the node's trace. Pure.

Leaves besides: by how much the block changes what each address holds, by all that was read of it; `trace_check.py` compares that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.log.events.chain import Transaction

from .movements import Movement


@dataclass(frozen=True)
class BlockContent:
    """What a block has of the pool's."""

    transactions: list[Transaction]
    traced: frozenset[str] = frozenset()
    """Ids of those in which code ran and the chain's own asset went to others: who got it rests on the node's trace."""
    untraced: frozenset[str] = frozenset()
    """Ids of payers' transactions in which code ran and whose calls can't be traced: they may have moved more of the chain's own asset, and are not told."""
    authorizing: frozenset[str] = frozenset()
    """Watched addresses, EIP-55, that let code run in their name in it (EIP-7702), whether or not that applied."""
    changes: Mapping[str, int | None] = field(default_factory=dict)
    """Where calls were read: by how many wei the block changes what each address (EIP-55) holds; null where that can't be told."""

    def recipients(self, asset: str) -> set[str]:
        """Those who get the chain's own asset in the traced transactions, and are not the pool."""
        return {address for told in self.transactions if told.txid in self.traced for address in recipients_of(told, asset)}


def recipients_of(told: Transaction, asset: str) -> list[str]:
    """Those who get an asset in a transaction, and are not the pool."""
    return [o.address for o in told.outputs if o.wallet is None and o.asset == asset and o.address is not None]


def changes_of(movements: Iterable[Movement], fees: Iterable[tuple[str, int | None]]) -> dict[str, int | None]:
    """By how much movements of one asset and fees (payer and amount, null where it can't be told) change what each address holds."""
    changes: dict[str, int | None] = {}
    parts: list[tuple[str, int | None]] = []
    for movement in movements:
        parts.append((movement.recipient, movement.value))
        if movement.sender is not None:
            parts.append((movement.sender, -movement.value))
    parts += [(payer, None if fee is None else -fee) for payer, fee in fees]
    for address, value in parts:
        before = changes.get(address, 0)
        changes[address] = None if before is None or value is None else before + value
    return changes
