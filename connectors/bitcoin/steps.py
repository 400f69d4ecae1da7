"""What a step of the connector came to: the expected outcomes are values, only failures are exceptions."""

from __future__ import annotations

from dataclasses import dataclass


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
class Rewatched:
    """The watch list grew. `height` is the tip from which blocks are stated again, or up to which nothing had to be."""

    n_scripts: int
    n_disconnected: int
    height: int


@dataclass(frozen=True)
class Rereading:
    """Blocks already read are being searched for scripts new on the watch list: done up to `height` of `of_height`."""

    n_scripts: int
    height: int
    of_height: int


@dataclass(frozen=True)
class Waiting:
    """Nothing can be done for now, and why."""

    reason: str


Step = Idle | Connected | Reorganised | Rewatched | Rereading | Waiting
