"""What a file of the ledger or the registry must hold before it may enter the log: pure checks, every fault by its line.

In: a `table.RawTable`, the cells as a reader found them. Out: typed frames and a list of `Fault`s. Rules 2.1, 4.1, 6.4.
What the rules make an issue of (a bad IIN/BIN, rule 4.5; an overlap, rule 4.1; an account nobody holds, rule 4.4) is no
fault: it enters the log, and enrichment judges it (law 3).
"""
