"""One room per outside system: chains, ledger and registry files, logs. They never import each other."""
