"""A header is hashed as Ethereum's own library encodes it, and what is no header is refused."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from eth_hash.auto import keccak

from connectors.evm.answers import HeaderFields, raw_header
from tests.evm_encoding import header_rlp

ROOT = "0x" + "5e" * 32
FIRST: dict[str, Any] = {
    "parentHash": "0x" + "01" * 32, "sha3Uncles": "0x" + "02" * 32, "miner": "0x" + "03" * 20, "stateRoot": "0x" + "04" * 32,
    "transactionsRoot": "0x" + "05" * 32, "receiptsRoot": "0x" + "06" * 32, "logsBloom": "0x" + "07" * 256, "difficulty": "0x0", "number": "0x7f",
    "gasLimit": "0x80", "gasUsed": "0x5208", "timestamp": "0x6553f100", "extraData": "0x", "mixHash": "0x" + "08" * 32, "nonce": "0x" + "00" * 8,
}  # fmt: skip
FORKS: list[dict[str, Any]] = [
    {"baseFeePerGas": "0x7"},
    {"withdrawalsRoot": ROOT},
    {"blobGasUsed": "0x0", "excessBlobGas": "0x20000", "parentBeaconBlockRoot": ROOT},
    {"requestsHash": ROOT},
]


def fields(block: dict[str, Any]) -> HeaderFields:
    """The block with the hash that its own fields give, where they can be encoded."""
    named = {"hash": "0x" + keccak(header_rlp(block)).hex(), **block}
    return msgspec.convert(named, HeaderFields)


@pytest.mark.parametrize("n_forks", range(len(FORKS) + 1))
@pytest.mark.parametrize("extra", ["0x", "0x7f", "0x80", "0x" + "ab" * 55, "0x" + "ab" * 97])
def test_a_header_of_every_fork_is_encoded_as_the_library_does(n_forks: int, extra: str) -> None:
    block = FIRST | {"extraData": extra}
    for added in FORKS[:n_forks]:
        block |= added
    found = raw_header(fields(block))
    assert found.raw == header_rlp(block) and found.hash == keccak(found.raw).hex()
    assert (found.height, found.time, found.prev) == (0x7F, 0x6553F100, "01" * 32)


def test_upper_case_digits_are_the_same_header() -> None:
    shouted = {name: "0x" + text[2:].upper() for name, text in FIRST.items()}
    assert raw_header(fields(shouted)).raw == header_rlp(FIRST)


def test_headers_of_one_seed_are_encoded_as_the_library_does_whatever_their_numbers_and_how_they_are_written() -> None:
    chance = random.Random(17)

    def quantity() -> str:
        digits = f"{chance.getrandbits(chance.choice((0, 1, 4, 7, 8, 9, 12, 16, 63, 64, 65, 128, 255, 256))):x}"
        digits = digits.rjust(min(64, len(digits) + chance.choice((0, 0, 1, 2, 9))), "0")
        return "0x" + (digits.upper() if chance.random() < 0.2 else digits)

    forks = {name: value for added in FORKS for name, value in added.items()}
    for _ in range(300):
        block = FIRST | forks
        block |= {name: "0x" + chance.randbytes(len(text) // 2 - 1).hex() for name, text in block.items() if len(text) >= 18}
        numbers = ("difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas")
        block |= {name: quantity() for name in numbers} | {
            "extraData": "0x" + chance.randbytes(chance.choice((0, 1, 31, 32, 33, 55, 56, 97))).hex()
        }
        found = raw_header(fields(block))
        assert found.raw == header_rlp(block)
        assert (found.height, found.time) == (int(block["number"], 16), int(block["timestamp"], 16))


@pytest.mark.parametrize("name", ["withdrawalsRoot", "parentBeaconBlockRoot", "requestsHash", "mixHash", "extraData"])
def test_spaces_among_the_digits_of_a_later_field_are_refused(name: str) -> None:
    block = FIRST | {"extraData": "0x" + "ab" * 32} | {name: value for added in FORKS for name, value in added.items()}
    spaced = msgspec.structs.replace(fields(block), **{_attribute(name): block[name][:10] + "  " + block[name][12:]})
    with pytest.raises(ValueError, match="spaces"):
        raw_header(spaced)


@pytest.mark.parametrize("name", list(FIRST))
def test_each_field_is_in_the_hash(name: str) -> None:
    changed = FIRST | {name: FIRST[name] + "11" if name == "extraData" else FIRST[name][:-1] + ("1" if FIRST[name][-1] != "1" else "2")}
    with pytest.raises(ValueError, match="is said to have hash"):
        raw_header(msgspec.structs.replace(fields(FIRST), **{_attribute(name): changed[name]}))


@pytest.mark.parametrize("name", ["parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom"])
@pytest.mark.parametrize("change", ["short", "long", "no digits", "spaces", "no prefix"])
def test_a_field_of_another_length_or_with_other_letters_is_none(name: str, change: str) -> None:
    text = FIRST[name]
    forged = {
        "short": text[:-2], "long": text + "00", "no digits": text[:-2] + "zz", "spaces": text[:-2] + "  ", "no prefix": "00" + text[2:],
    }[change]  # fmt: skip
    with pytest.raises(ValueError, match=r"hexadecimal|spaces"):
        raw_header(msgspec.structs.replace(fields(FIRST), **{_attribute(name): forged}))


def test_digits_moved_from_one_field_to_the_next_are_no_header() -> None:
    """The bytes would be the same, and what they are said to be another."""
    shifted = fields(FIRST)
    shifted.parent_hash, shifted.sha3_uncles = FIRST["parentHash"] + "a0", FIRST["sha3Uncles"][:-2]
    with pytest.raises(ValueError, match="hexadecimal digits"):
        raw_header(shifted)


def _attribute(name: str) -> str:
    return {field.encode_name: field.name for field in msgspec.structs.fields(HeaderFields)}[name]
