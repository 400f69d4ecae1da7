"""Following a chain: what the connectors of all families share."""
