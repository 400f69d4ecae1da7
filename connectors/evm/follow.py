"""Follows one account chain of one pool: from a node's blocks to the log's events, in order, without gaps.

Enters: the log, what to watch, a node. Leaves: `watch`, `balances`, `connect`, `stretch`, `accounts`, `disconnect` and `doubt` events of the key
`POOL_ID/CHAIN`, ids `CHAIN:SEQ`. The cursor is the log itself (law 4): after a crash between any two appends the next
run continues from the last event. All blocks of a step are chained by hashes computed here.

A step looks at the node once, and either finds nothing, or reads some hundreds of blocks and appends them. When the log's tip has left
the node's main chain, the step finds the fork by block hash, and writes the disconnects (newest first) together with what
follows. Balances are recorded after the first watch event, and at each Almaty month's last block (ADR 7). Before a block of the
pool's becomes final it is read a second time; if that says something else, the log is taken back to before it, and a block that is not in the log yet is read anew.

Leaves out: the loop and the log (`pipeline.follow.follower`), what transactions mean (enrichment).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pipeline.chains.evm.address import to_checksum
from pipeline.follow.connector import ChainStatus, Connected, Contradicted, Idle, Reorganised, Rescanned, Step
from pipeline.follow.coverage import NOTHING, content_digest
from pipeline.follow.find_fork import find_fork
from pipeline.follow.follower import MAX_APPEND, Follower
from pipeline.follow.nodes import Nodes
from pipeline.follow.waits import below_log, start_not_reached, synchronising
from pipeline.log.events.chain import Balances, ChainEvent, Transaction, Watch
from pipeline.log.protocol import EventLog
from pipeline.model.journal import Journal
from pipeline.model.message import message

from .build_events import EvmEventBuilder, MonthEnd, by_month
from .call_tracing import CallTracing
from .chain_state import ChainState
from .errors import ChainMoved, StateMissing, TraceContradicted
from .features import NodeStatus
from .node import Node
from .node_side import EvmSide, open_sides
from .old_state import OldState
from .payers import PayersTransactions
from .read_block import Watching
from .recheck import Doubtful, Recheck
from .rescan import Rescan, find_rescan
from .rpc import NodeConnection
from .settings import EvmChain
from .trace_check import TraceDifference
from .watch import WatchList, watch_list

_journal = Journal("evm")

BLOCKS_A_STEP = 500


@dataclass(frozen=True, kw_only=True)
class EvmStatus(ChainStatus):
    """The status of an account chain's connector."""

    internal_transfers: str | None
    """How transfers by calls inside transactions are found."""
    rechecked_to_height: int | None
    """Blocks up to here were read twice."""
    n_requests: int
    """Requests sent to the nodes so far."""


