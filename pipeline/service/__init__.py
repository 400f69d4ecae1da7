"""The loops that run for months: following chains, filling the store, closing, probes and metrics."""
