"""Mints and burns of wrapped coins in a transaction's logs; what a contract tells by a `Transfer`, too, counts once."""

from __future__ import annotations

from connectors.evm.wrapped import DEPOSIT_TOPIC, NOBODY, WITHDRAWAL_TOPIC, Wrapping, wrappings
from pipeline.chains.evm.coding import keccak256
from pipeline.chains.evm.receipts import TRANSFER_TOPIC, Log

WETH, OTHER = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
POOL = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def topic(address: str) -> bytes:
    return bytes(12) + bytes.fromhex(address[2:])


def log(first: bytes, *parties: str, value: int, contract: str = WETH) -> Log:
    return Log(contract, [first, *(topic(party) for party in parties)], value.to_bytes(32, "big"))


def test_the_topics_are_those_of_weth9() -> None:
    assert keccak256(b"Deposit(address,uint256)") == DEPOSIT_TOPIC and keccak256(b"Withdrawal(address,uint256)") == WITHDRAWAL_TOPIC


def test_a_deposit_is_a_mint_and_a_withdrawal_a_burn() -> None:
    logs = [log(DEPOSIT_TOPIC, POOL, value=7), log(WITHDRAWAL_TOPIC, POOL, value=5), log(DEPOSIT_TOPIC, POOL, value=0)]
    found = wrappings(logs, {WETH})
    assert found == {0: Wrapping(WETH, POOL, 7, is_mint=True), 1: Wrapping(WETH, POOL, 5, is_mint=False)}
    assert (found[0].sender, found[0].recipient, found[1].sender, found[1].recipient) == (None, POOL, POOL, WETH)


def test_logs_of_other_contracts_or_shapes_are_none() -> None:
    short = Log(WETH, [DEPOSIT_TOPIC, topic(POOL)], b"\7")
    odd = Log(WETH, [DEPOSIT_TOPIC, b"\1" + topic(POOL)[1:]], bytes(31) + b"\7")
    logs = [
        log(DEPOSIT_TOPIC, POOL, value=7, contract=OTHER),
        short,
        odd,
        log(DEPOSIT_TOPIC, POOL, POOL, value=7),
        log(TRANSFER_TOPIC, POOL, OTHER, value=7),
    ]
    assert wrappings(logs, {WETH}) == {}
    assert wrappings([log(DEPOSIT_TOPIC, POOL, value=7)], set()) == {}


def test_what_a_transfer_tells_besides_counts_once_each() -> None:
    both = [log(TRANSFER_TOPIC, NOBODY, POOL, value=7), log(DEPOSIT_TOPIC, POOL, value=7), log(DEPOSIT_TOPIC, POOL, value=7)]
    assert set(wrappings(both, {WETH})) == {2}
    burnt = [log(WITHDRAWAL_TOPIC, POOL, value=7), log(TRANSFER_TOPIC, POOL, NOBODY, value=7)]
    assert wrappings(burnt, {WETH}) == {}
    of_another = [log(TRANSFER_TOPIC, NOBODY, POOL, value=7, contract=OTHER), log(DEPOSIT_TOPIC, POOL, value=7)]
    assert set(wrappings(of_another, {WETH})) == {1}
