"""What one step of ingest did: the value that `ingest` gives, and that a store which lacks nothing is filled with."""

from __future__ import annotations

from typing import NamedTuple


class IngestStep(NamedTuple):
    """The result of one step."""

    events: int
    """Records read from the log, including duplicates and bad events."""
    rows: int
    """Rows added to the store."""
    bad_events: int
    positions: dict[str, int]
    """The store's positions after it."""
    at_end: bool
    """Whether the end of the log, or `until`, was reached."""
