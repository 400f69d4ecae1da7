"""Reads a range of the main chain: checks and chains every header, and reads every block with pool transactions whole.

Enters: a range, the hash it follows, what is watched. Leaves: the headers, and the pool's transactions by height. A block is read whole
when a watched address is in its body, authorized code there (EIP-7702), is in a `Transfer`, or its miner's, an uncle's or a withdrawal's, or when `internal_transfers.py` found
that internal calls must have moved something. Blocks are fetched over several connections and processed by one thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from pipeline.log.events.chain import Transaction

from .answers import NO_LIST, RawHeader
from .authorizing import may_authorize
from .block_content import BlockContent
from .errors import ChainMoved
from .find_logs import LogFinder
from .node import Node, ReadBlock
from .read_block import BlockReader, Watching
from .uncles import uncles_of
from .watching import sought_in

BLOCKS_A_REQUEST = 100
PARALLEL_REQUESTS = 5
"""Requests under way at once."""


@dataclass
class Scanned:
    """A range of the main chain as read."""

    headers: list[RawHeader]
    found: dict[int, list[Transaction]] = field(default_factory=dict)
    """The pool's transactions, by height; blocks without any are absent."""
    read_whole: dict[int, ReadBlock] = field(default_factory=dict)
    """Blocks that were read whole, by height."""
    contents: dict[int, BlockContent] = field(default_factory=dict)
    """What was read of them, by height."""

    @property
    def untraced(self) -> set[str]:
        """Ids of payers' transactions in the range whose calls could not be traced."""
        return {txid for content in self.contents.values() for txid in content.untraced}


class Scanner:
    """Reads ranges of one chain."""

    def __init__(self, node: Node, reader: BlockReader) -> None:
        self._node, self._reader = node, reader
        self._logs = LogFinder(node)
        self._threads: ThreadPoolExecutor | None = None

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def read(self, first: int, last: int, prev: str | None, watching: Watching) -> Scanned:
        """The blocks of a range. `prev`: the hash they follow, if known. Raises ChainMoved when they are not chained by their hashes."""
        headers: list[RawHeader] = []
        touched: dict[int, ReadBlock] = {}
        for blocks in self._read_ahead(first, last):
            for block in blocks:
                if prev is not None and block.header.prev != prev:
                    raise ChainMoved(f"block {block.header.height} {block.header.hash} does not follow {prev}")
                prev = block.header.hash
                headers.append(block.header)
                if self._names_watched(block, watching):
                    touched[block.header.height] = block
        for height in sorted(self._logs.heights(headers, list(watching.watch_list.addresses), watching.wrapped) - touched.keys()):
            touched[height] = self._node.block(headers[height - first].hash)
        scanned = Scanned(headers)
        for height in sorted(touched):
            self.read_whole(scanned, touched[height], watching, deep=False)
        return scanned

    def bodies(self, first: int, last: int) -> Iterator[tuple[RawHeader, list[str]]]:
        """The headers of a range, each with the ids of its block's transactions."""
        for blocks in self._read_ahead(first, last):
            for block in blocks:
                yield block.header, [transaction.hash[2:].lower() for transaction in block.light.transactions]

    def read_whole(self, scanned: Scanned, block: ReadBlock, watching: Watching, *, deep: bool) -> None:
        """Read one block of the range whole."""
        content = self._reader.read(block, watching, deep=deep)
        scanned.read_whole[block.header.height] = block
        scanned.contents[block.header.height] = content
        if content.transactions:
            scanned.found[block.header.height] = content.transactions
        else:
            scanned.found.pop(block.header.height, None)

    def _names_watched(self, block: ReadBlock, watching: Watching) -> bool:
        """Whether the block's body names a watched address, or has a transaction that is looked for."""
        light, watched = block.light, watching.watch_list.spellings
        if light.miner in watched or (watching.sought and sought_in(block, watching)):
            return True
        carriers = []
        for transaction in light.transactions:
            if transaction.to in watched or transaction.sender in watched:
                return True
            if transaction.authorization_list is not NO_LIST:
                carriers.append(transaction)
        if carriers and may_authorize(carriers, watching.watch_list):
            return True
        if light.withdrawals and any(withdrawal.address in watched for withdrawal in light.withdrawals):
            return True
        if watching.block_reward is None or watching.block_reward.uncles is None:  # nobody is paid for an uncle
            return False
        return any(uncle.miner in watched for uncle in uncles_of(self._node, block))

    def _read_ahead(self, first: int, last: int) -> Iterator[list[ReadBlock]]:
        """The blocks of a range in order, one request's worth at a time, prefetched over several connections."""
        spans = [(start, min(last, start + BLOCKS_A_REQUEST - 1)) for start in range(first, last + 1, BLOCKS_A_REQUEST)]
        if len(spans) < 2:
            yield from (self._node.blocks(*span) for span in spans)
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(PARALLEL_REQUESTS, thread_name_prefix="evm-blocks")
        under_way: deque[Future[list[ReadBlock]]] = deque()
        try:
            for span in spans:
                under_way.append(self._threads.submit(self._node.blocks, *span))
                if len(under_way) == PARALLEL_REQUESTS:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
