"""The chains' own rules: Bitcoin and its relatives, account chains, and the networks that are known. Pure."""
