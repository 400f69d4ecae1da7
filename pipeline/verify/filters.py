"""Compact block filters that joined a bundle (ADR 19): which of the month's blocks touch the pool's scripts, found by reading the filters here.

Enters: a bundle with `filters/CHAIN.jsonl`, a `BlockFilter` a line: every block of the month with its filter, and the blocks whose filters match, whole.
Leaves: faults, and for each chain what holds if its last filter header is the chain's. That is the word of whoever put the files there until a node says
the same header (`verify.node`). A bundle without such files is judged as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import polars as pl

from pipeline.assess.coins import all_coins
from pipeline.chains.bitcoin.coins import Outpoint
from pipeline.chains.bitcoin.filters import BlockFilter, filter_header, matches
from pipeline.chains.bitcoin.merkle import MerkleTree
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.script import script_of
from pipeline.chains.bitcoin.wire import Block, parse_block, parse_header
from pipeline.model.message import joined, message

from .files import json_lines
from .finding import Finding
from .opened import OpenBundle
from .shapes import FILTERS_FOLDER, MAX_FILTERS_BYTES, read_plain

NO_HEADER = bytes(32)
"""Before the first block's filter header."""


@dataclass(frozen=True)
class FilterSpan:
    """The blocks of one chain whose filters a bundle may carry, and what is looked for in them."""

    chain: str
    network: Network
    first: int
    """The first block of the month that was read."""
    last: int
    """The month's last block."""
    scripts: frozenset[bytes]
    coins: frozenset[Outpoint]
    """Every output of the pool's that the facts know."""


@dataclass(frozen=True)
class ReadFilters:
    """What the filters of one chain came to."""

    faults: list[str]
    header: str
    """Of the last block's filter, hex."""
    seen: str
    word: str
    """What no filter can tell; "" if nothing."""


def filter_spans(bundle: OpenBundle) -> list[FilterSpan]:
    """Of each chain of coins."""
    coins = all_coins(bundle.facts, bundle.rules)
    return [
        FilterSpan(
            chain,
            network,
            first if start is None else start + 1,
            end,
            frozenset(scripts_of_coins(bundle, chain, coins)),
            frozenset((str(txid), int(vout)) for txid, vout in coins.filter(pl.col("chain") == chain).select("txid", "vout").iter_rows()),
        )
        for chain, (first, start, end) in sorted(bundle.coins.spans.items())
        if isinstance(network := bundle.networks[chain], Network)
    ]


def scripts_of_coins(bundle: OpenBundle, chain: str, coins: pl.DataFrame) -> set[bytes]:
    """The scripts that hold the chain's coins among COINS: by the bytes of the transactions that are proved, else by the address."""
    network = bundle.networks[chain]
    assert isinstance(network, Network)
    scripts = set()
    for txid, vout, address in coins.filter(pl.col("chain") == chain).select("txid", "vout", "address").iter_rows():
        proven = bundle.proven[0].get((chain, txid))
        if proven is not None and proven.tx is not None:
            scripts.add(proven.tx.outputs[vout].script)
        elif address is not None:
            scripts.add(script_of(str(address), network))
    return scripts


_READ: WeakKeyDictionary[OpenBundle, dict[str, ReadFilters]] = WeakKeyDictionary()
"""Two checks ask for the same, and reading takes a minute for a month of Bitcoin."""


def read_filters(bundle: OpenBundle) -> dict[str, ReadFilters]:
    """By chain, read once for each opened bundle; empty for one without filters. Raises ValueError for a file that can't be read, OSError."""
    if bundle not in _READ:
        _READ[bundle] = _read(bundle)
    return _READ[bundle]


def _read(bundle: OpenBundle) -> dict[str, ReadFilters]:
    folder = bundle.folder / FILTERS_FOLDER
    if not folder.is_dir():
        return {}
    spans = {span.chain: span for span in filter_spans(bundle)}
    found = {}
    for path in sorted(folder.iterdir()):
        span = spans.get(path.stem)
        if span is None:
            found[path.stem] = ReadFilters([message("{name}: the month has no coins of a chain of that name", name=path.name)], "", "", "")
        else:
            found[path.stem] = _look_through(
                bundle, span, json_lines(read_plain(path, MAX_FILTERS_BYTES), path.name, BlockFilter, what=message("block's filter"))
            )
    return found


def check_filters(bundle: OpenBundle) -> Finding:
    """The filters follow one another, cover the month, and every block that they name is there, read through."""
    faults, words, left = [], list[str](), list[str]()
    for chain, told in read_filters(bundle).items():
        faults += [message("{chain}: {fault}", chain=chain, fault=fault) for fault in told.faults]
        if not bundle.is_node_asked:
            words.append(
                message(
                    "{chain}: that {header} is the header of the last block's filter: {seen}; --node asks a node",
                    chain=chain,
                    header=told.header,
                    seen=told.seen,
                )
            )
        if told.word:
            left.append(message("{chain}: {word}", chain=chain, word=told.word))
    return Finding(faults, "", not_checked=joined("; ", left), on_word=tuple(words))


