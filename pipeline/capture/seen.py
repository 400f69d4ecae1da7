"""The rows of a source as the log holds them, and what a look changes in them.

Enters: `source-rows` and `source-polled` events, looks. Leaves: the newest content of each row, when it was seen first, whether it vanished; and the
changes of a look as columns of the next `source-rows` events.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pipeline.log.events.sources import SourcePolled, SourceRowColumns, SourceRows
from pipeline.model.typed import decoder

from .packed import Packed
from .source import Content, Covered, IdsBetween, Look

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = decoder(dict[str, str | None]).decode


@dataclass
class SeenRow:
    """One row of a source."""

    table: str
    row_id: str
    text: str
    """The content that was seen last, as the log holds it, also of a row that vanished."""
    version: int
    first_seen: int
    changed_at: int
    is_gone: bool = False
    _content: Content | None = None

    @property
    def content(self) -> Content:
        """The same, read."""
        if self._content is None:
            self._content = _decode(self.text)
        return self._content

    def replace(self, text: str) -> None:
        """Another content."""
        self.text, self._content = text, None


def decode_content(text: str) -> Content:
    """The row that `content_text` wrote."""
    return _decode(text)


def content_text(content: Content) -> str:
    """The row as canonical JSON."""
    return _encode(dict(content)).decode()


@dataclass
class SeenRows:
    """All rows of one source that were ever seen, and the looks at it."""

    tables: dict[str, Packed[SeenRow]] = field(default_factory=dict)
    looks: list[tuple[int, int]] = field(default_factory=list)
    """First and last instant of each run of looks that the log holds, in order; a run ends where the next look was late."""
    newest: int | None = None
    _firsts: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Of each table: (first seen, greatest whole-numbered id until then), growing in both."""
    _changes: dict[str, list[str]] = field(default_factory=dict)
    """Of each table: the ids of its rows in the order in which they appeared and changed."""
    _numbers: dict[str, list[int]] = field(default_factory=dict)
    """Of each table: its whole-numbered ids, sorted."""

    def apply(self, event: SourceRows) -> list[SeenRow]:
        """Take the rows of an event; the rows that it changed."""
        changed = []
        rows = event.rows
        for table, row_id, version, text in zip(rows.table, rows.row_id, rows.version, rows.content, strict=True):
            held = self._table(table).get(row_id)
            if held is None:
                if text is None:
                    continue
                held = self.tables[table][row_id] = SeenRow(table, row_id, text, version, event.seen_at, event.seen_at)
                self._remember_first(table, row_id, event.seen_at)
            elif version <= held.version:
                continue
            else:
                held.version, held.changed_at, held.is_gone = version, event.seen_at, text is None
                if text is not None:
                    held.replace(text)
            changed.append(held)
            self._changes.setdefault(table, []).append(row_id)
        return changed

    def _table(self, table: str) -> Packed[SeenRow]:
        if table not in self.tables:
            self.tables[table] = Packed(_pack, functools.partial(_unpack, table))
        return self.tables[table]

    def dump(self) -> dict[str, Any]:
        """All of it, packed, for a checkpoint."""
        firsts = {table: [[at, str(greatest)] for at, greatest in listed] for table, listed in self._firsts.items()}
        return {
            "tables": {table: rows.dump() for table, rows in self.tables.items()},
            "looks": self.looks,
            "newest": self.newest,
            "firsts": firsts,
        }

    def load(
        self,
        tables: Mapping[str, dict[str, msgspec.Raw]],
        looks: list[tuple[int, int]],
        newest: int | None,
        firsts: Mapping[str, list[Any]],
    ) -> None:
        """Go on from what `dump` gave."""
        for table, rows in tables.items():
            self._table(table).load(rows)
            self._changes[table] = list(rows)
            self._numbers[table] = sorted(int(row_id) for row_id in rows if row_id.isdecimal())
        self.looks, self.newest = looks, newest
        self._firsts = {table: [(at, int(greatest)) for at, greatest in listed] for table, listed in firsts.items()}

    def polled(self, event: SourcePolled) -> None:
        """Take a run of looks."""
        self.looks.append((event.first_at, event.at))
        if event.newest is not None:
            self.newest = max(self.newest or event.newest, event.newest)

    def size(self) -> int:
        """How many rows were ever seen."""
        return sum(len(rows) for rows in self.tables.values())

    def row(self, table: str, row_id: str) -> SeenRow | None:
        """A row by its id; None where none was ever seen."""
        return self._table(table).get(row_id)

    def rows(self, table: str) -> Mapping[str, Content]:
        """See `source.Known`."""
        return {row_id: row.content for row_id, row in self._table(table).items() if not row.is_gone}

    def since(self, table: str, mark: int) -> Sequence[tuple[str, Content | None]]:
        """See `source.Known`."""
        held = self._table(table)
        ids = self._changes.get(table, [])[mark:]
        return [(row_id, None if held[row_id].is_gone else held[row_id].content) for row_id in ids]

    def last_content(self, table: str, row_id: str) -> Content | None:
        """See `source.Known`."""
        held = self.row(table, row_id)
        return None if held is None else held.content

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
            held = self._table(table)
            for row_id in sorted(found.rows, key=natural):
                text, row = content_text(found.rows[row_id]), held.get(row_id)
                if row is None:
                    yield table, row_id, 1, text
                elif row.is_gone or row.text != text:
                    yield table, row_id, row.version + 1, text
            for row_id in self._covered(table, found.covers):
                if row_id in held and not held[row_id].is_gone and row_id not in found.rows:
                    yield table, row_id, held[row_id].version + 1, None

    def _covered(self, table: str, covers: Covered) -> Collection[str]:
        """The ids of the rows that a look covers; also of some that have vanished, or were never seen."""
        if isinstance(covers, IdsBetween):
            numbers = self._numbers.get(table, [])
            end = len(numbers) if covers.high is None else bisect.bisect_right(numbers, covers.high)
            return [*map(str, numbers[bisect.bisect_right(numbers, covers.low) : end]), *covers.also]
        if callable(covers):
            held = self._table(table)
            return sorted((row_id for row_id, row in held.items() if not row.is_gone and covers(row_id, row.content)), key=natural)
        return sorted(covers, key=natural)

    def _remember_first(self, table: str, row_id: str, at: int) -> None:
        if row_id.isdecimal():
            bisect.insort(self._numbers.setdefault(table, []), int(row_id))
            firsts = self._firsts.setdefault(table, [])
            greatest = max(int(row_id), firsts[-1][1] if firsts else 0)
            if firsts and firsts[-1][0] == at:
                firsts[-1] = (at, greatest)
            elif not firsts or greatest > firsts[-1][1]:
                firsts.append((at, greatest))


def _pack(row: SeenRow) -> list[Any]:
    return [row.row_id, row.text, row.version, row.first_seen, row.changed_at, row.is_gone]


def _unpack(table: str, found: list[Any]) -> SeenRow:
    return SeenRow(table, *found)


def natural(row_id: str) -> tuple[int, str]:
    """Whole-numbered ids by their number, others after them by their text."""
    return (int(row_id), "") if row_id.isdecimal() else (2**63, row_id)
