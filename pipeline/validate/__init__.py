"""Validates ledger and registry files before they enter the log: pure checks that report every fault with its line.

In: a `table.RawTable`, the cells as read. Out: typed frames and a list of `Fault`s. Rules 2.1, 4.1, 6.4.
What the rules treat as an issue (a bad IIN/BIN, rule 4.5; an overlap, rule 4.1; an account without a holder, rule 4.4) is not a
fault: it enters the log, and enrichment raises the issue (law 3).
"""
