"""Random lives of a node: the state after n events is what those events say, and looks at the tip stop only where they may."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.standins.bitcoin_node.recording import load
from connectors.standins.bitcoin_node.state import NodeState

from ..unit.chains.bitcoin.chains import UNHURRIED
from .recordings import GENESIS_HASH, Chain

# Each step: how many blocks leave, how many join, whether the node's clock goes on between them.
steps = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=8)


def lived(plan: list[tuple[int, int, bool]]) -> Chain:
    chain = Chain()
    for leaving, joining, ticks in plan:
        for _ in range(min(leaving, chain.blocks[chain.tip]["height"])):
            chain.disconnect()
        for _ in range(joining):
            chain.clock += 600 * ticks
            chain.connect(chain.mine())
    return chain


def state_of(chain: Chain) -> NodeState:
    with tempfile.TemporaryDirectory() as folder:
        return NodeState(load(chain.write(Path(folder))))


@settings(UNHURRIED, max_examples=40)
@given(steps)
def test_state_is_what_the_events_say(plan: list[tuple[int, int, bool]]) -> None:
    chain = lived(plan)
    state = state_of(chain)
    main, known = [GENESIS_HASH], {GENESIS_HASH}
    for event in chain.events:
        if event["event"] == "connect":
            main.append(event["hash"])
            known.add(event["hash"])
        else:
            assert main.pop() == event["hash"]
        assert state.play(1) == 1
        assert [block.hash for block in state.main] == main
        assert state.known.keys() == known and state.clock == event["at"]
        parents = {chain.blocks[each]["prev"] for each in known - set(main)}
        tips = {main[-1]} | {each for each in known - set(main) if each not in parents}
        found = state.chain_tips()
        assert {tip.block.hash for tip in found} == tips
        assert [tip.block.height for tip in found] == sorted((tip.block.height for tip in found), reverse=True)
        assert [tip.status for tip in found].count("active") == 1
        for block in state.known.values():
            is_in_main = block.hash in main
            assert state.confirmations_of(block) == (len(main) - main.index(block.hash) if is_in_main else -1)
            following = state.next_of(block)
            assert (following.hash if following else None) == (dict(itertools.pairwise(main)).get(block.hash) if is_in_main else None)
    assert state.is_finished and state.play(1) == 0 and state.poll(1) == 0


@settings(UNHURRIED, max_examples=80)
@given(steps, st.integers(1, 8))
def test_where_a_look_at_the_tip_stops(plan: list[tuple[int, int, bool]], count: int) -> None:
    chain = lived(plan)
    events = [event["event"] for event in chain.events]
    at = [event["at"] for event in chain.events]
    state = state_of(chain)
    stops = [0]
    while not state.is_finished:
        played = state.poll(count)
        assert played > 0
        stops.append(state.played)
        first = stops[-2]
        assert played <= count or "disconnect" in events[first : state.played]
    for stop in stops[1:-1]:
        assert events[stop - 1] == "connect"  # never amid a reorganisation's disconnects
        if events[stop] == "connect" and "disconnect" in events[:stop]:
            last = max(place for place in range(stop) if events[place] == "disconnect")
            assert at[stop] != at[last] or any(last < earlier < stop for earlier in stops)  # nor amid what joined at their instant
    for place in range(1, len(events)):
        if events[place - 1 : place + 1] == ["connect", "disconnect"]:
            assert place in stops  # every tip that went stale was seen
