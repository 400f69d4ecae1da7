"""Which blocks of the main chain how many nodes were asked about (ADR 20). Pure.

Enters: the ranges of `witnessed` events, and the heights that leave the main chain. Leaves: the gaps. A range of which any block left the main chain
counts no longer, as in the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from pipeline.log.events.chain import Transaction
from pipeline.model.spans import gaps


class Coverage:
    """The ranges that count."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int, int]] = []
        """First and last height, and the number of nodes."""
        self._highest = -1

    def add(self, first: int, last: int, n_nodes: int) -> None:
        self._ranges.append((first, last, n_nodes))
        self._highest = max(self._highest, last)

    def drop(self, height: int) -> None:
        """The block of that height left the main chain."""
        if height <= self._highest:
            self._ranges = [known for known in self._ranges if known[1] < height]
            self._highest = max((known[1] for known in self._ranges), default=-1)

    def gaps(self, first: int, last: int, needed: int) -> Iterator[tuple[int, int]]:
        """The runs of heights from `first` to `last` for which fewer than `needed` nodes stand."""
        return gaps([(begin, end) for begin, end, n_nodes in self._ranges if n_nodes >= needed], first, last)


def told_of(transactions: Sequence[Transaction]) -> bytes:
    """What a block does to the pool, as JSON: the part of its transactions that does not depend on how it is proved, or on the event's version."""
    return msgspec.json.encode(
        [
            {
                "txid": tx.txid,
                "position": tx.position,
                "inputs": [[i.txid, i.vout, i.value, i.address, i.wallet, i.asset] for i in tx.inputs],
                "outputs": [[o.ref, o.value, o.address, o.wallet, o.asset] for o in tx.outputs],
                "fee": tx.fee if tx.inputs or tx.fee_wallet else "0",
            }
            for tx in transactions
        ]
    )


def content_digest(transactions: Sequence[Transaction]) -> bytes:
    """A 16-byte digest of what a block does to the pool."""
    return hashlib.blake2b(told_of(transactions), digest_size=16).digest()
