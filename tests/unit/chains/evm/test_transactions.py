"""Transactions against eth-account, which signs them and says their bytes and hashes."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.datastructures import SignedTransaction

from pipeline.chains.evm.transactions import bytes_of, parse_account_transaction, transaction_hash, transaction_rlp

KEY = "0x" + "46" * 32
TO = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
COMMON: dict[str, Any] = {"chainId": 61, "nonce": 9, "gas": 60_000, "to": TO, "value": 10**21, "data": b"\x00\xff"}
ACCESS = [{"address": TO, "storageKeys": ["0x" + "01" * 32, "0x" + "00" * 32]}]


def signed(**fields: Any) -> tuple[SignedTransaction, dict[str, Any]]:
    """The signed transaction, and what a node would answer of it."""
    given = {**COMMON, **fields}
    made = Account.sign_transaction({k: v for k, v in given.items() if v is not None}, KEY)
    answer = {name: hex(value) if isinstance(value, int) else value for name, value in given.items()}
    answer |= {"input": "0x" + given["data"].hex(), "to": given.get("to"), "r": hex(made.r), "s": hex(made.s), "v": hex(made.v)}
    answer.pop("data")
    return made, answer


@pytest.mark.parametrize(
    "fields",
    [
        {"gasPrice": 20 * 10**9},
        {"gasPrice": 20 * 10**9, "chainId": None},
        {"gasPrice": 1, "to": None},
        {"gasPrice": 0, "nonce": 0, "value": 0, "data": b""},
        {"type": 1, "gasPrice": 7, "accessList": ACCESS},
        {"type": 2, "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 0, "accessList": []},
        {"type": 2, "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 3, "accessList": ACCESS},
        {"type": 3, "maxFeePerGas": 10, "maxPriorityFeePerGas": 3, "accessList": [], "maxFeePerBlobGas": 5, "blobVersionedHashes": ["0x01" + "ab" * 31]},
    ],
    ids=lambda fields: "-".join(f"{k}={v}" for k, v in fields.items() if k in ("type", "chainId", "to", "nonce")) or "legacy",
)  # fmt: skip
def test_bytes_and_hash_are_what_eth_account_says(fields: dict[str, Any]) -> None:
    if fields.get("type") == 3:
        made, answer = signed(**fields | {"chainId": 1})
    else:
        made, answer = signed(**fields)
    raw = transaction_rlp(answer)
    assert raw == bytes(made.raw_transaction)
    assert transaction_hash(raw) == bytes(made.hash).hex()
    parsed = parse_account_transaction(raw)
    expected = {**COMMON, **fields}
    assert (parsed.txid, parsed.kind, parsed.to) == (bytes(made.hash).hex(), fields.get("type", 0), expected["to"])
    assert (parsed.nonce, parsed.gas, parsed.value, parsed.input) == (
        expected["nonce"],
        expected["gas"],
        expected["value"],
        expected["data"],
    )


@pytest.mark.parametrize("kind", [1, 2])
def test_a_parity_that_contradicts_the_hash_is_the_other_one(kind: int) -> None:
    fees: dict[str, Any] = {"gasPrice": 7} if kind == 1 else {"maxFeePerGas": 7, "maxPriorityFeePerGas": 1}
    made, answer = signed(type=kind, accessList=[], **fees)
    told = {**answer, "yParity": hex(1 - made.v)}
    raw, txid = transaction_rlp(told), bytes(made.hash).hex()
    assert transaction_hash(raw) != txid
    assert bytes_of(told, raw, txid) == bytes(made.raw_transaction) == bytes_of(answer, bytes(made.raw_transaction), txid)
    assert bytes_of({**told, "value": "0x1"}, transaction_rlp({**told, "value": "0x1"}), txid) is None


def test_a_delegating_transaction_is_known() -> None:
    authorization = Account.sign_authorization({"chainId": 1, "address": TO, "nonce": 3}, KEY)
    given = {
        **COMMON,
        "type": 4,
        "chainId": 1,
        "maxFeePerGas": 10,
        "maxPriorityFeePerGas": 3,
        "accessList": [],
        "authorizationList": [authorization],
    }
    made = Account.sign_transaction(given, KEY)
    answer = {name: hex(value) if isinstance(value, int) else value for name, value in given.items()}
    answer |= {"input": "0x00ff", "r": hex(made.r), "s": hex(made.s), "yParity": hex(made.v)}
    answer["authorizationList"] = [
        {"chainId": "0x1", "address": TO.lower(), "nonce": "0x3", "yParity": hex(authorization.y_parity), "r": hex(authorization.r), "s": hex(authorization.s)}
    ]  # fmt: skip
    assert transaction_rlp(answer) == bytes(made.raw_transaction)
    assert parse_account_transaction(transaction_rlp(answer)).kind == 4


def test_types_that_other_networks_made_up_are_refused() -> None:
    _, answer = signed(gasPrice=1)
    with pytest.raises(ValueError, match="type 126 is not known"):
        transaction_rlp(answer | {"type": "0x7e"})
    with pytest.raises(ValueError, match="type 126 is not known"):
        parse_account_transaction(b"\x7e\xc0")


@pytest.mark.parametrize("raw", [b"", b"\xc0", b"\x02", b"\x02\xc0", b"\xf8", b"\x02\x80"])
def test_bytes_that_are_no_transaction_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_account_transaction(raw)
