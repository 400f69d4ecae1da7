"""Addresses against EIP-55's own examples."""

from __future__ import annotations

import pytest

from pipeline.chains.evm.address import canonical, has_wrong_checksum, is_account_address, to_checksum

EIP55 = (
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)
WRONG = "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.mark.parametrize("address", EIP55)
def test_every_spelling_of_an_address_becomes_its_checksum(address: str) -> None:
    spellings = {address, "0x" + address[2:].lower(), "0x" + address[2:].upper()}
    assert {canonical(text) for text in spellings} == {to_checksum(text) for text in spellings} == {address}
    assert not has_wrong_checksum(address)


def test_a_wrong_checksum_stays_as_it_is_written_and_is_named() -> None:
    assert canonical(WRONG) == WRONG
    assert has_wrong_checksum(WRONG)
    assert to_checksum(WRONG) == EIP55[4]


@pytest.mark.parametrize(
    "text", ["", "0x", EIP55[0][2:], EIP55[0] + "0", EIP55[0] + "\n", EIP55[0].replace("0x", "0X"), "bc1qxyz", "0x" + "g" * 40]
)
def test_what_is_no_address_stays_and_is_none(text: str) -> None:
    assert canonical(text) == text
    assert not is_account_address(text) and not has_wrong_checksum(text)
    with pytest.raises(ValueError, match="is not an address"):
        to_checksum(text)
