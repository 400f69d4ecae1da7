"""The tries whose roots a header holds: a block's transactions, or receipts, by the RLP of their index; the state's accounts, by the hash of their address.

Enters: the root and the proof of one item, its nodes from the root down. Leaves: that item, or what an account holds. Walking is py-trie's; a block's
tries are built by `connectors.evm.block_trie`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .coding import decode, encode, keccak256
from .fields import as_bytes, as_list, as_number, shortest

NO_CODE = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
"""The Keccak-256 hash of no bytes: of the code of an account that has none."""
MOST_NODES = 65
"""Of a proof: a path has 64 nibbles."""


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
    """The value at the key; empty where the nodes prove that there is none."""
    from trie import HexaryTrie

    if not nodes or len(nodes) > MOST_NODES or keccak256(nodes[0]) != root:
        raise ValueError("its proof does not begin at the header's root")
    try:
        return bytes(HexaryTrie.get_from_proof(root, key, [decode(node) for node in nodes]))
    except Exception as error:  # forged nodes make the library fail in many ways
        raise ValueError(f"its proof does not hold: {type(error).__name__} {error}") from error
