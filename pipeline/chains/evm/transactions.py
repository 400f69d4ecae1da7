"""Transactions of account chains: from a node's JSON to the bytes whose hash is the transaction's id, and from those back.

Legacy transactions are a list; later ones a type byte and a list: 1 (EIP-2930), 2 (EIP-1559), 3 (EIP-4844, as it stands in
blocks, without its blobs), 4 (EIP-7702). Left out: types that other networks made up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .address import to_checksum
from .coding import decode, encode, keccak256
from .fields import Nested, as_bytes, as_list, as_number, data, entry, number, quantity, recipient, shortest

_LEGACY = ("nonce", "gasPrice", "gas", "to", "value", "input", "v", "r", "s")
_SIGNED = ("yParity", "r", "s")
_FEES = ("maxPriorityFeePerGas", "maxFeePerGas")
_TYPED: dict[int, tuple[str, ...]] = {
    1: ("chainId", "nonce", "gasPrice", "gas", "to", "value", "input", "accessList", *_SIGNED),
    2: ("chainId", "nonce", *_FEES, "gas", "to", "value", "input", "accessList", *_SIGNED),
    3: ("chainId", "nonce", *_FEES, "gas", "to", "value", "input", "accessList", "maxFeePerBlobGas", "blobVersionedHashes", *_SIGNED),
    4: ("chainId", "nonce", *_FEES, "gas", "to", "value", "input", "accessList", "authorizationList", *_SIGNED),
}
INTRINSIC_GAS = 21_000
"""What every transaction costs before any code runs: with a limit of this, none can run, and one in which none ran used exactly this."""


@dataclass(frozen=True)
class AccountTransaction:
    """What the report needs of a transaction."""

    txid: str
    """Hex without 0x, as events carry it."""
    kind: int
    """0 for legacy."""
    nonce: int
    gas: int
    """The most that it may use."""
    to: str | None
    """EIP-55; None where it makes a contract."""
    value: int
    """Wei, or the chain's like unit."""
    input: bytes


def transaction_rlp(transaction: Mapping[str, Any]) -> bytes:
    """The signed transaction's bytes, as a block commits to them, from `eth_getTransactionByHash`'s answer.

    Raises ValueError for a type that this program does not know, or a field that is missing or malformed. The caller compares
    the hash of the bytes with the transaction's.
    """
    kind = number(transaction, "type") if transaction.get("type") is not None else 0
    if kind == 0:
        return encode(_fields(transaction, _LEGACY))
    if kind not in _TYPED:
        raise ValueError(f"a transaction of type {kind} is not known to this program: upgrade it")
    return bytes([kind]) + encode(_fields(transaction, _TYPED[kind]))


def transaction_hash(raw: bytes) -> str:
    """The transaction's id, hex without 0x."""
    return keccak256(raw).hex()


def parse_account_transaction(raw: bytes) -> AccountTransaction:
    """What the signed bytes say. Raises ValueError for bytes that are no transaction, or of an unknown type."""
    kind, names = _kind_of(raw)
    values = as_list(decode(raw[1:] if kind else raw), "transaction")
    if len(values) != len(names):
        raise ValueError(f"a transaction of type {kind} has {len(names)} fields, this one has {len(values)}")
    named = dict(zip(names, values, strict=True))
    to = as_bytes(named["to"], "to", 0, 20)
    return AccountTransaction(
        txid=transaction_hash(raw),
        kind=kind,
        nonce=as_number(named["nonce"], "nonce"),
        gas=as_number(named["gas"], "gas"),
        to=to_checksum("0x" + to.hex()) if to else None,
        value=as_number(named["value"], "value"),
        input=as_bytes(named["input"], "input"),
    )


