"""Reads final blocks from a second node, and says what was found (ADR 20).

Enters: the log's state, the nodes, and how the family reads a range from one of them. Leaves: `witnessed` and `disagreed` events, and the height to
go back to where the followed node no longer says what the log has. Ranges are read when they have something of the pool's, are `MOST_BLOCKS` long,
or are an hour old, so that the log stays small. A block that two nodes tell differently is read from both again, each time after a longer wait.
Left out: which node is followed (`nodes.py`), what a disagreement means for a month (enrichment).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.log.events.chain import ChainEvent, Disagreed, Transaction, Witnessed
from pipeline.model.errors import SourceError

from .build_events import EventBuilder
from .connector import Compared, Disputed, FollowedChain
from .coverage import content_digest, told_of
from .main_chain import MainChain
from .node_errors import ChainMoved
from .nodes import Nodes

MOST_BLOCKS = 500
"""In one range read from a second node."""
EVERY_S = 3600.0
"""Seconds after which a range is read although it has nothing of the pool's."""
FIRST_WAIT_S, LONGEST_WAIT_S = 60.0, 3600.0
"""Seconds after which a disputed block is read again."""
MOST_TEXT = 16_000
"""Characters of an answer kept with a disagreement."""

NOTHING = content_digest([])


class Readings(Protocol):
    """How a family reads blocks of the log's main chain from a node that is not followed."""

    def read_range(self, side: Any, state: Any, first: int, last: int) -> Mapping[int, Sequence[Transaction]]:
        """The pool's transactions by height. Raises ChainMoved where the node has other blocks, and SourceError."""

    def read_again(self, side: Any, state: Any, height: int) -> Sequence[Sequence[Transaction]]:
        """The pool's transactions of one block, in every way in which the node can be asked for them. Raises the same."""


@dataclass(frozen=True)
class Found:
    """What a look at a second node came to."""

    events: list[ChainEvent]
    step: Compared | Disputed
    back_to: int | None = None
    """The height to which the log is rolled back, because the followed node says something else than it did."""


class Witnesses:
    """The second node's readings of one chain. Not thread-safe."""

    def __init__(self, nodes: Nodes[Any], settings: FollowedChain, events: EventBuilder, readings: Readings) -> None:
        self._nodes, self._settings, self._events, self._readings = nodes, settings, events, readings
        self._read_at: float | None = None
        self._alone_since: float | None = None
        self._disputes: dict[int, tuple[float, float]] = {}
        """When a disputed block is read next, and the wait after that."""

    def reach(self, state: MainChain) -> int | None:
        """The height up to which enough nodes stand behind every block; None where one is enough."""
        if self._settings.witnesses < 2 or state.watch is None:
            return None
        return next(
            (first - 1 for first, _ in state.coverage.gaps(state.start_height, state.height, self._settings.witnesses)), state.height
        )

    def look(self, state: MainChain) -> Found | None:
        """Read the next range from a second node, where one is due and a node can be asked."""
        span = self._due(state)
        if span is None:
            return None
        for side in self._nodes.others():
            try:
                found = self._compare(side, state, *span)
            except (SourceError, ChainMoved) as error:
                self._nodes.failed(side, error)
                continue
            self._nodes.worked(side)
            self._read_at, self._alone_since = self._nodes.now(), None
            return found
        return self._go_on_alone(state)

    def _due(self, state: MainChain) -> tuple[int, int] | None:
        """The next range to read; None when it may wait."""
        now = self._nodes.now()
        last = state.height - self._settings.finality + 1
        for first, end in state.coverage.gaps(state.start_height, last, self._settings.witnesses):
            waiting = [height for height in state.disputed if self._disputes.get(height, (now, 0.0))[0] > now]
            while first in waiting:
                first += 1
            end = min([end, first + MOST_BLOCKS - 1, *(height - 1 for height in waiting if height > first)])
            if first > end:
                continue
            is_old = self._read_at is None or now - self._read_at >= EVERY_S
            if is_old or end - first + 1 == MOST_BLOCKS or any(height in state.content for height in range(first, end + 1)):
                return first, end
        return None

    def _compare(self, side: Any, state: MainChain, first: int, last: int) -> Found:
        look = self._nodes.looked(side)
        if look.height < last:
            raise ChainMoved(f"the node at {side.name} is at height {look.height}, below block {last} that has to be compared: it lags")
        read = self._readings.read_range(side, state, first, last)
        for height in range(first, last + 1):
            theirs = read.get(height, ())
            if content_digest(theirs) == state.content.get(height, NOTHING):
                continue
            again = self._readings.read_again(side, state, height)
            if not any(content_digest(each) == state.content.get(height, NOTHING) for each in again):
                return self._disagree(side, state, first, height, theirs)
        return Found([self._witnessed(state, state.next_seq, first, last, [side.name])], Compared(last - first + 1, 2, state.height))

    def _disagree(self, side: Any, state: MainChain, first: int, height: int, theirs: Sequence[Transaction]) -> Found:
        current, block_hash, time = self._nodes.current, state.hash_at(height), state.time_of(height)
        assert block_hash is not None
        ours = self._readings.read_again(current, state, height)
        has_changed = not any(content_digest(each) == state.content.get(height, NOTHING) for each in ours)
        kept = next((each for each in ours if content_digest(each) == state.content.get(height, NOTHING)), ours[0])
        events: list[ChainEvent] = []
        if height > first:
            events.append(self._witnessed(state, state.next_seq, first, height - 1, [side.name]))
        seq = state.next_seq + len(events)
        told = Disagreed(
            id=self._events.event_id(seq), seq=seq, chain=self._settings.chain, height=height, hash=block_hash, time=time,
            nodes=[current.name, side.name], answers=[_cut(told_of(kept)), _cut(told_of(theirs))],
        )  # fmt: skip
        before = state.disputed.get(height)
        if has_changed or before is None or (before.nodes, before.answers) != (told.nodes, told.answers):
            events.append(told)
        wait_s = self._disputes.get(height, (0.0, FIRST_WAIT_S))[1]
        self._disputes[height] = self._nodes.now() + wait_s, min(2 * wait_s, LONGEST_WAIT_S)
        return Found(events, Disputed(height, state.height), height - 1 if has_changed else None)

    def _go_on_alone(self, state: MainChain) -> Found | None:
        """No second node can be asked: after `witness_wait_s` the log says so."""
        now = self._nodes.now()
        if self._alone_since is None:
            self._alone_since = now
        if now - self._alone_since < self._settings.witness_wait_s:
            return None
        last = state.height - self._settings.finality + 1
        for first, end in state.coverage.gaps(state.start_height, last, 1):
            is_old = self._read_at is None or now - self._read_at >= EVERY_S
            if is_old or end - first + 1 >= MOST_BLOCKS or any(height in state.content for height in range(first, end + 1)):
                self._read_at = now
                return Found([self._witnessed(state, state.next_seq, first, end, [])], Compared(end - first + 1, 1, state.height))
        return None

    def _witnessed(self, state: MainChain, seq: int, first: int, last: int, others: list[str]) -> Witnessed:
        block_hash = state.hash_at(last)
        assert block_hash is not None
        reason = "" if others else self._nodes.troubles_of_others()[:MOST_TEXT] or "no other node is configured"
        return Witnessed(
            id=self._events.event_id(seq), seq=seq, chain=self._settings.chain, height=first, last=last, hash=block_hash,
            nodes=[self._nodes.current.name, *others], reason=reason,
        )  # fmt: skip


def _cut(answer: bytes) -> str:
    text = answer.decode()
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text)} characters)"
