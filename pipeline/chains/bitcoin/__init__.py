"""Bitcoin's own rules, pure: wire format, scripts and addresses, Merkle branches."""
