"""The ranges of blocks that nodes told alike, as blocks leave the main chain and more is told of others (ADR 20).

Enters: `witnessed` events and what takes them back, in the log's order. Leaves: the ranges of a batch that still count, and the same changes to the rows that
are stored, in the same order: so a batch's size makes no difference. Disagreements of blocks that left are marked with them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import duckdb
import msgspec

from pipeline.log.events.chain import Witnessed

_LEAVE = (
    "UPDATE raw_witness SET is_main = false WHERE is_main AND chain = $chain AND last >= $height",
    "UPDATE raw_disagreement SET is_main = false WHERE is_main AND chain = $chain AND height >= $height",
)
_SPLIT = (
    (
        "INSERT INTO raw_witness SELECT chain, seq, height, $height - 1, $prev, nodes, reason, true FROM raw_witness "
        "WHERE is_main AND chain = $chain AND height < $height AND last >= $height"
    ),
    "UPDATE raw_witness SET height = $height + 1 WHERE is_main AND chain = $chain AND height <= $height AND last > $height",
    "UPDATE raw_witness SET is_main = false WHERE is_main AND chain = $chain AND height <= $height AND last = $height",
)


class _Cut(NamedTuple):
    """Ranges that hold this height count no longer; with `prev`, the hash of the block before it, those around it still do."""

    chain: str
    height: int
    prev: str | None


class WitnessedRanges:
    """Those of one batch."""

    def __init__(self) -> None:
        self.ranges: list[Witnessed] = []
        self._cuts: list[_Cut] = []

    def add(self, event: Witnessed) -> None:
        self.ranges.append(event)

    def leave(self, chain: str, height: int) -> None:
        """The block of that height left the main chain."""
        lowest = height
        if self._cuts and self._cuts[-1].chain == chain and self._cuts[-1].prev is None:
            lowest = min(height, self._cuts.pop().height)
        self._cuts.append(_Cut(chain, lowest, None))
        self.ranges = [known for known in self.ranges if known.chain != chain or known.last < height]

    def split(self, chain: str, height: int, prev: str) -> None:
        """More was told of the block of that height; `prev`: the hash of the one before it."""
        self._cuts.append(_Cut(chain, height, prev))
        parts = []
        for known in self.ranges:
            if known.chain != chain or not known.height <= height <= known.last:
                parts.append(known)
                continue
            if known.height < height:
                parts.append(msgspec.structs.replace(known, last=height - 1, hash=prev))
            if known.last > height:
                parts.append(msgspec.structs.replace(known, height=height + 1))
        self.ranges = parts

    def cut_stored(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Change the rows stored before the batch."""
        for cut in self._cuts:
            for statement in _LEAVE if cut.prev is None else _SPLIT:
                values: dict[str, Any] = {"chain": cut.chain, "height": cut.height}
                connection.execute(statement, values | ({"prev": cut.prev} if "$prev" in statement else {}))
