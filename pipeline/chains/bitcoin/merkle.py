"""Merkle trees of blocks and proofs of work: what shows, from a header alone, that a transaction is in a block.

Hashes are 32 bytes in the order in which they are printed (the wire has them the other way round). A tree's odd levels repeat their last hash, so a list whose end is repeated has the
same root (CVE-2012-2459). Such a list, in which two different neighbours are equal, is refused with ValueError as nodes
refuse such blocks. A proof for the repetition of a last hash (a right neighbour equal to the left one) is refused as well.
Left out: a transaction of exactly 64 bytes could pass for an inner node, so whoever checks a branch must also have the
transaction itself and see that it parses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from .networks import Network
from .wire import HEADER_SIZE, double_sha256


class MerkleTree:
    """The tree over a block's txids, in their order: built once for its root and for every branch.

    Raises ValueError for no txids, for what is not 32 bytes, and for a list whose end is repeated.
    """

    def __init__(self, txids: Sequence[bytes]) -> None:
        if not txids:
            raise ValueError("a block without transactions has no Merkle root")
        level = [_wire_order(txid) for txid in txids]
        self._count = len(level)
        self._levels: list[list[bytes]] = []
        """Leaves first, each of an even length, without the root."""
        while len(level) > 1:
            for left in range(0, len(level) - 1, 2):
                if level[left] == level[left + 1]:
                    raise ValueError(f"two neighbours in the Merkle tree are equal ({level[left][::-1].hex()}): the list has been repeated")
            if len(level) & 1:
                level.append(level[-1])
            self._levels.append(level)
            level = [double_sha256(level[left] + level[left + 1]) for left in range(0, len(level), 2)]
        self.root = level[0][::-1]
        """As the block's header has it."""

    def branch(self, index: int) -> list[bytes]:
        """The neighbours from the transaction at `index` up to the root; none for a block of one transaction. Raises ValueError."""
        if not 0 <= index < self._count:
            raise ValueError(f"there is no transaction {index} among {self._count}")
        return [level[(index >> depth) ^ 1][::-1] for depth, level in enumerate(self._levels)]


def root_of_branch(txid: bytes, index: int, branch: Sequence[bytes]) -> bytes:
    """The root that a branch leads to: equal to the header's, it proves the transaction's place in the block."""
    if not 0 <= index < 1 << len(branch):
        raise ValueError(f"index {index} does not fit a branch of {len(branch)} hashes")
    node = _wire_order(txid)
    for neighbour in map(_wire_order, branch):
        if index & 1:
            if neighbour == node:
                raise ValueError(f"the branch of {txid.hex()} proves the repetition of a block's last transaction, not the transaction")
            node = double_sha256(neighbour + node)
        else:
            node = double_sha256(node + neighbour)
        index >>= 1
    return node[::-1]


def meets_target(header_raw: bytes, network: Network, block_hash: bytes | None = None) -> bool | None:
    """Whether the header's hash is within the target it claims, and the target within the network's limit.

    `block_hash`: the header's own, as `parse_header` has it, where the caller has parsed it: on most networks the work is in that hash.
    None where the header alone cannot tell: merged mining has its proof in another chain's block, and some work is not known here.
    """
    if len(header_raw) != HEADER_SIZE:
        raise ValueError(f"a block header has {HEADER_SIZE} bytes, this one {len(header_raw)}")
    target = target_of(int.from_bytes(header_raw[72:76], "little"))
    if not 0 < target <= network.pow_limit:
        return False
    if network.pow in ("scrypt-auxpow", "unchecked"):
        return None
    if network.pow == "scrypt":
        return int.from_bytes(hashlib.scrypt(header_raw, salt=header_raw, n=1024, r=1, p=1, dklen=32), "little") <= target
    return int.from_bytes(block_hash or double_sha256(header_raw)[::-1], "big") <= target


@lru_cache(maxsize=64)
def target_of(bits: int) -> int:
    """The target that a header's compact `bits` stand for; 0 for those that stand for none (negative)."""
    exponent, mantissa = bits >> 24, bits & 0x7FFFFF
    if bits & 0x800000:
        return 0
    return mantissa >> 8 * (3 - exponent) if exponent <= 3 else mantissa << 8 * (exponent - 3)


def _wire_order(printed: bytes) -> bytes:
    if len(printed) != 32:
        raise ValueError(f"a hash has 32 bytes, this one {len(printed)}: {printed.hex()}")
    return printed[::-1]
