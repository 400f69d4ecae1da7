"""Receipts: a miner's rows lead to the root, nobody else's can be told from what it holds, and whatever is changed is said."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.assess.receipts import (
    ROW,
    Receipt,
    ReceiptRow,
    ReportTree,
    describe_receipts,
    leaf_hash,
    month_key,
    read_receipt,
    receipt_faults,
    row_key,
)
from pipeline.model import hash_tree
from pipeline.model.hash_tree import EMPTY, HashTree, count_and_root, node_hash, root_of

DIGEST = "ab" * 32


def row(number: int, miner: str) -> list[str | None]:
    values: list[str | None] = [None] * len(ROW)
    values[0], values[ROW.index("miner_id")], values[ROW.index("amount")] = str(number), miner, f"0.0000000{number % 10}"
    return values


def tree(miners: list[str], key: bytes = b"k" * 32) -> ReportTree:
    return ReportTree((row(n, miner) for n, miner in enumerate(miners, 1)), key, month="2026-10", version=1, digest=DIGEST)


def receipt_of(miner: str, miners: list[str]) -> Receipt:
    numbers = [n for n, one in enumerate(miners, 1) if one == miner]
    return tree(miners).receipt(miner, numbers, [row(n, miner) for n in numbers])


@given(st.integers(1, 70).flatmap(lambda count: st.tuples(st.just(count), st.sets(st.integers(0, count - 1), min_size=1))))
def test_any_leaves_lead_to_the_root_and_no_others_do(case: tuple[int, set[int]]) -> None:
    count, places = case
    leaves = [hashlib.sha256(str(place).encode()).digest() for place in range(count)]
    whole = HashTree(b"".join(leaves))
    proof = whole.proof(sorted(places))
    assert root_of({place: leaves[place] for place in places}, count, proof) == whole.root
    assert not set(proof) & {leaves[place] for place in places}, "nothing is carried that can be computed"
    one = min(places)
    assert root_of({place: leaves[place] for place in places} | {one: b"x" * 32}, count, proof) != whole.root
    with pytest.raises(ValueError, match="more hashes"):
        root_of({place: leaves[place] for place in places}, count, [*proof, leaves[0]])
    if proof:
        with pytest.raises(ValueError, match="too few"):
            root_of({place: leaves[place] for place in places}, count, proof[:-1])


def test_small_trees_are_what_rfc_6962_says() -> None:
    a, b, c = (hashlib.sha256(text).digest() for text in (b"a", b"b", b"c"))
    assert HashTree(b"").root == EMPTY and HashTree(a).root == a and HashTree(a).proof([0]) == []
    assert HashTree(a + b + c).root == node_hash(node_hash(a, b), c)
    for place in (-1, 3):
        with pytest.raises(ValueError, match="leaves that are there"):
            HashTree(a + b + c).proof([place])
        with pytest.raises(ValueError, match="not among"):
            root_of({place: a}, 3, [])
    with pytest.raises(ValueError, match="32 bytes"):
        HashTree(b"short")


@pytest.mark.parametrize("at_once", [1, 2, 8])
def test_the_root_alone_is_that_of_the_whole_tree(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_tree, "LEAVES_AT_ONCE", at_once)
    leaves = [hashlib.sha256(str(place).encode()).digest() for place in range(70)]
    for count in range(len(leaves) + 1):
        assert count_and_root(iter(leaves[:count])) == (count, HashTree(b"".join(leaves[:count])).root)


def test_the_manifest_says_the_tree_of_receipts() -> None:
    miners = ["180141952211", "201040000013", "180141952211"]
    rows = (row(n, miner) for n, miner in enumerate(miners, 1))
    assert describe_receipts(rows, b"k" * 32, month="2026-10", version=1, digest=DIGEST) == tree(miners).described


def test_a_receipt_holds_and_is_read_as_it_was_written() -> None:
    miners = ["180141952211", "201040000013", "180141952211", "990540001116", "201040000013"]
    for miner in set(miners):
        receipt = read_receipt(msgspec.json.encode(receipt_of(miner, miners)))
        assert receipt_faults(receipt) == [] and receipt.root == tree(miners).root
        assert {one.values[ROW.index("miner_id")] for one in receipt.rows} == {miner}
        assert [one.n for one in receipt.rows] == [n for n, one in enumerate(miners, 1) if one == miner]


def test_a_receipt_names_nobody_else_and_no_guess_at_a_sibling_can_be_tested() -> None:
    """What its holder can compute a sibling's leaf with: the printed digest, its own rows and keys. None of these, alone or in pairs, is the sibling's key."""
    miners = ["180141952211", "201040000013"]
    content = b"report of two rows"
    key = month_key([content], [b"ties"])
    whole = tree(miners, key)
    receipt = whole.receipt(miners[0], [1], [row(1, miners[0])])
    text = msgspec.json.encode(receipt).decode()
    assert miners[1] not in text and row_key(key, 2).hex() not in text and key.hex() not in text
    (beside,) = receipt.proof
    known = [b"", hashlib.sha256(content).digest(), hashlib.sha256(content).hexdigest().encode(), bytes.fromhex(receipt.rows[0].key),
             bytes.fromhex(receipt.root), receipt.digest.encode(), b"2"]  # fmt: skip
    derived = [hmac.digest(one, other, "sha256") for one, other in itertools.product(known, repeat=2)]
    assert beside not in {leaf_hash(guess, row(2, miners[1])).hex() for guess in (*known, *derived)}
    assert beside == leaf_hash(row_key(key, 2), row(2, miners[1])).hex(), "with the report itself anybody can"
    assert month_key([content], [b"ties"]) != month_key([content + b"t"], [b"ies"])


def changed(receipt: Receipt, **fields: object) -> Receipt:
    return msgspec.structs.replace(receipt, **fields)


def test_whatever_is_changed_in_a_receipt_is_said() -> None:
    miners = ["180141952211", "201040000013", "180141952211", "990540001116"]
    receipt = receipt_of(miners[0], miners)
    first = receipt.rows[0]
    richer = ReceiptRow(first.n, first.key, [*first.values[:-1], "true"])
    elsewhere = ReceiptRow(2, first.key, ["2", *first.values[1:]])
    stranger = ReceiptRow(first.n, first.key, row(1, miners[1]))
    cases = {
        "do not lead to the root": [
            changed(receipt, rows=[richer, *receipt.rows[1:]]),
            changed(receipt, root="cd" * 32),
            changed(receipt, month="2026-11"),
            changed(receipt, version=2),
            changed(receipt, rows=[elsewhere]),
            changed(receipt, digest="cd" * 32),
            changed(receipt, proof=["cd" * 32] * len(receipt.proof)),
            changed(receipt, rows=[ReceiptRow(first.n, "cd" * 32, first.values), *receipt.rows[1:]]),
        ],
        "is not of the miner": [changed(receipt, rows=[stranger, *receipt.rows[1:]]), changed(receipt, miner_id=miners[1])],
        "hashes": [
            changed(receipt, proof=receipt.proof[1:]),
            changed(receipt, proof=[*receipt.proof, DIGEST]),
        ],
        "says that its number is": [changed(receipt, rows=[ReceiptRow(2, first.key, first.values), *receipt.rows[1:]])],
        "not among those": [changed(receipt, leaves=1)],
        "it has no row, or one twice": [changed(receipt, rows=[]), changed(receipt, rows=[first, first])],
    }
    for words, receipts in cases.items():
        for one in receipts:
            assert any(words in fault for fault in receipt_faults(one)), words


@pytest.mark.parametrize(
    "change",
    [
        {"form": "esep-report"},
        {"edition": 2},
        {"columns": ["n"]},
        {"leaves": 0},
        {"rows": [{"n": 1}]},
        {"root": "x"},
        {"note": "approved"},
        {"proof": [7]},
    ],
)
def test_what_is_no_receipt_is_refused(change: dict[str, object]) -> None:
    content = json.loads(msgspec.json.encode(receipt_of("180141952211", ["180141952211"])))
    with pytest.raises(ValueError):
        read_receipt(json.dumps(content | change).encode())