def sender_of(raw: bytes) -> str:
    """The account whose key signed the transaction, EIP-55, recovered from its bytes (EIP-155, EIP-2718). Raises ValueError for a signature that is none."""
    from eth_keys.datatypes import Signature
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    kind, names = _kind_of(raw)
    values = as_list(decode(raw[1:] if kind else raw), "transaction")
    if len(values) != len(names):
        raise ValueError(f"a transaction of type {kind} has {len(names)} fields, this one has {len(values)}")
    v, r, s = (as_number(value, name) for value, name in zip(values[-3:], _SIGNED, strict=True))
    signed = values[:-3]
    if kind == 0 and v >= 35:  # EIP-155: the chain's id is signed, too
        signed = [*signed, shortest((v - 35) // 2), b"", b""]
        v = (v - 35) % 2
    elif kind == 0:
        v -= 27
    try:
        made = Signature(vrs=(v, r, s))
        key = made.recover_public_key_from_msg_hash(keccak256((bytes([kind]) if kind else b"") + encode(signed)))
    except (BadSignature, ValidationError) as error:
        raise ValueError(f"its signature can't be read: {error}") from error
    return str(key.to_checksum_address())


def bytes_of(transaction: Mapping[str, Any], raw: bytes, txid: str) -> bytes | None:
    """The signed bytes whose hash is `txid`: `raw`, as the node's fields give them; or with the other parity of the signature, which some nodes tell wrongly. None: neither."""
    if transaction_hash(raw) == txid:
        return raw
    if raw[:1] >= b"\xc0":
        return None  # before EIP-2718 there is a `v`, and no parity
    told = _parity(transaction)
    if told not in (b"", b"\x01"):
        return None
    other = transaction_rlp({**transaction, "yParity": "0x0" if told else "0x1"})
    return other if transaction_hash(other) == txid else None


def _kind_of(raw: bytes) -> tuple[int, tuple[str, ...]]:
    if not raw:
        raise ValueError("a transaction has at least one byte")
    if raw[0] >= 0xC0:
        return 0, _LEGACY
    if raw[0] not in _TYPED:
        raise ValueError(f"a transaction of type {raw[0]} is not known to this program: upgrade it")
    return raw[0], _TYPED[raw[0]]


def _fields(transaction: Mapping[str, Any], names: Sequence[str]) -> list[Nested]:
    return [_READERS[name](transaction) if name in _READERS else quantity(transaction, name) for name in names]


def _parity(transaction: Mapping[str, Any]) -> bytes:
    """Older nodes say it as `v`."""
    return quantity(transaction, "yParity" if transaction.get("yParity") is not None else "v")


def _access_list(transaction: Mapping[str, Any]) -> list[Nested]:
    return [[data(one, "address", 20), _hashes(one, "storageKeys")] for one in _entries(transaction, "accessList")]


_READERS: dict[str, Callable[[Mapping[str, Any]], Nested]] = {
    "to": recipient,
    "input": lambda transaction: data(transaction, "input" if "input" in transaction else "data"),
    "yParity": _parity,
    "accessList": _access_list,
    "blobVersionedHashes": lambda transaction: _hashes(transaction, "blobVersionedHashes"),
    "authorizationList": lambda transaction: [authorization_fields(one) for one in _entries(transaction, "authorizationList")],
}
"""Fields that are no quantities."""


def authorization_fields(one: Mapping[str, Any]) -> list[Nested]:
    """An entry of `authorizationList` as it is signed and encoded (EIP-7702). Raises ValueError for a field that is missing or malformed."""
    return [quantity(one, "chainId"), data(one, "address", 20), quantity(one, "nonce"), *(quantity(one, name) for name in _SIGNED)]


def _list(transaction: Mapping[str, Any], name: str) -> list[Any]:
    found = transaction.get(name)
    if not isinstance(found, list):
        raise ValueError(f"{name} is {str(found)[:80]!r}, not a list")
    return found


def _entries(transaction: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [entry(one, name) for one in _list(transaction, name)]


def _hashes(answer: Mapping[str, Any], name: str) -> list[Nested]:
    return [data({name: one}, name, 32) for one in _list(answer, name)]
