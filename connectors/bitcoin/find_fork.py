"""Finds the fork between the log's main chain and the node's.

Enters: the log's state and the node's. Leaves: the highest common block, searched by block hash from the tip down in batches that
double; or that the node has not reached the log's height yet; or that it is on a different chain.
"""

from __future__ import annotations

from .chain_state import ChainState
from .errors import ChainMoved, WrongChain
from .node import Node, NodeStatus

FIRST_SPAN, LAST_SPAN = 8, 2000


def find_fork(state: ChainState, node: Node, status: NodeStatus, key: str) -> int | None:
    """The height of the highest common block; the log's own height when nothing has left the main chain.

    None when the node is below the log's height and still synchronising: it may yet reach the same blocks. Raises
    WrongChain when the fork is below the log's first block.
    """
    tip, height, below_first = state.tip, state.height, state.start_height - 1
    if tip is None or status.bestblockhash == tip:
        return height
    if height <= status.blocks and node.hashes_at([height]) == [tip]:
        return height
    if height > status.blocks and node.is_syncing(status):
        return None
    fork = _walk_back(state, node, min(height, status.blocks))
    if fork is None:
        raise WrongChain.diverged(node.name, state.hash_at(below_first), below_first, key)
    return fork


def _walk_back(state: ChainState, node: Node, highest: int) -> int | None:
    lowest, span = max(state.start_height - 1, 0), FIRST_SPAN
    while highest >= lowest:
        heights = range(highest, max(highest - span, lowest - 1), -1)
        for height, block_hash in zip(heights, node.hashes_at(heights), strict=True):
            if block_hash == state.hash_at(height):
                return height
        highest, span = heights[-1] - 1, min(2 * span, LAST_SPAN)
    return None


def fetch_earlier_times(state: ChainState, node: Node) -> None:
    """Read the header times of the ten blocks below the log's first into the state: median times need them."""
    start = state.start_height
    first = max(0, start - 10)
    headers = node.headers_after(first - 1, None, start - first)
    prev = state.hash_at(start - 1)
    if prev is not None and headers[-1].header.hash.hex() != prev:
        raise ChainMoved(f"block {start - 1} of the node is not {prev}, which the log begins after")
    state.earlier_times = [header.header.time for header in headers]
