"""What can go wrong with a node, each with its own message and its own answer: try again, or stop.

Every one is a `SourceError`; `is_retryable` says whether waiting can mend it. `ChainMoved` never leaves the
connector: it says that the main chain changed between two requests, and the step begins again.
"""

from __future__ import annotations

from pipeline.errors import SourceError


class NodeUnreachable(SourceError):
    """No answer: refused, reset, timed out, cut off."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class NodeBusy(SourceError):
    """The node turned the request away for now: 429, 503, another scan running."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class NodeWarmingUp(SourceError):
    """The node is starting (RPC code -28)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class AnswerUnreadable(SourceError):
    """The node, or something that stands in its place, answered what can't be read or can't be true."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class AccessRefused(SourceError):
    """The node does not let us in (401), or not to this method (403)."""


class RpcError(SourceError):
    """The node's own error to a call."""

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
    """The node no longer has a block that we still have to read."""


class WrongChain(SourceError):
    """The node follows another network, or another chain than the log's."""


class NotOffered(SourceError):
    """The node does not offer what the strategy asked for needs."""


class ChainMoved(Exception):
    """The node's main chain changed between two requests of one step."""
