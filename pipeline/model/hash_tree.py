"""A Merkle tree over leaves that are hashes, and one proof for any number of its leaves. Pure.

Enters: the leaves' hashes, 32 bytes each. Leaves: the root; for chosen leaves the hashes of others that lead to it; the root again from these alone. A node is
SHA-256(01 ‖ left ‖ right), as in RFC 6962; a hash without a neighbour rises as it is. A leaf's own hash must not begin as a node's (`leaf_hash` of `receipts` does not).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

SIZE = 32
_NODE = b"\x01"
EMPTY = hashlib.sha256(b"").digest()
"""The root of no leaves."""
LEAVES_AT_ONCE = 1 << 16
"""Leaves in memory at a time where the root alone is wanted: a power of two, so that what they make together is one node of the tree."""


class HashTree:
    """All levels of a tree, from the leaves up; 64 bytes a leaf."""

    def __init__(self, leaves: bytes | bytearray) -> None:
        """`leaves`: the hashes one after another."""
        if len(leaves) % SIZE:
            raise ValueError("leaves are hashes of 32 bytes each")
        self._levels = [bytes(leaves)]
        while len(self._levels[-1]) > SIZE:
            self._levels.append(_level_above(self._levels[-1]))

    @property
    def count(self) -> int:
        return len(self._levels[0]) // SIZE

    @property
    def root(self) -> bytes:
        return self._levels[-1] or EMPTY

    def proof(self, places: Sequence[int]) -> list[bytes]:
        """The hashes that lead from the leaves at `places` to the root: level by level, from left to right, each only where it can't be computed."""
        if not places or not 0 <= min(places) <= max(places) < self.count:
            raise ValueError("a proof is of one leaf at least, and of leaves that are there")
        found = []
        known = sorted(set(places))
        for level in self._levels[:-1]:
            size, here = len(level) // SIZE, set(known)
            found += [level[SIZE * other : SIZE * (other + 1)] for place in known if (other := place ^ 1) < size and other not in here]
            known = sorted({place >> 1 for place in known})
        return found


def count_and_root(leaves: Iterable[bytes]) -> tuple[int, bytes]:
    """How many leaves there are, and the root of their `HashTree`, which is never whole in memory: 32 bytes for each `LEAVES_AT_ONCE` leaves."""
    count, held, above = 0, bytearray(), bytearray()
    for leaf in leaves:
        held += leaf
        if len(held) == LEAVES_AT_ONCE * SIZE:
            count += LEAVES_AT_ONCE
            above += HashTree(held).root
            held.clear()
    if held:
        count += len(held) // SIZE
        above += HashTree(held).root
    return count, HashTree(above).root


def root_of(leaves: dict[int, bytes], count: int, proof: Sequence[bytes]) -> bytes:
    """The root that these leaves (hash by place) of a tree of `count` and their proof lead to. Raises ValueError for a proof that does not fit them."""
    if not leaves or not 0 <= min(leaves) <= max(leaves) < count:
        raise ValueError("the rows are not among those of the report")
    given = iter(proof)
    known, size = dict(sorted(leaves.items())), count
    while size > 1:
        above: dict[int, bytes] = {}
        for place, own in known.items():
            other = place ^ 1
            if place >> 1 in above:
                continue
            if other >= size:
                above[place >> 1] = own
                continue
            beside = known.get(other)
            if beside is None:
                beside = next(given, None)
            if beside is None or len(beside) != SIZE:
                raise ValueError("the proof has too few hashes")
            above[place >> 1] = node_hash(own, beside) if other > place else node_hash(beside, own)
        known, size = above, (size + 1) // 2
    if next(given, None) is not None:
        raise ValueError("the proof has more hashes than it needs")
    return known[0]


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two below it."""
    return hashlib.sha256(_NODE + left + right).digest()


def _level_above(level: bytes) -> bytes:
    above = bytearray()
    for at in range(0, len(level) - SIZE, 2 * SIZE):
        above += node_hash(level[at : at + SIZE], level[at + SIZE : at + 2 * SIZE])
    if len(level) // SIZE % 2:
        above += level[-SIZE:]
    return bytes(above)
