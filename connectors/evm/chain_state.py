"""What the log already says of one account chain: the connector's cursor, and what following it needs to remember.

Enters: the events of one key, in order, from the log or just appended to it. Leaves: the next `seq`, the tip, hash and
header time of every block of the main chain (32 + 8 bytes a block), the newest watch event, which blocks have something of
the pool's (with a digest of what), and which balances are told. Every event is checked against the state it meets: a log
that contradicts itself stops the connector (`LogError`), it is not mended. Leaves out: anything that is not in the log (law 4).
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from pipeline.errors import LogError
from pipeline.events import AnyEvent, Balances, Connect, Disconnect, Doubt, Stretch, Transaction, Watch, decode
from pipeline.log import EventLog


class ChainState:
    """The main chain as the log tells it."""

    def __init__(self) -> None:
        self.next_seq = 0
        self.watch: Watch | None = None
        self.told_balances: dict[int, str] = {}
        """Heights whose balances were told since the newest watch event, with the block's hash."""
        self.touched: dict[int, bytes] = {}
        """Blocks of the main chain with something of the pool's, by height in order: a digest of what, to compare a second reading with."""
        self._prev_of_first: str | None = None
        self._hashes = bytearray()
        self._times = array("q")

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
        """The tip's hash; the hash below the start when no block is connected, and None as long as that is not known either."""
        return self.hash_at(self.height)

    def hash_at(self, height: int) -> str | None:
        """The main chain's hash at a height from one below the start up to the tip."""
        place = height - self.start_height
        if place == -1:
            return self._prev_of_first
        if not 0 <= place < len(self._times):
            raise IndexError(f"height {height} is not in the log's chain")
        return self._hashes[32 * place : 32 * place + 32].hex()

    def time_at(self, height: int) -> int | None:
        """The header time of a block of the main chain; None below the start."""
        place = height - self.start_height
        return self._times[place] if place >= 0 else None

    def first_after(self, time: int) -> int:
        """The height of the first block whose header time is after `time`; one above the tip when there is none."""
        return self.start_height + bisect_right(self._times, time)

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
        if not isinstance(event, Watch | Connect | Stretch | Disconnect | Balances | Doubt):
            raise LogError(f"{type(event).__name__} is not an event of a chain")
        if event.seq != self.next_seq:
            raise LogError(f"seq {event.seq} follows {self.next_seq - 1}")
        match event:
            case Watch():
                if self.watch is not None and event.start_height != self.watch.start_height:
                    raise LogError(f"the start moves from height {self.watch.start_height} to {event.start_height}")
                self.watch = event
                self.told_balances.clear()
            case Connect():
                self._connect(event.height, event.prev, [event.hash], [event.time])
                if event.transactions:
                    self.touched[event.height] = digest(event.transactions)
            case Stretch():
                self._connect(event.height, event.prev, event.hash, event.time)
            case Disconnect():
                self._disconnect(event)
            case Balances():
                self._observe(event)
            case Doubt():
                if self.hash_at(event.height) != event.hash:
                    raise LogError(f"block {event.height} {event.hash} is doubted, and is not in the main chain")
        self.next_seq += 1

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
        self.touched.pop(event.height, None)
        self.told_balances.pop(event.height, None)

    def _observe(self, event: Balances) -> None:
        if self.watch is None or event.height != self.height:
            raise LogError(f"balances after block {event.height} are told out of turn")
        if self._prev_of_first is None:
            self._prev_of_first = event.hash
        if event.hash != self.tip:
            raise LogError(f"balances are told after {event.hash}, the chain ends in {self.tip}")
        self.told_balances[event.height] = event.hash


def digest(transactions: Sequence[Transaction]) -> bytes:
    """Sixteen bytes that differ when anything about the transactions does."""
    return hashlib.blake2b(msgspec.json.encode(transactions), digest_size=16).digest()
