"""A bundle's coins against a node (ADR 15): what is unspent today, who spent the rest, and which of the month's blocks touch the pool's scripts.

With descriptors beside the bundle, addresses that no fact names are looked for, too.

Enters: a bundle, and a node by the protocol `CoinNode`. Leaves: a finding, which rests on that node's word. Nothing here opens a connection: who asks
brings the node (`app.audit`). A node that can't answer decides nothing, and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pipeline.assess.coins import all_coins
from pipeline.chains.bitcoin.coins import CoinNode, Outpoint
from pipeline.chains.bitcoin.networks import Network
from pipeline.model.errors import SourceError
from pipeline.model.message import joined, message

from .descriptors import scripts_to_come
from .filters import read_filters, scripts_of_coins
from .finding import Finding
from .opened import OpenBundle

NODE = message("node")
"""The check's name."""


@dataclass(frozen=True)
class _Asked:
    """What a node is asked of one chain of a bundle."""

    chain: str
    network: Network
    first: int
    """The first block that was read."""
    start: int | None
    """The last block before the month."""
    end: int
    """The month's last block."""
    coins: dict[Outpoint, dict[str, object]]
    """COINS of the whole history."""
    scripts: set[bytes]


def check_node(bundle: OpenBundle, node: CoinNode, *, reads_blocks: bool) -> Finding:
    """The chain of the bundle that the node is of. `reads_blocks`: also every block of the month, or those that the node's filters name."""
    chain = next((c for c, n in sorted(bundle.networks.items()) if isinstance(n, Network) and n.name == node.network_name), None)
    if chain is None or chain not in bundle.coins.spans:
        return Finding([], "", undecided=message("the node at {name} is of no chain of which the bundle has coins", name=node.name))
    asked = _asked(bundle, chain)
    try:
        height = node.tip_height()
        if height < asked.end:
            return Finding(
                [],
                "",
                undecided=message(
                    "the node at {name} is at block {height}, the month ends at {end}: ask again when it has caught up",
                    name=node.name,
                    height=height,
                    end=asked.end,
                ),
            )
        return _compare(bundle, asked, node, reads_blocks=reads_blocks)
    except SourceError as error:
        return Finding([], "", undecided=message("the node could not be asked: {error}", error=error))


def _asked(bundle: OpenBundle, chain: str) -> _Asked:
    network = bundle.networks[chain]
    assert isinstance(network, Network)
    first, start, end = bundle.coins.spans[chain]
    every = all_coins(bundle.facts, bundle.rules)
    coins = {(row["txid"], row["vout"]): row for row in every.filter(pl.col("chain") == chain).iter_rows(named=True)}
    return _Asked(chain, network, first, start, end, coins, scripts_of_coins(bundle, chain, every) | scripts_to_come(bundle, chain))


def _compare(bundle: OpenBundle, asked: _Asked, node: CoinNode, *, reads_blocks: bool) -> Finding:
    faults, words, seen = [], list[str](), list[str]()
    shown = dict(bundle.evidence.headers.filter(pl.col("chain") == asked.chain).select("height", "hash").iter_rows())
    if shown.get(asked.end) != (told := node.hash_at(asked.end)):
        return Finding(
            [
                message(
                    "block {end} of the node at {name} is {told}: the bundle's is another chain", end=asked.end, name=node.name, told=told
                )
            ],
            "",
        )
    tip = max(shown)
    if node.tip_height() >= tip and node.hash_at(tip) == shown[tip]:
        seen.append(message("the tip {tip} is in the main chain of the node at {name}", tip=tip, name=node.name))
    else:
        words.append(
            message("blocks after the month: the tip {tip} is not in the main chain of the node at {name}", tip=tip, name=node.name)
        )
    unspent = node.unspent(asked.scripts)
    now = {(coin.txid, coin.vout): coin for coin in unspent.coins}
    closing = {(txid, vout) for txid, vout in bundle.coins.closing(asked.chain).select("txid", "vout").iter_rows()}
    older = 0
    for outpoint, coin in sorted(now.items()):
        if coin.height > asked.end or outpoint in closing:
            continue
        if coin.height < asked.first:
            older += 1
            continue
        faults.append(
            message(
                "{txid}:{vout}, created by block {height}, is unspent, and the closing set lacks it: its creation is left out, or its spend invented",
                txid=coin.txid,
                vout=coin.vout,
                height=coin.height,
            )
        )
    if older:
        words.append(
            message(
                "{older} unspent coins of the pool's scripts are older than block {first}, where reading began",
                older=older,
                first=asked.first,
            )
        )
    faults += _spend_faults(asked, node, closing - now.keys(), shown)
    faults += _age_faults(asked, node, words)
    spent = len(closing - now.keys())
    seen.append(
        message(
            "at block {height} {count} coins of the closing set are unspent, {spent} were spent after block {end}, and no other coin of the pool's scripts that is as old is unspent",
            height=unspent.height,
            count=len(closing) - spent,
            spent=spent,
            end=asked.end,
        )
    )
    is_filtered = _compare_filters(bundle, asked, node, shown[asked.end], faults, seen, words)
    left = ""
    if reads_blocks:
        faults += _block_faults(bundle, asked, node)
        seen.append(
            message(
                "every transaction of blocks {value} to {end} that touches the pool's scripts stands in the facts",
                value=_from(asked),
                end=asked.end,
            )
        )
    elif not is_filtered:
        left = message("whether coins came and went within the month in transactions left out: --node-blocks reads its blocks")
    return Finding(faults, joined("; ", seen), not_checked=left, on_word=tuple(words))


