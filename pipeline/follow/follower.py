"""The loop that follows one chain of one pool, for every family of chains: ask the node, append what is new, wait, repeat.

Enters: the log, the steps of a family's connector (a subclass). Leaves: the events of the key `POOL_ID/CHAIN`, appended by its one writer; a
`Step` each time. The cursor is the log itself (law 4): after a crash between any two appends the next run continues after the last event.
After a failed append, whose events may or may not be in the log, the state is read from the log again.

Temporary errors are retried after growing waits, or after the time that the node asks for. If the main chain changes between two requests of a
step, the step is restarted, up to `MAX_RESTARTS` times. When a search of old blocks for new entries of the watch list finds something, the chain is
written again from there. Left out: how blocks are read, finding the fork with the node's chain, and a family's events besides blocks.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

from pipeline.log.events import encode
from pipeline.log.events.chain import ChainEvent, Transaction, Watch
from pipeline.log.protocol import EventLog, Writer
from pipeline.model.errors import SettingsError, SourceError
from pipeline.model.message import message

from .build_events import STEPS_A_PLACE, EventBuilder
from .connector import FollowedChain, Idle, Reorganised, Rescanned, Rescanning, Step, Waiting
from .main_chain import MainChain
from .node_errors import ChainMoved, ChainUnsteady, NodeBusy
from .nodes import NodeReport, Nodes
from .witness import FollowedNodeFailed, Witnesses

MAX_APPEND = 5000
"""Events in one append. A deeper reorganisation is written in several appends, after each of which the log can be continued."""
MAX_RESTARTS = 5
"""Attempts of one step while the main chain keeps changing."""
FIRST_WAIT_S = 0.5


class Rescan(Protocol):
    """A search of the blocks already read for new entries of the watch list."""

    next_height: int
    """The first block not searched yet."""
    first_hit: int | None
    """The first block with a new entry; None while none was found."""
    n_steps: int
    """Steps of the search since the connector was started."""

    @property
    def n_added(self) -> int:
        """New scripts (Bitcoin) or addresses (EVM)."""

    def named(self) -> Mapping[str, Any]:
        """What is searched for, as a `searched` event names it."""


StateT = TypeVar("StateT", bound=MainChain)
RescanT = TypeVar("RescanT", bound=Rescan)


class Follower(ABC, Generic[StateT, RescanT]):
    """Follows one chain. Not thread-safe; opening another follower of the same pool and chain fences this one."""

    def __init__(
        self, log: EventLog, settings: FollowedChain, events: EventBuilder, *, journal: Any, nodes: Nodes[Any] | None = None
    ) -> None:
        """`nodes`: those that may be followed; None where the family knows of one only, which `_forget_node` is told of."""
        self.key = f"{settings.pool_id}/{settings.chain}"
        self._log, self._events, self._journal, self._chain = log, events, journal, settings.chain
        self._network_name, self._start_height = settings.network, settings.start_height
        self._all_nodes = nodes
        self._witnesses = Witnesses(nodes, settings, events, self) if nodes is not None and settings.witnesses > 1 else None
        self._writer: Writer | None = None
        self._state: StateT | None = None
        self._rescan: RescanT | None = None
        self._is_begun = False

    # --- what a family's connector does ----------------------------------------------------------------------------

    @property
    @abstractmethod
    def node_name(self) -> str:
        """The node's address, without secrets."""

    @abstractmethod
    def _step(self, state: StateT) -> Step:
        """Ask the node once, and append what is new. Raises ChainMoved if the main chain changed meanwhile."""

    def _forget_node(self) -> None:
        """The node failed: drop what is known of it, since the next answer may come from another node or version."""

    @abstractmethod
    def _close_node(self) -> None: ...

    @abstractmethod
    def _empty_state(self) -> StateT: ...

    @abstractmethod
    def _resume(self, state: StateT, watch: Watch) -> None:
        """Continue from the state read from the log, whose newest watch event is `watch`."""

    def _on_disconnected(self, height: int) -> None:
        """The log was rolled back to `height`: drop what is remembered of the blocks above it."""

    def _wait_for_block(self, stop: threading.Event, poll_s: float) -> None:
        """Wait until there may be a new block, or for `poll_s` seconds."""
        stop.wait(poll_s)

    # --- the outside -----------------------------------------------------------------------------------------------

    def step(self) -> Step:
        """Ask the followed node once, and append what is new; where it fails or has less work than another one, follow that one.

        Raises SourceError, LogError, SettingsError.
        """
        nodes = self._all_nodes
        if nodes is None:
            try:
                return self._settled_step()
            except SourceError:
                self._forget_node()
                raise
        if not self._is_begun:
            nodes.begin()
            self._is_begun = True
        for left in reversed(range(2 * len(nodes.sides))):
            compared: Step | None = None
            try:
                step = self._settled_step()
                if not isinstance(step, Waiting):
                    nodes.worked(nodes.current)
                    compared = self._compare_nodes()
            except SourceError as error:
                if nodes.fail_over(error) and left:
                    continue
                raise nodes.trouble_of_all(error) from error.__cause__
            if compared is not None and isinstance(step, Idle):
                return compared
            if left and isinstance(step, Waiting | Idle) and nodes.follow_most_work(is_urgent=isinstance(step, Waiting)):
                continue
            break
        return step

    def _compare_nodes(self) -> Step | None:
        """Read final blocks from a second node, where that is due, and append what was found; None where nothing was.

        Raises SourceError where the followed node can't be asked about blocks that another one told.
        """
        state = self._state
        if self._witnesses is None or state is None or state.watch is None or self._rescan is not None:
            return None
        try:
            found = self._witnesses.look(state)
        except FollowedNodeFailed as failed:
            raise failed.error from failed
        except (SourceError, ChainMoved) as error:
            self._journal.warning("not-compared", chain=self._chain, trouble=str(error))
            return None
        if found is None:
            return None
        self._write(state, found.events)
        while found.back_to is not None and state.height > found.back_to:
            self._disconnect(state, found.back_to)
        return found.step

    def read_range(self, side: Any, state: StateT, first: int, last: int) -> Mapping[int, Sequence[Transaction]]:
        """The pool's transactions of final blocks, as a node that is not followed has them (`witness.Readings`)."""
        raise NotImplementedError

    def read_again(self, side: Any, state: StateT, height: int) -> Sequence[Sequence[Transaction]]:
        """The pool's transactions of one block, in every way in which the node can be asked for them."""
        return [self.read_range(side, state, height, height).get(height, ())]

    def _settled_step(self) -> Step:
        """A step, begun anew while the main chain changes under it. Raises ChainUnsteady after some attempts: another node may know better."""
        moved: ChainMoved | None = None
        for _ in range(MAX_RESTARTS):
            try:
                return self._step(self._open())
            except ChainMoved as error:
                moved = error
        raise ChainUnsteady(self.node_name, moved)

    def _confirm_reorganisation(self) -> None:
        """Before blocks of the log are replaced: raises ChainMoved when another node has more work, which is followed from now on."""
        if self._all_nodes is not None and self._all_nodes.follow_most_work(is_urgent=True):
            raise ChainMoved(message("the node at {node_name} has more work", node_name=self.node_name))

    def _witnessed_to(self) -> int | None:
        return self._witnesses.reach(self._state) if self._witnesses is not None and self._state is not None else None

    def look_at_nodes(self) -> tuple[NodeReport, ...]:
        """Ask each node for its tip; nothing is written."""
        if self._all_nodes is None:
            return ()
        self._all_nodes.look_at_all()
        return self._all_nodes.reports()

    def run(
        self,
        stop: threading.Event,
        on_progress: Callable[[Step], None] = lambda _: None,
        *,
        poll_s: float = 2.0,
        longest_wait_s: float = 60.0,
    ) -> None:
        """Step until `stop` is set. Temporary errors are reported as `Waiting` and retried after growing waits, or after the time that the
        node asks for; other errors are raised. `poll_s`: seconds to wait for a new block before asking again."""
        wait_s = FIRST_WAIT_S
        while not stop.is_set():
            this_wait_s = wait_s
            try:
                step = self.step()
            except SourceError as error:
                if not error.is_retryable:
                    raise
                if isinstance(error, NodeBusy) and error.retry_after_s is not None:
                    this_wait_s = max(wait_s, error.retry_after_s)
                step = Waiting(str(error))
                self._journal.warning("node-trouble", chain=self._chain, trouble=str(error), next_try_s=this_wait_s)
            on_progress(step)
            if isinstance(step, Waiting):
                stop.wait(this_wait_s)
                wait_s = min(2 * wait_s, longest_wait_s)
                continue
            wait_s = FIRST_WAIT_S
            if isinstance(step, Idle):
                self._wait_for_block(stop, poll_s)

    def close(self) -> None:
        """Close the connections to the node and the log's writer."""
        self._close_node()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the log ---------------------------------------------------------------------------------------------------

    def _open(self) -> StateT:
        """The state read from the log. This connector becomes the key's only writer first, so no other event can follow."""
        if self._state is None:
            if self._writer is None:
                self._writer = self._log.writer("chain", self.key)
            state = self._empty_state()
            state.keeps_content = self._witnesses is not None
            state.load(self._log, self.key)
            if state.watch is not None:
                self._check_watch(state.watch)
                self._resume(state, state.watch)
            self._state = state
            self._rescan = None
        return self._state

    def _check_watch(self, watch: Watch) -> None:
        if watch.network != self._network_name:
            raise SettingsError(
                [
                    message(
                        "the log of {key} is of network {network}, not {network_name}: use another log, or another chain's name",
                        key=self.key,
                        network=watch.network,
                        network_name=self._network_name,
                    )
                ]
            )
        if self._start_height < watch.start_height:
            raise SettingsError(
                [
                    message(
                        "start_height {start_height} is below {start_height_2}, where the log of {key} begins: start a new log to begin earlier",
                        start_height=self._start_height,
                        start_height_2=watch.start_height,
                        key=self.key,
                    )
                ]
            )

    def _write(self, state: StateT, events: Sequence[ChainEvent]) -> None:
        """Append all events or none, then apply them to the state."""
        assert self._writer is not None
        if not events:
            return
        if self._witnesses is not None:
            self._witnesses.writing(state)
        try:
            self._writer.append([encode(event) for event in events])
        except BaseException:
            self._state = None  # whether they are in the log is unknown: read the state again
            raise
        for event in events:
            state.apply(event)
            if self._witnesses is not None:
                self._witnesses.written(state)

    def _disconnect(self, state: StateT, down_to: int) -> Step:
        """Disconnect towards `down_to`, as many blocks as one append may have."""
        lowest = max(down_to, state.height - MAX_APPEND)
        depth = state.height - lowest
        self._write(state, self._events.disconnects(state, lowest))
        self._on_disconnected(lowest)
        if self._rescan is not None:
            self._rescan.next_height = min(self._rescan.next_height, lowest + 1)
        return Reorganised(depth, 0, state.height)

    def _continue_rescan(
        self, state: StateT, rescan: RescanT, fork: int, search: Callable[[], bool], watch: Callable[[int], Watch]
    ) -> Step:
        """Search what was read for what is new on the watch list; when that is done, go back to the first block that was found and watch all.

        `search` searches some more blocks and says whether that was all; now and then the place is written, where the search goes on after a crash; `watch` builds the new watch event with a `seq`. With `Rescanned` the
        watch event is in the log, and the rescan is over.
        """
        if fork < state.height:  # what is searched must be in the main chain
            return self._disconnect(state, fork)
        if not search():
            rescan.n_steps += 1
            if rescan.n_steps % STEPS_A_PLACE == 0:
                self._write(state, [self._events.searched(state, rescan.next_height - 1, **rescan.named())])
            return Rescanning(rescan.n_added, rescan.next_height - 1, state.height)
        down_to = state.height if rescan.first_hit is None else rescan.first_hit - 1
        depth = state.height - down_to
        if depth > MAX_APPEND:
            return self._disconnect(state, down_to)
        self._write(state, [*self._events.disconnects(state, down_to), watch(state.next_seq + depth)])
        self._on_disconnected(down_to)
        self._rescan = None
        return Rescanned(rescan.n_added, depth, state.height)
