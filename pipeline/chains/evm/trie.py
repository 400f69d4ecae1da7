"""The tries whose roots a header holds: a block's transactions, or receipts, by the RLP of their index; the state's accounts, by the hash of their address.

Enters: the root and the proof of one item, its nodes from the root down. Leaves: that item, or what an account holds (Yellow Paper, appendices C and D). Tests hold every step
against py-trie, which is some ten times slower; a block's tries are built by `connectors.evm.block_trie`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .coding import decode, encode, keccak256
from .fields import Nested, as_bytes, as_list, as_number, shortest

NO_CODE = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
"""The Keccak-256 hash of no bytes: of the code of an account that has none."""
MOST_NODES = 65
"""Of a proof: a path has 64 nibbles."""
_BRANCH, _ONE_WAY = 17, 2
"""Parts of a node with a way for each nibble, and a value; and of one with a path, and what is at its end."""


def check(root: bytes, index: int, nodes: Sequence[bytes]) -> bytes:
    """The item of that index, as the nodes prove it below `root`. Raises ValueError when they prove none."""
    item = _found(root, encode(shortest(index)), nodes)
    if not item:
        raise ValueError("its proof shows that there is nothing at its place")
    return item


def account_balance(state_root: bytes, address: str, nodes: Sequence[bytes]) -> int:
    """The proved balance of the account at `address` (0x…) in the chain's own asset, in base units; 0 where the proof shows that there is no account.

    Raises ValueError when they prove neither (EIP-1186; Yellow Paper, section 4.1).
    """
    return account_state(state_root, address, nodes).balance


class AccountState(NamedTuple):
    """What a state's trie holds of an account."""

    nonce: int
    """How many transactions it has sent and authorizations of code it has given (EIP-7702), where it is a key's and no contract's."""
    balance: int
    code_hash: bytes
    """Of the code that it runs, 32 bytes."""

    @property
    def is_key(self) -> bool:
        """Whether it has no code."""
        return self.code_hash == NO_CODE


def account_state(state_root: bytes, address: str, nodes: Sequence[bytes]) -> AccountState:
    """The proved state of the account at `address` (0x…); zeros where the proof shows that there is none. Raises ValueError when the nodes prove neither."""
    item = _found(state_root, keccak256(bytes.fromhex(address[2:])), nodes)
    if not item:
        return AccountState(0, 0, NO_CODE)
    account = as_list(decode(item), "account")
    if len(account) != 4:
        raise ValueError(f"an account has 4 fields, this one has {len(account)}")
    as_bytes(account[2], "storageHash", 32)
    code = as_bytes(account[3], "codeHash", 32)
    return AccountState(as_number(account[0], "nonce"), as_number(account[1], "balance"), code)


def _found(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes:
    """The value at the key; empty where the nodes prove that there is none. Raises ValueError when they prove neither."""
    if not nodes or len(nodes) > MOST_NODES or keccak256(nodes[0]) != root:
        raise ValueError("its proof does not begin at the header's root")
    try:
        named = {keccak256(raw): decode(raw) for raw in nodes}
        for node in named.values():
            _require_node(node)
        return _walk(key.hex(), named[root], named)
    except ValueError as error:
        raise ValueError(f"its proof does not hold: {error}") from error


def _require_node(node: Nested) -> None:
    """Raises ValueError for what is no node, or has such a one in it."""
    if node == b"":
        return
    parts = as_list(node, "a node")
    if len(parts) == _BRANCH:
        as_bytes(parts[-1], "a branch's value")
        for below in parts[:-1]:
            if isinstance(below, list):
                _require_node(below)
            elif below:
                as_bytes(below, "a node's name", 32)
    elif len(parts) == _ONE_WAY:
        as_bytes(parts[0], "a node's path")
        if isinstance(parts[1], list):
            _require_node(parts[1])
    else:
        raise ValueError(f"a node has {_BRANCH} parts or {_ONE_WAY}, this one has {len(parts)}")


def _walk(path: str, node: Nested, nodes: Mapping[bytes, Nested]) -> bytes:
    """The value below a node at the rest of a path, hexadecimal digits; empty where there is none. `nodes`: by their hashes."""
    while isinstance(node, list):
        if len(node) == _BRANCH:
            if not path:
                return as_bytes(node[-1], "a branch's value")
            below, path = node[int(path[0], 16)], path[1:]
        else:
            shared, is_leaf = _unpacked(as_bytes(node[0], "a node's path"))
            if is_leaf:
                return as_bytes(node[1], "a leaf's value") if shared == path else b""
            if not shared:
                raise ValueError("a node leads no further")
            if not path.startswith(shared):
                return b""
            below, path = node[1], path[len(shared) :]
        if isinstance(below, list) or not below:
            node = below
        elif below in nodes:
            node = nodes[below]
        else:
            raise ValueError(f"the node {below.hex()} is not in it")
    return b""


def _unpacked(packed: bytes) -> tuple[str, bool]:
    """The digits of a node's path, and whether it is a leaf's. Raises ValueError for other marks than those four (appendix C)."""
    digits = packed.hex()
    if digits[:1] in ("1", "3"):
        return digits[1:], digits[0] == "3"
    if digits[:2] not in ("00", "20"):
        raise ValueError(f"a node's path begins with {digits[:2]!r}")
    return digits[2:], digits[0] == "2"
