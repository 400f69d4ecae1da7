"""The wire format: what was written is read, and nothing but ValueError comes of what is broken."""

from __future__ import annotations

from hashlib import sha256

import pytest
from embit.transaction import Transaction as EmbitTransaction
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.chains.bitcoin.merkle import MerkleTree
from pipeline.chains.bitcoin.networks import NETWORKS, network
from pipeline.chains.bitcoin.wire import parse_block, parse_header, parse_headers, parse_spent_outputs, parse_transaction

from .chains import (
    GENESIS,
    GENESIS_COINBASE,
    GENESIS_HEADER,
    UNHURRIED,
    compact_size,
    read_block,
    transaction,
    transactions,
    with_length,
)


def double(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


def test_genesis_block() -> None:
    block = parse_block(GENESIS)
    assert block.header == parse_header(GENESIS_HEADER)
    assert block.header.hash.hex() == network("bitcoin").genesis
    assert (block.header.time, block.header.bits, block.header.nonce, block.header.version) == (1231006505, 0x1D00FFFF, 2083236893, 1)
    assert block.header.prev == bytes(32)
    assert block.txids == [block.header.merkle_root]
    assert block.header.merkle_root.hex() == "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
    (coinbase,) = block.transactions
    assert coinbase.is_coinbase and coinbase.raw == coinbase.raw_stripped == GENESIS_COINBASE
    assert coinbase.inputs[0][:2] == (bytes(32), 0xFFFFFFFF)
    assert [output.value for output in coinbase.outputs] == [50_0000_0000]
    assert (coinbase.size, coinbase.stripped_size, coinbase.weight, coinbase.vsize) == (204, 204, 816, 204)
    assert coinbase.witness == [[]] and coinbase.txid == coinbase.wtxid


@UNHURRIED
@given(transactions())
def test_reads_what_was_written(written: tuple[bytes, dict]) -> None:
    raw, parts = written
    tx = parse_transaction(raw)
    assert [(each.txid, each.vout, each.script_sig, each.sequence) for each in tx.inputs] == parts["inputs"]
    assert [tuple(each) for each in tx.outputs] == parts["outputs"]
    assert tx.witness == (parts["witness"] or [[] for _ in parts["inputs"]])
    assert (tx.version, tx.locktime) == (parts["version"], parts["locktime"])
    stripped = transaction(**{**parts, "witness": None})
    assert tx.raw == raw and tx.raw_stripped == stripped
    assert tx.txid == double(stripped)[::-1] and tx.wtxid == double(raw)[::-1]
    assert (tx.size, tx.stripped_size, tx.weight, tx.vsize) == (
        len(raw), len(stripped), 3 * len(stripped) + len(raw), -(-(3 * len(stripped) + len(raw)) // 4),
    )  # fmt: skip
    assert parse_transaction(tx.raw_stripped).txid == tx.txid


@UNHURRIED
@given(transactions())
def test_reads_as_embit_does(written: tuple[bytes, dict]) -> None:
    tx, other = parse_transaction(written[0]), EmbitTransaction.parse(written[0])
    assert tx.txid == other.txid()
    assert [(each.txid, each.vout, each.script_sig, each.sequence) for each in tx.inputs] == [
        (each.txid, each.vout, each.script_sig.data, each.sequence) for each in other.vin
    ]
    assert [tuple(each) for each in tx.outputs] == [(each.value, each.script_pubkey.data) for each in other.vout]


@UNHURRIED
@given(st.lists(transactions(), min_size=1, max_size=5), st.binary(min_size=80, max_size=80))
def test_block_of_many(written: list[tuple[bytes, dict]], header: bytes) -> None:
    raw = header + compact_size(len(written)) + b"".join(tx for tx, _ in written)
    block = parse_block(raw)
    assert [tx.raw for tx in block.transactions] == [tx for tx, _ in written]


@pytest.mark.parametrize("size", [0, 79, 81])
def test_header_has_80_bytes(size: int) -> None:
    with pytest.raises(ValueError, match=f"80 bytes, this one {size}"):
        parse_header(bytes(size))


def test_every_truncation_is_refused() -> None:
    for name, raw in (("dogecoin", read_block("dogecoin-371337")), ("bitcoin", GENESIS)):
        for size in range(len(raw)):
            with pytest.raises(ValueError):
                parse_block(raw[:size], network(name))
    for size in range(len(GENESIS_COINBASE)):
        with pytest.raises(ValueError):
            parse_transaction(GENESIS_COINBASE[:size])


@settings(UNHURRIED, max_examples=200)
@given(st.data(), st.sampled_from(NETWORKS))
def test_garbled_bytes_give_value_errors_only(data: st.DataObject, name: str) -> None:
    raw = bytearray(data.draw(st.sampled_from([GENESIS, read_block("dogecoin-371337"), read_block("litecoin-2265985")])))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] = data.draw(st.integers(0, 255))
    _read_all(bytes(raw), name)


@UNHURRIED
@given(st.binary(max_size=400), st.sampled_from(NETWORKS))
def test_random_bytes_give_value_errors_only(raw: bytes, name: str) -> None:
    _read_all(GENESIS_HEADER + raw, name)
    for parse in (parse_transaction, parse_headers):
        try:
            parse(raw, network(name))
        except ValueError as error:
            assert str(error)
    try:
        parse_spent_outputs(raw)
    except ValueError as error:
        assert str(error)


def _read_all(raw: bytes, name: str) -> None:
    try:
        for tx in parse_block(raw, network(name)).transactions:
            assert len(tx.inputs) == len(tx.witness)
            assert tx.outputs is not None and len(tx.txid) == 32
    except ValueError as error:
        assert str(error)


ONE_INPUT = [(bytes(32), 0, b"", 0)]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (transaction(ONE_INPUT, []) + b"\0", "1 bytes are left over after the transaction, at offset 51"),
        (transaction([], []), "no inputs"),
        (transaction([], [(1, b"")]), "1 inputs are announced at offset 6, but only 12 bytes follow"),  # as a node would read it, too
        (transaction(ONE_INPUT, [], witness=[[]]), "superfluous witness record, at offset 49"),
        (bytes(4) + b"\xfd\x01\x00", "not in its shortest form, at offset 4"),
        (bytes(4) + b"\xff" + b"\xff" * 8 + bytes(50), "18446744073709551615 inputs are announced at offset 4, but only 50 bytes follow"),
        (bytes(4) + b"\0\x08" + bytes(60), r"unknown extra data \(8\), at offset 4"),
        (bytes(4) + b"\0\x02" + bytes(60), r"unknown extra data \(2\), at offset 4"),
    ],
)
def test_broken_transactions_are_named(raw: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_transaction(raw)


def test_negative_value_is_refused_when_read() -> None:
    tx = parse_transaction(transaction(ONE_INPUT, [(2**63, b"")]))
    with pytest.raises(ValueError, match="value is negative, at offset 47"):
        _ = tx.outputs


def test_block_faults_are_named() -> None:
    with pytest.raises(ValueError, match="no transactions"):
        parse_block(GENESIS_HEADER + b"\0")
    with pytest.raises(ValueError, match="1 bytes are left over after the block's last transaction"):
        parse_block(GENESIS + b"\0")
    with pytest.raises(ValueError, match="5000 transactions are announced at offset 80"):
        parse_block(GENESIS_HEADER + compact_size(5000) + GENESIS_COINBASE)


def test_spent_outputs() -> None:
    def vector(outputs: list[tuple[int, bytes]]) -> bytes:
        return compact_size(len(outputs)) + b"".join(value.to_bytes(8, "little") + with_length(script) for value, script in outputs)

    spent = [[], [(5, b"\x51"), (2**62, b"x" * 300)], [(0, b"")]]
    raw = compact_size(len(spent)) + b"".join(map(vector, spent))
    assert parse_spent_outputs(raw) == spent
    assert parse_spent_outputs(b"\1\0") == [[]]
    for size in range(len(raw)):
        with pytest.raises(ValueError):
            parse_spent_outputs(raw[:size])
    with pytest.raises(ValueError, match="1 bytes are left over after the spent outputs, at offset"):
        parse_spent_outputs(raw + b"\0")
    with pytest.raises(ValueError, match="200 spent outputs are announced at offset 1"):
        parse_spent_outputs(b"\1" + compact_size(200) + bytes(50))


def test_litecoin_extension_block_is_skipped() -> None:
    raw = read_block("litecoin-2265985")
    block = parse_block(raw, network("litecoin"))
    assert block.header.hash.hex() == "9bacbef81b42f777fabc19d08bceddb56d219fd4585f85946cb27470c6f4f596"
    assert len(block.transactions) == 58
    assert MerkleTree(block.txids).root == block.header.merkle_root  # so the last one's id is right, too
    assert block.txids[-1].hex() == "b0a867c72f417dc0a904f708ba37fa2d94c3b25a288ea6e8fbe8cd14d8ca7119"
    with pytest.raises(ValueError, match="transaction 57 has no inputs, or unknown extra data"):
        parse_block(raw, network("bitcoin"))
    with pytest.raises(ValueError, match="left over"):
        parse_block(raw[: sum(tx.size for tx in block.transactions) + 81] + b"\2", network("litecoin"))


def test_dogecoin_proof_of_work_is_skipped() -> None:
    raw = read_block("dogecoin-371337")
    block = parse_block(raw, network("dogecoin"))
    assert block.header.hash.hex() == "60323982f9c5ff1b5a954eac9dc1269352835f47c2c5222691d80f0d50dcf053"
    assert len(block.transactions) == 6 and MerkleTree(block.txids).root == block.header.merkle_root
    with pytest.raises(ValueError):
        parse_block(raw)


def test_headers_one_after_another() -> None:
    merge_mined = read_block("dogecoin-371337")
    transactions = parse_block(merge_mined, network("dogecoin")).transactions
    with_proof = merge_mined[: len(merge_mined) - sum(tx.size for tx in transactions) - 1]
    headers = parse_headers(GENESIS_HEADER + with_proof + GENESIS_HEADER, network("dogecoin"))
    assert [raw for _, raw in headers] == [GENESIS_HEADER, merge_mined[:80], GENESIS_HEADER]
    assert parse_headers(b"") == []
    with pytest.raises(ValueError, match="header 1 ends early: 40 bytes at offset 80"):
        parse_headers(GENESIS_HEADER + bytes(40))
    with pytest.raises(ValueError, match=r"auxiliary proof of work|ends early|announced"):
        parse_headers(with_proof[:-1], network("dogecoin"))
