"""Assesses a month: its results, and whether it can close (rule 8.1)."""
