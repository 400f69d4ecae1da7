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
    """The watch list grew by so many addresses. `height` is the tip from which blocks are stated again."""

    n_addresses: int
    n_disconnected: int
    height: int


@dataclass(frozen=True)
class Rereading:
    """Blocks already read are being searched for addresses new on the watch list: done up to `height` of `of_height`."""

    n_addresses: int
    height: int
    of_height: int


@dataclass(frozen=True)
class Doubted:
    """A block said something else when it was read again: the log was taken back to before it."""

    doubted_height: int
    n_disconnected: int
    height: int


@dataclass(frozen=True)
class Waiting:
    """Nothing can be done for now, and why."""

    reason: str


Step = Idle | Connected | Reorganised | Rewatched | Rereading | Doubted | Waiting