def _compare_filters(
    bundle: OpenBundle, asked: _Asked, node: CoinNode, last: str, faults: list[str], seen: list[str], words: list[str]
) -> bool:
    """Whether the bundle's filters of the chain are the node's: their last header commits to every one before it (ADR 19). `last`: the block of that header."""
    told = read_filters(bundle).get(asked.chain)
    if told is None or told.faults:
        return False
    header = node.filter_header(last)
    if header is None:
        words.append(
            message(
                "{chain}: {seen}: the node at {name} keeps no filters (blockfilterindex=1) to compare their last header with",
                chain=asked.chain,
                seen=told.seen,
                name=node.name,
            )
        )
        return False
    if header != told.header:
        faults.append(
            message(
                "the filter of block {end} has the header {header} at the node at {name}: the bundle's filters end in {header_2}, and are others",
                end=asked.end,
                header=header,
                name=node.name,
                header_2=told.header,
            )
        )
        return False
    seen.append(message("the filters are the node's: {seen}", seen=told.seen))
    return True


def _spend_faults(asked: _Asked, node: CoinNode, gone: set[Outpoint], shown: dict[int, str]) -> list[str]:
    """Every coin of the closing set that is spent by now was spent after the month: by a block of the bundle that the node has, too, or by a later one."""
    unexplained = set()
    for outpoint in gone:
        height = asked.coins[outpoint]["spent_height"]
        if not isinstance(height, int) or height > node.tip_height() or node.hash_at(height) != shown.get(height):
            unexplained.add(outpoint)
    found = node.spends(unexplained, asked.end)
    return [
        message(
            "{txid}:{vout} is spent, but in no block after {end}: a transaction that spends it is left out",
            txid=txid,
            vout=vout,
            end=asked.end,
        )
        for txid, vout in sorted(unexplained - found.keys())
    ]


def _age_faults(asked: _Asked, node: CoinNode, words: list[str]) -> list[str]:
    """A coin whose creation the facts do not have is older than the first block that was read."""
    faults = []
    untold = 0
    for (txid, vout), row in sorted(asked.coins.items()):
        if row["created_height"] is None:
            height = node.created_at(txid)
            untold += height is None
            if height is not None and height >= asked.first:
                faults.append(
                    message(
                        "{txid}:{vout} was created by block {height}, and no transaction of the facts creates it",
                        txid=txid,
                        vout=vout,
                        height=height,
                    )
                )
    if untold:
        words.append(
            message(
                "that {untold} coins spent since are older than block {first}: the node has no index of transactions (txindex=1) to say",
                untold=untold,
                first=asked.first,
            )
        )
    return faults


def _block_faults(bundle: OpenBundle, asked: _Asked, node: CoinNode) -> list[str]:
    """Every transaction of the month's blocks that touches the pool's scripts stands in the facts."""
    known = set(bundle.facts.transactions.filter(pl.col("chain") == asked.chain)["txid"])
    return [
        message(
            "transaction {txid} of block {height} touches the pool's scripts, and the facts leave it out",
            txid=spend.txid,
            height=spend.height,
        )
        for spend in node.touching(asked.scripts, asked.coins.keys(), _from(asked), asked.end)
        if spend.txid not in known
    ]


def _from(asked: _Asked) -> int:
    """The first block of the month."""
    return asked.first if asked.start is None else asked.start + 1
