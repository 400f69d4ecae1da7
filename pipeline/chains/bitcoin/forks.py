"""Tells a network from its forks, which share its first block, by blocks after the fork.

Enters: a network's name, hashes by height as a node gives them. Leaves: what is wrong with them, and which network they look like. The blocks are
data: `forks.toml` and `checkpoints.toml`. Left out: asking the node.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .work import checkpoint_of


class Mark(NamedTuple):
    """A height at which a network and its forks have different blocks."""

    height: int
    hash: str | None
    """The network's own block; None where only the forks' are known."""
    others: Mapping[str, str]
    """The forks' blocks, and the names of those that have them."""


@cache
def marks(name: str) -> tuple[Mark, ...]:
    """The network's marks by height; none for a network that has neither forks nor a checkpoint here."""
    table = tomllib.loads((Path(__file__).parent / "forks.toml").read_text(encoding="utf-8"))
    found = [Mark(mark["height"], mark.get("hash"), mark.get("others", {})) for mark in table.get(name, [])]
    checkpoint = checkpoint_of(name)
    if checkpoint is not None:
        found.append(Mark(checkpoint.height, checkpoint.hash, {}))
    return tuple(sorted(found, key=lambda mark: mark.height))


def fork_fault(name: str, hashes: Mapping[int, str]) -> str | None:
    """Why the blocks at those of the marks' heights are not the network's; None where they are, or where none was asked for."""
    wrong: str | None = None
    looks_like: str | None = None
    for mark in marks(name):
        found = hashes.get(mark.height)
        if found is None:
            continue
        looks_like = mark.others.get(found, looks_like)
        if wrong is None and (found in mark.others or mark.hash not in (None, found)):
            wrong = f"has block {found} at height {mark.height}" + (f", where {name} has {mark.hash}" if mark.hash else "")
    if wrong is None:
        return None
    return f"{wrong}: it looks like a node of {looks_like or f'a fork of {name} that is not known here'}"
