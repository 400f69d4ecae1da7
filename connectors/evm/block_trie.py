"""The Merkle-Patricia trie of all transactions or receipts of a block, built at once: ten times as fast as inserting one by one.

Enters: every encoded item of a block, in order. Leaves: the root, and the proofs of some items. The result equals py-trie's, which checks
the proofs (`pipeline.chains.evm.trie`) but takes 20 ms for fifty transactions.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_hash.auto import keccak

from pipeline.chains.evm.fields import Nested, shortest

_Item = tuple[bytes, bytes]
"""A key's nibbles, one a byte, and the value."""


_VALUES = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))
"""From a hexadecimal digit to what it stands for."""


class BlockTrie:
    """The trie of a block's transactions, or receipts, by the RLP of their index (Yellow Paper, appendix D)."""

    def __init__(self, items: Sequence[bytes]) -> None:
        self._nodes: dict[bytes, bytes] = {}
        """Nodes of 32 bytes and more by their hash; smaller ones are embedded in their parents."""
        self._parsed: dict[bytes, Nested] = {}
        keys = [_nibbles(rlp(shortest(index))) for index in range(len(items))]
        self._keys = keys
        self._top: Nested = self._node(sorted(zip(keys, items, strict=True)), 0) if items else b""
        raw = rlp(self._top)
        self.root = keccak(raw)
        """32 bytes."""
        self._raw_top = raw

    def prove(self, index: int) -> list[bytes]:
        """The RLP of each node from the root down to the item of that index, including embedded nodes."""
        proof, node, rest = [self._raw_top], self._top, self._keys[index]
        while True:
            assert isinstance(node, list)
            if len(node) == 17:
                if not rest:
                    return proof
                below, rest = node[rest[0]], rest[1:]
            else:
                path, is_leaf = _unpacked(node[0])
                if is_leaf:
                    return proof
                below, rest = node[1], rest[len(path) :]
            if isinstance(below, bytes):
                proof.append(self._nodes[below])
                node = self._parsed[below]
            else:
                node = below
                proof.append(rlp(node))

    def _node(self, items: list[_Item], depth: int) -> Nested:
        """The node of some sorted items whose keys are equal up to `depth`."""
        first, last = items[0][0], items[-1][0]
        if len(items) == 1:
            return [_packed(first[depth:], True), items[0][1]]
        shared = depth
        while shared < min(len(first), len(last)) and first[shared] == last[shared]:
            shared += 1
        if shared > depth:
            return [_packed(first[depth:shared], False), self._reference(self._node(items, shared))]
        branches: list[Nested] = [b""] * 17
        if len(first) == depth:
            branches[16], items = items[0][1], items[1:]
        start = 0
        for place in range(1, len(items) + 1):
            if place == len(items) or items[place][0][depth] != items[start][0][depth]:
                branches[items[start][0][depth]] = self._reference(self._node(items[start:place], depth + 1))
                start = place
        return branches

    def _reference(self, node: Nested) -> Nested:
        raw = rlp(node)
        if len(raw) < 32:
            return node
        name = keccak(raw)
        self._nodes[name] = raw
        self._parsed[name] = node
        return name


def rlp(value: Nested) -> bytes:
    """RLP of bytes and lists of them."""
    if isinstance(value, bytes):
        if len(value) == 1 and value[0] < 0x80:
            return value
        return _head(len(value), 0x80) + value
    body = b"".join(map(rlp, value))
    return _head(len(body), 0xC0) + body


def _head(length: int, base: int) -> bytes:
    if length < 56:
        return bytes([base + length])
    size = shortest(length)
    return bytes([base + 55 + len(size)]) + size


def _nibbles(key: bytes) -> bytes:
    return key.hex().encode().translate(_VALUES)


def _packed(nibbles: bytes, is_leaf: bool) -> bytes:
    """Hex-prefix encoding (Yellow Paper, appendix C)."""
    head = (2 if is_leaf else 0) + len(nibbles) % 2
    full = bytes([head]) + nibbles if len(nibbles) % 2 else bytes([head, 0]) + nibbles
    return bytes(full[place] << 4 | full[place + 1] for place in range(0, len(full), 2))


def _unpacked(path: Nested) -> tuple[bytes, bool]:
    assert isinstance(path, bytes)
    nibbles = _nibbles(path)
    return nibbles[1:] if nibbles[0] & 1 else nibbles[2:], nibbles[0] >= 2
