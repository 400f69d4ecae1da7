"""Reads every block with pool transactions a second time before it becomes final (ADR 7).

Enters: the log's state and the height that the log is about to reach. Leaves: the first block, if any, whose second reading differs from
the log. The check happens before the append that makes a block final, so the log's tip shows which blocks were checked: all those at
least `finality` below it, except those of the last steps, which are checked again after a restart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pipeline.model.journal import Journal

from .chain_state import ChainState, digest
from .errors import AnswersDiffer, StateMissing
from .node import Node
from .read_block import BlockReader, Watching

_journal = Journal("evm")

MAX_DOUBTS = 3
"""How often one block may be read anew before the connector stops with an error."""


@dataclass(frozen=True)
class Doubtful:
    """A block whose second reading differs."""

    height: int
    detail: str


class Recheck:
    """Checks blocks a second time, and keeps the height up to which that is done."""

    def __init__(self, finality: int) -> None:
        self._finality = finality
        self.checked_to = 0
        self._doubts: Counter[int] = Counter()

    def begin(self, state: ChainState, step_size: int) -> None:
        """After the log was read: the blocks of its last steps count as read once."""
        self.checked_to = max(state.start_height - 1, state.height - self._finality - step_size)

    def roll_back(self, height: int) -> None:
        """Blocks above `height` leave the log."""
        self.checked_to = min(self.checked_to, height)

    def check(self, state: ChainState, watching: Watching, tip: int, last: int, node: Node, reader: BlockReader) -> Doubtful | None:
        """Read again, from the followed node, the blocks that become final when the log, whose blocks up to `tip` are in the main chain, grows to `last`.

        Raises AnswersDiffer when a block has been doubted too often, and what reading a block raises.
        """
        to = min(tip, last - self._finality)
        for height in sorted(height for height in state.touched if self.checked_to < height <= to):
            block_hash = state.hash_at(height)
            assert block_hash is not None
            if not is_same(state, height, block_hash, watching, node, reader):
                self._doubts[height] += 1
                if self._doubts[height] > MAX_DOUBTS:
                    raise AnswersDiffer(
                        f"the node at {node.name} said something else of block {height} {block_hash} {MAX_DOUBTS} times: it can't be trusted; "
                        "compare it with another node, or point rpc_url at one"
                    )
                return Doubtful(height, f"the node at {node.name} told other transactions of the pool's when it was asked again")
            self.checked_to = height
        self.checked_to = max(self.checked_to, to)
        return None


def is_same(state: ChainState, height: int, block_hash: str, watching: Watching, node: Node, reader: BlockReader) -> bool:
    """Whether the node says of a block with transactions of the pool's what the log says; also where it no longer has the state to say it.

    Raises what reading a block raises.
    """
    block = node.block(block_hash)
    try:
        if reader.is_unchanged(block, watching, state.touched[height]):
            return True
        content = reader.read(block, watching, deep=False)
        if digest(content.transactions) == state.touched[height]:
            return True
        if content.untraced:
            _journal.warning("not-read-twice", height=height, reason=", ".join(sorted(content.untraced)))
            return True
        if watching.traces is None:
            return False
        # the block may have been told as the other way shows it (`trace_check.py`)
        return any(digest(reader.read(block, way, deep=True).transactions) == state.touched[height] for way in watching.ways())
    except StateMissing as error:
        _journal.warning("not-read-twice", height=height, reason=str(error))
        return True
