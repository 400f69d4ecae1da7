"""Who held which account and wallet from when to when, from the rows of a source that keeps only the present (ADR 22).

Enters: every version of the rows of `accounts` and `wallets` (and of `miners` and `licences`, of which the newest counts), the looks between which each was seen first, people's
decisions. Leaves: periods in days of Almaty (rule 4.1), and an item for each change whose day is not certain. Pure: the same events give the same periods.

A change is dated by the source's own time where the row has one (`valid_from`, or `changed_at`). Else it lies between two looks: on their day when both are on one day in
Almaty; when midnight lies between them it counts from the day of the later look until a person says from which day on, and the days between are in doubt.
What was there at the first look has no beginning of its own: it counts from the source's `since`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, NamedTuple

from pipeline.log.events.sources import SourceDecided, SourceRows
from pipeline.model.issues import IssueCode
from pipeline.model.message import message

from . import details
from .kinds.values import instant
from .outputs import Item, Unreadable, day_of
from .seen import decode_content
from .source import Content

RegistryTable = Literal["miners", "licences", "accounts", "wallets"]
REGISTRY_TABLES: tuple[RegistryTable, ...] = ("miners", "licences", "accounts", "wallets")
TIMES = ("changed_at", "valid_from", "valid_to")


class Sighting(NamedTuple):
    """One version of a row: its content (None: it was gone), the look that found it, and the look before, None for the first one at its table."""

    content: Content | None
    version: int
    seen_at: int
    before: int | None


@dataclass(frozen=True)
class Period:
    """A row's content for some days."""

    row_id: str
    content: Content
    begin: date | None
    """The first day; None: it was there at the first look, and since when is not known."""
    end: date | None
    """The first day on which it did not count any more; None: it counts."""
    seen_on: date
    """The day of the look that found it."""


class RegistryHistory:
    """Every version of a source's rows of the registry."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[Sighting]] = {}
        self._last_look: int | None = None
        self._known: set[str] = set()
        """Tables that were looked at since the settings named them."""
        self._named: set[str] = set()

    def dump(self) -> list[Any]:
        """All of it, in shapes that msgpack carries."""
        rows = [
            [table, row_id, [[None if one.content is None else dict(one.content), *one[1:]] for one in seen]]
            for (table, row_id), seen in self.rows.items()
        ]
        return [rows, self._last_look, sorted(self._known), sorted(self._named)]

    def load(self, found: list[Any]) -> None:
        """Go on from what `dump` gave."""
        rows, self._last_look, known, named = found
        self.rows = {(table, row_id): [Sighting(*one) for one in seen] for table, row_id, seen in rows}
        self._known, self._named = set(known), set(named)

    def configured(self, settings: Mapping[str, Any]) -> None:
        """The settings from here on: tables that they name anew were there before anybody looked."""
        self._named = {table for table in REGISTRY_TABLES if settings.get(table)}
        self._known &= self._named

    def polled(self, at: int) -> None:
        """The source was looked at."""
        self._known |= self._named
        self._last_look = max(at, self._last_look or at)

    def rows_changed(self, event: SourceRows) -> bool:
        """Take the rows of an event; whether any was of the registry and new."""
        is_new = False
        rows = event.rows
        for table, row_id, version, text in zip(rows.table, rows.row_id, rows.version, rows.content, strict=True):
            if table not in REGISTRY_TABLES:
                continue
            held = self.rows.setdefault((table, row_id), [])
            if held and version <= held[-1].version:
                continue
            before = self._last_look if held or table in self._known else None
            held.append(Sighting(None if text is None else decode_content(text), version, event.seen_at, before))
            is_new = True
        return is_new

    def seen_on(self, table: str, row_id: str) -> date:
        """The day on which a row was seen as it is."""
        return day_of(self.rows[table, row_id][-1].seen_at)

    def newest(self, table: str) -> Iterator[tuple[str, Content]]:
        """The newest content of each row of a table, also of one that is gone, by the row's id."""
        for (name, row_id), sightings in sorted(self.rows.items()):
            contents = [sighting.content for sighting in sightings if sighting.content is not None]
            if name == table and contents:
                yield row_id, contents[-1]

    def periods(self, table: str, decisions: Mapping[str, SourceDecided], items: dict[str, Item]) -> list[Period]:
        """The periods of a table's rows; into `items` what has no certain day, and rows whose own times can't be read."""
        found: list[Period] = []
        for (name, row_id), sightings in sorted(self.rows.items()):
            if name != table:
                continue
            try:
                found += _periods(table, row_id, sightings, decisions, items)
            except Unreadable as error:
                item = f"unreadable:{table}:{row_id}"
                items[item] = Item(item, IssueCode.SOURCE_UNEXPLAINED, day_of(sightings[-1].seen_at), f"{table} row {row_id}: {error}")
        return found


