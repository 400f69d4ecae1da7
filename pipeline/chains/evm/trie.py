"""The tries whose roots a header holds: a block's transactions, or receipts, by the RLP of their index.

Enters: every encoded item of a block, or the proof of one. Leaves: the root, the nodes from the root down to one item, or
that item. Building and walking are py-trie's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .coding import decode, encode, keccak256
from .fields import shortest

if TYPE_CHECKING:
    from trie import HexaryTrie


def trie_root(items: Sequence[bytes]) -> bytes:
    """The root of the trie of a block's items, in their order: 32 bytes."""
    return bytes(_build(items).root_hash)


def prove(items: Sequence[bytes], index: int) -> list[bytes]:
    """The nodes from the root down to the item of that index, each its RLP. Raises IndexError where there is none."""
    return prove_each(items, [index])[0]


def prove_each(items: Sequence[bytes], indexes: Sequence[int]) -> list[list[bytes]]:
    """`prove` for several items of one block, which is built once."""
    for index in indexes:
        if not 0 <= index < len(items):
            raise IndexError(f"there is no item {index} among {len(items)}")
    built = _build(items)
    return [[encode(node) for node in built.get_proof(_key(index))] for index in indexes]


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


def _build(items: Sequence[bytes]) -> HexaryTrie:
    from trie import HexaryTrie

    # Pruned: only the nodes of the whole trie are kept, not those of its growing.
    built = HexaryTrie({}, prune=True)
    for index, item in enumerate(items):
        built[_key(index)] = item
    return built
