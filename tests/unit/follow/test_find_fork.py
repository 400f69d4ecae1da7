"""Where two chains part is found whatever they share, in few requests; a node that is merely behind is waited for, another chain is refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.follow.find_fork import PROBES, find_fork
from pipeline.follow.main_chain import MainChain
from pipeline.follow.node_errors import WrongChain
from pipeline.log.events.chain import Stretch, Watch, WatchedWallet


def block(height: int, branch: str) -> str:
    return f"{branch}{height:063x}"


def hashes(height: int, shared: int, branch: str) -> list[str]:
    """A chain of the heights 0 to `height`: block a… up to `shared`, then those of its branch."""
    return [block(each, "a" if each <= shared else branch) for each in range(height + 1)]


class Told:
    """A node that answers from its chain, and counts."""

    name = "http://node"

    def __init__(self, chain: Sequence[str]) -> None:
        self.chain, self.asked = chain, list[int]()

    def hashes_at(self, heights: Sequence[int]) -> list[str | None]:
        assert heights and min(heights) >= 0 and max(heights) < len(self.chain), "a height that the node does not have"
        self.asked.append(len(heights))
        return [self.chain[height] for height in heights]


def logged(chain: Sequence[str], start: int) -> MainChain:
    """The state of a log that holds the chain from `start` on."""
    state = MainChain()
    state.apply(Watch(id="c:0", seq=0, chain="c", network="n", start_height=start, wallets=[WatchedWallet(name="w")]))
    if held := list(chain[start:]):
        prev = chain[start - 1] if start else "0" * 64
        times = [0] * len(held)
        none = [None] * len(held)
        state.apply(Stretch(id="c:1", seq=1, chain="c", height=start, prev=prev, hash=held, time=times, mediantime=times, header=none))
    return state


def fork_of(state: MainChain, node: Told, *, is_behind: bool = False) -> int | None:
    return find_fork(state, node, "p/c", node_height=len(node.chain) - 1, node_hash=node.chain[-1], is_behind=is_behind)


@given(st.integers(0, 20), st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000))
def test_the_highest_common_block_is_found_in_few_requests(start: int, shared: int, ours: int, theirs: int) -> None:
    shared += max(start - 1, 0)
    state = logged(hashes(shared + ours, shared, "b"), start)
    node = Told(hashes(shared + theirs, shared, "c"))
    assert fork_of(state, node) == (None if ours and not theirs else shared)
    assert len(node.asked) <= 5 and all(asked <= PROBES for asked in node.asked)


def test_nothing_is_asked_where_the_tips_are_the_same_or_nothing_was_read_yet() -> None:
    chain = hashes(9, 9, "a")
    node = Told(chain)
    assert fork_of(logged(chain, 5), node) == 9
    assert fork_of(logged(chain[:5], 5), node) == 4
    assert node.asked == []


def test_a_node_whose_tip_is_a_block_of_the_log_lags_and_is_waited_for() -> None:
    state = logged(hashes(9, 9, "a"), 5)
    for height in (8, 7, 5, 4):
        node = Told(hashes(height, 9, "a"))
        assert fork_of(state, node, is_behind=False) is None and fork_of(state, node, is_behind=True) is None
        assert node.asked == []


def test_a_lower_node_with_other_blocks_has_left_the_log_s_chain_unless_it_is_behind() -> None:
    state, node = logged(hashes(9, 9, "a"), 5), Told(hashes(8, 6, "c"))
    assert fork_of(state, node, is_behind=True) is None
    assert fork_of(state, node, is_behind=False) == 6


def test_that_a_node_is_behind_counts_only_below_the_log() -> None:
    state, node = logged(hashes(9, 6, "b"), 5), Told(hashes(9, 6, "c"))
    assert fork_of(state, node, is_behind=True) == 6


@pytest.mark.parametrize("node_height", [2, 4, 9, 40])
def test_a_chain_that_shares_nothing_with_the_log_is_refused(node_height: int) -> None:
    state = logged(hashes(9, 3, "b"), 5)
    with pytest.raises(WrongChain, match=rf"http://node does not contain block {block(4, 'b')} at height 4"):
        fork_of(state, Told(hashes(node_height, 3, "c")))
