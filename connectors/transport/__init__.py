"""HTTP, as connectors share it: a client for nodes, JSON-RPC's envelope, a small server. It knows no chain and no outside system."""
