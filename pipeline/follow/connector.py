"""What a connector of any chain is to the program: it brings a chain's events into the log, step by step, and says where it stands.

What a step came to is a value; only failures are exceptions. The classes here serve every family; Rewatched, Rereading and Doubted are each
family's own. `step_name` is what metrics call them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self


@dataclass(frozen=True)
class Idle:
    """Nothing new: the log is at the node's tip."""

    height: int


@dataclass(frozen=True)
class Connected:
    """So many blocks were connected; the tip's height after it."""

    n_blocks: int
    height: int


@dataclass(frozen=True)
class Reorganised:
    """So many blocks left the main chain, and so many joined it."""

    n_disconnected: int
    n_connected: int
    height: int


@dataclass(frozen=True)
class Waiting:
    """Nothing can be done for now, and why."""

    reason: str


class ChainConnector(Protocol):
    """Follows one chain of one pool. Not safe for several threads."""

    def step(self) -> object:
        """Look at the node once, and write what is new. Raises SourceError, LogError, SettingsError."""

    def run(self, stop: threading.Event, on_progress: Callable[[Any], None] = ..., *, poll_s: float = ...) -> None:
        """Step until `stop` is set; troubles that may pass are told as Waiting and tried again."""

    def describe(self) -> dict[str, object]:
        """For a status page: chain, height, node_height (None while not known), how it reads and why."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def step_name(step: object) -> str:
    """`idle`, `connected`, `reorganised`, `rewatched`, `rereading`, `doubted`, `waiting`."""
    return type(step).__name__.lower()
