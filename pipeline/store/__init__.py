"""DuckDB: the tables, what is in force in them, and what analysts see."""

from .store import STORE_VERSION, Store

__all__ = ["STORE_VERSION", "Store"]
