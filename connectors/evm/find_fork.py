"""Finds the fork between the log's main chain and the node's.

Enters: the log's state and the node's. Leaves: the highest common block, searched by block hash from the tip down in steps that double,
then by bisection; or that the node has not reached the log's height yet; or that it is on a different chain.
"""

from __future__ import annotations

from .chain_state import ChainState
from .errors import WrongChain
from .node import Node, NodeStatus

PROBES = 32
"""Blocks asked for in one request of the search."""


def find_fork(state: ChainState, node: Node, status: NodeStatus, key: str) -> int | None:
    """The height of the highest common block; the log's own height when nothing has left the main chain.

    None when the node is on the log's chain but below its height: it lags or synchronises, and may yet reach the same
    blocks. Raises WrongChain when the fork is below the log's first block.
    """
    tip, height, below_first = state.tip, state.height, state.start_height - 1
    if tip is None or status.hash == tip:
        return height
    if status.height < below_first:
        return None
    if status.height < height and state.hash_at(status.height) in (status.hash, None):
        return None
    if height <= status.height and node.hashes_at([height]) == [tip]:
        return height
    fork = _search(state, node, min(height, status.height))
    if fork is None:
        raise WrongChain.diverged(node.name, state.hash_at(below_first), below_first, key)
    return fork


def _search(state: ChainState, node: Node, highest: int) -> int | None:
    """The highest height at or below `highest` whose hash both have; None when there is none."""
    lowest = state.start_height - 1
    span = [max(lowest, highest - 2**step + 1) for step in range(PROBES) if step == 0 or highest - 2 ** (step - 1) + 1 > lowest]
    common = _highest_common(state, node, span)
    if common is None:
        return None
    above = min((height for height in span if height > common), default=highest + 1)
    while above - common > 1:  # common has the same hash, above has not
        width = above - common
        probes = sorted({common + width * place // (PROBES + 1) for place in range(1, PROBES + 1)} - {common}) or [common + 1]
        found = _highest_common(state, node, probes)
        if found is None:
            above = probes[0]
        else:
            above = min((height for height in probes if height > found), default=above)
            common = found
    return common


def _highest_common(state: ChainState, node: Node, heights: list[int]) -> int | None:
    pairs = zip(heights, node.hashes_at(heights), strict=True)
    return max((height for height, block_hash in pairs if block_hash is not None and block_hash == state.hash_at(height)), default=None)
