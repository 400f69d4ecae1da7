"""Finds transactions by their ids: those of on-chain payers, which payments of the ledger name (rule 10.2).

Enters: ids, the log's main chain, a node. Leaves: in which block of the log's chain each one stands, if in any. The node's own index of transactions is asked
(`eth_getTransactionByHash`); an id that it does not know is looked for among the blocks' hashes, too, since what a block itself credits is told under its hash. Some nodes
index their newest blocks only: then the bodies of the older blocks that the pool follows are read, for rule 10.8 knows no window. Later blocks are not this module's: they
are searched as they are read (`scan.py`). That the node knows an id in neither way no root denies: it is asked twice, and again later, each time after twice as long, a day
at most. Where it has a transaction, it is refused when that block does not have it.
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
from .node import Node, ReadBlock
from .rpc import Call
from .scan import Scanner

_journal = Journal("evm")
AGAIN_S = 600.0
"""Seconds after which what the node could not trace is looked up again: an archive node may have been added. What it did not know is asked for again, too: it may have been behind."""
LONGEST_S = 86_400.0
"""The most seconds between two questions for an id that the node did not know."""
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
    is_again: bool = False
    """All of them were looked up before, and the node knew none."""
    earlier: set[str] = field(default_factory=set)
    """Those that stand below the first block that is followed."""
    n_steps: int = 0

    @property
    def unknown(self) -> set[str]:
        """Those that the node has in no block up to the log's last one."""
        return set(self.ids) - self.found.keys() - self.earlier

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
    is_again = state.unknown.issuperset(ids)
    try:
        places = _places(ids, node)
        unknown = [txid for txid in ids if txid not in places]
        if unknown and not is_again:  # of several machines behind an address one may be late
            places |= _places(unknown, node)
        is_settled = len(places) == len(ids) or is_again  # the bodies were read, or the index had them all
        indexed_from = state.start_height if is_settled else _indexed_from(state.start_height, state.height, node)
    except RpcError as error:  # an index that is being built refuses questions: blocks are followed meanwhile
        _journal.warning("transactions-not-looked-up", node=node.name, detail=str(error))
        return None
    if node.hashes_at([state.height]) != [state.tip]:
        raise ChainMoved(message("block {height} is not the one that the log has", height=state.height))
    started = LookUp(tuple(ids), state.start_height, indexed_from, is_again=is_again)
    if state.looked_up is not None and set(ids) <= set(state.looked_up.txids):
        started.next_height = state.looked_up.height + 1
        in_bodies = [one for one in state.looked_up.found if one.txid in ids]
        started.found.update((one.txid, Place(one.height, state.hash_at(one.height) or "")) for one in in_bodies)
    earlier: dict[Place, set[str]] = {}
    for txid, place in places.items():
        if place.height > state.height:
            continue  # still to be read
        if place.height < state.start_height:
            earlier.setdefault(place, set()).add(txid)
            continue
        if state.hash_at(place.height) != place.hash:
            raise ChainMoved(message("the node at {name} has transaction {txid} in block {height} {hash}, which is not the log's", name=node.name, txid=txid, height=place.height, hash=place.hash))  # fmt: skip
        started.found[txid] = place
    for place, some in earlier.items():
        require_held(node.block(place.hash), place, some, node)
        started.earlier |= some
    return started


def require_held(block: ReadBlock, place: Place, ids: Collection[str], node: Node) -> None:
    """Raises AnswerUnreadable where the block is not the one of that place, or does not have all of the ids."""
    held = {block.header.hash, *(transaction.hash[2:].lower() for transaction in block.light.transactions)}
    missing = min(set(ids) - held, default=None)
    if missing is not None or block.header.height != place.height:
        raise AnswerUnreadable(message("the node at {name} puts transaction {txid} into block {height} {hash}, which does not have it", name=node.name, txid=missing or min(ids), height=place.height, hash=place.hash))  # fmt: skip


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


class _Later(NamedTuple):
    """When an id is looked up again, and how long after it was looked up last."""

    at_s: float
    wait_s: float


class NamedTransactions:
    """Which of the ids that the ledger names are to be looked up now. What is put off is this process's alone: after a start everything is due at once."""

    def __init__(self) -> None:
        self._n_done = (-1, 0)
        """How many were named and unknown when nothing was due."""
        self._put_off: dict[str, _Later] = {}
        self._next_s = float("-inf")
        """Before that nothing that was put off is due."""

    def left(
        self, named: Collection[str], sought: Collection[str], unknown: Collection[str], now_s: float, begun: Collection[str] = ()
    ) -> list[str]:
        """At most IDS_A_STEP of those to be looked up now, in order: alone those of `begun`, a look-up with a place in the log, while any are left of it; those that the
        node did not know (`unknown`) while nothing else is left."""
        if (len(named), len(unknown)) == self._n_done and now_s < self._next_s:
            return []
        wanted = {txid for txid in named if txid not in sought or txid in unknown}
        due = {txid for txid in wanted if txid not in self._put_off or self._put_off[txid].at_s <= now_s}
        first = due.difference(unknown)
        left = sorted(first.intersection(begun) or first or due)[:IDS_A_STEP]
        if not left:
            self._n_done = len(named), len(unknown)
            self._put_off = {txid: later for txid, later in self._put_off.items() if txid in wanted}
            self._next_s = min((later.at_s for later in self._put_off.values()), default=float("inf"))
        return left

    def done(self, ids: Collection[str], untold: Collection[str], unknown: Collection[str], now_s: float) -> None:
        """The ids were looked up; those `untold` are put off, and those `unknown` for twice as long each time."""
        before = {txid: self._put_off.pop(txid) for txid in ids if txid in self._put_off}
        waits = dict.fromkeys(untold, AGAIN_S)
        waits |= {txid: min(2 * before[txid].wait_s, LONGEST_S) if txid in before else AGAIN_S for txid in unknown}
        self._put_off.update((txid, _Later(now_s + wait_s, wait_s)) for txid, wait_s in waits.items())
        self._next_s = min([self._next_s, *(now_s + wait_s for wait_s in waits.values())])
