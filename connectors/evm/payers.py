"""Looks up the transactions of on-chain payers in the blocks that the log has already, and tells them (rule 10.2).

Enters: the ids that the ledger names, the log's chain, a node. Leaves: `retold` events with a `sought` event after them, and `doubt` events where two witnesses tell the calls of one differently; and the ids whose calls the node
can't trace: they wait until it can, or another node does, since what such a transaction paid is not known. What the node does not know is named as such (`unknown`) and asked
for again: that costs no event until the node knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import msgspec

from pipeline.follow.build_events import STEPS_A_PLACE
from pipeline.follow.connector import LookedUp, Rescanning
from pipeline.log.events.chain import ChainEvent, Doubt, Retold

from .build_events import EvmEventBuilder
from .chain_state import ChainState, digest
from .look_up import LookUp, NamedTransactions, Place, look_up, require_held
from .node_side import EvmSide
from .recheck import Recheck
from .scan import Scanned
from .watching import Watching


class PayersTransactions:
    """What is left to look up on one chain. After a crash a look-up goes on from its last place in the log (`searched`)."""

    def __init__(self, named: Callable[[], Collection[str]], second: Recheck) -> None:
        """`named`: the ids that payments name, as far as the ledger has them now; `second`: what reads the blocks a second time."""
        self._named, self._second = named, second
        self.begin()

    def begin(self) -> None:
        """After the log was read."""
        self._left = NamedTransactions()
        self._new: list[str] = []
        self._look_up: LookUp | None = None
        self._now_s = 0.0

    def stop(self) -> None:
        """Blocks left the main chain: the look-up starts again."""
        self._look_up = None

    def put_off(self, untraced: Collection[str]) -> None:
        """Ids in new blocks whose calls could not be traced: they are looked up again."""
        self._left.done(untraced, untraced, (), self._now_s)

    def is_due(self, state: ChainState, now_s: float) -> bool:
        """Whether anything is to be looked up now. `now_s`: of a clock that does not stand still."""
        self._now_s = now_s
        begun = state.looked_up.txids if state.looked_up is not None else ()
        self._new = self._left.left(self._named(), state.sought, state.unknown, now_s, begun) if self._look_up is None else []
        return bool(self._new) or self._look_up is not None

    def look(
        self, state: ChainState, side: EvmSide, watching: Watching, build: EvmEventBuilder, step_size: int
    ) -> tuple[list[ChainEvent], LookedUp | Rescanning | None]:
        """The events to append, and the step; None where the node's index can't be used now, or knows no more than before. Raises ChainMoved, SourceError."""
        self._look_up = looked = self._look_up or look_up(self._new, state, side.node)
        if looked is None:
            again = state.unknown.intersection(self._new)
            self._left.done(again, (), again, self._now_s)
            return [], None
        if not looked.search(state, side.scanner, step_size):
            is_place = looked.n_steps % STEPS_A_PLACE == 0
            place: list[ChainEvent] = [build.searched(state, looked.next_height - 1, **looked.named())] if is_place else []
            return place, Rescanning(len(looked.ids), looked.next_height - 1, looked.indexed_from - 1)
        self._look_up = None
        events, waiting = _tell(state, looked, side, watching, build, self._second)
        unknown = looked.unknown
        self._left.done(looked.ids, waiting, unknown, self._now_s)
        done = [txid for txid in looked.ids if txid not in waiting and not (looked.is_again and txid in unknown)]
        assert state.tip is not None
        if looked.is_again and waiting:  # they count as looked for so far
            events.append(build.not_traced(state.next_seq + len(events), state.height, state.tip, sorted(waiting)))
        if done:
            named_unknown = sorted(unknown.intersection(done))
            events.append(build.sought(state.next_seq + len(events), state.height, state.tip, done, named_unknown))
        if not events:
            return [], None
        return events, LookedUp(len(done), len(looked.found.keys() - waiting), state.height)


def _tell(
    state: ChainState, looked: LookUp, side: EvmSide, watching: Watching, build: EvmEventBuilder, second: Recheck
) -> tuple[list[ChainEvent], set[str]]:
    """The events, in the chain's order, and the ids that wait. Raises what reading a block raises."""
    events: list[ChainEvent] = []
    waiting: set[str] = set()
    narrow = replace(watching, sought=frozenset(looked.ids))
    for place, ids in looked.places().items():
        told, untraced = _read(state, place, ids, side, narrow, build, second)
        waiting |= untraced
        for event in told:
            seq = state.next_seq + len(events)
            events.append(msgspec.structs.replace(event, id=build.event_id(seq), seq=seq))
    return events, waiting


def _read(
    state: ChainState, place: Place, ids: set[str], side: EvmSide, watching: Watching, build: EvmEventBuilder, second: Recheck
) -> tuple[list[Retold | Doubt], set[str]]:
    block = side.node.block(place.hash)
    require_held(block, place, ids, side.node)
    scanned = Scanned([block.header])
    side.scanner.read_whole(scanned, block, watching, deep=False)
    differences = [one for one in side.trace_check.check(scanned, watching, always_by_balances=True) if one.txid in ids]
    second.require_same(scanned, place.height, watching, side.node, side.reader)
    untraced = scanned.contents[place.height].untraced & ids
    told = [tx for tx in scanned.found.get(place.height, []) if tx.txid in ids and digest([tx]) not in state.told_at(place.height)]
    events: list[Retold | Doubt] = [build.retold(0, place.height, place.hash, told)] if told else []
    events += [build.doubt(0, one.height, one.hash, one.time, one.detail, txid=one.txid) for one in differences]
    return events, set(untraced)
