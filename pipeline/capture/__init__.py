"""Reads the rows of the ledger's sources as allocations, payments and what is uncertain (ADR 22). Pure but for the log; asking a source is a connector's task."""
