"""Pure EVM: addresses, headers, transactions, receipts and the tries that headers commit to (ADR 7)."""
