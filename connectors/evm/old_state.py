"""Where the followed node no longer has the state of a block, the next node is asked: an archive node, for just those blocks.

Enters: the chain's nodes, the reading of a range. Leaves: `StateMissing` where the followed node lacked state that another node may have, so that this one is
followed for the range; and the way back, once the first one should have the state of the next blocks. Nodes that prune keep the newest states, so what is
remembered of each is how old the youngest range was of which it lacked some. Left out: how a node says that a state is gone (`node.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.follow.nodes import Nodes
from pipeline.model.message import message

from .errors import StateMissing
from .node_side import EvmSide


class OldState:
    """What is known of one chain's nodes and the states that they lack."""

    def __init__(self, nodes: Nodes[EvmSide]) -> None:
        self._nodes = nodes
        self._lacked: dict[int, int] = {}
        """By the sides' `id`: how many blocks below the tip the block was before the youngest range of which the node lacked some state."""
        self._left: EvmSide | None = None
        """The node that was left for an archive node."""

    @contextmanager
    def reading(self, first: int) -> Iterator[None]:
        """Around reading blocks from `first` on from the followed node, of which nothing is written yet. Raises StateMissing."""
        side = self._nodes.current
        n_before = side.node.n_states_missing
        try:
            yield
        except StateMissing:
            self._lacks(side, first)
            raise
        if side.node.n_states_missing > n_before and self._lacks(side, first):
            raise StateMissing(
                message(
                    "the node at {name} no longer has the state of blocks from {height} on: the next node is asked",
                    name=side.name,
                    height=first,
                )
            )

    def come_back(self, height: int) -> None:
        """Follow the node again that was left, where it should have the state of the block after `height`."""
        left, current = self._left, self._nodes.current
        if left is None or current.status is None:
            return
        if left is not current and current.status.height - height < self._lacked[id(left)]:
            self._nodes.follow(left, f"the state of block {height + 1} should be there")
        if left is self._nodes.current:
            self._left = None

    def _lacks(self, side: EvmSide, first: int) -> bool:
        """Remember it; whether another node can be asked that is not known to lack the state, too."""
        age = side.status.height - first + 1 if side.status is not None else 0
        self._lacked[id(side)] = min(age, self._lacked.get(id(side), age))
        has_other = any(self._lacked.get(id(other), age + 1) > age for other in self._nodes.others())
        if has_other and self._left is None:
            self._left = side
        return has_other
