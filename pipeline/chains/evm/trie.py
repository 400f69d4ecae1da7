"""The tries whose roots a header holds: a block's transactions, or receipts, by the RLP of their index.

Enters: the root and the proof of one item, its nodes from the root down. Leaves: that item. Walking is py-trie's; a block's
tries are built by `connectors.evm.block_trie`.
"""

from __future__ import annotations

from collections.abc import Sequence

from .coding import decode, encode, keccak256
from .fields import shortest


def check(root: bytes, index: int, nodes: Sequence[bytes]) -> bytes:
    """The item of that index, as the nodes prove it below `root`. Raises ValueError when they prove none."""
    from trie import HexaryTrie

    if not nodes or keccak256(nodes[0]) != root:
        raise ValueError("its proof does not begin at the header's root")
    try:
        item = bytes(HexaryTrie.get_from_proof(root, _key(index), [decode(node) for node in nodes]))
    except Exception as error:  # forged nodes make the library fail in many ways
        raise ValueError(f"its proof does not hold: {type(error).__name__} {error}") from error
    if not item:
        raise ValueError("its proof shows that there is nothing at its place")
    return item


def _key(index: int) -> bytes:
    return encode(shortest(index))
