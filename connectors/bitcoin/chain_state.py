"""The state of one chain according to the log: the connector's cursor, and what following the chain needs.

Enters: the events of one key, in order, from the log or just appended to it. Leaves: the main chain (`pipeline.follow.main_chain`), the pool's own
outputs, and the header times that median times need.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.wire import TxOutput, parse_transaction
from pipeline.follow.main_chain import MainChain
from pipeline.log.events.chain import (
    ChainEvent,
    Connect,
    Disconnect,
    Transaction,
)

Outpoint = tuple[bytes, int]
"""A txid, as `Tx.txid` has it, and the place of one of the transaction's outputs."""
MEDIAN_SPAN = 11
"""A block's median time past is the median of its own time and those of the ten blocks before it."""


class OwnOutput(NamedTuple):
    """An output of the main chain that pays a watched script."""

    height: int
    output: TxOutput


class ChainState(MainChain):
    """The main chain and the watched outputs according to the log."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.used: set[bytes] = set()
        """Every watched script that a block, even one since disconnected, ever paid."""
        self.own: dict[Outpoint, OwnOutput] = {}
        """Watched outputs of the main chain, spent or not."""
        self.earlier_times: list[int] | None = None
        """Header times of up to ten blocks below the first, oldest first; None until the node was asked."""
        self._own_by_height: dict[int, list[Outpoint]] = {}

    def times_up_to(self, height: int) -> list[int]:
        """Header times of the last blocks up to `height`, at most ten, oldest first."""
        place = height - self.start_height + 1
        times = list(self._times[max(0, place - MEDIAN_SPAN + 1) : place])
        missing = MEDIAN_SPAN - 1 - len(times)
        return (self.earlier_times or [])[-missing:] + times if missing else times

    def needs_earlier_times(self, height: int) -> bool:
        """Whether a median time above `height` needs headers from below the start."""
        return self.earlier_times is None and self.start_height > 0 and height - self.start_height + 1 < MEDIAN_SPAN - 1

    def _remember(self, event: ChainEvent) -> None:
        match event:
            case Connect():
                self._add_outputs(event.height, event.transactions)
            case Disconnect():
                for outpoint in self._own_by_height.pop(event.height, ()):
                    self.own.pop(outpoint, None)

    def _add_outputs(self, height: int, transactions: Iterable[Transaction]) -> None:
        for outpoint, output in own_outputs(transactions, self.network):
            self.used.add(output.script)
            self.own[outpoint] = OwnOutput(height, output)
            self._own_by_height.setdefault(height, []).append(outpoint)


def own_outputs(transactions: Iterable[Transaction], network: Network) -> Iterable[tuple[Outpoint, TxOutput]]:
    """The watched outputs of transactions. Their scripts are in the raw transaction: some have no address."""
    for tx in transactions:
        ours = [output.vout for output in tx.outputs if output.wallet is not None]
        if ours and tx.raw is not None:
            outputs, txid = parse_transaction(bytes.fromhex(tx.raw), network).outputs, bytes.fromhex(tx.txid)
            for vout in ours:
                yield (txid, vout), outputs[vout]


def median_time(times: Sequence[int]) -> int:
    """The median time past of a block whose own time comes last in `times` (at most eleven count)."""
    last = sorted(times[-MEDIAN_SPAN:])
    return last[len(last) // 2]
