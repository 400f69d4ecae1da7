"""OpenTimestamps proofs: read, written, joined, computed; bounded; and against a real header of Bitcoin's."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.chains.bitcoin.wire import parse_header
from pipeline.signing.public_time import (
    MAGIC,
    InBlock,
    Promise,
    ProofUnreadable,
    Timestamp,
    Unknown,
    apply,
    read_proof,
    read_timestamp,
    write_proof,
    write_timestamp,
)
from pipeline.verify.public_time import judge_proof
from tests.unit.chains.bitcoin.chains import GENESIS_COINBASE, GENESIS_HEADER

SHA = (0x08, b"")
URL = "https://calendar.example"
HELLO = hashlib.sha256(b"Hello World!\n").digest()


def of_genesis() -> Timestamp:
    """Bitcoin's first block has one transaction, whose double SHA-256 is the Merkle root: so its bytes, hashed once, stood before it."""
    raw = GENESIS_COINBASE
    once = hashlib.sha256(raw).digest()
    return Timestamp(once, operations={SHA: Timestamp(hashlib.sha256(once).digest(), [InBlock(0)])})


def tree() -> Timestamp:
    """Two branches: a promise, and a block; and an attestation of a kind that nobody knows."""
    stamp = Timestamp(HELLO, [Unknown(b"\1\2\3\4\5\6\7\x08", b"xx")])
    for operation, end in (((0xF0, b"salt"), Promise(URL)), ((0xF1, b"\1" * 32), InBlock(358_391))):
        below = Timestamp(apply(operation, HELLO))
        below.operations[SHA] = Timestamp(apply(SHA, below.message), [end])
        stamp.operations[operation] = below
    return stamp


def test_a_proof_read_back_is_the_same_and_has_the_same_bytes() -> None:
    raw = write_proof(tree())
    assert raw[:31] == MAGIC and raw[31:33] == b"\x01\x08" and raw[33:65] == HELLO
    again = read_proof(raw)
    assert again == tree() and write_proof(again) == raw
    assert {type(end) for _, end in again.ends()} == {Promise, InBlock, Unknown}


def test_the_bytes_are_those_of_the_format() -> None:
    """As the reference client writes a calendar's promise: op sha256 (08), attestation (00), pending's tag, its payload's length, the address's length."""
    stamp = Timestamp(HELLO, operations={SHA: Timestamp(apply(SHA, HELLO), [Promise("https://a.b")])})
    assert write_timestamp(stamp).hex() == "0800" + "83dfe30d2ef90c8e" + "0c0b" + b"https://a.b".hex()
    assert write_timestamp(Timestamp(HELLO, [InBlock(358_391)])).hex() == "00" + "0588960d73d71901" + "03" + "f7ef15"


def test_operations() -> None:
    assert apply((0xF0, b"b"), b"a") == b"ab" and apply((0xF1, b"b"), b"a") == b"ba"
    assert apply((0xF2, b""), b"ab") == b"ba" and apply((0xF3, b""), b"\xab") == b"ab"
    assert apply(SHA, b"") == hashlib.sha256(b"").digest() and apply((0x02, b""), b"") == hashlib.sha1(b"").digest()
    with pytest.raises(ProofUnreadable, match="not known here"):
        apply((0x77, b""), b"a")
    with pytest.raises(ProofUnreadable, match="beyond the format's limit"):
        apply((0xF0, b"x" * 4096), b"a")


def test_a_block_takes_a_promises_place_and_two_calendars_stand_together() -> None:
    stamp = tree()
    message = next(message for message, end in stamp.ends() if isinstance(end, Promise))
    stamp.upgraded({message: Timestamp(message, operations={SHA: Timestamp(apply(SHA, message), [InBlock(7)])})})
    ends = [end for _, end in stamp.ends()]
    assert InBlock(7) in ends and not any(isinstance(end, Promise) for end in ends)
    other = Timestamp(HELLO, [Promise("https://other.example")])
    other.join(tree())
    other.join(stamp)
    assert {end for _, end in other.ends()} >= {InBlock(7), InBlock(358_391), Promise(URL), Promise("https://other.example")}
    with pytest.raises(ProofUnreadable, match="another message"):
        other.join(Timestamp(b"x"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: b"\1" + raw[1:],
        lambda raw: raw[:31] + b"\x02" + raw[32:],
        lambda raw: raw[:32] + b"\x67" + raw[33:],
        lambda raw: raw[:65] + b"\x99",
        lambda raw: raw[:65] + b"\x08" * 300,
        lambda raw: raw[:65] + b"\xff\x08" * 5000,
        lambda raw: raw[:65] + b"\xf0" + b"\xff" * 12,
        lambda raw: raw[:65] + b"\xf0\x00\x08",
        lambda raw: raw[:65] + b"\x00" + bytes.fromhex("83dfe30d2ef90c8e") + b"\x03\x02\x07\x1b",
        lambda raw: raw + b"x" * (1 << 17),
        lambda raw: b"",
    ],
)
def test_what_is_no_proof_is_refused(spoil) -> None:
    with pytest.raises(ProofUnreadable):
        read_proof(spoil(write_proof(tree())))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_timestamp_or_are_refused(raw: bytes) -> None:
    try:
        stamp = read_timestamp(raw, HELLO)
    except ProofUnreadable:
        return
    assert read_timestamp(write_timestamp(stamp), HELLO) == read_timestamp(
        write_timestamp(read_timestamp(write_timestamp(stamp), HELLO)), HELLO
    )


def test_a_proof_holds_by_the_header_of_its_block_and_by_no_other() -> None:
    genesis = parse_header(GENESIS_HEADER)
    for own, given_, source in (({0: genesis}, {}, "whose header the bundle proves"), ({}, {0: genesis}, "by the headers given")):
        found = judge_proof(of_genesis(), own, given_)
        assert found.faults == [] and source in found.proved
        assert (
            "before Bitcoin block 0 (000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f) of 2009-01-03 18:15:05 UTC"
            in found.proved
        )
    assert judge_proof(of_genesis(), {}, {}).proved == "" and "is not at hand" in judge_proof(of_genesis(), {}, {}).not_checked
    other = genesis._replace(merkle_root=b"\xab" * 32)
    assert judge_proof(of_genesis(), {0: other}, {}).faults == ["manifest.json.ots: Bitcoin block 0 does not have it"]


def test_a_promise_is_the_calendars_word_and_an_unknown_end_is_not_checked() -> None:
    found = judge_proof(tree(), {}, {})
    assert found.faults == [] and found.proved == ""
    assert found.on_word == (f"that the manifest is to be stamped: on the word of the calendar {URL}, which promised it",)
    assert "of a kind that nobody here knows" in found.not_checked and "Bitcoin block 358391" in found.not_checked
