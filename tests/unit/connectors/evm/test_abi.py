"""What we say to tokens, and our own reading of their logs, beside web3's."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from connectors.evm.abi import TOKEN, amount, balance_of
from pipeline.chains.evm.address import to_checksum
from pipeline.chains.evm.receipts import TRANSFER_TOPIC, Log, token_movement

ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: to_checksum("0x" + raw.hex()))
AMOUNTS = st.integers(0, 2**256 - 1)


@given(contract=ADDRESSES, sender=ADDRESSES, receiver=ADDRESSES, value=AMOUNTS)
def test_a_transfer_is_read_as_web3_reads_it(contract: str, sender: str, receiver: str, value: int) -> None:
    topics = [TRANSFER_TOPIC, bytes(12) + bytes.fromhex(sender[2:]), bytes(12) + bytes.fromhex(receiver[2:])]
    data = value.to_bytes(32, "big")
    ours = token_movement(Log(contract, topics, data))
    theirs = TOKEN.events.Transfer().process_log(
        {"address": contract, "topics": topics, "data": data, "blockHash": bytes(32), "blockNumber": 1, "logIndex": 0,
         "transactionHash": bytes(32), "transactionIndex": 0}
    )  # fmt: skip
    assert ours is not None
    assert (ours.contract, ours.sender, ours.receiver, ours.value) == (
        theirs["address"], theirs["args"]["from"], theirs["args"]["to"], theirs["args"]["value"],
    )  # fmt: skip


def test_the_topic_is_the_signature_s_hash() -> None:
    assert keccak(b"Transfer(address,address,uint256)") == TRANSFER_TOPIC


@given(address=ADDRESSES, value=AMOUNTS)
def test_balances_are_asked_for_and_read(address: str, value: int) -> None:
    assert balance_of(address) == "0x70a08231" + 24 * "0" + address[2:].lower()
    assert amount("0x" + value.to_bytes(32, "big").hex()) == value


def test_a_short_answer_is_no_number() -> None:
    with pytest.raises(ValueError, match="answered 4 bytes"):
        amount("0x00000001")
