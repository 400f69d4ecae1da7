"""Finds the fork between the log's main chain and the node's.

Enters: the log's state, the node's tip and its hashes by height. Leaves: the highest common block, searched by block hash from the tip down in steps
that double, then by bisection; or that the node has not reached the log's height yet; or that it is on a different chain.
A node whose tip is one of the log's own blocks lags and is waited for: that blocks are missing there is no news of the chain.
Leaves out: whether a node below the log's height whose tip is another block may still catch up, which each family of chains judges for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .main_chain import MainChain
from .node_errors import WrongChain

PROBES = 32
"""Blocks asked for in one request of the search."""


class NodeHashes(Protocol):
    """A node, asked for the hashes of its main chain."""

    @property
    def name(self) -> str:
        """Its address, without secrets."""

    def hashes_at(self, heights: Sequence[int]) -> Sequence[str | None]:
        """The hashes of blocks at or below the tip; None where the node has none by now. May raise ChainMoved."""


def find_fork(state: MainChain, node: NodeHashes, key: str, *, node_height: int, node_hash: str, is_behind: bool) -> int | None:
    """The height of the highest common block; the log's own height when nothing has left the main chain.

    `node_height` and `node_hash` are the node's tip. None when it is below the log's height, and is one of the log's blocks or the node `is_behind`: it
    may yet reach the same blocks. Raises WrongChain when the fork is below the log's first block.
    """
    height = state.height
    if state.tip is None or node_hash == state.tip:
        return height
    if node_height < height:
        if is_behind or (node_height >= state.start_height - 1 and node_hash == state.hash_at(node_height)):
            return None
    elif node.hashes_at([height])[0] == state.tip:
        return height
    fork = _search(state, node, min(height, node_height))
    if fork is None:
        below_first = state.start_height - 1
        raise WrongChain.diverged(node.name, state.hash_at(below_first), below_first, key)
    return fork


def _search(state: MainChain, node: NodeHashes, highest: int) -> int | None:
    """The highest height at or below `highest` whose hash both have; None when there is none."""
    lowest = max(state.start_height - 1, 0)
    if highest < lowest:
        return None
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


def _highest_common(state: MainChain, node: NodeHashes, heights: Sequence[int]) -> int | None:
    pairs = zip(heights, node.hashes_at(heights), strict=True)
    return max((height for height, block_hash in pairs if block_hash is not None and block_hash == state.hash_at(height)), default=None)
