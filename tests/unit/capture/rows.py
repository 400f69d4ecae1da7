"""Rows of a source, as a reading gets them, and what it makes of them."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.capture.projection import Projection, Reading
from pipeline.capture.seen import SeenRows, content_text
from pipeline.capture.source import Content
from pipeline.log.events.sources import SourceDecided, SourceRowColumns, SourceRows

SEEN_AT = 1_790_000_000_000_000


class Source:
    """A source whose rows a test puts, changes and takes away."""

    def __init__(self, reading: Reading, *, since_us: int = 0) -> None:
        self.seen = SeenRows()
        self.decisions: dict[str, SourceDecided] = {}
        self.projection = Projection(reading, self.seen, self.decisions, since_us=since_us)
        self._versions: dict[tuple[str, str], int] = {}
        self.at = SEEN_AT

    def put(self, rows: Mapping[tuple[str, str], Content | None]) -> None:
        """Rows by table and id; None: the row is gone. All in one event."""
        columns = SourceRowColumns(table=[], row_id=[], version=[], content=[])
        for (table, row_id), content in rows.items():
            version = self._versions[table, row_id] = self._versions.get((table, row_id), 0) + 1
            columns.table.append(table)
            columns.row_id.append(row_id)
            columns.version.append(version)
            columns.content.append(None if content is None else content_text(content))
        self.projection.rows_changed(self.seen.apply(SourceRows(id="x", source="books", seen_at=self.at, rows=columns)))

    def decide(self, item: str, outcome: str, txid: str | None = None) -> None:
        """A person's word about an item."""
        self.decisions[item] = SourceDecided(
            id="d", source="books", item=item, outcome=outcome, txid=txid, by="A. Person", reason="looked up", at=0  # type: ignore[arg-type]
        )  # fmt: skip
        self.projection.decided(item)

    @property
    def items(self) -> dict[str, str]:
        """The open items' codes by their names."""
        return {name: item.code.value for name, item in self.projection.items.items()}

    @property
    def amounts(self) -> dict[str, int]:
        """Allocated units by id."""
        return {name: row.amount for name, row in self.projection.allocations.items()}
