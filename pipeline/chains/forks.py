"""Tells a network from its forks, which share its first block, by blocks after the fork.

Enters: a network, hashes by height as a node gives them. Leaves: what is wrong with them, and which network they look like. The blocks are
data: `networks.toml`, forks and checkpoint. Left out: asking the node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Mark(Protocol):
    """A height at which a network and its forks have different blocks; or 0, the network's first block."""

    @property
    def height(self) -> int: ...
    @property
    def hash(self) -> str | None:
        """The network's own block; None where only the forks' are known."""

    @property
    def others(self) -> Mapping[str, str]:
        """The forks' blocks, and the names of those that have them."""


class Marked(Protocol):
    """A network of any family."""

    @property
    def name(self) -> str: ...
    @property
    def marks(self) -> Sequence[Mark]:
        """By height."""


def fork_fault(network: Marked, hashes: Mapping[int, str]) -> str | None:
    """Why the blocks at those of the marks' heights are not the network's; None where they are, or where none was asked for."""
    name = network.name
    wrong: str | None = None
    looks_like: str | None = None
    for mark in network.marks:
        found = hashes.get(mark.height)
        if found is None:
            continue
        if mark.height == 0 and mark.hash != found:
            looks_like = "another network"
        looks_like = mark.others.get(found, looks_like)
        if wrong is None and (found in mark.others or mark.hash not in (None, found)):
            wrong = f"has block {found} at height {mark.height}" + (f", where {name} has {mark.hash}" if mark.hash else "")
    if wrong is None:
        return None
    return f"{wrong}: it looks like a node of {looks_like or f'a fork of {name} that is not known here'}"
