"""Finds internal transfers: value moved to or from a watched address by calls inside other parties' transactions, which neither the
block's body nor its logs show.

Enters: a range as read so far. Leaves: the same range, with the calls of such blocks read. A plain account (without code) can pay only by
its own transactions, which are in the body, so an unexplained change of its balance is an internal receipt and never negative: comparing
balances at both ends of a range, then bisecting, finds every such block. Anybody can make a contract pay, and receive as much in the same
block. So where a contract is watched, or an account that let code run in its name within the range (EIP-7702), `trace_filter` names the blocks, and balances must agree with it; where the node has no
`trace_filter`, balances disagree, or the state of a block is gone, the calls of every block are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipeline.log.events.chain import Transaction
from pipeline.model.journal import Journal
from pipeline.model.message import message

from .answers import RawHeader
from .errors import ChainMoved, NotOffered
from .node import Node
from .read_block import Watching
from .scan import Scanned, Scanner
from .state import StateReader

_journal = Journal("evm")


class InternalTransferFinder:
    """Completes ranges of one chain."""

    def __init__(self, node: Node, scanner: Scanner, state: StateReader) -> None:
        self._node, self._scanner, self._state = node, scanner, state
        self.way: str | None = None
        """The method used for the last range, for a status page."""
        self._before: tuple[str, frozenset[str], dict[str, int | None]] | None = None
        """Balances after the last range's last block (with its hash), reused at the start of the next range."""
        self._ends: tuple[dict[str, int | None], dict[str, int | None]] | None = None
        """Balances before and after the current range."""
        self._code_at: tuple[str, frozenset[str], set[str]] | None = None
        """The addresses that had code there."""

    def complete(self, scanned: Scanned, watching: Watching) -> None:
        """Read the blocks whose internal calls touch the pool, and add them to the range. Raises NotOffered when a watched address is
        a contract and the node can't trace calls, unless the operator accepts that."""
        headers = scanned.headers
        if not headers or watching.is_untraced_accepted:
            self.way = "not looked for"
            return
        addresses = list(watching.watch_list.addresses)
        codes = self._codes(headers[0], headers[-1], addresses)
        contracts = {address for found in codes if found is not None for address in found}
        # An account may be given code and lose it again within the range, so that neither end shows it.
        contracts |= {address for content in scanned.contents.values() for address in content.authorizing}
        if watching.traces is None:
            if contracts:
                raise NotOffered(
                    message(
                        'the watched address {address} is a contract, and the node at {node} shows no calls inside transactions: use a node with trace_block or debug_traceBlockByHash, or accept not to see them (internal_calls = "ignore")',
                        address=min(contracts),
                        node=self._node.name,
                    )
                )
            self.way = "not looked for: the node shows no calls, and no watched address is a contract"
            return
        if None in codes:
            self._trace_every_block(scanned, watching, "the node has no state of old blocks")
        elif contracts:
            self._follow_contracts(scanned, addresses, watching)
        else:
            self.way = "balances compared"
            self._compare(scanned, addresses, watching)

    def _trace_every_block(self, scanned: Scanned, watching: Watching, why: str) -> None:
        self.way = f"every block traced: {why}"
        self._read_deep(scanned, [header.height for header in scanned.headers], watching)

    def _follow_contracts(self, scanned: Scanned, addresses: Sequence[str], watching: Watching) -> None:
        """Read the blocks that `trace_filter` names, and all of them where the node has none, or balances contradict it."""
        why = "a watched address is a contract"
        heights = self._node.traced_heights(scanned.headers, addresses)
        if heights is None:
            self._trace_every_block(scanned, watching, why)
            return
        self.way = "trace_filter, balances compared"
        self._read_deep(scanned, sorted(heights), watching)
        if self._unexplained(scanned, addresses, watching) != []:
            self._trace_every_block(scanned, watching, f"{why}, and trace_filter leaves balances unexplained")

    def _read_deep(self, scanned: Scanned, heights: Iterable[int], watching: Watching) -> None:
        first = scanned.headers[0].height
        for height in heights:
            block = scanned.read_whole.get(height) or self._node.block(scanned.headers[height - first].hash)
            self._scanner.read_whole(scanned, block, watching, deep=True)

    # --- by balances -----------------------------------------------------------------------------------------------

    def _compare(self, scanned: Scanned, addresses: Sequence[str], watching: Watching) -> None:
        unexplained = self._unexplained(scanned, addresses, watching)
        if unexplained is None:
            self._trace_every_block(scanned, watching, "the node has no state of old blocks")
            return
        if unexplained:
            assert self._ends is not None
            self._read_deep(
                scanned, self._bisect(scanned.headers, unexplained, *self._ends, own_changes(scanned.found, watching.asset)), watching
            )
            self._report(scanned, unexplained, *self._ends, watching)

    def _unexplained(self, scanned: Scanned, addresses: Sequence[str], watching: Watching) -> list[str] | None:
        """Addresses whose balance change over the range is not explained by the transactions found; None where a state is gone."""
        first, last = scanned.headers[0], scanned.headers[-1]
        at_start = self._known_before(first.prev, addresses) or self._state.balances_wei(addresses, first.height - 1, first.prev)
        at_end = self._state.balances_wei(addresses, last.height, last.hash)
        if None in at_start.values() or None in at_end.values():
            return None
        self._before, self._ends = (last.hash, frozenset(addresses), at_end), (at_start, at_end)
        changes = own_changes(scanned.found, watching.asset)
        return [a for a in addresses if _difference(at_start, at_end, a) != sum(changes.get(a, {}).values())]

    def _codes(self, first: RawHeader, last: RawHeader, addresses: Sequence[str]) -> list[set[str] | None]:
        """Which of the addresses have code before and after the range; None where that state is gone."""
        known, watched = self._code_at, frozenset(addresses)
        before = (
            known[2]
            if known is not None and known[:2] == (first.prev, watched)
            else self._state.contracts(addresses, first.height - 1, first.prev)
        )
        after = self._state.contracts(addresses, last.height, last.hash)
        self._code_at = (last.hash, watched, after) if after is not None else None
        return [before, after]

    def _known_before(self, block_hash: str, addresses: Sequence[str]) -> dict[str, int | None] | None:
        if self._before is not None and self._before[0] == block_hash and self._before[1] == frozenset(addresses):
            return self._before[2]
        return None

    def _bisect(
        self,
        headers: Sequence[RawHeader],
        unexplained: Sequence[str],
        at_start: Mapping[str, int | None],
        at_end: Mapping[str, int | None],
        changes: Mapping[str, Mapping[int, int]],
    ) -> list[int]:
        """Heights of the blocks with a balance change that the transactions found do not explain."""
        found: list[int] = []
        todo = [(0, len(headers), list(unexplained), dict(at_start), dict(at_end))]
        while todo:
            begin, end, addresses, before, after = todo.pop()
            if end - begin == 1:
                found.append(headers[begin].height)
                continue
            middle = (begin + end) // 2
            header = headers[middle - 1]
            between = self._state.balances_wei(addresses, header.height, header.hash)
            if None in between.values():
                raise ChainMoved(f"the state after block {header.height} went while it was being read")
            for part in ((begin, middle, before, between), (middle, end, between, after)):
                low, high = headers[part[0]].height, headers[part[1] - 1].height
                rest = [a for a in addresses if _difference(part[2], part[3], a) != _sum(changes.get(a, {}), low, high)]
                if rest:
                    todo.append((part[0], part[1], rest, dict(part[2]), dict(part[3])))
        return sorted(found)

    def _report(
        self,
        scanned: Scanned,
        unexplained: Sequence[str],
        at_start: Mapping[str, int | None],
        at_end: Mapping[str, int | None],
        watching: Watching,
    ) -> None:
        """Log where balances still differ; the month's balance proof (rule 3.4) will fail on it."""
        changes = own_changes(scanned.found, watching.asset)
        for address in unexplained:
            difference = _difference(at_start, at_end, address) - sum(changes.get(address, {}).values())
            if difference:
                _journal.warning(
                    "balance-unexplained",
                    address=address,
                    first=scanned.headers[0].height,
                    last=scanned.headers[-1].height,
                    difference_wei=str(difference),
                )


def own_changes(found: Mapping[int, Sequence[Transaction]], asset: str) -> dict[str, dict[int, int]]:
    """The change of each pool address's balance in the chain's own asset at each height, according to the transactions found."""
    changes: dict[str, dict[int, int]] = {}
    for height, transactions in found.items():
        for transaction in transactions:
            parts = [(o.address, int(o.value)) for o in transaction.outputs if o.wallet is not None and o.asset == asset]
            parts += [(i.address, -int(i.value)) for i in transaction.inputs if i.asset == asset]
            for address, value in parts:
                assert address is not None
                by_height = changes.setdefault(address, {})
                by_height[height] = by_height.get(height, 0) + value
    return changes


def _difference(before: Mapping[str, int | None], after: Mapping[str, int | None], address: str) -> int:
    start, end = before[address], after[address]
    assert start is not None and end is not None
    return end - start


def _sum(changes: Mapping[int, int], low: int, high: int) -> int:
    return sum(value for height, value in changes.items() if low <= height <= high)
