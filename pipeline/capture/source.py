"""What a connector to a source of the ledger gives: the rows of its tables, as of one look.

Enters: nothing; these are the shapes. Leaves: `Look`, which `follow_source` compares with what the log holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Content = Mapping[str, str | None]
"""A row: every value as the source's own text, or None."""


@dataclass(frozen=True)
class IdsBetween:
    """The rows whose whole-numbered id is above `low` and at most `high`, and those of `also`."""

    low: int
    high: int | None = None
    also: Collection[str] = ()


Covered = Callable[[str, Content], bool] | IdsBetween | Collection[str]
"""Which known rows a look would have found: by a question asked of each, by a range of ids, or by their ids. The last two cost nothing for rows outside."""
NOTHING: Collection[str] = ()
"""Covers no row: what is not found is not gone."""


@dataclass(frozen=True)
class TableLook:
    """What one look found in one table."""

    rows: Mapping[str, Content]
    """By the row's id within the table."""
    covers: Covered = field(default=lambda row_id, content: True)
    """The known rows that the look would have found: one that it covers and did not find has vanished."""


@dataclass(frozen=True)
class Look:
    """All tables of a source at one moment."""

    at: int
    """When the look began: microseconds since the Unix epoch, UTC."""
    tables: Mapping[str, TableLook]
    newest: int | None = None
    """The source's own time of its newest row, microseconds; None where it has none."""
    is_last: bool = True
    """Whether there is nothing more to read for now; else the next look follows at once."""


class Known(Protocol):
    """What the log holds of the source, for a connector that reads only what may have changed."""

    def rows(self, table: str) -> Mapping[str, Content]:
        """The rows of a table that have not vanished, by id."""

    def since(self, table: str, mark: int) -> Sequence[tuple[str, Content | None]]:
        """What became known of a table after its first `mark` changes, in order: the row's id, and its newest content; None where it vanished.

        A connector that keeps something of all rows goes on from there at each look. It begins anew with another `Known`.
        """

    def last_content(self, table: str, row_id: str) -> Content | None:
        """What was seen last of a row, also of one that vanished; None where none was ever seen."""

    def seen_before(self, table: str, at: int) -> int:
        """The greatest whole-numbered id of a table that was seen first at or before `at` (microseconds); 0 where there is none."""

    def last_look(self) -> int | None:
        """When the source was last looked at, microseconds."""


class Source(Protocol):
    """A connector to one source. Not safe for several threads."""

    def look(self, known: Known, now_us: int) -> Look:
        """Read what may have changed, in one consistent state of the source. Raises SourceError, SettingsError."""

    def close(self) -> None: ...
