"""What the log already says of one chain: the connector's cursor, and what following it needs to remember.

Enters: the events of one key, in order, from the log or just appended to it. Leaves: the next `seq`, the tip, hash and
header time of every block of the main chain (32 + 8 bytes a block), the newest watch event, the pool's own outputs. Every event is
checked against the state it meets: a log that contradicts itself stops the connector (`LogError`), it is not
mended. Leaves out: anything that is not in the log (law 4).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.bitcoin.networks import Network
from pipeline.bitcoin.wire import TxOutput, parse_transaction
from pipeline.errors import LogError
from pipeline.events import AnyEvent, Connect, Disconnect, Stretch, Transaction, Watch, decode
from pipeline.log import EventLog

Outpoint = tuple[str, int]
MEDIAN_SPAN = 11
"""A block's median time past is the median of its own time and those of the ten blocks before it."""


class OwnOutput(NamedTuple):
    """An output of the main chain that pays a watched script."""

    height: int
    output: TxOutput


class ChainState:
    """The main chain and the watched outputs as the log tells them."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.next_seq = 0
        self.watch: Watch | None = None
        self.used: set[bytes] = set()
        """Every watched script that a block, even one since disconnected, ever paid."""
        self.own: dict[Outpoint, OwnOutput] = {}
        """Watched outputs of the main chain, spent or not."""
        self.earlier_times: list[int] | None = None
        """Header times of up to ten blocks below the first, oldest first; None until the node was asked."""
        self._prev_of_first: str | None = None
        self._hashes = bytearray()
        self._times = array("q")
        self._own_by_height: dict[int, list[Outpoint]] = {}

    @property
    def start_height(self) -> int:
        assert self.watch is not None, "nothing is watched yet"
        return self.watch.start_height

    @property
    def height(self) -> int:
        """Of the tip; one below the start while no block is connected."""
        return self.start_height + len(self._times) - 1

    @property
    def tip(self) -> str | None:
        """The tip's hash; the hash below the start when every block was disconnected again; None before the first block."""
        return self.hash_at(self.height)

    def hash_at(self, height: int) -> str | None:
        """The main chain's hash at a height from one below the start up to the tip."""
        place = height - self.start_height
        if place == -1:
            return self._prev_of_first
        if not 0 <= place < len(self._times):
            raise IndexError(f"height {height} is not in the log's chain")
        return self._hashes[32 * place : 32 * place + 32].hex()

    def times_up_to(self, height: int) -> list[int]:
        """Header times of the last blocks up to `height`, at most ten, oldest first."""
        place = height - self.start_height + 1
        times = list(self._times[max(0, place - MEDIAN_SPAN + 1) : place])
        missing = MEDIAN_SPAN - 1 - len(times)
        return (self.earlier_times or [])[-missing:] + times if missing else times

    def needs_earlier_times(self, height: int) -> bool:
        """Whether a median time above `height` needs headers from below the start."""
        return self.earlier_times is None and self.start_height > 0 and height - self.start_height + 1 < MEDIAN_SPAN - 1

    # --- from the log ----------------------------------------------------------------------------------------------

    def load(self, log: EventLog, key: str) -> None:
        """Apply the key's whole history."""
        positions: dict[str, int] = {}
        while records := log.read(positions, topics=("chain",)):
            for record in records:
                positions[f"{record.topic}/{record.partition}"] = record.offset + 1
                if record.key == key:
                    try:
                        self.apply(decode(record.value))
                    except (ValueError, LogError) as error:
                        raise LogError(f"{record.where} (key {key}) can't be followed on from: {error}") from error

    def apply(self, event: AnyEvent) -> None:
        """Take in the next event of the key. Raises LogError when it does not follow from those before it."""
        match event:
            case Watch():
                self._expect(event.seq)
                if self.watch is not None and event.start_height != self.watch.start_height:
                    raise LogError(f"the start moves from height {self.watch.start_height} to {event.start_height}")
                self.watch = event
            case Connect():
                self._expect(event.seq)
                self._connect(event.height, event.prev, [event.hash], [event.time])
                self._take_in(event.height, event.transactions)
            case Stretch():
                self._expect(event.seq)
                self._connect(event.height, event.prev, event.hash, event.time)
            case Disconnect():
                self._expect(event.seq)
                self._disconnect(event)
            case _:
                raise LogError(f"{type(event).__name__} is not an event of a chain")
        self.next_seq += 1

    def _expect(self, seq: int) -> None:
        if seq != self.next_seq:
            raise LogError(f"seq {seq} follows {self.next_seq - 1}")

    def _connect(self, height: int, prev: str, hashes: Sequence[str], times: Sequence[int]) -> None:
        if self.watch is None or height != self.height + 1:
            raise LogError(f"block {height} is connected out of turn")
        if self._prev_of_first is None:
            self._prev_of_first = prev
        if prev != self.tip:
            raise LogError(f"block {height} is connected to {prev}, the chain ends in {self.tip}")
        self._hashes += bytes.fromhex("".join(hashes))
        self._times.extend(times)

    def _disconnect(self, event: Disconnect) -> None:
        if self.watch is None or event.height != self.height or event.hash != self.tip or not self._times:
            raise LogError(f"block {event.height} {event.hash} is disconnected, and is not the tip")
        del self._hashes[-32:]
        self._times.pop()
        if event.prev != self.tip:
            raise LogError(f"block {event.height} is disconnected down to {event.prev}, the chain has {self.tip} there")
        for outpoint in self._own_by_height.pop(event.height, ()):
            self.own.pop(outpoint, None)

    def _take_in(self, height: int, transactions: Iterable[Transaction]) -> None:
        for outpoint, output in own_outputs(transactions, self.network):
            self.used.add(output.script)
            self.own[outpoint] = OwnOutput(height, output)
            self._own_by_height.setdefault(height, []).append(outpoint)


def own_outputs(transactions: Iterable[Transaction], network: Network) -> Iterable[tuple[Outpoint, TxOutput]]:
    """The watched outputs of transactions. Their scripts are in the raw transaction: some have no address."""
    for tx in transactions:
        ours = [output.vout for output in tx.outputs if output.wallet is not None]
        if ours and tx.raw is not None:
            outputs = parse_transaction(bytes.fromhex(tx.raw), network).outputs
            for vout in ours:
                yield (tx.txid, vout), outputs[vout]


def median_time(times: Sequence[int]) -> int:
    """The median time past of a block whose own time comes last in `times` (at most eleven count)."""
    last = sorted(times[-MEDIAN_SPAN:])
    return last[len(last) // 2]
