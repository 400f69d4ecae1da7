"""Who signed a transaction: recovered from its bytes, of each type."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account

from pipeline.chains.evm.transactions import parse_account_transaction, sender_of

KEY = "0x" + "46" * 32
TO = "0x" + "35" * 20
COMMON = {"nonce": 9, "gas": 21_000, "to": TO, "value": 10**18, "data": "0x"}


@pytest.mark.parametrize(
    "fields",
    [
        {"gasPrice": 20 * 10**9},
        {"gasPrice": 20 * 10**9, "chainId": 1},
        {"gasPrice": 20 * 10**9, "chainId": 61},
        {"type": 1, "gasPrice": 7, "chainId": 1, "accessList": [{"address": TO, "storageKeys": ["0x" + "01" * 32]}]},
        {"type": 2, "maxFeePerGas": 7, "maxPriorityFeePerGas": 1, "chainId": 1},
    ],
)
def test_the_sender_is_who_signed(fields: dict[str, Any]) -> None:
    account = Account.from_key(KEY)
    raw = bytes(account.sign_transaction(COMMON | fields).raw_transaction)
    assert sender_of(raw) == account.address and parse_account_transaction(raw).nonce == 9


def test_the_example_of_eip_155() -> None:
    raw = bytes.fromhex(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d"
        "3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    )
    assert sender_of(raw) == "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"


def test_no_signature_has_no_sender() -> None:
    raw = bytes(Account.from_key(KEY).sign_transaction(COMMON | {"gasPrice": 1}).raw_transaction)
    with pytest.raises(ValueError, match="leading zeros"):
        sender_of(raw[:-32] + b"\0" * 32)
