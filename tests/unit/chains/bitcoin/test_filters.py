from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.chains.bitcoin.filters import encode, filter_header, matches, siphash
from pipeline.chains.bitcoin.wire import parse_block

VECTORS = [row for row in json.loads((Path(__file__).parent / "filters" / "testnet-19.json").read_text()) if len(row) > 1]
HASH = bytes(range(32))


def scripts_of(block: str, spent: list[str]) -> set[bytes]:
    paid = {output.script for tx in parse_block(bytes.fromhex(block)).transactions for output in tx.outputs}
    return {script for script in paid if script[:1] != b"\x6a"} | {bytes.fromhex(script) for script in spent}


@pytest.mark.parametrize("row", VECTORS, ids=[str(row[0]) for row in VECTORS])
def test_published_vectors(row: list) -> None:
    _, block_hash, block, spent, before, encoded, header, _ = row
    key, scripts = bytes.fromhex(block_hash), scripts_of(block, spent) - {b""}
    assert encode(key, scripts).hex() == encoded
    assert filter_header(bytes.fromhex(encoded), bytes.fromhex(before)).hex() == header
    for script in scripts:
        assert matches(bytes.fromhex(encoded), key, [script])
    assert not matches(bytes.fromhex(encoded), key, [b"", b"\x51\x52\x53esep", b"\x00\x14" + bytes(20)])


def test_siphash_vectors() -> None:
    """From the paper's reference: keys 00…0f, messages of 0, 1, 2 and 15 bytes."""
    key_0, key_1 = 0x0706050403020100, 0x0F0E0D0C0B0A0908
    expected = {0: 0x726FDB47DD0E0E31, 1: 0x74F839C593DC67FD, 2: 0x0D6C8009D9A94F5A, 15: 0xA129CA6149BE45E5}
    assert siphash(key_0, key_1, [bytes(range(size)) for size in expected]) == list(expected.values())


def test_messages_side_by_side_are_hashed_as_alone() -> None:
    key_0, key_1 = (1 << 64) - 1, 0xF0F0F0F0F0F0F0F0
    messages = [bytes([number] * size) for number in range(256) for size in (0, 7, 8, 22, 25, 34)]
    assert siphash(key_0, key_1, messages) == [siphash(key_0, key_1, [message])[0] for message in messages]


@given(st.sets(st.binary(min_size=1, max_size=40), max_size=300))
def test_what_is_in_a_filter_matches(scripts: set[bytes]) -> None:
    encoded = encode(HASH, scripts)
    for script in scripts:
        assert matches(encoded, HASH, [script])
    assert not matches(encoded, HASH, [])


@pytest.mark.parametrize(
    ("encoded", "says"),
    [
        (b"", "no count"),
        (b"\xfd\x01", "no count"),
        (b"\xfd\x01\x00", "shortest"),
        (b"\xfe\xff\xff\xff\xff", "none that a block has"),
        (b"\x01", "element 0 of 1"),
        (b"\x01\xff\xff\xff\xff", "element 0 of 1"),
        (b"\x00\x00", "8 bits are left over"),
        (encode(HASH, {b"a"}) + b"\x00", "left over"),
        (encode(HASH, {b"a", b"b"})[:-1], "element 1 of 2"),
    ],
)
def test_bytes_that_are_no_filter(encoded: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        matches(encoded, HASH, [b"a"])
