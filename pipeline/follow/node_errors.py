"""The errors of nodes of any chain: retryable or not.

Each is a `SourceError`; `is_retryable` says whether a later attempt may succeed. `ChainMoved` never leaves a connector: the main chain changed
between two requests, and the step is restarted. Each family adds the errors of its own nodes.
"""

from __future__ import annotations

from pipeline.model.errors import SourceError
from pipeline.model.message import message


class NodeUnreachable(SourceError):
    """No complete answer: refused, reset, timed out, cut off."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class AnswerUnreadable(SourceError):
    """The answer, of the node or of a proxy before it, can't be parsed or can't be true."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class NodeBusy(SourceError):
    """The node rejected the request temporarily: HTTP 429, 502 to 504, a full queue, a rate limit."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        """Seconds that the node asks us to wait (Retry-After); None if it does not say."""
        super().__init__(message, is_retryable=True)


class AccessRefused(SourceError):
    """The node refuses the login (HTTP 401) or this request (403)."""


class WrongChain(SourceError):
    """The node is on another network, or on a chain that does not contain the log's blocks."""

    @classmethod
    def diverged(cls, node: str, block_hash: str | None, height: int, key: str) -> WrongChain:
        """The error when the node's chain lacks the block before the log's first one."""
        return cls(
            message(
                "the chain of the node at {node} does not contain block {block_hash} at height {height}, after which the log of {key} begins: it is a node of another chain, or its chain was changed from before that; point rpc_url at the node that was followed",
                node=node,
                block_hash=block_hash,
                height=height,
                key=key,
            )
        )


class ChainUnsteady(SourceError):
    """The node's main chain seemed to change under each of several attempts at one step: it does, or the node gives answers that belong to no one chain."""

    def __init__(self, node: str, moved: ChainMoved | None) -> None:
        super().__init__(
            message("the main chain of the node at {node} keeps changing: {moved}", node=node, moved=moved or "?"), is_retryable=True
        )


class ChainMoved(Exception):
    """The node's main chain changed between two requests of one step."""
