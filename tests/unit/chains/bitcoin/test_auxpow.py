"""Merged mining's proofs: the first real one of Dogecoin holds, and none that is bent."""

from __future__ import annotations

import polars as pl
import pytest

from connectors.bitcoin.errors import AnswerUnreadable
from connectors.bitcoin.node import _header
from pipeline.chains.bitcoin.auxpow import auxpow_fault, bare_header, expected_index, parse_auxpow
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.wire import end_of_header, parse_header, parse_headers
from pipeline.chains.evidence import HEADERS
from pipeline.verify.evidence import header_faults
from pipeline.verify.work import _why_unseen

from .chains import read_block

DOGECOIN = network("dogecoin")
BLOCK = read_block("dogecoin-371337")
REAL = BLOCK[: end_of_header(BLOCK, 0, DOGECOIN)]
"""The header of the first merge-mined block, with its proof: its parent is a block of Litecoin's."""


def bent(place: int, value: bytes) -> bytes:
    return REAL[:place] + value + REAL[place + len(value) :]


def test_the_real_header_is_proved_by_its_parent_s_work() -> None:
    assert auxpow_fault(REAL, DOGECOIN) == ""
    assert parse_header(bare_header(REAL, DOGECOIN)).hash.hex() == "60323982f9c5ff1b5a954eac9dc1269352835f47c2c5222691d80f0d50dcf053"
    proof = parse_auxpow(REAL, DOGECOIN)
    assert proof is not None and len(proof.parent) == 80 and proof.coinbase.is_coinbase


PROOF = parse_auxpow(REAL, DOGECOIN)
assert PROOF is not None
SCRIPT = REAL.index(PROOF.coinbase.inputs[0].script_sig)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (bent(40, b"\xff"), "does not name it"),
        (bent(0, b"\x02\x01\x63\x00"), "of the merged chain 99"),
        (bent(len(REAL) - 4, b"\xff\xff\xff\xff"), "the parent's hash does not meet"),
        (bent(len(REAL) - 80, b"\x02\x01\x62\x00"), "is of its own chain"),
        (bent(SCRIPT, b"\xee"), "is not in the parent block"),
        (bent(len(REAL) - 40, b"\xff"), "is not in the parent block"),
        (bent(72, bytes.fromhex("ffff7f20")), "none that the network allows"),
        (bent(72, bytes.fromhex("ffff001a")), "does not name it"),
    ],
)
def test_what_is_bent_does_not_hold(raw: bytes, said: str) -> None:
    assert said in auxpow_fault(raw, DOGECOIN)


@pytest.mark.parametrize("raw", [REAL[:-1], REAL + b"\0", REAL[:80], REAL[:200], BLOCK])
def test_bytes_that_are_missing_or_left_over_are_no_proof(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"left over|early|announced|needs"):
        auxpow_fault(raw, DOGECOIN)


def test_a_header_without_the_bit_has_work_of_its_own_or_none() -> None:
    plain = b"\x02\x00\x62\x00" + REAL[4:80]
    assert "does not meet" in auxpow_fault(plain, DOGECOIN)
    with pytest.raises(ValueError, match="follow a header"):
        auxpow_fault(plain + REAL[80:], DOGECOIN)


def test_a_bundle_s_headers_are_held_against_their_proofs() -> None:
    """Where the header's bytes carry the proof it is checked; where not, the chain's work is not called checked."""

    def faults(raw: bytes) -> list[str]:
        header = parse_header(raw[:80])
        row = {"chain": "dogecoin", "height": 371_337, "hash": header.hash.hex(), "mediantime": header.time, "header": raw.hex()}
        return header_faults(pl.DataFrame([row], schema=HEADERS), {"dogecoin": DOGECOIN})

    assert faults(REAL) == [] == faults(REAL[:80])
    assert faults(bent(SCRIPT, b"\xee")) == ["dogecoin block 371337: the coinbase of its proof of work is not in the parent block"]
    assert "left over" in faults(REAL + b"\0")[0]
    carried, bare = (pl.DataFrame({"header": [raw.hex()]}) for raw in (REAL, REAL[:80]))
    assert _why_unseen(DOGECOIN, carried) == "" and "1 headers of dogecoin carry no proof" in _why_unseen(DOGECOIN, bare)


def test_a_node_s_headers_keep_their_proofs_where_they_are_wanted() -> None:
    header = parse_header(REAL[:80])
    assert parse_headers(REAL + REAL, DOGECOIN, with_proofs=True) == [(header, REAL), (header, REAL)]
    assert parse_headers(REAL + REAL, DOGECOIN) == [(header, REAL[:80])] * 2
    assert _header(REAL.hex(), header.hash.hex(), DOGECOIN) == (header, REAL) and _header(REAL.hex(), header.hash.hex(), None) == (
        header,
        REAL[:80],
    )
    with pytest.raises(AnswerUnreadable):
        _header(REAL[:-1].hex(), header.hash.hex(), DOGECOIN)


def test_one_place_a_chain() -> None:
    """As Dogecoin Core's auxpow_tests.cpp has it: fixed for a nonce, a chain and a size."""
    assert expected_index(0, 0x62, 0) == 0
    assert {expected_index(nonce, 0x62, 3) for nonce in range(64)} <= set(range(8))
    assert expected_index(7, 0x62, 5) % 16 == expected_index(7, 0x62, 4)
