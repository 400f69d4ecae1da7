"""CashAddr by the vectors of its specification and of the nodes' own tests (Bitcoin ABC, Bitcoin Cash Node, CashTokens)."""

from __future__ import annotations

import pytest

from pipeline.chains.bitcoin.cashaddr import decode_cashaddr, encode_cashaddr
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import address_of, canonical_address, script_of

BCH, XEC = network("bitcoincash"), network("ecash")
HASHES = (
    "76a04053bda0a88bda5177b86a15c3b29f559873",
    "cb481232299cd5743151ac4b2d63ae198e7bb0a9",
    "011f28e473c95f4013d7d53ec5fbc3b42df8ed10",
)
KEYS = {
    "bitcoincash": ("qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "qr95sy3j9xwd2ap32xkykttr4cvcu7as4y0qverfuy", "qqq3728yw0y47sqn6l2na30mcw6zm78dzqre909m2r"),
    "ecash": ("qpm2qsznhks23z7629mms6s4cwef74vcwva87rkuu2", "qr95sy3j9xwd2ap32xkykttr4cvcu7as4ykdcjcn6n", "qqq3728yw0y47sqn6l2na30mcw6zm78dzq653y7pv5"),
}  # fmt: skip
SCRIPTS = {
    "bitcoincash": ("ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq", "pr95sy3j9xwd2ap32xkykttr4cvcu7as4yc93ky28e", "pqq3728yw0y47sqn6l2na30mcw6zm78dzq5ucqzc37"),
    "ecash": ("ppm2qsznhks23z7629mms6s4cwef74vcwv2zrv3l8h", "pr95sy3j9xwd2ap32xkykttr4cvcu7as4ypg9alspw", "pqq3728yw0y47sqn6l2na30mcw6zm78dzqd3vtezhf"),
}  # fmt: skip
TOKEN_KEYS = (
    "zpm2qsznhks23z7629mms6s4cwef74vcwvrqekrq9w",
    "zr95sy3j9xwd2ap32xkykttr4cvcu7as4yg2l8d0rh",
    "zqq3728yw0y47sqn6l2na30mcw6zm78dzqynk3ta4s",
)
# Hashes of other lengths, from the specification: bytes, type, address.
LONG = (
    (
        "3173EF6623C6B48FFD1A3DCC0CC6489B0A07BB47A37F47CFEF4FE69DE825C060",
        1,
        "pref:pvch8mmxy0rtfrlarg7ucrxxfzds5pamg73h7370aa87d80gyhqxq4k9m7qf9",
    ),
    (
        "D0F346310D5513D9E01E299978624BA883E6BDA8F4C60883C10F28C2967E67EC77ECC7EEEAEAFC6DA89FAD72D11AC961E164678B868AEEEC5F2C1DA08884175B",
        15,
        "prefix:0lg0x333p4238k0qrc5ej7rzfw5g8e4a4r6vvzyrcy8j3s5k0en7calvclhw46hudk5flttj6ydvjc0pv3nchp52amk97tqa5zygg96ms92w6845",
    ),
)


@pytest.mark.parametrize("name", ["bitcoincash", "ecash"])
def test_both_ways(name: str) -> None:
    here = network(name)
    for digest, key, script in zip(HASHES, KEYS[name], SCRIPTS[name], strict=True):
        for text, meant in ((key, f"76a914{digest}88ac"), (script, f"a914{digest}87")):
            full = f"{name}:{text}"
            assert address_of(bytes.fromhex(meant), here) == full
            for written in (full, text, full.upper(), text.upper()):
                assert script_of(written, here).hex() == meant and canonical_address(written, here) == full


def test_the_checksum_is_over_the_prefix_too() -> None:
    for text in ("prefix:x64nx6hz", "p:gpf8m4h7", "ecash:qpzry9x8gf2tvdw0s3jn54khce6mua7llmm0t7vm"):
        with pytest.raises(ValueError, match="length"):
            decode_cashaddr(text, text.partition(":")[0])
    for digest, kind, address in LONG:
        prefix = address.partition(":")[0]
        assert decode_cashaddr(address, prefix) == (kind, bytes.fromhex(digest))
        assert encode_cashaddr(prefix, kind, bytes.fromhex(digest)) == address


def test_base58_is_read_and_never_written() -> None:
    assert canonical_address("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", XEC) == "ecash:" + KEYS["ecash"][0]
    assert canonical_address("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", BCH) == "bitcoincash:" + KEYS["bitcoincash"][0]


def test_token_aware_addresses_stand_for_the_same_script_on_bitcoin_cash_only() -> None:
    for token, plain in zip(TOKEN_KEYS, KEYS["bitcoincash"], strict=True):
        assert canonical_address("bitcoincash:" + token, BCH) == "bitcoincash:" + plain
    token = encode_cashaddr("ecash", 2, bytes.fromhex(HASHES[0]))
    with pytest.raises(ValueError, match="which ecash does not have: token-aware"):
        script_of(token, XEC)


def test_a_script_hash_of_32_bytes_is_bitcoin_cashs() -> None:
    script = bytes.fromhex("aa20" + LONG[0][0] + "87")
    address = address_of(script, BCH)
    assert address is not None and address.startswith("bitcoincash:p") and script_of(address, BCH) == script
    assert address_of(script, XEC) is None
    with pytest.raises(ValueError, match="stands for no script on ecash"):
        script_of(encode_cashaddr("ecash", 1, script[2:34]), XEC)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("ecash:" + KEYS["ecash"][0], "another network"),
        (KEYS["ecash"][0], "another network's than bitcoincash:"),
        ("bitcoincash:" + KEYS["bitcoincash"][0][:-1] + "q", "wrong checksum"),
        ("bitcoincash:Q" + KEYS["bitcoincash"][0][1:], "mixes capital and small"),
        ("bitcoincash:" + KEYS["bitcoincash"][0].replace("2", "b"), "no such address has: b"),
        ("bitcoincash:", "wrong length"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "another network"),
        ("LKKHMBjCU89fyFNgSRprDoD8Jb25N8uWvd", "another network"),
    ],
)
def test_a_faulty_address_is_told(address: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        script_of(address, BCH)


def test_a_cash_address_is_told_as_another_networks() -> None:
    with pytest.raises(ValueError, match=r"another network \(bitcoincash\), not of bitcoin"):
        script_of("bitcoincash:" + KEYS["bitcoincash"][0], network("bitcoin"))
