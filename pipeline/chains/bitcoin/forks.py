"""Tells a network from its forks, which share its first block, by blocks after the fork.

Enters: a network, hashes by height as a node gives them. Leaves: what is wrong with them, and which network they look like. The blocks are
data: `networks.toml`, forks and checkpoint. Left out: asking the node.
"""

from __future__ import annotations

from collections.abc import Mapping

from .networks import Network


def fork_fault(network: Network, hashes: Mapping[int, str]) -> str | None:
    """Why the blocks at those of the marks' heights are not the network's; None where they are, or where none was asked for."""
    wrong: str | None = None
    looks_like: str | None = None
    for mark in network.marks:
        found = hashes.get(mark.height)
        if found is None:
            continue
        looks_like = mark.others.get(found, looks_like)
        if wrong is None and (found in mark.others or mark.hash not in (None, found)):
            wrong = f"has block {found} at height {mark.height}" + (f", where {network.name} has {mark.hash}" if mark.hash else "")
    if wrong is None:
        return None
    return f"{wrong}: it looks like a node of {looks_like or f'a fork of {network.name} that is not known here'}"
