"""What can go wrong with any chain's node, each with its own answer: try again, or stop.

Every one is a `SourceError`; `is_retryable` says whether waiting can mend it. `ChainMoved` never leaves a connector: it says that the main chain
changed between two requests, and the step begins again. Each family adds what only its nodes do.
"""

from __future__ import annotations

from pipeline.model.errors import SourceError


class NodeUnreachable(SourceError):
    """No answer: refused, reset, timed out, cut off."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class AnswerUnreadable(SourceError):
    """The node, or something that stands in its place, answered what can't be read or can't be true."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class NodeBusy(SourceError):
    """The node turned the request away for now: 429, 502 to 504, a full queue, a rate limit in words of its own."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        """How long the node asks us to wait, where it says so (Retry-After)."""
        super().__init__(message, is_retryable=True)


class AccessRefused(SourceError):
    """The node does not let us in (401), or not to this (403)."""


class WrongChain(SourceError):
    """The node follows another network, or another chain than the log's."""

    @classmethod
    def diverged(cls, node: str, block_hash: str | None, height: int, key: str) -> WrongChain:
        """The node's chain and the log's part below the log's beginning, which is after the block of that hash."""
        return cls(
            f"the chain of the node at {node} does not contain block {block_hash} at height {height}, after which "
            f"the log of {key} begins: it is a node of another chain, or its chain was changed from before that; point rpc_url at the node that was followed"
        )


class ChainMoved(Exception):
    """The node's main chain changed between two requests of one step."""
