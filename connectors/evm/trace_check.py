"""Compares what the node's trace says of the pool's payouts with a second witness: the node's other way of tracing, or the recipients' balances.

Enters: a range as read. Leaves: the same range, and where the two differ what to tell a person. Calls inside transactions are in no root, and nodes are known that
tell an undone call as paid in one of their ways. Where both ways of tracing are offered, each transaction whose payouts rest on a trace is read by both; where they
differ, and where there is only one, what the block changes in the recipients' balances is compared with all that is told of the block. Of two ways the one
that the balances agree with is told. Left out: blocks of which the node has neither the other trace nor the state any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.log.events.chain import Transaction
from pipeline.model.journal import Journal

from .answers import RawHeader
from .block_content import BlockContent, recipients_of
from .errors import AnswerUnreadable, RpcError, StateMissing
from .node import ReadBlock
from .read_block import BlockReader, Watching
from .scan import Scanned
from .state import StateReader

_journal = Journal("evm")
SHOWN = 3
"""The most addresses that a difference names."""


@dataclass(frozen=True)
class TraceDifference:
    """A transaction of the pool's of which two witnesses say different things."""

    height: int
    hash: str
    time: int
    txid: str
    detail: str
    is_settled: bool = False
    """What is told of the transaction is what the recipients' balances say."""


class TraceCheck:
    """Compares ranges of one chain."""

    def __init__(self, reader: BlockReader, state: StateReader) -> None:
        self._reader, self._state = reader, state

    def check(self, scanned: Scanned, watching: Watching, *, always_by_balances: bool) -> list[TraceDifference]:
        """The differences, by height. Where the balances agree with the other way of tracing, `scanned` has afterwards what that one tells.

        `always_by_balances`: compare balances also where both ways of tracing say the same; another node may say it right.
        """
        found: list[TraceDifference] = []
        for height, content in sorted(scanned.contents.items()):
            if content.traced:
                found += self._check_block(scanned, scanned.read_whole[height], content, watching, always_by_balances)
        return found

    def _check_block(
        self, scanned: Scanned, block: ReadBlock, content: BlockContent, watching: Watching, always_by_balances: bool
    ) -> list[TraceDifference]:
        header, other = block.header, self._read_other(block, watching)
        found = content.recipients(watching.asset)
        if other is None:
            return self._check_balances(header, content, found, watching, watching.traces or "")
        differing = differing_transactions(content.transactions, other.transactions)
        if not differing and always_by_balances:
            return self._check_balances(header, content, found, watching, f"{watching.traces}, like {watching.other_traces},")
        if not differing:
            return []
        found |= other.recipients(watching.asset)
        changed, believed, is_settled = self._changed(header, found), watching.traces, False
        how = "and the node can't tell the recipients' balances any more"
        if changed is not None:
            how, is_settled = "as the recipients' balances say", True
            if contradictions(content, found, changed, header):
                if contradictions(other, found, changed, header):
                    how, is_settled = "and the recipients' balances agree with neither", False
                else:
                    believed = watching.other_traces
                    scanned.contents[header.height], scanned.found[header.height] = other, other.transactions
        both = f"{watching.traces} and {watching.other_traces}"
        return _differences(
            header,
            {txid: f"{both} differ: {text}; what {believed} shows is told, {how}" for txid, text in differing.items()},
            is_settled=is_settled,
        )

    def _check_balances(
        self, header: RawHeader, content: BlockContent, asked: set[str], watching: Watching, way: str
    ) -> list[TraceDifference]:
        changed = self._changed(header, asked)
        if changed is None:
            _journal.warning("trace-not-compared", height=header.height, hash=header.hash)
            return []
        wrong = contradictions(content, asked, changed, header)
        told = {
            one.txid: [wrong[a] for a in dict.fromkeys(recipients_of(one, watching.asset)) if a in wrong] for one in content.transactions
        }
        return _differences(
            header, {txid: f"{way} shows what balances contradict: {_some(some)}" for txid, some in told.items() if some}, is_settled=False
        )

    def _read_other(self, block: ReadBlock, watching: Watching) -> BlockContent | None:
        """The block by the node's other way of tracing; None where it has none, or can't show this block in it."""
        if watching.other_traces is None or self._reader.was_read_by_other_way(block):
            return None
        try:
            return self._reader.read_beside(block, replace(watching, traces=watching.other_traces, other_traces=None))
        except (AnswerUnreadable, RpcError, StateMissing) as error:
            _journal.warning("other-trace-not-read", way=watching.other_traces, height=block.header.height, detail=str(error))
            return None

    def _changed(self, header: RawHeader, addresses: Iterable[str]) -> dict[str, int] | None:
        """By how many wei the addresses' balances change over the block; None where the state is gone."""
        asked = sorted(addresses)
        before = self._state.balances_wei(asked, header.height - 1, header.prev)
        after = self._state.balances_wei(asked, header.height, header.hash)
        changed = {}
        for address in asked:
            first, last = before[address], after[address]
            if first is None or last is None:
                return None
            changed[address] = last - first
        return changed


def contradictions(content: BlockContent, asked: Iterable[str], changed: Mapping[str, int], header: RawHeader) -> dict[str, str]:
    """Those of the addresses whose balance changed by another amount than `content` tells, each with what differs.

    Not of the block's miner, since whether it was paid for the block is not known of every chain; nor where the content can't tell.
    """
    found = {}
    for address in sorted(asked):
        told = content.changes.get(address, 0)
        if told is not None and told != changed[address] and address.lower() != header.fields.miner.lower():
            found[address] = f"{address} gets {told} wei in the block, and its balance changes by {changed[address]}"
    return found


def _differences(header: RawHeader, details: Mapping[str, str], *, is_settled: bool) -> list[TraceDifference]:
    return [TraceDifference(header.height, header.hash, header.time, txid, detail, is_settled) for txid, detail in sorted(details.items())]


def differing_transactions(first: Sequence[Transaction], second: Sequence[Transaction]) -> dict[str, str]:
    """The transactions that two readings of a block tell differently, each with what differs, whatever the movements' places are called."""
    one, two = ({told.txid: told for told in some} for some in (first, second))
    found = {}
    for txid in one.keys() | two.keys():
        left, right = (_amounts(told) for told in (one.get(txid), two.get(txid)))
        if left != right:
            places = sorted(place for place in left.keys() | right.keys() if left[place] != right[place])
            found[txid] = _some(
                [
                    f"{address} {side} {left[asset, side, address]} or {right[asset, side, address]} of {asset}"
                    for asset, side, address in places
                ]
            )
    return found


def _amounts(told: Transaction | None) -> Counter[tuple[str, str, str]]:
    """What each address pays and gets of each asset."""
    amounts: Counter[tuple[str, str, str]] = Counter()
    if told is None:
        return amounts
    for output in told.outputs:
        amounts[output.asset, "gets", output.address or ""] += int(output.value)
    for spent in told.inputs:
        amounts[spent.asset, "pays", spent.address or ""] += int(spent.value)
    return amounts


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:SHOWN]) + (f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else "")
