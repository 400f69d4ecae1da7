"""Block filters of the recorded month beside a bundle, and the forgeries of them: `honest_filters` gives what the recorded node would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from connectors.standins.bitcoin_node.filters import Filters
from connectors.standins.bitcoin_node.recording import RecordedBlock, load
from pipeline.chains.bitcoin.coins import Outpoint, Spend, Unspent, UnspentCoin
from pipeline.chains.bitcoin.filters import BlockFilter, encode, filter_header, matches
from pipeline.verify.filters import FilterSpan, filter_spans
from pipeline.verify.opened import OpenBundle

from ..integration.example_month import RECORDED
from . import test_coins
from .forger import resealed, rewritten

Rows = list[BlockFilter]
CHAIN = "bitcoin"
PATH = f"filters/{CHAIN}.jsonl"


class RecordedCoinNode:
    """The recorded node at its last block, asked of coins."""

    name = "http://recorded"
    network_name = "regtest"

    def __init__(self) -> None:
        recording = load(RECORDED)
        self.filters = Filters(recording)
        self.genesis = recording.genesis.hash
        self.chain: list[RecordedBlock] = [recording.genesis]
        for event in recording.events:
            if event.is_connect:
                self.chain.append(event.block)
            else:
                self.chain.pop()

    def tip_height(self) -> int:
        return len(self.chain) - 1

    def hash_at(self, height: int) -> str:
        return self.chain[height].hash

    def unspent(self, scripts: Any) -> Unspent:
        held: dict[tuple[bytes, int], UnspentCoin] = {}
        for block in self.chain:
            for tx in block.transactions:
                for source in tx.inputs:
                    held.pop((source.txid, source.vout), None)
                for vout, output in enumerate(tx.outputs):
                    if output.script in scripts:
                        held[tx.txid, vout] = UnspentCoin(tx.txid.hex(), vout, output.value, block.height)
        return Unspent(self.tip_height(), list(held.values()))

    def spends(self, coins: Any, after: int) -> dict[Outpoint, Spend]:
        return {
            (source.txid.hex(), source.vout): Spend(tx.txid.hex(), block.height)
            for block in self.chain[after + 1 :]
            for tx in block.transactions
            for source in tx.inputs
            if (source.txid.hex(), source.vout) in coins
        }

    def created_at(self, txid: str) -> int | None:
        return next((block.height for block in self.chain if any(tx.txid.hex() == txid for tx in block.transactions)), None)

    def filter_header(self, block_hash: str) -> str | None:
        block = next(block for block in self.chain if block.hash == block_hash)
        return self.filters.header_of(block)[::-1].hex()

    def touching(self, *_: object) -> Iterator[Spend]:
        raise AssertionError("no block is asked for: the filters show them")


@cache
def recorded() -> RecordedCoinNode:
    return RecordedCoinNode()


def span_of(bundle: Path) -> FilterSpan:
    (span,) = filter_spans(OpenBundle(bundle, ()))
    return span


def honest_filters(bundle: Path) -> Path:
    """The bundle with the filters of its month beside it, and the blocks that they name."""
    span = span_of(bundle)
    return write_rows(bundle, list(_honest_rows(span.first, span.last, span.scripts)))


@cache
def _honest_rows(first: int, last: int, scripts: frozenset[bytes]) -> tuple[BlockFilter, ...]:
    node = recorded()
    rows = []
    for block in node.chain[first : last + 1]:
        encoded = node.filters.filter_of(block)
        is_named = matches(encoded, bytes.fromhex(block.hash), scripts)
        rows.append(
            BlockFilter(
                height=block.height,
                block_header=block.block.header_raw,
                filter=encoded,
                filter_header=node.filters.header_of(block)[::-1].hex(),
                before=node.filter_header(node.hash_at(first - 1)) if block.height == first else None,
                block=block.block.raw if is_named else None,
            )
        )
    return tuple(rows)


def write_rows(bundle: Path, rows: Rows) -> Path:
    path = bundle / PATH
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return bundle


def rows_of(bundle: Path) -> Rows:
    return [msgspec.json.decode(line, type=BlockFilter) for line in (bundle / PATH).read_bytes().splitlines()]


def changed(change: Callable[[Rows, int], Any], *, relinked: bool = False) -> Callable[[Path], object]:
    """A forgery: `change` of the rows and the place of the first block that is carried; `relinked`: every later header made to follow."""

    def forge(bundle: Path) -> None:
        rows = rows_of(honest_filters(bundle))
        place = next(number for number, row in enumerate(rows) if row.block is not None)
        rows = change(rows, place) or rows
        write_rows(bundle, linked(rows) if relinked else rows)

    return forge


def linked(rows: Rows) -> Rows:
    """The rows with headers that follow from their filters."""
    previous, made = bytes.fromhex(rows[0].before or ""), []
    for row in rows:
        previous = filter_header(row.filter, previous)
        made.append(msgspec.structs.replace(row, filter_header=previous.hex()))
    return made


def put(rows: Rows, place: int, **changes: Any) -> None:
    rows[place] = msgspec.structs.replace(rows[place], **changes)


def empty(rows: Rows, place: int) -> None:
    """The block's filter is one of somebody else's script, and the block is not carried."""
    block_hash = recorded().chain[rows[place].height].hash
    put(rows, place, filter=encode(bytes.fromhex(block_hash), {b"\x51"}), block=None)


def without_last_transaction(rows: Rows, place: int) -> None:
    block = recorded().chain[rows[place].height].block
    kept = block.transactions[:-1] or recorded().chain[rows[place].height - 1].block.transactions
    put(rows, place, block=block.header_raw + bytes([len(kept)]) + b"".join(tx.raw for tx in kept))


def left_out(bundle: Path) -> None:
    """A payout is left out whole, beside the month's honest filters."""
    txid = test_coins.payouts(test_coins.facts_of(bundle), is_change_spent=False)[0]
    honest_filters(rewritten(bundle, **test_coins.without(txid)))


