"""Scripts and addresses: Core's names, one address a script, and a cause for every refusal."""

from __future__ import annotations

import pytest
from embit import base58, bech32
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.chains.bitcoin.networks import NETWORKS, network
from pipeline.chains.bitcoin.script import address_of, canonical_address, operations, script_of, script_type, witness_program

from .chains import UNHURRIED

HASH20, HASH32 = bytes(range(20)), bytes(range(32))
KEY, LONG_KEY = b"\x02" + HASH32, b"\x04" + HASH32 * 2
BITCOIN = network("bitcoin")


def push(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def multisig(required: bytes, keys: list[bytes], count: bytes) -> bytes:
    return required + b"".join(map(push, keys)) + count + b"\xae"


TYPES = [
    (b"", "nonstandard"),
    (b"\x76\xa9\x14" + HASH20 + b"\x88\xac", "pubkeyhash"),
    (b"\x76\xa9\x14" + HASH20 + b"\x88\xad", "nonstandard"),
    (b"\x76\xa9\x4c\x14" + HASH20 + b"\x88\xac", "nonstandard"),
    (b"\xa9\x14" + HASH20 + b"\x87", "scripthash"),
    (b"\xa9\x4c\x14" + HASH20 + b"\x87", "nonstandard"),
    (push(KEY) + b"\xac", "pubkey"),
    (push(LONG_KEY) + b"\xac", "pubkey"),
    (push(b"\x06" + LONG_KEY[1:]) + b"\xac", "pubkey"),
    (push(b"\x05" + KEY[1:]) + b"\xac", "nonstandard"),
    (push(b"\x04" + KEY[1:]) + b"\xac", "nonstandard"),
    (b"\x00\x14" + HASH20, "witness_v0_keyhash"),
    (b"\x00\x20" + HASH32, "witness_v0_scripthash"),
    (b"\x00\x15" + HASH20 + b"\0", "nonstandard"),
    (b"\x51\x20" + HASH32, "witness_v1_taproot"),
    (b"\x51\x1f" + HASH32[1:], "witness_unknown"),
    (b"\x51\x02\x4e\x73", "anchor"),
    (b"\x52\x02\x4e\x73", "witness_unknown"),
    (b"\x51\x02\x4e\x74", "witness_unknown"),
    (b"\x60\x28" + bytes(40), "witness_unknown"),
    (b"\x60\x29" + bytes(41), "nonstandard"),
    (b"\x51\x01\x4e", "nonstandard"),
    (b"\x61\x20" + HASH32, "nonstandard"),
    (b"\x6a", "nulldata"),
    (b"\x6a\x04abcd", "nulldata"),
    (b"\x6a\x4c\x04abcd\x50\x60", "nulldata"),
    (b"\x6a\x05abcd", "nonstandard"),
    (b"\x6a\x04abcd\x61", "nonstandard"),
    (b"\x6a\x4e\xff\xff\xff\xff", "nonstandard"),
    (multisig(b"\x51", [KEY, LONG_KEY], b"\x52"), "multisig"),
    (multisig(b"\x52", [KEY], b"\x51"), "nonstandard"),
    (multisig(b"\x00", [KEY], b"\x51"), "nonstandard"),
    (multisig(b"\x51", [KEY] * 3, b"\x52"), "nonstandard"),
    (multisig(b"\x51", [KEY, b"\x02"], b"\x52"), "nonstandard"),
    (multisig(b"\x51", [KEY] * 17, b"\x01\x11"), "multisig"),
    (multisig(b"\x01\x14", [KEY] * 20, b"\x01\x14"), "multisig"),
    (multisig(b"\x51", [KEY] * 21, b"\x01\x15"), "nonstandard"),
    (multisig(b"\x01\x01", [KEY], b"\x51"), "nonstandard"),
    (multisig(b"\x51", [KEY], b"\x51") + b"\x61", "nonstandard"),
    (b"\x51\xae", "nonstandard"),
    (b"\xae", "nonstandard"),
    (b"\x51\x21\xae", "nonstandard"),
    (b"\x51", "nonstandard"),
]


@pytest.mark.parametrize(("script", "kind"), TYPES)
def test_types(script: bytes, kind: str) -> None:
    assert script_type(script) == kind
    has_address = kind in ("pubkeyhash", "scripthash", "anchor") or kind.startswith("witness")
    for name in NETWORKS:
        address = address_of(script, network(name))
        assert (address is not None) == (has_address and (network(name).hrp is not None or witness_program(script) is None))
        if address is not None:
            assert script_of(address, network(name)) == script
            assert canonical_address(address, network(name)) == address


@UNHURRIED
@given(st.binary(max_size=80))
def test_any_bytes_are_a_script(script: bytes) -> None:
    kind = script_type(script)
    address = address_of(script, BITCOIN)
    if kind in ("pubkey", "multisig", "nulldata", "nonstandard"):
        assert address is None
    else:
        assert address is not None and script_of(address, BITCOIN) == script
    for opcode, data in operations(script):
        assert opcode is None or opcode <= 0x4E or not data


digests = st.binary(min_size=20, max_size=20)


@UNHURRIED
@given(st.sampled_from([name for name in NETWORKS if not network(name).cashaddr]), digests)
def test_base58_as_embit_writes_it(name: str, digest: bytes) -> None:
    of = network(name)
    assert address_of(b"\x76\xa9\x14" + digest + b"\x88\xac", of) == base58.encode_check(of.p2pkh_prefix + digest)
    assert address_of(b"\xa9\x14" + digest + b"\x87", of) == base58.encode_check(of.p2sh_prefix + digest)
    for legacy in of.p2sh_legacy_prefixes:
        old = base58.encode_check(legacy + digest)
        assert script_of(old, of) == b"\xa9\x14" + digest + b"\x87"
        assert canonical_address(old, of) == base58.encode_check(of.p2sh_prefix + digest)


@UNHURRIED
@given(
    st.sampled_from([name for name in NETWORKS if network(name).hrp]),
    st.one_of(
        st.tuples(st.just(0), digests | st.binary(min_size=32, max_size=32)),
        st.tuples(st.integers(1, 16), st.binary(min_size=2, max_size=40)),
    ),
)
def test_bech32_as_embit_writes_it(name: str, witness: tuple[int, bytes]) -> None:
    of, (version, program) = network(name), witness
    script = bytes([version + 0x50 if version else 0, len(program)]) + program
    address = bech32.encode(of.hrp, version, program)
    assert address_of(script, of) == address
    assert script_of(address, of) == script_of(address.upper(), of) == script
    assert canonical_address(address.upper(), of) == address
    assert witness_program(script) == witness


@settings(UNHURRIED, max_examples=200)
@given(st.sampled_from(NETWORKS), st.sampled_from([script for script, _ in TYPES]), st.data())
def test_a_changed_address_is_refused(name: str, script: bytes, data: st.DataObject) -> None:
    address = address_of(script, network(name))
    if address is None:
        return
    place = data.draw(st.integers(0, len(address) - 1))
    character = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    changed = address[:place] + character + address[place + 1 :]
    if changed == address:
        return
    with pytest.raises(ValueError) as refusal:
        script_of(changed, network(name))
    assert repr(changed) in str(refusal.value)


@UNHURRIED
@given(st.text(max_size=100), st.sampled_from(NETWORKS))
def test_any_text_gives_a_cause(text: str, name: str) -> None:
    with pytest.raises(ValueError) as refusal:
        script_of(text, network(name))
    assert len(str(refusal.value)) > len(repr(text))


# From BIP 173 and BIP 350.
@pytest.mark.parametrize(
    ("address", "name", "script"),
    [
        ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "bitcoin", "0014751e76e8199196d454941c45d1b3a323f1433bd6"),
        (
            "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
            "testnet",
            "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
        ),
        (
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
            "bitcoin",
            "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        ("BC1SW50QGDZ25J", "bitcoin", "6002751e"),
        ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "bitcoin", "5210751e76e8199196d454941c45d1b3a323"),
        (
            "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
            "signet",
            "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
        ),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "bitcoin",
            "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ),
        ("bc1pfeessrawgf", "bitcoin", "51024e73"),
        ("LTCSyj26u5nbpgBvCimnH3PKSZd27DhxRP", "litecoin", "76a914"),
    ],
)
def test_known_addresses(address: str, name: str, script: str) -> None:
    assert script_of(address, network(name)).hex().startswith(script)