def _periods(
    table: str, row_id: str, sightings: list[Sighting], decisions: Mapping[str, SourceDecided], items: dict[str, Item]
) -> list[Period]:
    found: list[Period] = []
    for sighting in sightings:
        current = found[-1] if found and found[-1].end is None else None
        content = sighting.content
        if content is not None and current is not None and _identity(content) == _identity(current.content):
            found[-1] = replace(current, content=content)
            continue
        if content is None and current is None:
            continue
        began = None if content is None else _own_day(content)
        if began is None and sighting.before is not None:
            began = _dated(table, row_id, sighting, None if current is None else current.content, decisions, items)
        if current is not None:
            found[-1] = replace(current, end=began or day_of(sighting.seen_at))
        if content is not None:
            found.append(Period(row_id, content, began, None, day_of(sighting.seen_at)))
    return [_with_own_end(period) for period in found]


def _identity(content: Content) -> dict[str, str | None]:
    return {name: value for name, value in content.items() if name not in TIMES}


def _own_day(content: Content) -> date | None:
    """The day from which on a content counts by the source's own time; None where it has none. Raises Unreadable."""
    if content.get("valid_from"):
        return _day(content["valid_from"])
    return day_of(instant(content["changed_at"])) if content.get("changed_at") else None


def _with_own_end(period: Period) -> Period:
    own = period.content.get("valid_to")
    end = _day(own) if own else None
    ends = [day for day in (period.end, end) if day is not None]
    return replace(period, end=min(ends) if ends else None)


def _day(text: str | None) -> date:
    try:
        return date.fromisoformat((text or "")[:10])
    except ValueError:
        raise Unreadable(message("{text} is no day: write it like 2026-10-01", text=repr(text))) from None


def _dated(
    table: str, row_id: str, sighting: Sighting, previous: Content | None, decisions: Mapping[str, SourceDecided], items: dict[str, Item]
) -> date:
    """The day of a change between two looks: certain when both are of one day, else a person's, else that of the later look, with an item."""
    assert sighting.before is not None
    first, last = day_of(sighting.before), day_of(sighting.seen_at)
    if first == last:
        return last
    subjects = ",".join(
        dict.fromkeys(name for content in (previous, sighting.content) if content is not None if (name := _subject(table, content)))
    )
    item = f"undated:{table}:{first}:{last}:{subjects}@{row_id}.{sighting.version}"
    decided = decisions.get(item)
    if decided is not None and decided.day is not None and first <= (day := date.fromisoformat(decided.day)) <= last:
        return day
    what = "appeared" if previous is None else "is gone" if sighting.content is None else "changed"
    shown = " -> ".join(subjects.split(","))
    detail = details.UNDATED.format(table=table, row_id=row_id, subjects=shown, what=what, first=first, last=last, again=last)
    items[item] = Item(item, IssueCode.REGISTRY_UNDATED, first, detail)
    return last


def _subject(table: str, content: Content) -> str:
    return content.get("account" if table == "accounts" else "address") or ""
