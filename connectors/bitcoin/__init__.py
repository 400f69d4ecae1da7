"""Bitcoin Core and its relatives: read exactly what leaves and reaches the pool's wallets, and say it as events."""

from pipeline.follow.connector import Connected, Idle, Reorganised, Rescanned, Rescanning, Step, Waiting

from .follow import BitcoinConnector
from .settings import BitcoinChain

__all__ = ["BitcoinChain", "BitcoinConnector", "Connected", "Idle", "Reorganised", "Rescanned", "Rescanning", "Step", "Waiting"]
