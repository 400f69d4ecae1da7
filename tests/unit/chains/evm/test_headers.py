"""Headers against the first block of Ethereum, which everybody knows, and each fork's fields."""

from __future__ import annotations

from typing import Any

import pytest
import rlp
from eth_hash.auto import keccak

from pipeline.chains.evm.headers import header_hash, parse_header
from tests.evm_encoding import header_rlp

EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
GENESIS: dict[str, Any] = {
    "parentHash": "0x" + "0" * 64,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "0" * 40,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": EMPTY_ROOT,
    "receiptsRoot": EMPTY_ROOT,
    "logsBloom": "0x" + "0" * 512,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "0" * 64,
    "nonce": "0x0000000000000042",
}
LATER = [
    {"baseFeePerGas": "0x3b9aca00"},
    {"withdrawalsRoot": EMPTY_ROOT},
    {"blobGasUsed": "0x0", "excessBlobGas": "0x20000", "parentBeaconBlockRoot": "0x" + "ab" * 32},
    {"requestsHash": "0x" + "cd" * 32},
]


def test_the_first_block_of_ethereum_has_its_hash() -> None:
    raw = header_rlp(GENESIS)
    assert header_hash(raw) == "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
    header = parse_header(raw)
    assert (header.number, header.time, header.difficulty, header.prev) == (0, 0, 0x400000000, "0" * 64)
    assert header.transactions_root.hex() == EMPTY_ROOT[2:]


@pytest.mark.parametrize("forks", range(len(LATER) + 1))
def test_each_fork_adds_its_fields_at_the_end(forks: int) -> None:
    block = GENESIS | {"number": "0x12a05f2", "timestamp": "0x65f1b2c3"}
    for added in LATER[:forks]:
        block |= added
    raw = header_rlp(block)
    values = rlp.decode(raw)
    assert len(values) == [15, 16, 17, 20, 21][forks]
    expected = [value for added in LATER[:forks] for value in added.values()]
    assert [int.from_bytes(value, "big") for value in values[15:]] == [int(value, 16) for value in expected]
    header = parse_header(raw)
    assert (header.hash, header.number, header.time) == (keccak(raw).hex(), 0x12A05F2, 0x65F1B2C3)


def test_null_fields_of_forks_are_absent_ones() -> None:
    assert header_rlp(GENESIS | {"baseFeePerGas": None, "withdrawalsRoot": None}) == header_rlp(GENESIS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parentHash": None}, "parentHash"),
        ({"parentHash": "0x12"}, "parentHash has 1 bytes, not 32"),
        ({"number": 5}, "number is 5"),
        ({"extraData": "0xzz"}, "extraData"),
        ({"withdrawalsRoot": EMPTY_ROOT, "baseFeePerGas": "0x1", "blobGasUsed": "0x0"}, "excessBlobGas"),
    ],
)
def test_a_missing_or_malformed_field_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        header_rlp(GENESIS | change)


@pytest.mark.parametrize(
    "raw", [b"", b"\x80", b"\xc0", rlp.encode([b"\0" * 32] * 15), header_rlp(GENESIS) + b"\0", header_rlp(GENESIS)[:-1]]
)
def test_bytes_that_are_no_header_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_header(raw)
