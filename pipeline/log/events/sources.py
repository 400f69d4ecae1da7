"""Events about the sources of the ledger: databases and services that a pool's books are read from (ADR 22). Topic `ledger`.

A row of a source is kept as it was seen, with each change; `source-polled` says that it was looked at and nothing else had changed. What follows from the
rows (allocations, payments, items that wait for something) is written beside them in events of its own. Instants are microseconds since the Unix epoch, UTC.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from .parts import Date, Event, Id, Text, UnixMicros, Version, check_day, check_days, check_same_length

SourceName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$(?!\n)", description="the source's name in the settings")]
RowText = Annotated[str, Meta(max_length=65_536, description="the row's columns as canonical JSON, every value a text or null")]


class SourceConfigured(Event, tag="source-configured", frozen=True, kw_only=True):
    """The settings by which a source's rows are read as allocations and payments, from here on for all of its rows."""

    source: SourceName
    kind: Text
    settings: Annotated[dict[str, Any], Meta(description="what the reading of rows depends on; no secrets")]
    at: UnixMicros


class SourceRowColumns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows of a source, one list per column. `version` counts what was seen of a row from 1; no content: the row is gone."""

    table: list[Id]
    row_id: list[Id]
    version: list[Version]
    content: list[RowText | None]

    def __post_init__(self) -> None:
        check_same_length(self, *self.__struct_fields__)


class SourceRows(Event, tag="source-rows", frozen=True, kw_only=True):
    """Rows that appeared, changed or vanished between two looks."""

    source: SourceName
    seen_at: UnixMicros
    rows: SourceRowColumns


class SourcePolled(Event, tag="source-polled", frozen=True, kw_only=True):
    """Looks at a source, of which those before the last one found nothing new."""

    source: SourceName
    first_at: UnixMicros
    at: Annotated[int, Meta(ge=-62_135_596_800_000_000, le=253_402_300_799_999_999, description="of the last look")]
    polls: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    newest: Annotated[UnixMicros | None, Meta(description="the source's own time of its newest row; null where it has none")] = None


class SourceItemColumns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What waits for something, one list per column."""

    item: list[Id]
    version: list[Version]
    is_open: list[bool]
    code: list[Id]
    date: list[Date]
    detail: list[Text]

    def __post_init__(self) -> None:
        check_same_length(self, *self.__struct_fields__)
        for day in self.date:
            check_day("date", day)


class SourceItems(Event, tag="source-items", frozen=True, kw_only=True):
    """Items of a source that began or ended: uncertain outcomes, holes, restatements that wait, rows unexplained, sums that differ.

    `code` is that of the issue it is while open, in the month of `date`.
    """

    source: SourceName
    rows: SourceItemColumns


class SourceComplete(Event, tag="source-complete", frozen=True, kw_only=True):
    """A source holds everything through a day: it was read past its end, nothing in it is uncertain, and its sums agree."""

    source: SourceName
    through: Date
    reason: Text

    def __post_init__(self) -> None:
        check_days(self, "through")


class SourceDecided(Event, tag="source-decided", frozen=True, kw_only=True):
    """A person ends an item by name. Topic `months`."""

    source: SourceName
    item: Id
    outcome: Annotated[
        Literal["paid", "not-paid", "accept", "refuse", "dated"],
        Meta(
            description="of a payment: it was paid under `txid`, or it was not; of a change of the registry: it counts from `day` on; of anything else: it counts as the source says, or it does not"
        ),
    ]
    txid: Annotated[Id | None, Meta(description="of `paid`")] = None
    day: Annotated[Date | None, Meta(description="of `dated`")] = None
    by: Text
    reason: Text
    at: Annotated[int, Meta(ge=0, le=253_402_300_799, description="seconds since the Unix epoch, UTC")]


LedgerSourceEvent = SourceConfigured | SourceRows | SourcePolled | SourceItems | SourceComplete
