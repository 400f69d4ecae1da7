"""The types of event fields with their limits, and the base class of all events."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import astuple

from pipeline.model.message import message
from pipeline.model.paths import NAME_PATTERN

_END = r"$(?!\n)"
"""The end of the text: `$` alone also matches before a last newline."""

Units = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,37})" + _END, description="whole base units of the asset, decimal")]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}" + _END, description="32 bytes, hex, in the chain's customary order")]
Date = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}" + _END, description="a calendar day in Asia/Almaty")]
UnixSeconds = Annotated[int, Meta(ge=0, le=253_402_300_799, description="seconds since the Unix epoch, UTC, up to the year 9999")]
UnixMicros = Annotated[
    int, Meta(ge=-62_135_596_800_000_000, le=253_402_300_799_999_999, description="microseconds since the Unix epoch, UTC, years 1 to 9999")
]
SequenceNumber = Annotated[int, Meta(ge=0, le=2**62, description="running number of the key's events, from 0, without gaps")]
Height = Annotated[int, Meta(ge=0, le=2**62, description="the block's number, the first block's is 0")]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Version = Annotated[int, Meta(ge=1, le=2**31 - 1, description="counts restatements from 1; the greatest counts")]

MAX_EVENT_BYTES = 256 << 20
"""Largest event as JSON; a larger one is neither written nor read."""
Id = Annotated[str, Meta(max_length=1_000)]
"""An id from a chain, a ledger or a registry; imports accept at most 200 characters."""
Text = Annotated[str, Meta(max_length=32_768)]
"""A name, a reason or a message, written by a person or received from another system (and then cut to this length)."""
SubmissionId = Annotated[str, Meta(pattern=f"^{NAME_PATTERN}" + _END, description="names files, so it is a plain name")]
ContentType = Annotated[str, Meta(pattern=r"^[\x20-\x7e]{1,200}" + _END, description="travels in a header, so it is one line of ASCII")]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}" + _END, description="names files, so it is a plain name")]

FrozenVersion = Annotated[int, Meta(ge=1, le=2**31 - 1, description="of the frozen month, from 1")]
MonthName = Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])" + _END, description="a calendar month: 2026-10")]


def check_same_length(columns: Struct, *names: str) -> None:
    """Check that all lists of bulk rows have one length. Raises ValueError, which `decode` reports with the path."""
    if names == columns.__struct_fields__ and len(set(map(len, astuple(columns)))) <= 1:
        return  # all of them at once: one-row events come by the hundred thousand
    lengths = [len(getattr(columns, name)) for name in names]
    if lengths.count(lengths[0]) != len(lengths):
        raise ValueError(
            "columns of different lengths: " + ", ".join(f"{name} {length}" for name, length in zip(names, lengths, strict=True))
        )


def check_days(row: Struct, *names: str) -> None:
    """Check that each day exists: 2026-02-30 matches the pattern, so it is refused here. Raises ValueError."""
    for name in names:
        day = getattr(row, name)
        if day is not None:
            check_day(name, day)


def check_day(name: str, day: str) -> None:
    """Check that one day exists. Raises ValueError."""
    try:
        date.fromisoformat(day)
    except ValueError:
        raise ValueError(message("{name} {day} is not a day of the calendar", name=name, day=repr(day))) from None


class Event(Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """What every event has."""

    id: Annotated[str, Meta(min_length=1, max_length=200, description="unique within the topic and key")]
    schema: Annotated[int, Meta(ge=1)] = 1