@pytest.mark.parametrize(
    ("address", "name", "cause"),
    [
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "bitcoin", "wrong checksum"),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
            "bitcoin",
            "bech32 checksum, but witness version 1 needs bech32m",
        ),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "bitcoin", "bech32m checksum, but witness version 0 needs bech32"),
        ("tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47", "testnet4", "bech32m checksum, but witness version 0"),
        ("bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", "bitcoin", "characters that no bech32 address has: o"),
        ("BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", "bitcoin", "witness version 17; the greatest is 16"),
        ("bc1pw5dgrnzv", "bitcoin", "wrong length: a program of 1 bytes"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav", "bitcoin", "wrong length"),
        ("BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "bitcoin", "wrong length: a program of 16 bytes for witness version 0"),
        ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq", "testnet", "mixes capital and small letters"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", "bitcoin", "wrong padding"),
        ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j", "testnet", "wrong padding"),
        ("bc1gmk9yu", "bitcoin", "wrong length"),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "bitcoin", r"another network \(signet, testnet, testnet4\), not of bitcoin"),
        ("bcrt1pfeesnyr2tx", "testnet", r"another network \(regtest\)"),
        ("bc1pfeessrawgf", "dogecoin", r"another network \(bitcoin\)"),
        ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "regtest", r"another network \(bitcoin\), not of regtest"),
        ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3", "bitcoin", "wrong checksum"),
        ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN", "bitcoin", "wrong checksum"),
        ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNV0l", "bitcoin", "characters that no base58 address has"),
        (" 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "bitcoin", "characters that no base58 address has"),
        ("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", "bitcoin", "wrong length"),
        ("DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L", "bitcoin", r"another network \(dogecoin\)"),
        ("", "bitcoin", "wrong length"),
        ("1" * 26, "bitcoin", "wrong checksum"),
    ],
)
def test_causes(address: str, name: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        script_of(address, network(name))


def test_prefix_of_no_network_known() -> None:
    with pytest.raises(ValueError, match="of no network known here"):
        script_of(base58.encode_check(b"\x42" + HASH20), BITCOIN)
    with pytest.raises(ValueError, match="wrong length: 20 bytes instead of 21"):
        script_of(base58.encode_check(b"\x42" + HASH20[1:]), BITCOIN)


def test_operations_say_where_a_push_is_cut_short() -> None:
    assert list(operations(b"\x00\x51\x02ab\x4c\x01c\x4d\x01\x00d\x4e\x01\x00\x00\x00e\x76")) == [
        (0, b""), (0x51, b""), (2, b"ab"), (0x4C, b"c"), (0x4D, b"d"), (0x4E, b"e"), (0x76, b""),
    ]  # fmt: skip
    assert list(operations(b"\x51\x05ab")) == [(0x51, b""), (None, b"")]
    assert list(operations(b"\x4d\x01")) == [(None, b"")]
