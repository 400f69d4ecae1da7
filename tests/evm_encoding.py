"""Headers and tries of account chains, built with Ethereum's own libraries: what the product reads, checks or builds in its own way.

Enters: a block as `eth_getBlockByNumber` gives it, or every encoded item of a block. Leaves: the header's RLP; the trie's root, and the
nodes from it down to some of the items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlp import encode
from trie import HexaryTrie

from pipeline.chains.evm.coding import keccak256
from pipeline.chains.evm.fields import Nested, data, quantity, shortest
from pipeline.chains.evm.headers import _FIRST, _FORKS


def header_rlp(block: Mapping[str, Any]) -> bytes:
    """The header's RLP of a block as `eth_getBlockByNumber` gives it. Raises ValueError for a field that is missing or malformed.

    Fields of forks that this program does not know are not in it: then its hash is not the block's, which the caller must compare.
    """
    values: list[Nested] = [_field(block, name, length) for name, length in _FIRST]
    for fork in _FORKS:
        if all(block.get(name) is None for name, _ in fork):
            break
        values += [_field(block, name, length) for name, length in fork]
    return encode(values)


def _field(block: Mapping[str, Any], name: str, length: int | None) -> bytes:
    if length is None:
        return quantity(block, name)
    return data(block, name, None if length < 0 else length)


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
    return [[encode(node) for node in built.get_proof(encode(shortest(index)))] for index in indexes]


def state_trie(
    held: Mapping[str, int], nonces: Mapping[str, int] | None = None, codes: Mapping[str, bytes] | None = None
) -> tuple[bytes, dict[str, list[bytes]]]:
    """The root of a state in which each address (0x…) holds so many base units (has used so many numbers, runs that code), and the nodes from it down to each."""
    built = HexaryTrie({}, prune=True)
    keys = {address: keccak256(bytes.fromhex(address[2:])) for address in held}
    for address, value in held.items():
        empty = keccak256(encode(b"")), keccak256((codes or {}).get(address, b""))
        built[keys[address]] = encode([shortest((nonces or {}).get(address, 0)), shortest(value), *empty])
    return bytes(built.root_hash), {address: [encode(node) for node in built.get_proof(key)] for address, key in keys.items()}


def _build(items: Sequence[bytes]) -> HexaryTrie:
    # Pruned: only the nodes of the whole trie are kept, not those of its growing.
    built = HexaryTrie({}, prune=True)
    for index, item in enumerate(items):
        built[encode(shortest(index))] = item
    return built
