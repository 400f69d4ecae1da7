"""A source whose rows are handed in instead of read: by `POST /ledger/…` (ADR 23). They go the same way as those of any other source."""

from __future__ import annotations

from collections.abc import Mapping

from .source import NOTHING, Content, Known, Look, TableLook


class PushedRows:
    """Holds the rows of one request until they are in the log. One request at a time."""

    def __init__(self) -> None:
        self._table = "allocations"
        self._rows: Mapping[str, Content] = {}

    def put(self, table: str, rows: Mapping[str, Content]) -> None:
        """The rows of the next look, by their ids."""
        self._table, self._rows = table, rows

    def look(self, known: Known, now_us: int) -> Look:
        """The rows that were put; nothing vanishes."""
        return Look(now_us, {self._table: TableLook(self._rows, NOTHING)})

    def close(self) -> None:
        """Drop what was not taken: whoever sent it gets an error, and sends it again."""
        self._rows = {}
