"""The main chain according to the log: what every connector needs to continue after the last event.

Enters: the events of one key, in order. Leaves: the hash and the header time of every block of the main chain (32 + 8 bytes a block) and the newest
watch event. Every event is checked against the state before it: an inconsistent log stops the connector (`HistoryBroken`) and is not repaired.
Left out: anything that is not in the log (law 4), and what one family of chains remembers besides.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import ClassVar, NoReturn

import msgspec

from pipeline.log.events import AnyEvent
from pipeline.log.events.chain import (
    ChainEvent,
    Connect,
    Disagreed,
    Disconnect,
    Retold,
    Searched,
    Stretch,
    Watch,
    Witnessed,
)
from pipeline.log.protocol import EventLog, Record
from pipeline.log.read import Located, events_of
from pipeline.model.errors import HistoryBroken, LogError
from pipeline.model.message import message

from .coverage import Coverage, content_digest, with_retold


class MainChain:
    """Hashes, times and the watch list; a family's subclass adds its own state in `_remember`."""

    kinds: ClassVar[tuple[type[ChainEvent], ...]] = (Watch, Connect, Stretch, Disconnect, Witnessed, Disagreed, Searched)
    """The events that such a chain has."""

    def __init__(self) -> None:
        self.next_seq = 0
        self.watch: Watch | None = None
        self.coverage = Coverage()
        self.disputed: dict[int, Disagreed] = {}
        """Blocks of the main chain that two nodes tell differently, by height, until two agree."""
        self.keeps_content = False
        """Whether `content` is kept: a second node's reading is compared with it."""
        self.content: dict[int, bytes] = {}
        """Digests of what each block with something of the pool's does to it, by height."""
        self.searched: Searched | None = None
        """How far the search for what the watch list lacks has come; None without a search, and before its first place in the log."""
        self.looked_up: Searched | None = None
        """The same of transactions that are looked for by their ids."""
        self._prev_of_first: str | None = None
        self._hashes = bytearray()
        self._times = array("q")

    @property
    def start_height(self) -> int:
        assert self.watch is not None, "nothing is watched yet"
        return self.watch.start_height

    @property
    def height(self) -> int:
        """The tip's height; `start_height - 1` while no block is connected."""
        return self.start_height + len(self._times) - 1

    @property
    def tip(self) -> str | None:
        """The tip's hash; while no block is connected the hash of the block before the start, None if unknown."""
        return self.hash_at(self.height)

    def hash_at(self, height: int) -> str | None:
        """The main chain's hash at a height from one below the start up to the tip."""
        place = height - self.start_height
        if place == -1:
            return self._prev_of_first
        if not 0 <= place < len(self._times):
            raise IndexError(f"height {height} is not in the log's chain")
        return self._hashes[32 * place : 32 * place + 32].hex()

    def time_of(self, height: int) -> int:
        """The header time of a block of the main chain from the start on."""
        return self._times[height - self.start_height]

    def load(self, log: EventLog, key: str) -> None:
        """Apply the key's whole history."""
        events: Iterator[Located[AnyEvent]] = events_of(log, "chain", key, None, on_unreadable=_refuse)
        for record, event in events:
            try:
                self.apply(event)
            except LogError as error:
                _refuse(record, error)

    def apply(self, event: AnyEvent) -> None:
        """Apply the next event of the key. Raises HistoryBroken if it does not follow from those before it."""
        if not isinstance(event, self.kinds):
            raise HistoryBroken(message("{name} is not an event of a chain", name=type(event).__name__))
        if event.seq != self.next_seq:
            raise HistoryBroken(message("seq {seq} follows {next_seq}", seq=event.seq, next_seq=self.next_seq - 1))
        match event:
            case Watch():
                if self.watch is not None and event.start_height != self.watch.start_height:
                    raise HistoryBroken(
                        message(
                            "the start moves from height {start_height} to {start_height_2}",
                            start_height=self.watch.start_height,
                            start_height_2=event.start_height,
                        )
                    )
                self.watch, self.searched = event, None
            case Connect():
                self._connect(event.height, event.prev, [event.hash], [event.time])
                if self.keeps_content and event.transactions:
                    self.content[event.height] = content_digest(event.transactions)
            case Stretch():
                self._connect(event.height, event.prev, event.hash, event.time)
            case Disconnect():
                self._disconnect(event)
            case Witnessed():
                self._witness(event)
            case Disagreed():
                self._require_block(event.height, event.hash)
                self.disputed[event.height] = event
            case Searched():
                self._place(event)
            case Retold():
                self._retell(event)
        self._remember(event)
        self.next_seq += 1

    def _remember(self, event: ChainEvent) -> None:
        """Update the family's own state with an event that was applied. Raises LogError as `apply` does."""

    def _connect(self, height: int, prev: str, hashes: Sequence[str], times: Sequence[int]) -> None:
        if self.watch is None or height != self.height + 1:
            raise HistoryBroken(message("block {height} is connected out of turn", height=height))
        if self._prev_of_first is None:
            self._prev_of_first = prev
        if prev != self.tip:
            raise HistoryBroken(
                message("block {height} is connected to {prev}, the chain ends in {tip}", height=height, prev=prev, tip=self.tip)
            )
        self._hashes += bytes.fromhex("".join(hashes))
        self._times.extend(times)

    def _disconnect(self, event: Disconnect) -> None:
        if self.watch is None or event.height != self.height or event.hash != self.tip or not self._times:
            raise HistoryBroken(message("block {height} {hash} is disconnected, and is not the tip", height=event.height, hash=event.hash))
        del self._hashes[-32:]
        self._times.pop()
        self.content.pop(event.height, None)
        self.disputed.pop(event.height, None)
        self.coverage.drop(event.height)
        self.searched, self.looked_up = self._below(self.searched, event), self._below(self.looked_up, event)
        if event.prev != self.tip:
            raise HistoryBroken(
                message(
                    "block {height} is disconnected down to {prev}, the chain has {tip} there",
                    height=event.height,
                    prev=event.prev,
                    tip=self.tip,
                )
            )

    def _retell(self, event: Retold) -> None:
        self._require_block(event.height, event.hash)
        self.coverage.split(event.height)
        if self.keeps_content:
            self.content[event.height] = with_retold(self.content.get(event.height, b""), content_digest(event.transactions))

    def _place(self, event: Searched) -> None:
        self._require_block(event.height, event.hash)
        if event.txids:
            self.looked_up = event
        else:
            self.searched = event

    def _below(self, place: Searched | None, left: Disconnect) -> Searched | None:
        """A search's place after a block left the main chain: the blocks below that one stay searched."""
        if place is None or place.height < left.height:
            return place
        if left.height <= self.start_height:
            return None
        found = [one for one in place.found if one.height < left.height]
        return msgspec.structs.replace(place, height=left.height - 1, hash=left.prev, found=found)

    def _witness(self, event: Witnessed) -> None:
        self._require_block(event.last, event.hash)
        self.coverage.add(event.height, event.last, len(event.nodes))
        if len(event.nodes) > 1:
            self.disputed = {height: told for height, told in self.disputed.items() if not event.height <= height <= event.last}

    def _require_block(self, height: int, block_hash: str) -> None:
        if self.watch is None or not self.start_height <= height <= self.height or self.hash_at(height) != block_hash:
            raise HistoryBroken(
                message("block {height} {block_hash} is told of, and is not in the main chain", height=height, block_hash=block_hash)
            )


def _refuse(record: Record, error: Exception) -> NoReturn:
    """Raise HistoryBroken for an event that can't be read or does not follow from those before it: the log is not repaired."""
    raise HistoryBroken(
        message("{where} (key {key}) can't be continued: {error}", where=record.where, key=record.key, error=error)
    ) from error
