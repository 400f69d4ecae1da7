"""HTTP, as connectors share it: a client for nodes, JSON-RPC messages, exchanges with services, a small server. It depends on no chain and no outside system."""
