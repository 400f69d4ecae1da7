"""The header times below the log's first block, which the median times of its first ten blocks need.

Enters: the log's state, a node. Leaves: the times in the state. Raises ChainMoved when the node's block before the log's first is another one.
"""

from __future__ import annotations

from .chain_state import ChainState
from .errors import ChainMoved
from .node import Node


def fetch_earlier_times(state: ChainState, node: Node) -> None:
    """Read the header times of the ten blocks below the log's first into the state: median times need them."""
    start = state.start_height
    first = max(0, start - 10)
    headers = node.headers_after(first - 1, None, start - first)
    prev = state.hash_at(start - 1)
    if prev is not None and headers[-1].header.hash.hex() != prev:
        raise ChainMoved(f"block {start - 1} of the node is not {prev}, which the log begins after")
    state.earlier_times = [header.header.time for header in headers]