def _look_through(bundle: OpenBundle, span: FilterSpan, rows: Sequence[BlockFilter]) -> ReadFilters:
    heights = [row.height for row in rows]
    if heights != list(range(span.first, span.last + 1)):
        return ReadFilters(
            [message("the filters are not those of blocks {first} to {last}, one after another", first=span.first, last=span.last)],
            "",
            "",
            "",
        )
    faults = _chain_faults(bundle, span, rows)
    facts = _heights_of_facts(bundle, span)
    matched = unexplained = 0
    outputs = {(bytes.fromhex(txid), vout) for txid, vout in span.coins}
    for row in rows:
        block_hash = parse_header(row.block_header).hash
        try:
            is_match = matches(row.filter, block_hash, span.scripts)
        except ValueError as error:
            faults.append(message("block {height}: {error}", height=row.height, error=error))
            continue
        ours = {txid for txid, height in facts.items() if height == row.height} if row.height in facts.values() else set[str]()
        if ours and not is_match:
            faults.append(
                message(
                    "block {height}: its filter names none of the pool's scripts, and the facts have transactions of it: another filter",
                    height=row.height,
                )
            )
        if not is_match:
            continue
        matched += 1
        if row.block is None:
            faults.append(message("block {height}: its filter matches the pool's scripts, and the block is left out", height=row.height))
            continue
        try:
            touching = _touching(_whole_block(row, span.network), span.scripts, outputs)
        except ValueError as error:
            faults.append(message("block {height}: {error}", height=row.height, error=error))
            continue
        unexplained += not touching
        faults += [
            message(
                "block {height}: its transaction {txid} touches the pool's scripts, and the facts leave it out",
                height=row.height,
                txid=txid,
            )
            for txid in touching
            if facts.get(txid) != row.height
        ]
    seen = message(
        "blocks {first} to {last}: {matched} filters match the pool's {count} scripts, and every transaction of these blocks that touches one stands in the facts",
        first=span.first,
        last=span.last,
        matched=matched,
        count=len(span.scripts),
    )
    word = (
        message(
            "{unexplained} blocks match though nothing in them is seen to be the pool's: a filter matches by chance once in 785,000 scripts, or an output older than what was read is spent there",
            unexplained=unexplained,
        )
        if unexplained
        else ""
    )
    return ReadFilters(faults, rows[-1].filter_header if rows else "", seen, word)


def _chain_faults(bundle: OpenBundle, span: FilterSpan, rows: Sequence[BlockFilter]) -> list[str]:
    """Each block's header follows the one before and is the bundle's; each filter's header is what its filter and the one before give."""
    shown = dict(bundle.evidence.headers.filter(pl.col("chain") == span.chain).select("height", "hash").iter_rows())
    faults: list[str] = []
    previous_block: bytes | None = None
    for place, row in enumerate(rows):
        if (row.before is not None) is not (place == 0):
            return [
                message("block {height}: the header before it is told for the first block's filter, and for no other", height=row.height)
            ]
        if place == 0:
            previous = bytes.fromhex(row.before or "") if row.height else NO_HEADER
        block = parse_header(row.block_header)
        if (previous_block is not None and block.prev != previous_block) or shown.get(row.height, block.hash.hex()) != block.hash.hex():
            faults.append(
                message("block {height}: {hash} is not of the bundle's chain of headers", height=row.height, hash=block.hash.hex())
            )
        previous_block = block.hash
        previous = filter_header(row.filter, previous)
        if previous.hex() != row.filter_header:
            faults.append(
                message(
                    "block {height}: its filter and the header before give {previous}, not the header {filter_header}",
                    height=row.height,
                    previous=previous.hex(),
                    filter_header=row.filter_header,
                )
            )
            previous = bytes.fromhex(row.filter_header)
    if span.last not in shown:
        faults.append(message("the bundle has no header of block {last}", last=span.last))
    return faults


def _heights_of_facts(bundle: OpenBundle, span: FilterSpan) -> dict[str, int]:
    """The block of each transaction of the facts."""
    heights = bundle.facts.blocks.filter(pl.col("chain") == span.chain).select(pl.col("hash").alias("block_hash"), "height")
    return dict(
        bundle.facts.transactions.filter(pl.col("chain") == span.chain).join(heights, on="block_hash").select("txid", "height").iter_rows()
    )


def _whole_block(row: BlockFilter, network: Network) -> Block:
    """The block, whose transactions are all that its header commits to. Raises ValueError."""
    assert row.block is not None
    block = parse_block(row.block, network)
    if block.header_raw != row.block_header:
        raise ValueError(message("the block that is carried has another header"))
    if MerkleTree(block.txids).root != block.header.merkle_root:
        raise ValueError(message("the transactions that are carried are not those that its header commits to"))
    return block


def _touching(block: Block, scripts: frozenset[bytes], outputs: set[tuple[bytes, int]]) -> list[str]:
    """The block's transactions that pay to the scripts or spend from them; `outputs` grows by what is paid."""
    found = []
    for tx in block.transactions:
        paid = [(tx.txid, vout) for vout, output in enumerate(tx.outputs) if output.script in scripts]
        outputs.update(paid)
        if paid or any((source.txid, source.vout) in outputs for source in tx.inputs):
            found.append(tx.txid.hex())
    return found
