"""Hashes and RLP are what Ethereum's own libraries make of the same bytes."""

from __future__ import annotations

import random

import pytest
import rlp
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from pipeline.chains.evm.coding import decode, encode, keccak256, list_of
from pipeline.chains.evm.fields import Nested

NESTED: st.SearchStrategy[Nested] = st.recursive(st.binary(max_size=80), lambda inner: st.lists(inner, max_size=20), max_leaves=40)


def test_hashes_are_the_librarys_at_every_length_about_the_sponges_rate() -> None:
    chance = random.Random(17)
    for length in (*range(290), 532, 620, 65_537):
        raw = chance.randbytes(length)
        assert keccak256(raw) == keccak(raw)
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470", (
        "and not SHA-3's, which pads otherwise"
    )


@given(NESTED)
def test_bytes_and_lists_are_written_as_the_library_writes_them(value: Nested) -> None:
    assert encode(value) == rlp.encode(value)
    assert decode(encode(value)) == value


@pytest.mark.parametrize("length", [0, 1, 54, 55, 56, 57, 255, 256, 257, 65_535, 65_536])
def test_lengths_at_which_the_form_changes(length: int) -> None:
    for value in (b"\x7f" * length, b"\x80" * length, [b"\x01"] * length, [b"\xff" * length]):
        assert encode(value) == rlp.encode(value)
    assert list_of(b"\x01" * length) == rlp.encode([b"\x01"] * length)


def some(chance: random.Random, depth: int) -> Nested:
    """Bytes about the lengths at which the form changes, single bytes of every value, and lists of such."""
    if depth == 0 or chance.random() < 0.6:
        length = chance.choice((0, 1, 1, 1, 2, 20, 32, 54, 55, 56, 57, 254, 255, 256, 257, 1000))
        return bytes([chance.choice((0, 1, 0x7F, 0x80, 0x81, 0xB7, 0xC0, 0xFF))]) if length == 1 else chance.randbytes(length)
    return [some(chance, depth - 1) for _ in range(chance.choice((0, 1, 2, 3, 17, 54, 55, 56, 57, 70) if depth < 3 else (1, 2, 5)))]


def test_five_hundred_values_of_one_seed_are_written_as_the_library_writes_them() -> None:
    chance = random.Random(17)
    for _ in range(500):
        value = some(chance, chance.randrange(4))
        raw = encode(value)
        assert raw == rlp.encode(value)
        assert decode(raw) == value
        if isinstance(value, list):
            assert list_of(b"".join(map(encode, value))) == raw
