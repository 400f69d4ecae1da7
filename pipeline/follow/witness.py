"""Reads final blocks from a second node, and says what was found (ADR 20).

Enters: the log's state, the nodes, and how the family reads a range from one of them. Leaves: `witnessed` and `disagreed` events, and the height to
go back to where the followed node does not say what the log has. The log does not say which node told a block: blocks that this process did not read
from the followed node (they came before the start, or from another node that was followed then) are read from that one, too, so that a `witnessed`
event never counts one node twice. Ranges are read when they have something of the pool's, are `MOST_BLOCKS` long,
or are an hour old, so that the log stays small. A block that two nodes tell differently is read from both again, each time after a longer wait.
Left out: which node is followed (`nodes.py`), what a disagreement means for a month (enrichment).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.log.events.chain import ChainEvent, Disagreed, Transaction, Witnessed
from pipeline.model.errors import SourceError
from pipeline.model.message import message

from .build_events import EventBuilder
from .connector import Compared, Disputed, FollowedChain
from .coverage import NOTHING, content_digest, told_of
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


class Readings(Protocol):
    """How a family reads blocks of the log's main chain from a node that is not followed."""

    def read_range(self, side: Any, state: Any, first: int, last: int) -> Mapping[int, Sequence[Transaction]]:
        """The pool's transactions by height. Raises ChainMoved where the node has other blocks, and SourceError."""

    def read_again(self, side: Any, state: Any, height: int) -> Sequence[Sequence[Transaction]]:
        """The pool's transactions of one block, in every way in which the node can be asked for them. Raises the same."""


class FollowedNodeFailed(Exception):
    """The followed node could not be asked about blocks that it may not have told: another one has to be followed."""

    def __init__(self, error: SourceError) -> None:
        self.error = error
        super().__init__(str(error))


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
        self._teller: Any = None
        """The node whose answers were written last."""
        self._told_above = -1
        """Every block of the log above this height was read from that node by this process."""

    def writing(self, state: MainChain) -> None:
        """Events that rest on the followed node's answers are about to be written."""
        if self._teller is not self._nodes.current:
            self._teller, self._told_above = self._nodes.current, self._height(state)

    def written(self, state: MainChain) -> None:
        """An event was written."""
        self._told_above = min(self._told_above, self._height(state))

    @staticmethod
    def _height(state: MainChain) -> int:
        return state.height if state.watch is not None else -1

    def reach(self, state: MainChain) -> int | None:
        """The height up to which enough nodes stand behind every block; None where one is enough."""
        if self._settings.witnesses < 2 or state.watch is None:
            return None
        return next(
            (first - 1 for first, _ in state.coverage.gaps(state.start_height, state.height, self._settings.witnesses)), state.height
        )

    def look(self, state: MainChain) -> Found | None:
        """Read the next range from a second node, where one is due and a node can be asked.

        Raises FollowedNodeFailed, and ChainMoved where the followed node has other blocks.
        """
        span = self._due(state)
        if span is None:
            return None
        own: Mapping[int, Sequence[Transaction]] | None = None
        for side in self._nodes.others():
            try:
                self._check_height(side, span[1])
            except (SourceError, ChainMoved) as error:
                self._nodes.failed(side, error, is_tip_missing=True)
                continue
            own = self._read_own(state, *span) if own is None else own
            try:
                found = self._compare(side, state, own, *span)
            except (SourceError, ChainMoved) as error:
                self._nodes.failed(side, error)
                continue
            self._nodes.worked(side)
            self._alone_since = None
            if not isinstance(found.step, Disputed):  # a disputed block has a wait of its own
                self._read_at = self._nodes.now()
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

    def _check_height(self, side: Any, last: int) -> None:
        look = self._nodes.looked(side)
        if look.height < last:
            raise ChainMoved(
                message(
                    "the node at {name} is at height {height}, below block {last} that has to be compared: it lags",
                    name=side.name,
                    height=look.height,
                    last=last,
                )
            )

    def _may_be_others(self, height: int) -> bool:
        """Whether the log may have that block from another node than the followed one."""
        return self._teller is not self._nodes.current or height <= self._told_above

    def _read_own(self, state: MainChain, first: int, last: int) -> Mapping[int, Sequence[Transaction]]:
        """What the followed node says of those blocks of the range that it may not have told."""
        if not self._may_be_others(first):
            return {}
        end = last if self._may_be_others(last) else self._told_above
        try:
            return self._readings.read_range(self._nodes.current, state, first, end)
        except SourceError as error:
            raise FollowedNodeFailed(error) from error

    def _compare(self, side: Any, state: MainChain, own: Mapping[int, Sequence[Transaction]], first: int, last: int) -> Found:
        """`own`: what `_read_own` gave."""
        read = self._readings.read_range(side, state, first, last)
        for height in range(first, last + 1):
            theirs = read.get(height, ())
            if self._may_be_others(height):
                ours = own.get(height, ())
                if not self._is_logged(self._nodes.current, state, height, ours):
                    if content_digest(ours) == content_digest(theirs):
                        return self._go_back(side, state, first, height)
                    return self._disagree(side, state, first, height, theirs)
            if not self._is_logged(side, state, height, theirs):
                return self._disagree(side, state, first, height, theirs)
        return Found([self._witnessed(state, state.next_seq, first, last, [side.name])], Compared(last - first + 1, 2, state.height))

    def _is_logged(self, side: Any, state: MainChain, height: int, said: Sequence[Transaction]) -> bool:
        """Whether the node says of a block what the log has, in some way of asking it. `said`: in the first one."""
        if content_digest(said) == state.content.get(height, NOTHING):
            return True
        return any(content_digest(each) == state.content.get(height, NOTHING) for each in self._again(side, state, height))

    def _again(self, side: Any, state: MainChain, height: int) -> Sequence[Sequence[Transaction]]:
        try:
            return self._readings.read_again(side, state, height)
        except SourceError as error:
            if side is self._nodes.current:
                raise FollowedNodeFailed(error) from error
            raise

    def _go_back(self, side: Any, state: MainChain, first: int, height: int) -> Found:
        """Both nodes say the same, and the log says something else: it is rolled back to below that block."""
        events: list[ChainEvent] = [self._witnessed(state, state.next_seq, first, height - 1, [side.name])] if height > first else []
        return Found(events, Disputed(height, state.height), height - 1)

    def _disagree(self, side: Any, state: MainChain, first: int, height: int, theirs: Sequence[Transaction]) -> Found:
        current, block_hash, time = self._nodes.current, state.hash_at(height), state.time_of(height)
        assert block_hash is not None
        ours = self._again(current, state, height)
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
        # Whose word is in the log: the settings' first node's, where it is followed; no other one replaces what it did not tell.
        is_replaced = has_changed and (current is self._nodes.sides[0] or not self._may_be_others(height))
        return Found(events, Disputed(height, state.height), height - 1 if is_replaced else None)

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
