"""What trying a network's facts against a node came to, fact by fact. Data types only."""

from __future__ import annotations

from typing import NamedTuple


class Tried(NamedTuple):
    """One fact, tried."""

    what: str
    holds: bool | None
    """None where the node could not show it."""
    detail: str
