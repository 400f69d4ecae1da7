"""Reads every block with pool transactions a second time before it becomes final (ADR 7).

Enters: the log's state and the height that the log is about to reach, or a block that was read and would be final as soon as it is told. Leaves: the first block of
the log, if any, whose second reading differs from the log; and an error for a block that is not told yet. The check happens before the append that makes a
block final, so the log's tip shows which blocks were read twice: all those that have `finality` confirmations. Logs of before that, in which the last step's
blocks were not, are why those of the last steps are checked again after a restart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pipeline.model.journal import Journal
from pipeline.model.message import message

from .chain_state import ChainState, digest
from .errors import AnswerChanged, AnswersDiffer, StateMissing
from .node import Node
from .read_block import BlockReader, Watching
from .scan import Scanned

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

    def reach(self, last: int) -> None:
        """The log ends at `last`: every block that is final there was read twice."""
        self.checked_to = max(self.checked_to, self.final_at(last))

    def final_at(self, last: int) -> int:
        """The newest block that is final when the log ends at `last`: it has `finality` confirmations, its own block among them (rule 8.1)."""
        return last - self._finality + 1

    def check(self, state: ChainState, watching: Watching, tip: int, last: int, node: Node, reader: BlockReader) -> Doubtful | None:
        """Read again, from the followed node, the blocks that become final when the log, whose blocks up to `tip` are in the main chain, grows to `last`.

        Raises AnswersDiffer when a block has been doubted too often, and what reading a block raises.
        """
        to = min(tip, self.final_at(last))
        for height in sorted(height for height in state.touched if self.checked_to < height <= to):
            block_hash = state.hash_at(height)
            assert block_hash is not None
            if not is_same(state.touched[height], block_hash, watching, node, reader):
                self._doubt(height, block_hash, node)
                return Doubtful(height, f"the node at {node.name} told other transactions of the pool's when it was asked again")
            self.checked_to = height
        self.checked_to = max(self.checked_to, to)
        return None

    def require_same(self, scanned: Scanned, to: int, watching: Watching, node: Node, reader: BlockReader) -> None:
        """Read again those of the blocks up to `to` that have something to tell, of which nothing is told yet, and which are final as soon as it is.

        Raises AnswerChanged where a second reading differs, AnswersDiffer when that of one block did so too often, and what reading a block raises.
        """
        for header in scanned.headers:
            found = scanned.found.get(header.height)
            if found and header.height <= to and not is_same(digest(found), header.hash, watching, node, reader):
                self._doubt(header.height, header.hash, node)
                raise AnswerChanged(
                    message(
                        "the node at {name} told other transactions of the pool's in block {height} when it was asked again: the block is read anew",
                        name=node.name,
                        height=header.height,
                    )
                )

    def _doubt(self, height: int, block_hash: str, node: Node) -> None:
        """Count that the node said something else of a block. Raises AnswersDiffer."""
        self._doubts[height] += 1
        if self._doubts[height] > MAX_DOUBTS:
            raise AnswersDiffer(
                f"the node at {node.name} said something else of block {height} {block_hash} {MAX_DOUBTS} times: it can't be trusted; "
                "compare it with another node, or point rpc_url at one"
            )


def is_same(told: bytes, block_hash: str, watching: Watching, node: Node, reader: BlockReader) -> bool:
    """Whether the node says of a block what was `told` (`chain_state.digest`) of its transactions; also where it no longer has the state to say it.

    Raises what reading a block raises.
    """
    block = node.block(block_hash)
    try:
        if reader.is_unchanged(block, watching, told):
            return True
        content = reader.read(block, watching, deep=False)
        if digest(content.transactions) == told:
            return True
        if content.untraced:
            _journal.warning("not-read-twice", height=block.header.height, reason=", ".join(sorted(content.untraced)))
            return True
        if watching.traces is None:
            return False
        # the block may have been told as the other way shows it (`trace_check.py`)
        return any(digest(reader.read(block, way, deep=True).transactions) == told for way in watching.ways())
    except StateMissing as error:
        _journal.warning("not-read-twice", height=block.header.height, reason=str(error))
        return True
