"""Orders to the scenario's contract wallet: what its owner signs, as the wallet's logic recovers it."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak

from .contracts import Contract


def order_data(logic: Contract, wallet: str, number: int, to: str, value: int, data: str, key: bytes) -> str:
    """Calldata of `execute` with the owner's signature over wallet, running number, receiver, value and data."""
    inner = bytes.fromhex(data[2:])
    said = keccak(encode(["address", "uint256", "address", "uint256", "bytes32"], [wallet, number, to, value, keccak(inner)]))
    signed = Account.unsafe_sign_hash(said, key)
    return logic.call("execute", to, value, inner, signed.v, signed.r.to_bytes(32), signed.s.to_bytes(32))
