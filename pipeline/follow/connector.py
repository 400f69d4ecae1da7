"""What a connector of any chain is to the program: it brings a chain's events into the log, step by step, and says where it stands.

What a step came to is a value of the union `Step`; only failures are exceptions. `step_name` is what metrics call each of them. Where a chain
stands is a `ChainStatus`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from pipeline.log.events.chain import WatchedWallet


@dataclass(frozen=True, kw_only=True)
class FollowedChain:
    """What every connector is told of the chain it follows; each family adds its own."""

    pool_id: str
    chain: str
    """Its name in the settings, and in the log's keys and ids."""
    asset: str
    """The chain's own coin."""
    network: str
    rpc_url: str
    """The node's address."""
    wallets: Sequence[WatchedWallet]
    start_height: int
    """The first block that is read."""
    blocks_a_step: int | None = None
    """Blocks read in one step; None leaves it to the connector."""
    timeout_s: float = 60.0
    """Seconds between any two arrivals of bytes from the node."""


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
class Rescanning:
    """Blocks already read are being searched for what is new on the watch list: done up to `height` of `of_height`."""

    n_added: int
    """New scripts (Bitcoin) or addresses (EVM)."""
    height: int
    of_height: int


@dataclass(frozen=True)
class Rescanned:
    """The watch list grew and the search is over: `n_disconnected` blocks above `height` are written again."""

    n_added: int
    """New scripts (Bitcoin) or addresses (EVM)."""
    n_disconnected: int
    height: int


@dataclass(frozen=True)
class Contradicted:
    """The node answered differently when a block was read again: the log was taken back to before that block."""

    contradicted_height: int
    n_disconnected: int
    height: int


@dataclass(frozen=True)
class Waiting:
    """Nothing can be done for now, and why."""

    reason: str


Step = Idle | Connected | Reorganised | Rescanning | Rescanned | Contradicted | Waiting
"""What one step came to."""


@dataclass(frozen=True, kw_only=True)
class ChainStatus:
    """Where a connector stands, for a status page and for metrics. A value is None while it is not known."""

    chain: str
    network: str
    node: str
    """The node's address, without secrets."""
    node_version: str | None
    method: str | None
    """How blocks are read (Bitcoin) or how calls inside transactions are seen (EVM)."""
    method_why: str | None
    start_height: int | None
    height: int | None
    """Of the newest block in the log."""
    node_height: int | None
    """Of the newest block the node has."""
    n_watched: int
    """Scripts (Bitcoin) or addresses (EVM) on the watch list."""
    rescanned_to_height: int | None = None
    """How far a search for new entries of the watch list has come; None when there is no such search."""

    @property
    def lag_blocks(self) -> int | None:
        """How many blocks the log is behind the node."""
        return self.node_height - self.height if self.node_height is not None and self.height is not None else None


class ChainConnector(Protocol):
    """Follows one chain of one pool. Not safe for several threads."""

    def step(self) -> Step:
        """Look at the node once, and write what is new. Raises SourceError, LogError, SettingsError."""

    def run(self, stop: threading.Event, on_progress: Callable[[Step], None] = ..., *, poll_s: float = ...) -> None:
        """Step until `stop` is set; troubles that may pass are told as Waiting and tried again."""

    def describe(self) -> ChainStatus:
        """Where the connector stands now. Asks the node nothing."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def step_name(step: Step) -> str:
    """`idle`, `connected`, `reorganised`, `rescanning`, `rescanned`, `contradicted`, `waiting`."""
    return type(step).__name__.lower()
