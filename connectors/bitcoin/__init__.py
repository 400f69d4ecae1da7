"""Bitcoin Core and its relatives: read exactly what leaves and reaches the pool's wallets, and say it as events."""