class EvmConnector(Follower[ChainState, Rescan]):
    """Follows one chain. Not thread-safe. Opening another connector for the same pool and chain fences this one."""

    def __init__(
        self,
        log: EventLog,
        settings: EvmChain,
        *,
        connection: NodeConnection | None = None,
        named: Callable[[], Collection[str]] = frozenset,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`connection`: used instead of one to the settings' `rpc_url`; `named`: the transactions that payments of on-chain payers name, as far as the
        ledger has them now (rule 10.2); `now_s`: when what could not be traced is looked up again. Raises SettingsError with every fault."""
        self._second = Recheck(settings.finality)
        self._payers, self._now_s = PayersTransactions(named, self._second), now_s
        chain_id, self._tokens = settings.checked()
        self._wrapped = frozenset(to_checksum(contract) for contract in settings.wrapped)
        self._event_builder = EvmEventBuilder(settings.chain)
        self._settings = settings
        self._nodes = Nodes(open_sides(settings, chain_id, connection), time.monotonic, _journal, settings.chain)
        super().__init__(log, settings, self._event_builder, journal=_journal, nodes=self._nodes)
        self._step_size = settings.blocks_a_step or BLOCKS_A_STEP
        self._wallets = watch_list(settings.wallets)
        self._watch_list: WatchList | None = None
        self._old_state = OldState(self._nodes)
        self._contradicted: dict[str, set[int]] = {}
        """By the hashes of blocks not told yet: the nodes (their `id`) whose traces of them are contradicted."""

    @property
    def _side(self) -> EvmSide:
        return self._nodes.current

    @property
    def _node(self) -> Node:
        return self._nodes.current.node

    # --- the outside -----------------------------------------------------------------------------------------------

    def describe(self) -> EvmStatus:
        """For a status page: the node, how calls inside transactions are seen and why, heights, how far behind."""
        state, side = self._state, self._nodes.current
        height = state.height if state is not None and state.watch is not None else None
        return EvmStatus(
            chain=self._chain,
            network=self._network_name,
            node=side.name,
            node_version=side.version,
            method=side.call_tracing.name if side.call_tracing else None,
            method_why=side.call_tracing.why if side.call_tracing else None,
            internal_transfers=side.internal_transfers.way,
            start_height=state.start_height if height is not None and state is not None else self._start_height,
            height=height,
            node_height=side.status.height if side.status else None,
            n_watched=len((self._watch_list or self._wallets).addresses),
            rescanned_to_height=self._rescan.next_height - 1 if self._rescan else None,
            rechecked_to_height=self._second.checked_to,
            n_requests=sum(each.node.connection.n_requests for each in self._nodes.sides),
            nodes=self._nodes.reports(),
            witnessed_to_height=self._witnessed_to(),
        )

    # --- a step ----------------------------------------------------------------------------------------------------

    def _step(self, state: ChainState) -> Step:
        if state.watch is not None:
            self._old_state.come_back(state.height)
        side = self._nodes.current
        self._nodes.looked(side)
        status, call_tracing = side.status, side.choose_call_tracing()
        assert status is not None
        if state.watch is None:
            self._write(state, [self._watch_event(0, self._wallets, call_tracing)])
            self._use(self._wallets)
        if status.height < state.start_height - 1:
            return start_not_reached(self._node.name, status.height, state.start_height)
        is_on_our_chain = status.height <= state.height and state.hash_at(status.height) in (status.hash, None)
        fork = find_fork(state, self._node, self.key, node_height=status.height, node_hash=status.hash, is_behind=is_on_our_chain)
        if fork is None:
            return below_log(self._node.name, status.height, state.height)
        if fork < state.height:
            self._confirm_reorganisation()
        assert self._watch_list is not None and state.watch is not None
        if state.watch.internal_calls != call_tracing.name or state.watch.authorizations_from is None:
            self._write(state, [self._watch_event(state.next_seq, self._watch_list, call_tracing, start_height=state.start_height,
                                                  wrapped=state.watch.wrapped, authorizations_from=_authorizations_from(state))])  # fmt: skip
        self._append_opening_balances(state)
        self._rescan = self._rescan or find_rescan(self._wallets, self._watch_list, state, self._wrapped)
        if self._rescan is not None:
            return self._search_history(state, self._rescan, fork, call_tracing)
        found = self._look_up_named(state, fork, call_tracing)
        if found is not None:
            return found
        doubtful = self._second.check(
            state, self._watching(call_tracing), min(fork, state.height), self._next_last(fork, status), side.node, side.reader
        )
        if doubtful is not None:
            return self._doubt(state, doubtful)
        if fork == state.height and status.height <= fork:
            return self._nothing_new(state, status)
        return self._follow(state, fork, status, call_tracing)

    def _nothing_new(self, state: ChainState, status: NodeStatus) -> Step:
        if status.syncing is not None:
            return synchronising(self._node.name, *status.syncing)
        return Idle(state.height)

    def _next_last(self, fork: int, status: NodeStatus) -> int:
        return min(status.height, fork + self._step_size)

    def _follow(self, state: ChainState, fork: int, status: NodeStatus, call_tracing: CallTracing) -> Step:
        """Disconnect down to `fork`, then connect the node's next blocks."""
        depth = state.height - fork
        if depth > MAX_APPEND:
            return self._disconnect(state, fork)
        last = self._next_last(fork, status)
        if last <= fork:
            return self._disconnect(state, fork)
        with self._old_state.reading(fork + 1):
            events, n_read = self._read(state, fork, last, call_tracing)
        self._second.roll_back(fork)
        self._write(state, events)
        self._second.reach(last)
        self._contradicted.clear()
        return Reorganised(depth, n_read, state.height) if depth else Connected(n_read, state.height)

    def _read(self, state: ChainState, fork: int, last: int, call_tracing: CallTracing) -> tuple[list[ChainEvent], int]:
        """The events of the blocks after `fork` up to `last`, after those that take the log back to `fork`; and how many blocks they are."""
        watching = self._watching(call_tracing)
        scanned = self._side.scanner.read(fork + 1, last, state.hash_at(fork), watching)
        self._side.internal_transfers.complete(scanned, watching)
        differences = self._side.trace_check.check(scanned, watching, always_by_balances=self._nodes.are_several)
        self._leave_to_another(differences)
        self._side.claims.complete(scanned, watching)
        self._second.require_same(scanned, self._second.final_at(last), watching, self._node, self._side.reader)
        events: list[ChainEvent] = [*self._event_builder.disconnects(state, fork)]
        assert self._watch_list is not None
        asset, fork_hash = self._settings.asset, state.hash_at(fork)
        if untraced := scanned.untraced:  # before the blocks: a crash between them leaves nothing that counts as looked for
            assert fork_hash is not None
            events.append(self._event_builder.not_traced(state.next_seq + len(events), fork, fork_hash, sorted(untraced)))
            self._payers.put_off(untraced)
        parts = list(by_month(fork, fork_hash, state.time_at(fork), scanned.headers))
        ends = {end.height: end.hash for end in parts if isinstance(end, MonthEnd) and state.logged_balances.get(end.height) != end.hash}
        proved = self._side.prover.around(scanned.headers, scanned.found, ends, self._watch_list, asset, (fork, fork_hash))
        if fork in proved:
            is_below = fork < state.start_height
            events.append(self._event_builder.accounts(state.next_seq + len(events), proved[fork], asset, has_header=not is_below))
        for part in parts:
            seq = state.next_seq + len(events)
            if isinstance(part, MonthEnd):
                if part.height in ends:
                    events.append(self._balances(seq, part.height, part.hash))
            else:
                events += self._event_builder.connects(seq, part, scanned.found, proved, asset)
        for one in differences:
            _journal.warning("traces-differ", chain=self._chain, height=one.height, txid=one.txid, detail=one.detail)
            seq = state.next_seq + len(events)
            events.append(self._event_builder.doubt(seq, one.height, one.hash, one.time, one.detail, txid=one.txid))
        return events, len(scanned.headers)

    def _leave_to_another(self, differences: Sequence[TraceDifference]) -> None:
        """Raises TraceContradicted where this node's trace of a block is contradicted, and a node that did not show the block yet can be asked."""
        for one in differences:
            if one.is_settled:
                continue
            seen = self._contradicted.setdefault(one.hash, set())
            seen.add(id(self._side))
            if any(id(side) not in seen for side in self._nodes.others()):
                raise TraceContradicted(_contradicted(self._node.name, one))

    def read_range(self, side: EvmSide, state: ChainState, first: int, last: int) -> dict[int, list[Transaction]]:
        watching = self._watching(side.choose_call_tracing())
        scanned = side.scanner.read(first, last, state.hash_at(first - 1), watching)
        for header in scanned.headers:
            if header.hash != state.hash_at(header.height):
                raise ChainMoved(message("the node at {name} has another block {height} than the log: it follows another branch", name=side.name, height=header.height))  # fmt: skip
        side.internal_transfers.complete(scanned, watching)
        if scanned.untraced:  # it can't say what it would have to be compared with
            raise StateMissing(message("the node at {name} can't trace transaction {txid}, which a payment names", name=side.name, txid=min(scanned.untraced)))  # fmt: skip
        for one in side.trace_check.check(scanned, watching, always_by_balances=True):
            if not one.is_settled and content_digest(scanned.found.get(one.height, ())) != state.content.get(one.height, NOTHING):
                raise TraceContradicted(_contradicted(side.name, one))
        return scanned.found

    def read_again(self, side: EvmSide, state: ChainState, height: int) -> list[list[Transaction]]:
        watching = self._watching(side.choose_call_tracing())
        block = side.node.block(state.hash_at(height) or "")
        plain = side.reader.read(block, watching, deep=False).transactions
        return [plain, *(side.reader.read(block, way, deep=True).transactions for way in watching.ways())]

    def _look_up_named(self, state: ChainState, fork: int, call_tracing: CallTracing) -> Step | None:
        """Look up what the ledger names and no event named yet, in the blocks that the log has; None where there is nothing to do."""
        if not self._payers.is_due(state, self._now_s()):
            return None
        if fork < state.height:  # what is searched must be in the main chain
            return self._disconnect(state, fork)
        events, step = self._payers.look(state, self._side, self._watching(call_tracing), self._event_builder, self._step_size)
        self._write(state, events)
        return step

    def _search_history(self, state: ChainState, rescan: Rescan, fork: int, call_tracing: CallTracing) -> Step:
        """Search the blocks already read for the new addresses."""

        def search() -> bool:
            watching = self._watching(call_tracing)
            side = self._side
            return rescan.search(state, side.scanner, side.internal_transfers, side.state_reader, watching, self._step_size)

        def watch(seq: int) -> Watch:
            return self._watch_event(
                seq, rescan.target, call_tracing, start_height=state.start_height, authorizations_from=_authorizations_from(state)
            )

        step = self._continue_rescan(state, rescan, fork, search, watch)
        if isinstance(step, Rescanned):
            self._use(rescan.target)
        return step

    def _doubt(self, state: ChainState, doubtful: Doubtful) -> Step:
        """Append a `doubt` event with the difference, and disconnect down to before the block."""
        height, before = doubtful.height, state.height
        block_hash, time = state.hash_at(height), state.time_at(height)
        assert block_hash is not None and time is not None
        _journal.warning("answer-changed", chain=self._chain, height=height, detail=doubtful.detail)
        self._write(state, [self._event_builder.doubt(state.next_seq, height, block_hash, time, doubtful.detail)])
        while state.height >= height:
            self._disconnect(state, height - 1)
        return Contradicted(height, before - state.height, state.height)

    def _on_disconnected(self, height: int) -> None:
        self._second.roll_back(height)
        self._payers.stop()

    # --- balances --------------------------------------------------------------------------------------------------

    def _append_opening_balances(self, state: ChainState) -> None:
        """Before the first block: what every address holds after the block below it."""
        height = state.start_height - 1
        if state.height > height or height in state.logged_balances:
            return
        block_hash = state.hash_at(height) or self._node.hashes_at([height])[0]
        if block_hash is None:
            raise ChainMoved(message("the node at {name} does not have block {height}", name=self._node.name, height=height))
        assert self._watch_list is not None
        with self._old_state.reading(height + 1):
            events: list[ChainEvent] = [self._balances(state.next_seq, height, block_hash)]
            proved = self._side.prover.at(height, block_hash, self._watch_list.addresses, self._watch_list)
        if proved is not None:
            events.append(self._event_builder.accounts(state.next_seq + 1, proved, self._settings.asset, has_header=False))
        self._write(state, events)

    def _balances(self, seq: int, height: int, block_hash: str) -> Balances:
        assert self._watch_list is not None
        return self._event_builder.balances(
            seq,
            height,
            block_hash,
            self._side.state_reader.rows(self._watch_list, self._settings.asset, self._tokens, height, block_hash),
        )

    # --- the node --------------------------------------------------------------------------------------------------

    @property
    def node_name(self) -> str:
        return self._node.name

    def _close_node(self) -> None:
        self._nodes.close()

    def _watching(self, call_tracing: CallTracing) -> Watching:
        assert self._watch_list is not None
        return Watching(
            self._watch_list,
            self._settings.asset,
            self._tokens,
            call_tracing.traces,
            call_tracing.is_untraced_accepted,
            self._settings.block_reward,
            call_tracing.other_traces,
            self._wrapped,
            self._state.sought if self._state is not None else frozenset(),
        )

    # --- the log ---------------------------------------------------------------------------------------------------

    def _empty_state(self) -> ChainState:
        return ChainState()

    def _resume(self, state: ChainState, watch: Watch) -> None:
        self._wrapped |= {contract for contract in watch.wrapped if contract in self._tokens}
        self._use(watch_list(watch.wallets))
        self._payers.begin()
        self._second.begin(state, self._step_size)

    def _watch_event(
        self,
        seq: int,
        wallets: WatchList,
        call_tracing: CallTracing,
        *,
        start_height: int | None = None,
        wrapped: Sequence[str] | None = None,
        authorizations_from: int | None = None,
    ) -> Watch:
        start = self._start_height if start_height is None else start_height
        return self._event_builder.watch(
            seq, wallets, network=self._network_name, start_height=start, internal_calls=call_tracing.name,
            wrapped=sorted(self._wrapped) if wrapped is None else wrapped,
            authorizations_from=start if authorizations_from is None else authorizations_from,
        )  # fmt: skip

    def _use(self, now_watched: WatchList) -> None:
        self._watch_list = now_watched


def _authorizations_from(state: ChainState) -> int:
    """From which block on authorizations of code are told: as the log says; where it does not, blocks to come."""
    assert state.watch is not None
    told = state.watch.authorizations_from
    return told if told is not None else max(state.height + 1, state.start_height)


def _contradicted(node: str, found: TraceDifference) -> str:
    return message(
        "the node at {node}, block {height}, transaction {txid}: {detail}",
        node=node,
        height=found.height,
        txid=found.txid,
        detail=found.detail,
    )
