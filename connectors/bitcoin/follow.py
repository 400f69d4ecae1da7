"""Follows one chain of one pool: from a node's blocks to the log's events, in order, without gaps.

Enters: the log, what to watch, a node. Leaves: `watch`, `connect`, `stretch` and `disconnect` events of the key
`POOL_ID/CHAIN`, ids `CHAIN:SEQ`. The cursor is the log itself (law 4): after a crash between any two appends the next
run continues from the last event. All blocks of a step are chained by hashes computed here.

A step asks the node for its status once, then reads and appends up to about a second's worth of blocks. A node whose tip is one of
the log's own blocks lags, and is waited for. When the log's tip has left the node's main chain, the step walks back by block hash to the fork, and appends the disconnects (newest first) together
with the new blocks. Only blocks are read, never the mempool, so replaced payments never appear.

When the watch list grows (by configuration, or because a ranged descriptor's last addresses came into use), the blocks already
read are searched for the new scripts only. From the first block that contains one, the events are repeated: disconnects down to
it, the new watch event, then the blocks again. What was once watched stays watched.

Left out: the loop and the log (`pipeline.follow.follower`), what transactions mean (enrichment).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

from pipeline.chains.bitcoin.wire import TxOutput
from pipeline.follow.connector import ChainStatus, Connected, Idle, Reorganised, Rescanned, Step
from pipeline.follow.find_fork import find_fork
from pipeline.follow.follower import MAX_APPEND, Follower
from pipeline.follow.nodes import Nodes
from pipeline.follow.waits import below_log, start_not_reached, synchronising
from pipeline.log.events.chain import (
    Transaction,
    Watch,
)
from pipeline.log.protocol import EventLog
from pipeline.model.errors import SourceError
from pipeline.model.journal import Journal
from pipeline.model.message import message

from .build_events import BitcoinEventBuilder
from .chain_state import ChainState, Outpoint
from .earlier_times import fetch_earlier_times
from .errors import BlockPruned, ChainMoved
from .node import Node, NodeStatus
from .node_side import BitcoinSide, open_sides
from .rescan import Rescan, RescanFinder
from .rpc import NodeConnection
from .settings import BitcoinChain
from .strategies import BlockRef, Choice, Watching, watching_for
from .watch import WatchList, watch_list

_journal = Journal("bitcoin")

WAIT_SLICE_S = 2.0
"""The longest wait for the node before `stop` is checked, in seconds."""


class BitcoinConnector(Follower[ChainState, Rescan]):
    """Follows one chain. Not thread-safe. Opening another connector for the same pool and chain fences this one."""

    def __init__(
        self,
        log: EventLog,
        settings: BitcoinChain,
        *,
        connection: NodeConnection | None = None,
        payees: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        """`connection`: used instead of one to the settings' `rpc_url`; `payees`: the addresses that other payers pay, as far as the ledger names
        them now (rule 10.2). Raises SettingsError with every fault."""
        self._payees = payees
        self._network = settings.checked()
        self._event_builder = BitcoinEventBuilder(settings.chain)
        self._settings = settings
        self._nodes = Nodes(open_sides(settings, self._network, connection), time.monotonic, _journal, settings.chain)
        super().__init__(log, settings, self._event_builder, journal=_journal, nodes=self._nodes)
        self._wallets = watch_list(settings.wallets, self._network)
        self._rescan_finder = RescanFinder(self._wallets, self._network, settings.asset, gap=settings.gap)
        self._watch_list: WatchList | None = None
        self._watching: Watching | None = None

    @property
    def _node(self) -> Node:
        return self._nodes.current.node

    # --- the outside -----------------------------------------------------------------------------------------------

    def describe(self) -> ChainStatus:
        """For a status page: the node, the strategy in force and why, heights, how far behind."""
        state, side = self._state, self._nodes.current
        height = state.height if state is not None and state.watch is not None else None
        return ChainStatus(
            chain=self._chain,
            network=self._network.name,
            node=side.name,
            node_version=side.version,
            method=side.choice.strategy.name if side.choice else None,
            method_why=side.choice.why if side.choice else None,
            start_height=state.start_height if height is not None and state is not None else self._start_height,
            height=height,
            node_height=side.status.blocks if side.status else None,
            n_watched=len((self._watch_list or self._wallets).scripts),
            rescanned_to_height=self._rescan.next_height - 1 if self._rescan else None,
            nodes=self._nodes.reports(),
            witnessed_to_height=self._witnessed_to(),
        )

    # --- a step ----------------------------------------------------------------------------------------------------

    def _step(self, state: ChainState) -> Step:
        status = self._read_status()
        choice = self._strategy(state)
        if state.watch is None:
            self._begin(state, status)
        fork = find_fork(
            state, self._node, self.key, node_height=status.blocks, node_hash=status.bestblockhash, is_behind=self._node.is_syncing(status)
        )
        if fork is None:
            return below_log(self._node.name, status.blocks, state.height)
        if fork < state.height:
            self._confirm_reorganisation()
        assert self._watch_list is not None
        self._rescan = self._rescan or self._rescan_finder.find(state, self._watch_list, self._payees())
        if self._rescan is not None:
            return self._search_history(state, self._rescan, choice, fork, status)
        if fork == state.height and status.blocks <= fork:
            return self._nothing_new(state, status)
        return self._follow(state, choice, fork, status)

    def _nothing_new(self, state: ChainState, status: NodeStatus) -> Step:
        if status.blocks < state.start_height - 1:
            return start_not_reached(self._node.name, status.blocks, state.start_height)
        if status.initialblockdownload and status.headers > status.blocks:
            return synchronising(self._node.name, status.blocks, status.headers)
        return Idle(state.height)

    def _follow(self, state: ChainState, choice: Choice, fork: int, status: NodeStatus) -> Step:
        """Disconnect down to `fork`, then connect the node's next blocks."""
        self._check_pruned(status, fork + 1)
        depth = state.height - fork
        if depth > MAX_APPEND:
            return self._disconnect(state, fork)
        if state.needs_earlier_times(fork):
            fetch_earlier_times(state, self._node)
        size = min(self._settings.blocks_a_step or choice.strategy.blocks_a_step, max(status.blocks - fork, 0))
        headers = self._node.headers_after(fork, state.hash_at(fork), size) if size else []
        found = self._read([BlockRef(h.height, h.header.hash.hex()) for h in headers], choice, state, fork, status.blocks)
        connects = self._event_builder.connects(state.next_seq + depth, state.times_up_to(fork), headers, found)
        self._write(state, [*self._event_builder.disconnects(state, fork), *connects])
        return Reorganised(depth, len(headers), state.height) if depth else Connected(len(headers), state.height)

    def _read(self, blocks: list[BlockRef], choice: Choice, state: ChainState, fork: int, tip_height: int) -> dict[int, list[Transaction]]:
        assert self._watching is not None

        def known(outpoint: Outpoint) -> TxOutput | None:
            own = state.own.get(outpoint)
            return own.output if own is not None and own.height <= fork else None

        return choice.strategy.read(blocks, self._watching, known, tip_height)

    def read_range(self, side: BitcoinSide, state: ChainState, first: int, last: int) -> dict[int, list[Transaction]]:
        if side.node.hashes_at([last])[0] != state.hash_at(last):
            raise ChainMoved(
                message("the node at {name} has another block {last} than the log: it follows another branch", name=side.name, last=last)
            )
        choice, _ = side.choose(state.start_height)
        assert side.status is not None
        blocks = [BlockRef(height, state.hash_at(height) or "") for height in range(first, last + 1)]
        return self._read(blocks, choice, state, last, side.status.blocks)

    def _search_history(self, state: ChainState, rescan: Rescan, choice: Choice, fork: int, status: NodeStatus) -> Step:
        """Search the blocks already read for the new scripts, by the strategy in use."""

        def search() -> bool:
            self._check_pruned(status, rescan.next_height)
            return rescan.search(state, choice.strategy, status.blocks, self._settings.blocks_a_step or choice.strategy.blocks_a_step)

        def watch(seq: int) -> Watch:
            return self._event_builder.watch(seq, rescan.target, network=self._network.name, start_height=state.start_height)

        step = self._continue_rescan(state, rescan, fork, search, watch)
        if isinstance(step, Rescanned):
            self._use(rescan.target)
        return step

    # --- the node --------------------------------------------------------------------------------------------------

    @property
    def node_name(self) -> str:
        return self._node.name

    def _close_node(self) -> None:
        self._nodes.close()

    def _read_status(self) -> NodeStatus:
        side = self._nodes.current
        self._nodes.looked(side)
        assert side.status is not None
        return side.status

    def _strategy(self, state: ChainState) -> Choice:
        side = self._nodes.current
        choice, is_new = side.choose(self._start_height if state.watch is None else state.start_height)
        if is_new:
            _journal.info("strategy", chain=self._chain, node=side.name, strategy=choice.strategy.name, why=choice.why)
        return choice

    def _check_pruned(self, status: NodeStatus, height: int) -> None:
        if status.pruned and status.pruneheight is not None and status.pruneheight > height:
            raise BlockPruned(
                message(
                    "the node at {name} has pruned its blocks below {pruneheight}, and {height} is the next one to read: use a node that still has them (prune=0), or one with a larger prune target",
                    name=self._node.name,
                    pruneheight=status.pruneheight,
                    height=height,
                )
            )

    def _wait_for_block(self, stop: threading.Event, poll_s: float) -> None:
        """Wait until the node may have a new block; the next step checks for itself.

        In slices, so that `stop` is noticed. A block that came between the step and the wait is noticed by the tip.
        """
        status = self._nodes.current.status
        seen = status.bestblockhash if status is not None else None
        while poll_s > 0 and not stop.is_set():
            slice_s = min(poll_s, WAIT_SLICE_S)
            poll_s -= slice_s
            try:
                tip = self._node.wait_for_block(slice_s)
            except SourceError:
                stop.wait(slice_s)
                return  # the next step meets the same error and reports it
            if tip is None:
                stop.wait(slice_s)
            elif tip != seen:
                return

    # --- the log ---------------------------------------------------------------------------------------------------

    def _empty_state(self) -> ChainState:
        return ChainState(self._network)

    def _resume(self, state: ChainState, watch: Watch) -> None:
        same = list(self._wallets.wallets) == watch.wallets and not watch.payees
        self._use(self._wallets if same else watch_list(watch.wallets, self._network, watch.payees))

    def _begin(self, state: ChainState, status: NodeStatus) -> None:
        """The key's first event: what is watched, and from where."""
        self._check_pruned(status, self._start_height)
        self._write(state, [self._event_builder.watch(0, self._wallets, network=self._network.name, start_height=self._start_height)])
        self._use(self._wallets)

    def _use(self, now_watched: WatchList) -> None:
        self._watch_list = now_watched
        self._watching = watching_for(now_watched.scripts, self._settings.asset)
