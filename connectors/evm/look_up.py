"""Finds transactions by their ids: those of on-chain payers, which payments of the ledger name (rule 10.2).

Enters: ids, the log's main chain, a node. Leaves: in which block of the log's chain each one stands, if in any. The node's own index of transactions is asked
(`eth_getTransactionByHash`); an id that it does not know is looked for among the blocks' hashes, too, since what a block itself credits is told under its hash. That it
knows an id in neither way is believed when it says so twice, since what was looked for is not asked for again. Some nodes index their newest blocks only: then the
bodies of the older blocks that the pool follows are read, for rule 10.8 knows no window. Later blocks are not this module's: they are searched as they are read
(`scan.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from pipeline.log.events.chain import FoundAt
from pipeline.model.journal import Journal
from pipeline.model.message import message

from .answers import number
from .chain_state import ChainState
from .errors import AnswerUnreadable, ChainMoved, RpcError
from .node import Node
from .rpc import Call
from .scan import Scanner

_journal = Journal("evm")
AGAIN_S = 600.0
"""Seconds after which what the node could not trace is looked up again: an archive node may have been added."""
IDS_A_STEP = 200
"""Ids looked up in one step: each may have a receipt of thousands of logs."""
BLOCKS_TRIED = 64
"""Blocks asked for at once when one with transactions is looked for."""


class Place(NamedTuple):
    """A block of the main chain."""

    height: int
    hash: str


class _Placed(msgspec.Struct, rename="camel"):
    """Where the node has a transaction; without a block it waits to be mined."""

    hash: str
    block_hash: str | None = None
    block_number: str | None = None


class _Named(msgspec.Struct):
    """A block by its hash."""

    hash: str
    number: str


class _Listed(msgspec.Struct):
    """A block with its transactions' ids."""

    transactions: list[str] = []


@dataclass
class LookUp:
    """Ids that are being looked up in the blocks that the log has."""

    ids: tuple[str, ...]
    next_height: int
    """The first block whose body was not read yet."""
    indexed_from: int
    """The node's index has the transactions from this block on; older ones are found in the bodies."""
    found: dict[str, Place] = field(default_factory=dict)
    n_steps: int = 0

    def named(self) -> dict[str, Any]:
        """What is looked for and where it was found, as a `searched` event names it."""
        reached = self.next_height - 1
        found = [FoundAt(txid=txid, height=place.height) for txid, place in sorted(self.found.items()) if place.height <= reached]
        return {"txids": list(self.ids), "found": found}

    def search(self, state: ChainState, scanner: Scanner, size: int) -> bool:
        """Read the bodies of some more blocks that the node's index lacks; whether all were read. Raises ChainMoved when they are not the log's."""
        missing = set(self.ids) - self.found.keys()
        if not missing or self.next_height >= self.indexed_from:
            return True
        last = min(self.next_height + size, self.indexed_from) - 1
        for header, txids in scanner.bodies(self.next_height, last):
            if header.hash != state.hash_at(header.height):
                raise ChainMoved(message("block {height} {hash} is not the log's", height=header.height, hash=header.hash))
            self.found.update((txid, Place(header.height, header.hash)) for txid in missing.intersection([*txids, header.hash]))
        self.next_height = last + 1
        self.n_steps += 1
        return self.next_height >= self.indexed_from

    def places(self) -> dict[Place, set[str]]:
        """The ids by their block, in the chain's order."""
        found: dict[Place, set[str]] = {}
        for txid, place in self.found.items():
            found.setdefault(place, set()).add(txid)
        return dict(sorted(found.items()))


def look_up(ids: Sequence[str], state: ChainState, node: Node) -> LookUp | None:
    """The ids by the node's index; None where the node can't use its index now. Raises ChainMoved when its main chain is not the log's."""
    try:
        places = _places(ids, node)
        if unknown := [txid for txid in ids if txid not in places]:  # a null that no root denies: it counts when it is said twice
            places |= _places(unknown, node)
        is_known = len(places) == len(ids)
        indexed_from = state.start_height if is_known else _indexed_from(state.start_height, state.height, node)
    except RpcError as error:  # an index that is being built refuses questions: blocks are followed meanwhile
        _journal.warning("transactions-not-looked-up", node=node.name, detail=str(error))
        return None
    if node.hashes_at([state.height]) != [state.tip]:
        raise ChainMoved(message("block {height} is not the one that the log has", height=state.height))
    started = LookUp(tuple(ids), state.start_height, indexed_from)
    if state.looked_up is not None and set(ids) <= set(state.looked_up.txids):
        started.next_height = state.looked_up.height + 1
        in_bodies = [one for one in state.looked_up.found if one.txid in ids]
        started.found.update((one.txid, Place(one.height, state.hash_at(one.height) or "")) for one in in_bodies)
    for txid, place in places.items():
        if not state.start_height <= place.height <= state.height:
            continue  # before the first block that is followed, or in one that is still to be read
        if state.hash_at(place.height) != place.hash:
            raise ChainMoved(message("the node at {name} has transaction {txid} in block {height} {hash}, which is not the log's", name=node.name, txid=txid, height=place.height, hash=place.hash))  # fmt: skip
        started.found[txid] = place
    return started


