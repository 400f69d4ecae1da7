"""Bitcoin Core and nodes like it: reads what the pool's wallets receive and spend, and writes it as events."""

from pipeline.follow.connector import Connected, Idle, Reorganised, Rescanned, Rescanning, Step, Waiting

from .follow import BitcoinConnector
from .settings import BitcoinChain

__all__ = ["BitcoinChain", "BitcoinConnector", "Connected", "Idle", "Reorganised", "Rescanned", "Rescanning", "Step", "Waiting"]
