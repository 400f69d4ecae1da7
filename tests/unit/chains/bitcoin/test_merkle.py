"""Merkle branches prove a place, and nothing else; proofs of work are told by each network's own hash."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.chains.bitcoin.merkle import MerkleTree, meets_target, root_of_branch, target_of
from pipeline.chains.bitcoin.networks import network

from .chains import GENESIS_HEADER, UNHURRIED, read_block

hashes = st.binary(min_size=32, max_size=32)
txid_lists = st.lists(hashes, min_size=1, max_size=40, unique=True)


def plain_root(txids: list[bytes]) -> bytes:
    """The root by its definition, level by level."""
    level = [txid[::-1] for txid in txids]
    while len(level) > 1:
        level += level[len(level) // 2 * 2 :]
        level = [sha256(sha256(left + right).digest()).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0][::-1]


# Block 170 of Bitcoin: the first with a payment.
BLOCK_170 = [
    bytes.fromhex("b1fea52486ce0c62bb442b530a3f0132b826c74e473d1f2c220bfa78111c5082"),
    bytes.fromhex("f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"),
]


def test_known_root() -> None:
    root = bytes.fromhex("7dac2c5666815c17a3b36427de37bb9d2e2c5ccec3f8633eb91a4205cb4c10ff")
    assert MerkleTree(BLOCK_170).root == root
    assert MerkleTree(BLOCK_170).branch(1) == [BLOCK_170[0]]
    assert root_of_branch(BLOCK_170[1], 1, [BLOCK_170[0]]) == root


@UNHURRIED
@given(txid_lists)
def test_every_branch_leads_to_the_root(txids: list[bytes]) -> None:
    root = MerkleTree(txids).root
    assert root == plain_root(txids)
    for index, txid in enumerate(txids):
        branch = MerkleTree(txids).branch(index)
        assert root_of_branch(txid, index, branch) == root
        assert len(branch) == (len(txids) - 1).bit_length()


@UNHURRIED
@given(txid_lists.filter(lambda txids: len(txids) > 1), st.data())
def test_a_branch_proves_no_other_transaction(txids: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(txids) - 1))
    other = data.draw(st.integers(0, len(txids) - 1).filter(lambda other: other != index))
    branch = MerkleTree(txids).branch(index)
    if index & 1 and branch[0] == txids[other]:
        with pytest.raises(ValueError, match="repetition"):
            root_of_branch(txids[other], index, branch)
    else:
        assert root_of_branch(txids[other], index, branch) != MerkleTree(txids).root


def test_repeated_end_is_refused() -> None:
    # CVE-2012-2459: three transactions, and the same with the last one again, have one root.
    three = [number.to_bytes(32, "big") for number in (1, 2, 3)]
    four = [*three, three[-1]]
    assert plain_root(three) == plain_root(four)
    with pytest.raises(ValueError, match="has been repeated"):
        MerkleTree(four)
    with pytest.raises(ValueError, match="has been repeated"):
        MerkleTree(four).branch(3)
    branch = MerkleTree(three).branch(2)
    assert root_of_branch(three[2], 2, branch) == MerkleTree(three).root
    with pytest.raises(ValueError, match="repetition"):
        root_of_branch(three[2], 3, branch)


def test_six_whose_inner_level_repeats() -> None:
    six = [number.to_bytes(32, "big") for number in range(6)]
    assert plain_root(six) == plain_root([*six, *six[4:]])
    with pytest.raises(ValueError, match="has been repeated"):
        MerkleTree([*six, *six[4:]])
    with pytest.raises(ValueError, match="repetition"):
        root_of_branch(six[4], 6, MerkleTree(six).branch(4))


@pytest.mark.parametrize("call", [lambda: MerkleTree([]), lambda: MerkleTree(BLOCK_170).branch(2)])
def test_nothing_to_prove(call) -> None:
    with pytest.raises(ValueError, match="no"):
        call()


@pytest.mark.parametrize("wrong", [b"", b"\xab", b"\xab" * 31, b"\xab" * 33])
def test_not_a_hash(wrong: bytes) -> None:
    with pytest.raises(ValueError, match="a hash has 32 bytes, this one"):
        MerkleTree([wrong])
    with pytest.raises(ValueError, match="a hash has 32 bytes, this one"):
        root_of_branch(BLOCK_170[0], 0, [wrong])


@pytest.mark.parametrize("index", [-1, 2, 1 << 70])
def test_index_outside_the_tree(index: int) -> None:
    with pytest.raises(ValueError, match="does not fit a branch of 1"):
        root_of_branch(BLOCK_170[0], index, [BLOCK_170[1]])


def test_proof_of_work() -> None:
    assert meets_target(GENESIS_HEADER, network("bitcoin")) is True
    assert meets_target(GENESIS_HEADER[:-1] + b"\x7d", network("bitcoin")) is False
    easy = GENESIS_HEADER[:72] + (0x207FFFFF).to_bytes(4, "little") + bytes(4)
    assert meets_target(easy, network("bitcoin")) is False  # regtest's target is too easy for the main network
    litecoin = read_block("litecoin-2265985")[:80]
    assert meets_target(litecoin, network("litecoin")) is True
    assert meets_target(litecoin, network("bitcoin")) is False  # by the other hash
    assert meets_target(litecoin[:-1] + bytes([litecoin[-1] ^ 1]), network("litecoin")) is False
    assert meets_target(read_block("dogecoin-371337")[:80], network("dogecoin")) is None
    with pytest.raises(ValueError, match="80 bytes, this one 79"):
        meets_target(litecoin[1:], network("litecoin"))


@pytest.mark.parametrize(
    ("bits", "target"),
    [
        (0x1D00FFFF, 0xFFFF << 208),
        (0x207FFFFF, 0x7FFFFF << 232),
        (0x03123456, 0x123456),
        (0x02123456, 0x1234),
        (0x00123456, 0),
        (0x04923456, 0),
    ],
)
def test_compact_targets(bits: int, target: int) -> None:
    assert target_of(bits) == target


@UNHURRIED
@given(st.integers(0, 2**32 - 1))
def test_any_bits_are_judged(bits: int) -> None:
    header = GENESIS_HEADER[:72] + bits.to_bytes(4, "little") + bytes(4)
    assert meets_target(header, network("regtest")) in (True, False)
