"""Authorizations of code (EIP-7702), signed by eth-account, read back from transactions' bytes."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account

from pipeline.chains.evm.authorizations import authorizations_of
from pipeline.chains.evm.coding import decode, encode, keccak256

SENDER, OTHER = "0x" + "46" * 32, "0x" + "47" * 32
CODE = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"


def raw_of(*given: dict[str, Any]) -> bytes:
    signed = [Account.sign_authorization({"address": CODE, "chainId": one["chainId"], "nonce": one["nonce"]}, one["key"]) for one in given]
    fees = {"type": 4, "maxFeePerGas": 10, "maxPriorityFeePerGas": 1, "chainId": 1, "gas": 90_000, "nonce": 3, "value": 0, "to": CODE}
    return bytes(Account.sign_transaction({**fees, "authorizationList": signed}, SENDER).raw_transaction)


def changed(raw: bytes, place: int, value: bytes) -> bytes:
    """One field of the first authorization changed; the rest stays as it was signed."""
    values: Any = decode(raw[1:])
    entry = [*values[9][0]]
    entry[place] = value
    return b"\x04" + encode([*values[:9], [entry, *values[9][1:]], *values[10:]])


def test_each_one_is_its_signers() -> None:
    raw = raw_of({"chainId": 1, "nonce": 4, "key": SENDER}, {"chainId": 0, "nonce": 9, "key": OTHER})
    found = authorizations_of(raw)
    assert [(one.authority, one.chain_id, one.nonce) for one in found] == [
        (Account.from_key(SENDER).address, 1, 4),
        (Account.from_key(OTHER).address, 0, 9),
    ]
    assert {one.code_hash for one in found} == {keccak256(b"\xef\x01\x00" + bytes.fromhex(CODE[2:]))}


def test_other_types_carry_none() -> None:
    fees = {"type": 2, "maxFeePerGas": 10, "maxPriorityFeePerGas": 1, "chainId": 1, "gas": 90_000, "nonce": 3, "value": 0, "to": CODE}
    assert authorizations_of(bytes(Account.sign_transaction(fees, SENDER).raw_transaction)) == []


def test_what_was_changed_after_it_was_signed_is_anothers_or_nobodys() -> None:
    raw = raw_of({"chainId": 1, "nonce": 4, "key": SENDER})
    signer = Account.from_key(SENDER).address
    for place, value in ((0, b""), (1, bytes(20)), (2, b"\x05"), (4, b"\x01" * 32)):
        assert signer not in [one.authority for one in authorizations_of(changed(raw, place, value))]


def test_a_signature_with_a_high_s_and_the_last_number_never_apply() -> None:
    raw = raw_of({"chainId": 1, "nonce": 4, "key": SENDER})
    values: Any = decode(raw[1:])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (order - int.from_bytes(values[9][0][5], "big")).to_bytes(32, "big")
    assert authorizations_of(changed(raw, 5, high)) == []
    assert authorizations_of(raw_of({"chainId": 1, "nonce": 2**64 - 1, "key": SENDER})) == []


@pytest.mark.parametrize(("place", "value"), [(1, b"short"), (2, b"\x00\x01")])
def test_malformed_fields_are_named(place: int, value: bytes) -> None:
    with pytest.raises(ValueError, match=r"address has|leading zeros"):
        authorizations_of(changed(raw_of({"chainId": 1, "nonce": 4, "key": SENDER}), place, value))
