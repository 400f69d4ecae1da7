"""Which blocks of the main chain how many nodes were asked about (ADR 20). Pure.

Enters: the ranges of `witnessed` events, and the heights that leave the main chain. Leaves: the gaps. A range of which any block left the main chain
counts no longer, as in the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from pipeline.log.events.chain import Transaction
from pipeline.model.spans import gaps

_SIZE = 20
"""Bytes of `digests_of` a transaction."""


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

    def split(self, height: int) -> None:
        """More is told of the block of that height: what nodes said of it counts no longer, what they said of the blocks around it does."""
        parts = []
        for first, last, n_nodes in self._ranges:
            if first <= height <= last:
                parts += [part for part in ((first, height - 1, n_nodes), (height + 1, last, n_nodes)) if part[0] <= part[1]]
            else:
                parts.append((first, last, n_nodes))
        self._ranges = parts
        self._highest = max((known[1] for known in parts), default=-1)

    def gaps(self, first: int, last: int, needed: int) -> Iterator[tuple[int, int]]:
        """The runs of heights from `first` to `last` for which fewer than `needed` nodes stand."""
        return gaps([(begin, end) for begin, end, n_nodes in self._ranges if n_nodes >= needed], first, last)


def told_of(transactions: Sequence[Transaction]) -> bytes:
    """What a block does to the pool, as JSON: the part of its transactions that does not depend on how it is proved, or on the event's version."""
    return msgspec.json.encode([_told(tx) for tx in transactions])


def _told(tx: Transaction) -> dict[str, object]:
    return {
        "txid": tx.txid,
        "position": tx.position,
        "inputs": [[i.txid, i.vout, i.value, i.address, i.wallet, i.asset] for i in tx.inputs],
        "outputs": [[o.ref, o.value, o.address, o.wallet, o.asset] for o in tx.outputs],
        "fee": tx.fee if tx.inputs or tx.fee_wallet else "0",
    }


def content_digest(transactions: Sequence[Transaction]) -> bytes:
    """Digests of what each of a block's transactions does to the pool (`digests_of`)."""
    return digests_of(transactions, _told)


def digests_of(transactions: Iterable[Transaction], content: Callable[[Transaction], object]) -> bytes:
    """A block's transactions as 20 bytes each, by position: the position in the block, and a digest of what `content` gives of the transaction."""
    parts = (
        tx.position.to_bytes(4, "big") + hashlib.blake2b(msgspec.json.encode(content(tx)), digest_size=16).digest() for tx in transactions
    )
    return b"".join(sorted(parts))


def split(digests: bytes) -> Iterator[bytes]:
    """The digests of the single transactions."""
    return (digests[at : at + _SIZE] for at in range(0, len(digests), _SIZE))


def with_retold(before: bytes, retold: bytes) -> bytes:
    """The digests of a block after some of its transactions were told anew or for the first time."""
    parts = {part[:4]: part for some in (before, retold) for part in split(some)}
    return b"".join(parts[place] for place in sorted(parts))


NOTHING = content_digest([])
"""Of a block that does nothing to the pool."""