def _off_by_one(rows: Rows, place: int) -> None:
    put(rows, place, filter=rows[place].filter + b"\x00")


def _of_another_block(rows: Rows, place: int) -> None:
    put(rows, place, block_header=rows[place - 1].block_header if place else rows[1].block_header)


def _with_another_block(rows: Rows, place: int) -> None:
    put(rows, place, block=recorded().chain[rows[place].height - 1].block.raw)


def _of_no_chain(bundle: Path) -> None:
    honest_filters(bundle)
    (bundle / PATH).rename((bundle / PATH).with_name("dogecoin.jsonl"))


def _broken(bundle: Path) -> None:
    """A line that is no block's filter."""
    path = honest_filters(bundle) / PATH
    path.write_bytes(path.read_bytes() + b'{"height": "high"}\n')


def _beyond_the_headers(bundle: Path) -> None:
    """The headers end before the month's last block, whose filter is there."""
    last = span_of(bundle).last
    honest_filters(bundle)
    path = bundle / "evidence" / "headers.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(CHAIN + ",") or int(line.split(",")[1]) < last), encoding="utf-8")
    resealed(bundle)


def _no_block(rows: Rows, place: int) -> None:
    put(rows, place, block=rows[place].block_header + b"\xff")


FORGED: list[tuple[str, Callable[[Path], object], str]] = [
    ("a filter replaced", changed(empty), "its filter and the header before give"),
    ("a filter replaced, and every header after it", changed(empty, relinked=True), "the facts have transactions of it: another filter"),
    ("a matched block left out", changed(lambda rows, place: put(rows, place, block=None)), "and the block is left out"),
    ("a matched block without a transaction", changed(without_last_transaction), "are not those that its header commits to"),
    ("another block in its place", changed(_with_another_block), "has another header"),
    ("a filter with bytes left over", changed(_off_by_one, relinked=True), "are left over after the filter"),
    ("a filter keyed by another block", changed(_of_another_block, relinked=True), "is not of the bundle's chain of headers"),
    ("filters that end early", changed(lambda rows, _: rows[:-1]), "are not those of blocks"),
    ("filters that begin late", changed(lambda rows, _: rows[1:]), "are not those of blocks"),
    ("a second beginning", changed(lambda rows, place: put(rows, max(place, 1), before="00" * 32)), "for no other"),
    ("filters of a chain that the month has not", _of_no_chain, "has no coins of a chain of that name"),
    ("a line that is no filter", _broken, f"{CHAIN}.jsonl:"),
    ("filters beyond the headers", _beyond_the_headers, "the bundle has no header of block"),
    ("a block that is none", changed(_no_block), "block "),
    ("a payout left out beside honest filters", left_out, "touches the pool's scripts, and the facts leave it out"),
]
"""Name, what it does, what the check says. A quiet block's filter made anew with all after it is seen only with a node: `test_filters`."""
