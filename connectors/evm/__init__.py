"""Account chains (EVM): reads what the pool's addresses receive and send, and writes it as events (ADR 7)."""

from pipeline.follow.connector import Connected, Contradicted, Idle, LookedUp, Reorganised, Rescanned, Rescanning, Step, Waiting

from .follow import EvmConnector
from .settings import EvmChain

__all__ = [
    "Connected", "Contradicted", "EvmChain", "EvmConnector", "Idle", "LookedUp", "Reorganised", "Rescanned", "Rescanning", "Step", "Waiting",
]  # fmt: skip
