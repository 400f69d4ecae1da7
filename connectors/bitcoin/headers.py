"""Headers of the main chain after a known block, in batches (ADR 4).

Enters: a node asked of coins, a block's height and hash. Leaves: the headers that follow it, each chained to the one before, with merged mining's proofs where the network
has them. Left out: keeping them (`pipeline.app.headers`), and judging their work (`pipeline.verify`).
"""

from __future__ import annotations

from collections.abc import Iterator

from .coins import NodeOfCoins
from .node import Node, RawHeader

AT_ONCE = 2000


def headers_since(asked: NodeOfCoins, after: int, after_hash: str, last: int) -> Iterator[RawHeader]:
    """The headers of blocks `after` + 1 to `last`. Raises ChainMoved where the block `after` is not in the node's main chain, or the chain ends before `last`."""
    node = Node(asked.connection, asked.network, rest="off", with_proofs=asked.network.pow == "scrypt-auxpow")
    height, block_hash = after, after_hash
    while height < last:
        for told in node.headers_after(height, block_hash, min(AT_ONCE, last - height)):
            yield told
            height, block_hash = told.height, told.header.hash.hex()
