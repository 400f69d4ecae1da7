"""Errors of Bitcoin nodes; each says whether the follower retries or stops.

What any node may do is in `pipeline.follow.node_errors`; here is what only this family's nodes do. Every one is a `SourceError`; `is_retryable`
says whether retrying can help.
"""

from __future__ import annotations

from pipeline.follow.node_errors import AccessRefused as AccessRefused
from pipeline.follow.node_errors import AnswerUnreadable as AnswerUnreadable
from pipeline.follow.node_errors import ChainMoved as ChainMoved
from pipeline.follow.node_errors import NodeBusy as NodeBusy
from pipeline.follow.node_errors import NodeUnreachable as NodeUnreachable
from pipeline.follow.node_errors import WrongChain as WrongChain
from pipeline.model.errors import SourceError
from pipeline.model.message import message


class NodeWarmingUp(SourceError):
    """The node is starting (RPC code -28)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class RpcError(SourceError):
    """The node answered a call with an error."""

    def __init__(self, message: str, *, method: str, code: int, text: str) -> None:
        self.method = method
        self.code = code
        self.text = text
        super().__init__(message)

    METHOD_NOT_FOUND = -32601
    MISC = -1
    NOT_FOUND = -5
    INVALID_PARAMETER = -8
    WARMING_UP = -28


class BlockPruned(SourceError):
    """The node pruned a block that was not read yet."""


class BlockNotThere(SourceError):
    """The node has not downloaded a block, or has not its undo data, yet: one that began from a snapshot gets them in the background."""

    def __init__(self, node: str, what: str, text: str) -> None:
        super().__init__(
            message(
                "{what} at {node}: {text}. The node does not have that block's data now; one that began from a snapshot (loadtxoutset) downloads and validates older blocks in the background (getchainstates shows how far it is). Waiting for it; if it never comes, use a node with all blocks",
                what=what,
                node=node,
                text=text,
            ),
            is_retryable=True,
        )


class IndexBeingBuilt(SourceError):
    """The node is still building the index that reading needs."""

    def __init__(self, node: str, height: int | None) -> None:
        how_far = message("up to block {height}", height=height) if height is not None else message("it does not say how far")
        super().__init__(
            message("the node at {node} is still building its index of transactions (txindex), {how_far}: waiting for it", node=node, how_far=how_far),
            is_retryable=True,
        )  # fmt: skip


BEING_INDEXED = "in the process of being indexed"
"""What a node says, in small letters, that looks for a transaction while it builds its index of them."""
NOT_THERE = ("not fully downloaded", "undo data", "undo not available", "block not found on disk")
"""What nodes say, in small letters, of a block in their main chain whose data they don't have."""


class NotOffered(SourceError):
    """The node does not offer what the strategy asked for needs."""
