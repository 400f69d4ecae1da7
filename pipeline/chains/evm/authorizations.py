"""Authorizations of code (EIP-7702): what a transaction of type 4 lets keys' accounts run, and which numbers (nonces) that uses up. Pure.

Enters: a transaction's bytes, or a node's list of its authorizations. Leaves: the authorizations, each with the account whose key signed it, recovered from the signature. One whose signature is none
changes nothing on the chain and is left out. Left out: whether it applied, which hangs on the account's number at that moment (`verify.nonces`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .coding import decode, encode, keccak256
from .fields import Nested, as_bytes, as_list, as_number, shortest
from .transactions import authorization_fields

KIND = 4
"""The type of transaction that carries authorizations."""
_MAGIC = b"\x05"
_DELEGATED = b"\xef\x01\x00"
_PLACE = 9
"""Of the list in the transaction's fields."""
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_LAST_NUMBER = 2**64 - 1


@dataclass(frozen=True)
class Authorization:
    """One account's key lets the account run the code of another address."""

    authority: str
    """The account, EIP-55."""
    chain_id: int
    """Of the chain that it is for; 0 for every one."""
    nonce: int
    """The number that the account must have then."""
    code_hash: bytes
    """What the state says of the account's code afterwards, 32 bytes."""


def authorizations_of(raw: bytes) -> list[Authorization]:
    """The authorizations of a transaction in their order; none for other types. Raises ValueError for bytes that are no transaction."""
    if not raw or raw[0] != KIND:
        return []
    values = as_list(decode(raw[1:]), "transaction")
    if len(values) <= _PLACE:
        raise ValueError(f"a transaction of type {KIND} has 13 fields, this one has {len(values)}")
    found = (_authorization(as_list(entry, "authorization")) for entry in as_list(values[_PLACE], "authorizationList"))
    return [one for one in found if one is not None]


def authorities_told(entries: Sequence[Mapping[str, Any]]) -> set[str]:
    """The accounts, EIP-55, whose keys signed the entries of a node's `authorizationList`. Raises ValueError for fields that are missing or malformed."""
    found = (_authorization(authorization_fields(entry)) for entry in entries)
    return {one.authority for one in found if one is not None}


def _authorization(entry: list[Nested]) -> Authorization | None:
    """One of them; None where it can't apply whatever the state is. Raises ValueError for fields that are none."""
    from eth_keys.datatypes import Signature
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    if len(entry) != 6:
        raise ValueError(f"an authorization has 6 fields, this one has {len(entry)}")
    address = as_bytes(entry[1], "address", 20)
    chain_id, nonce, parity, r, s = (
        as_number(entry[place], name) for place, name in ((0, "chainId"), (2, "nonce"), (3, "yParity"), (4, "r"), (5, "s"))
    )
    if nonce >= _LAST_NUMBER or s > _HALF_ORDER:
        return None
    signed = keccak256(_MAGIC + encode([shortest(chain_id), address, shortest(nonce)]))
    try:
        key = Signature(vrs=(parity, r, s)).recover_public_key_from_msg_hash(signed)
    except (BadSignature, ValidationError):
        return None
    code = _DELEGATED + address if any(address) else b""
    return Authorization(str(key.to_checksum_address()), chain_id, nonce, keccak256(code))
