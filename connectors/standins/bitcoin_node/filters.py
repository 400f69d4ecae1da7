"""Compact block filters (BIP 158, basic) and their chain of headers (BIP 157), and which blocks touch a script.

A filter is what a node with a filter index gives, to the bit. `Filters.touching` answers from the scripts themselves: a real
node's scan reads the filters and so names, about once in 785,000 scripts and blocks, a block that has none of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pipeline.chains.bitcoin.filters import encode, filter_header

from .recording import RecordedBlock, Recording

_OP_RETURN = 0x6A


class Filters:
    """Filters of all blocks of a recording, made when asked for."""

    def __init__(self, recording: Recording) -> None:
        self._headers: dict[str, bytes] = {}
        self._filters: dict[str, bytes] = {}
        self._touched: dict[bytes, list[RecordedBlock]] = defaultdict(list)
        blocks = {event.block.hash: event.block for event in recording.events}
        blocks[recording.genesis.hash] = recording.genesis
        for block in blocks.values():
            for script in elements(block):
                self._touched[script].append(block)

    def filter_of(self, block: RecordedBlock) -> bytes:
        """The encoded filter."""
        found = self._filters.get(block.hash)
        if found is None:
            found = self._filters[block.hash] = encode(bytes.fromhex(block.hash), elements(block))
        return found

    def header_of(self, block: RecordedBlock) -> bytes:
        """The filter's header, in the wire's order: it commits to the filters of all blocks before it."""
        missing: list[RecordedBlock] = []
        place: RecordedBlock | None = block
        while place is not None and place.hash not in self._headers:
            missing.append(place)
            place = place.parent
        for each in reversed(missing):
            before = self._headers[each.parent.hash] if each.parent else bytes(32)
            self._headers[each.hash] = filter_header(self.filter_of(each), before[::-1])[::-1]
        return self._headers[block.hash]

    def touching(self, scripts: Iterable[bytes]) -> set[RecordedBlock]:
        """The blocks, on any branch, that pay to one of the scripts or spend from it."""
        return {block for script in scripts for block in self._touched.get(script, ())}


def elements(block: RecordedBlock) -> set[bytes]:
    """What a basic filter holds: scripts paid to, but for OP_RETURN ones, and scripts spent from; no empty ones."""
    found = {output.script for tx in block.transactions for output in tx.outputs if output.script[:1] != bytes([_OP_RETURN])}
    found.update(coin.script for coins in block.spent for coin in coins)
    found.discard(b"")
    return found
