"""Outputs of Litecoin's extension blocks have no address, and their stealth addresses are told apart from mistyped ones."""

from __future__ import annotations

import pytest

from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import _bech32_address, address_of, script_of

LITECOIN = network("litecoin")


@pytest.mark.parametrize("opcode", [0x58, 0x59], ids=["HogEx", "peg-in"])
def test_outputs_of_the_extension_blocks_have_no_address(opcode: int) -> None:
    script = bytes([opcode, 32]) + b"\x07" * 32
    assert address_of(script, LITECOIN) is None
    assert address_of(script, network("bitcoin")) is not None, "elsewhere it is a witness program like others"
    assert address_of(bytes([opcode, 20]) + b"\x07" * 20, LITECOIN) is not None
    with pytest.raises(ValueError, match="not supported"):
        script_of(_bech32_address("ltc", opcode - 0x50, b"\x07" * 32), LITECOIN)


@pytest.mark.parametrize("name", ["litecoin", "litecoin_testnet", "bitcoin"])
@pytest.mark.parametrize("hrp", ["ltcmweb", "tmweb"])
def test_a_stealth_address_is_not_supported_rather_than_mistyped(name: str, hrp: str) -> None:
    address = f"{hrp}1qq" + "pzry9x8gf2tvdw0s3jn54khce6mua7l" * 3
    with pytest.raises(ValueError, match=r"stealth address of Litecoin's extension blocks .* not supported"):
        script_of(address, network(name))
