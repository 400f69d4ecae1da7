"""What a chain's follower waits for, in words that can be said in the reader's language.

Enters: the node's name, heights. Leaves: `Waiting` steps. When to wait is the follower's.
"""

from __future__ import annotations

from pipeline.model.message import message

from .connector import Waiting


def start_not_reached(node: str, height: int, start_height: int) -> Waiting:
    """The node's chain ends before the first block to be read."""
    return Waiting(
        message(
            "the node at {node} is at height {height}; reading starts at {start_height}",
            node=node,
            height=height,
            start_height=start_height,
        )
    )


def below_log(node: str, height: int, log_height: int) -> Waiting:
    """The node's tip is one of the log's own blocks, or the node is catching up."""
    return Waiting(
        message(
            "the node at {node} is at height {height}, below the log's {log_height}: it lags, synchronises, or was restored from an older copy; waiting for it",
            node=node,
            height=height,
            log_height=log_height,
        )
    )


def synchronising(node: str, height: int, highest: int) -> Waiting:
    """The node is read as far as it is."""
    return Waiting(
        message(
            "the node at {node} is synchronising, at block {height} of the {highest} it knows of: following it",
            node=node,
            height=height,
            highest=highest,
        )
    )
