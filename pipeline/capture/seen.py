"""The rows of a source as the log holds them, and what a look changes in them.

Enters: `source-rows` and `source-polled` events, looks. Leaves: the newest content of each row, when it was seen first, whether it vanished; and the
changes of a look as columns of the next `source-rows` events.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from pipeline.log.events.sources import SourcePolled, SourceRowColumns, SourceRows

from .source import Content, Look

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, str | None]).decode


@dataclass
class SeenRow:
    """One row of a source. `content` is the last that was seen, also of one that vanished."""

    table: str
    row_id: str
    content: Content
    text: str
    """The content as the log holds it."""
    version: int
    first_seen: int
    changed_at: int
    is_gone: bool = False


def content_text(content: Content) -> str:
    """The row as canonical JSON."""
    return _encode(dict(content)).decode()


@dataclass
class SeenRows:
    """All rows of one source that were ever seen, and the looks at it."""

    tables: dict[str, dict[str, SeenRow]] = field(default_factory=dict)
    looks: list[tuple[int, int]] = field(default_factory=list)
    """First and last instant of each run of looks that the log holds, in order; a run ends where the next look was late."""
    newest: int | None = None
    _firsts: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Of each table: (first seen, greatest whole-numbered id until then), growing in both."""

    def apply(self, event: SourceRows) -> list[SeenRow]:
        """Take the rows of an event; the rows that it changed."""
        changed = []
        rows = event.rows
        for table, row_id, version, text in zip(rows.table, rows.row_id, rows.version, rows.content, strict=True):
            held = self.tables.setdefault(table, {}).get(row_id)
            if held is None:
                if text is None:
                    continue
                held = SeenRow(table, row_id, _decode(text), text, version, event.seen_at, event.seen_at)
                self.tables[table][row_id] = held
                self._remember_first(table, row_id, event.seen_at)
            elif version <= held.version:
                continue
            else:
                held.version, held.changed_at, held.is_gone = version, event.seen_at, text is None
                if text is not None:
                    held.content, held.text = _decode(text), text
            changed.append(held)
        return changed

    def polled(self, event: SourcePolled) -> None:
        """Take a run of looks."""
        self.looks.append((event.first_at, event.at))
        if event.newest is not None:
            self.newest = max(self.newest or event.newest, event.newest)

    def rows(self, table: str) -> Mapping[str, Content]:
        """See `source.Known`."""
        return {row_id: row.content for row_id, row in self.tables.get(table, {}).items() if not row.is_gone}

    def seen_before(self, table: str, at: int) -> int:
        """See `source.Known`."""
        firsts = self._firsts.get(table, [])
        place = bisect.bisect_right(firsts, at, key=lambda first: first[0])
        return firsts[place - 1][1] if place else 0

    def last_look(self) -> int | None:
        """See `source.Known`."""
        return self.looks[-1][1] if self.looks else None

    def changes(self, look: Look, batch_rows: int) -> Iterator[SourceRowColumns]:
        """What a look changes: rows that are new, differ or vanished, at most `batch_rows` a batch."""
        batch = SourceRowColumns(table=[], row_id=[], version=[], content=[])
        for table, row_id, version, text in self._changed(look):
            batch.table.append(table)
            batch.row_id.append(row_id)
            batch.version.append(version)
            batch.content.append(text)
            if len(batch.table) == batch_rows:
                yield batch
                batch = SourceRowColumns(table=[], row_id=[], version=[], content=[])
        if batch.table:
            yield batch

    def _changed(self, look: Look) -> Iterator[tuple[str, str, int, str | None]]:
        for table, found in look.tables.items():
            held = self.tables.get(table, {})
            for row_id in sorted(found.rows, key=natural):
                text, row = content_text(found.rows[row_id]), held.get(row_id)
                if row is None:
                    yield table, row_id, 1, text
                elif row.is_gone or row.text != text:
                    yield table, row_id, row.version + 1, text
            for row_id, row in held.items():
                if not row.is_gone and row_id not in found.rows and found.covers(row_id, row.content):
                    yield table, row_id, row.version + 1, None

    def _remember_first(self, table: str, row_id: str, at: int) -> None:
        if row_id.isdecimal():
            firsts = self._firsts.setdefault(table, [])
            greatest = max(int(row_id), firsts[-1][1] if firsts else 0)
            if firsts and firsts[-1][0] == at:
                firsts[-1] = (at, greatest)
            elif not firsts or greatest > firsts[-1][1]:
                firsts.append((at, greatest))


def natural(row_id: str) -> tuple[int, str]:
    """Whole-numbered ids by their number, others after them by their text."""
    return (int(row_id), "") if row_id.isdecimal() else (2**63, row_id)
