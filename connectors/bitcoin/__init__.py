"""Bitcoin Core and its relatives: read exactly what leaves and reaches the pool's wallets, and say it as events."""

from .follow import BitcoinConnector
from .steps import Connected, Idle, Reorganised, Rereading, Rewatched, Step, Waiting

__all__ = ["BitcoinConnector", "Connected", "Idle", "Reorganised", "Rereading", "Rewatched", "Step", "Waiting"]
