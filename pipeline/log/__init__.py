"""The event log: its protocol, its events by topic, copying, digests and leases."""
