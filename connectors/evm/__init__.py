"""Account chains (EVM): read exactly what leaves and reaches the pool's addresses, and say it as events (ADR 7)."""

from .follow import EvmConnector
from .steps import Connected, Doubted, Idle, Reorganised, Rereading, Rewatched, Step, Waiting

__all__ = ["Connected", "Doubted", "EvmConnector", "Idle", "Reorganised", "Rereading", "Rewatched", "Step", "Waiting"]