def _places(ids: Sequence[str], node: Node) -> dict[str, Place]:
    """Where the node's index has the ids, and which are blocks of its main chain."""
    found = {}
    calls: list[Call] = [("eth_getTransactionByHash", ("0x" + txid,)) for txid in ids]
    for txid, answer in zip(ids, node.connection.batch(calls, result=_Placed | None), strict=True):
        if answer is None or answer.block_hash is None or answer.block_number is None:
            continue
        if answer.hash[2:].lower() != txid:
            raise AnswerUnreadable(message("the node at {name} was asked for transaction {txid} and gave {hash}", name=node.name, txid=txid, hash=answer.hash))  # fmt: skip
        found[txid] = Place(_height(answer.block_number, node), answer.block_hash[2:].lower())
    left = [txid for txid in ids if txid not in found]
    blocks: Sequence[_Named | None] = node.connection.batch(
        [("eth_getBlockByHash", ("0x" + txid, False)) for txid in left], result=_Named | None
    )
    heights = {txid: _height(block.number, node) for txid, block in zip(left, blocks, strict=True) if block is not None}
    main = dict(zip(heights, node.hashes_at(list(heights.values())), strict=True))
    return found | {txid: Place(height, txid) for txid, height in heights.items() if main[txid] == txid}


def _indexed_from(first: int, last: int, node: Node) -> int:
    """The lowest height from which on the node's index has the transactions of the blocks up to `last`."""
    if first > last or _is_indexed(first, last, node):
        return first
    low, high = first, last + 1  # not indexed at `low`; what is indexed begins at `high` at the latest
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_indexed(middle, last, node) else (middle, high)
    _journal.warning("index-of-transactions-is-short", node=node.name, first=first, indexed_from=high)
    return high


def _is_indexed(first: int, last: int, node: Node) -> bool:
    """Whether the index knows a transaction of the first block from `first` on that has any."""
    for start in range(first, last + 1, BLOCKS_TRIED):
        heights = range(start, min(last, start + BLOCKS_TRIED - 1) + 1)
        calls: list[Call] = [("eth_getBlockByNumber", (hex(height), False)) for height in heights]
        blocks: Sequence[_Listed | None] = node.connection.batch(calls, result=_Listed | None)
        filled = next((block for block in blocks if block is not None and block.transactions), None)
        if filled is not None:
            asked: list[Call] = [("eth_getTransactionByHash", (filled.transactions[0],))]
            return node.connection.batch(asked, result=_Placed | None)[0] is not None
    return True


def _height(quantity: str, node: Node) -> int:
    try:
        return number(quantity)
    except ValueError as error:
        raise AnswerUnreadable(message("blockNumber of a transaction at {name}: {error}", name=node.name, error=str(error))) from error


class NamedTransactions:
    """Which of the ids that the ledger names are still to be looked up."""

    def __init__(self) -> None:
        self._n_done = -1
        self._put_off: dict[str, float] = {}
        """When an id that could not be told is looked up again."""

    def left(self, named: Collection[str], sought: Collection[str], now_s: float, begun: Collection[str] = ()) -> list[str]:
        """At most IDS_A_STEP of those to be looked up now, in order; alone those of `begun`, a look-up with a place in the log, while any are left of it."""
        if len(named) == self._n_done and not self._put_off:
            return []
        due = {txid for txid in named if txid not in sought and self._put_off.get(txid, now_s) <= now_s}
        left = sorted(due.intersection(begun) or due)[:IDS_A_STEP]
        if not left:
            self._n_done = len(named)
        return left

    def done(self, ids: Collection[str], untold: Collection[str], now_s: float) -> None:
        """The ids were looked up; those `untold` are put off."""
        for txid in ids:
            self._put_off.pop(txid, None)
        self._put_off.update(dict.fromkeys(untold, now_s + AGAIN_S))
