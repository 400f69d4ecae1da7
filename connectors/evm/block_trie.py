"""The Merkle-Patricia trie of all transactions or receipts of a block, built at once: ten times as fast as inserting one by one.

Enters: every encoded item of a block, in order. Leaves: the root, and the proofs of some items. The result equals py-trie's, which takes
20 ms for fifty transactions; proofs are checked by `pipeline.chains.evm.trie`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pipeline.chains.evm.coding import encode, encode_bytes, keccak256
from pipeline.chains.evm.fields import Nested, shortest


class BlockTrie:
    """The trie of a block's transactions, or receipts, by the RLP of their index (Yellow Paper, appendix D)."""

    def __init__(self, items: Sequence[bytes]) -> None:
        self._nodes: dict[bytes, tuple[bytes, Nested]] = {}
        """Nodes of 32 bytes and more by their hash, encoded and not; smaller ones are embedded in their parents."""
        order, self._keys = _sorted_keys(len(items))
        self._items = [items[index] for index in order]
        self._top: Nested = self._node(0, len(items), 0) if items else b""
        self._raw_top = encode(self._top)
        self.root = keccak256(self._raw_top)
        """32 bytes."""

    def prove(self, index: int) -> list[bytes]:
        """The RLP of each node from the root down to the item of that index, including embedded nodes."""
        proof, node, rest = [self._raw_top], self._top, _key(index)
        while True:
            assert isinstance(node, list)
            if len(node) == 17:
                if not rest:
                    return proof
                below, rest = node[int(rest[0], 16)], rest[1:]
            else:
                path, is_leaf = _unpacked(node[0])
                if is_leaf:
                    return proof
                below, rest = node[1], rest[len(path) :]
            if isinstance(below, bytes):
                raw, node = self._nodes[below]
                proof.append(raw)
            else:
                node = below
                proof.append(encode(node))

    def _node(self, first: int, end: int, depth: int) -> Nested:
        """The node of some of the items in their keys' order, whose keys are equal up to `depth`."""
        keys = self._keys
        low = keys[first]
        if end - first == 1:
            return [_packed(low[depth:], is_leaf=True), self._items[first]]
        shared, high = depth, keys[end - 1]
        while shared < len(low) and low[shared] == high[shared : shared + 1]:
            shared += 1
        if shared > depth:
            return [_packed(low[depth:shared], is_leaf=False), self._reference(self._node(first, end, shared))]
        branches: list[Nested] = [b""] * 17
        if len(low) == depth:
            branches[16], first = self._items[first], first + 1
        while first < end:
            digit, place = keys[first][depth], first + 1
            while place < end and keys[place][depth] == digit:
                place += 1
            branches[int(digit, 16)] = self._reference(self._node(first, place, depth + 1))
            first = place
        return branches

    def _reference(self, node: Nested) -> Nested:
        raw = encode(node)
        if len(raw) < 32:
            return node
        name = keccak256(raw)
        self._nodes[name] = raw, node
        return name


def _key(index: int) -> str:
    """Where the item of an index lies: the nibbles as hexadecimal digits."""
    return encode_bytes(shortest(index)).hex()


@lru_cache(maxsize=128)
def _sorted_keys(count: int) -> tuple[list[int], list[str]]:
    """The indexes of so many items in their keys' order, and the keys: the same in every block of so many."""
    keys = [_key(index) for index in range(count)]
    order = sorted(range(count), key=keys.__getitem__)
    return order, [keys[index] for index in order]


def _packed(nibbles: str, *, is_leaf: bool) -> bytes:
    """Hex-prefix encoding (Yellow Paper, appendix C)."""
    if len(nibbles) % 2:
        return bytes.fromhex(("3" if is_leaf else "1") + nibbles)
    return bytes.fromhex(("20" if is_leaf else "00") + nibbles)


def _unpacked(path: Nested) -> tuple[str, bool]:
    assert isinstance(path, bytes)
    nibbles = path.hex()
    return nibbles[1:] if nibbles[0] in "13" else nibbles[2:], nibbles[0] in "23"
