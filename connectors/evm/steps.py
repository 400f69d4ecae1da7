"""What a step of the connector came to: the expected outcomes are values, only failures are exceptions."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.follow.connector import Connected as Connected
from pipeline.follow.connector import Idle as Idle
from pipeline.follow.connector import Reorganised as Reorganised
from pipeline.follow.connector import Waiting as Waiting


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


Step = Idle | Connected | Reorganised | Rewatched | Rereading | Doubted | Waiting
