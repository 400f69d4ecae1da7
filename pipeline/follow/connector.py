"""The interface of a chain's connector: it appends the chain's events to the log, step by step, and reports its status.

The result of a step is a value of the union `Step`; only failures are exceptions. `step_name` gives its name in metrics. The status is a
`ChainStatus`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from pipeline.log.events.chain import WatchedWallet

from .nodes import NodeReport


@dataclass(frozen=True, kw_only=True)
class NodeLogin:
    """A further node of a chain, and how we log in there."""

    rpc_url: str
    cookie_path: str | Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class FollowedChain:
    """The configuration that connectors of all families need; each family adds its own."""

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
    """Seconds to wait for the next bytes from the node before a request fails."""
    further_nodes: Sequence[NodeLogin] = ()
    """Other nodes of the same chain (ADR 20)."""
    finality: int = 6
    """Confirmations of a final block (rule 8.1)."""
    witnesses: int = 1
    """How many nodes have to say the same of a final block: 1 or 2."""
    witness_wait_s: float = 21_600.0
    """Seconds without a second node after which one is enough for the log, and a person has to accept that."""


@dataclass(frozen=True)
class Idle:
    """Nothing new: the log is at the node's tip."""

    height: int


@dataclass(frozen=True)
class Connected:
    """`n_blocks` blocks were connected; `height` of the tip afterwards."""

    n_blocks: int
    height: int


@dataclass(frozen=True)
class Reorganised:
    """Blocks were disconnected from the main chain and others connected; `height` of the tip afterwards."""

    n_disconnected: int
    n_connected: int
    height: int


@dataclass(frozen=True)
class Rescanning:
    """Blocks already read are being searched for new entries of the watch list: done up to `height` of `of_height`."""

    n_added: int
    """New scripts (Bitcoin) or addresses (EVM)."""
    height: int
    of_height: int


@dataclass(frozen=True)
class Rescanned:
    """The search for new entries of the watch list is done: `n_disconnected` blocks above `height` are written again."""

    n_added: int
    """New scripts (Bitcoin) or addresses (EVM)."""
    n_disconnected: int
    height: int


@dataclass(frozen=True)
class LookedUp:
    """Transactions that payments of on-chain payers name were looked up by their ids: so many, of which so many are in the main chain up to `height`."""

    n_sought: int
    n_found: int
    height: int


@dataclass(frozen=True)
class Contradicted:
    """A block read again differs from the first answer: the log was rolled back to before that block."""

    contradicted_height: int
    n_disconnected: int
    height: int


@dataclass(frozen=True)
class Waiting:
    """Nothing can be done now; `reason` says why."""

    reason: str


@dataclass(frozen=True)
class Compared:
    """So many final blocks were read from `n_nodes` nodes, which say the same; with 1, no second node could be asked."""

    n_blocks: int
    n_nodes: int
    height: int


@dataclass(frozen=True)
class Disputed:
    """Two nodes say different things of a final block."""

    disputed_height: int
    height: int


Step = Idle | Connected | Reorganised | Rescanning | Rescanned | LookedUp | Contradicted | Compared | Disputed | Waiting
"""The result of one step."""


@dataclass(frozen=True, kw_only=True)
class ChainStatus:
    """A connector's status, for `esep status` and metrics. A value is None while it is unknown."""

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
    """The height reached by a search for new entries of the watch list; None if there is no search."""
    nodes: tuple[NodeReport, ...] = ()
    """Each node of the chain; the fields above are those of the followed one."""
    witnessed_to_height: int | None = None
    """Up to here enough nodes stand behind every block; None where one is enough."""

    @property
    def lag_blocks(self) -> int | None:
        """How many blocks the log is behind the node."""
        return self.node_height - self.height if self.node_height is not None and self.height is not None else None


class ChainConnector(Protocol):
    """Follows one chain of one pool. Not safe for several threads."""

    def step(self) -> Step:
        """Ask the node once, and append what is new. Raises SourceError, LogError, SettingsError."""

    def run(self, stop: threading.Event, on_progress: Callable[[Step], None] = ..., *, poll_s: float = ...) -> None:
        """Step until `stop` is set; temporary errors are reported as `Waiting` and retried."""

    def describe(self) -> ChainStatus:
        """The connector's status now, without a request to the node."""

    def look_at_nodes(self) -> tuple[NodeReport, ...]:
        """Ask each node for its tip; nothing is written. A node in trouble is reported with what it said."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def step_name(step: Step) -> str:
    """`idle`, `connected`, `reorganised`, `rescanning`, `rescanned`, `contradicted`, `compared`, `disputed`, `waiting`."""
    return type(step).__name__.lower()
