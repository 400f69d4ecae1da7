"""What the recorded node knew after the first n events of its sequence.

Enters a `Recording`; leaves the tip, the main chain, every block seen so far, stale branches, where transactions are, the
node's clock and the size of its files, and how far to play when a client looks (`NodeState.poll`). The mempool is always
empty: transactions of stale blocks that were never mined again are found in their stale block.
Not thread-safe: its owner holds a lock.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .disk import block_bytes, undo_bytes
from .recording import RecordedBlock, Recording

_STALE_TIP_S = 24 * 3600  # a node whose tip is older than this begins in initial block download


class ChainTip(NamedTuple):
    """The end of a branch, as getchaintips lists it."""

    block: RecordedBlock
    branch_length: int
    status: str


class NodeState:
    """The node at one place of its sequence."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.played = 0
        self.main = [recording.genesis]
        self.known = {recording.genesis.hash: recording.genesis}
        self.transactions: dict[str, tuple[RecordedBlock, int]] = {}  # txid: the block that held it last, and its place there
        self.indexed_height = 0  # of the last block that joined: indexes go back only when another one joins
        self.clock = recording.events[0].at if recording.events else recording.genesis.block.header.time
        self.size_on_disk = block_bytes(recording.genesis)
        self.is_initial_download = True
        self._invalid: set[RecordedBlock] = set()
        self._natural = _natural_disconnects(recording)
        self._recorded_status = _recorded_statuses(recording)

    @property
    def tip(self) -> RecordedBlock:
        return self.main[-1]

    @property
    def total(self) -> int:
        return len(self.recording.events)

    @property
    def is_finished(self) -> bool:
        return self.played == self.total

    def is_in_main(self, block: RecordedBlock) -> bool:
        """Whether the block is in the main chain now."""
        return block.height < len(self.main) and self.main[block.height] is block

    def next_of(self, block: RecordedBlock) -> RecordedBlock | None:
        """The main chain's block after this one; None at the tip and off the main chain."""
        after = block.height + 1
        return self.main[after] if after < len(self.main) and self.main[after].parent is block else None

    def confirmations_of(self, block: RecordedBlock) -> int:
        """How deep the block lies in the main chain, 1 at the tip; -1 off it."""
        return self.tip.height - block.height + 1 if self.is_in_main(block) else -1

    def play(self, count: int) -> int:
        """Play up to `count` further events; how many there were."""
        first = self.played
        while self.played < min(first + count, self.total):
            self._play_next()
        return self.played - first

    def poll(self, count: int) -> int:
        """Play about `count` further events, stopping only where a node's tip could have been seen; how many were played.

        A tip that is about to be disconnected is shown once: playing stops before the first disconnect after a connect.
        A reorganisation is never shown half done: after a disconnect playing goes on through the next connect, and
        through those the node made at the same instant.
        """
        first = self.played
        events = self.recording.events
        reorganised_at: int | None = None
        while not self.is_finished:
            coming = events[self.played]
            has_connected = self.played > first and events[self.played - 1].is_connect
            if has_connected and not coming.is_connect:
                break
            is_amid = reorganised_at is not None and (not has_connected or coming.at == reorganised_at)
            if self.played - first >= count and not is_amid:
                break
            if not coming.is_connect:
                reorganised_at = coming.at
            elif reorganised_at is not None and coming.at != reorganised_at:
                reorganised_at = None
            self._play_next()
        return self.played - first

    def chain_tips(self) -> list[ChainTip]:
        """The main chain's tip and those of all branches, highest first."""
        stale = [block for block in self.known.values() if not self.is_in_main(block)]
        has_child = {block.parent for block in stale}
        tips = [ChainTip(self.tip, 0, "active")]
        for block in stale:
            if block not in has_child:
                tips.append(ChainTip(block, self._branch_length(block), self._status_of(block)))
        return sorted(tips, key=lambda tip: (-tip.block.height, tip.status != "active", tip.block.hash))

    def _play_next(self) -> None:
        event = self.recording.events[self.played]
        block = event.block
        if event.is_connect:
            if block.hash not in self.known:
                self.known[block.hash] = block
                self.size_on_disk += block_bytes(block) + undo_bytes(block)
            self.main.append(block)
            self.indexed_height = block.height
            for place, tx in enumerate(block.transactions):
                self.transactions[tx.txid.hex()] = (block, place)
            # What was invalidated and is the main chain again was reconsidered, with all that builds on it.
            self._invalid = {each for each in self._invalid if not block.is_ancestor_of(each)}
        else:
            self.main.pop()
            if self.played not in self._natural:
                self._invalid.add(block)
        self.clock = event.at
        self.played += 1
        if self.tip.block.header.time >= self.clock - _STALE_TIP_S:
            self.is_initial_download = False  # for good, as in a node

    def _branch_length(self, block: RecordedBlock) -> int:
        length = 0
        place: RecordedBlock | None = block
        while place is not None and not self.is_in_main(place):
            length += 1
            place = place.parent
        return length

    def _status_of(self, block: RecordedBlock) -> str:
        if self.is_finished and block.hash in self._recorded_status:
            return self._recorded_status[block.hash]
        return "invalid" if any(each.is_ancestor_of(block) for each in self._invalid) else "valid-fork"


def _natural_disconnects(recording: Recording) -> set[int]:
    """The places of disconnects that more work brought about, not an operator's `invalidateblock`.

    With more work the better branch joins at the very same instant of the node's clock; an invalidated block leaves a
    shorter chain behind.
    """
    events = recording.events
    natural: set[int] = set()
    place = 0
    while place < len(events):
        first = place
        while place < len(events) and not events[place].is_connect:
            place += 1
        if place == first:
            place += 1
            continue
        left, at = events[first].block, events[place - 1].at
        best, ahead = 0, place
        while ahead < len(events) and events[ahead].is_connect and events[ahead].at == at:
            best = events[ahead].block.chainwork
            ahead += 1
        if best > left.chainwork:
            natural.update(range(first, place))
    return natural


def _recorded_statuses(recording: Recording) -> dict[str, str]:
    tips: Any = recording.recorded_result("getchaintips") or []
    return {tip["hash"]: tip["status"] for tip in tips if tip["status"] != "active"}
