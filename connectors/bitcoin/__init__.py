"""Bitcoin Core and its relatives: read exactly what leaves and reaches the pool's wallets, and say it as events."""

from pipeline.follow.connector import Connected, Idle, Reorganised, Rescanned, Rescanning, Step, Waiting

from .follow import BitcoinConnector

__all__ = ["BitcoinConnector", "Connected", "Idle", "Reorganised", "Rescanned", "Rescanning", "Step", "Waiting"]
