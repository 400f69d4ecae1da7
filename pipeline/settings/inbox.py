"""The `[inbox]` table: a folder whose files are imported as they arrive. Importing them is `service.inbox`'s task."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from .parts import FilePath, Section, as_tuple


class InboxRule(Section):
    """The kind of the files whose names match a pattern."""

    pattern: str = Field(min_length=1, max_length=200, description="names of the files: * any text, ? one character, as alloc*.csv")
    kind: Literal["allocations", "payments", "openings", "registry"] = Field(
        description="what they hold; registry is a folder with its tables, renamed into place"
    )
    profile: str = Field(
        default="", pattern=r"^([a-z0-9][a-z0-9-]{0,60})?$", description="a ready profile instead of that of the table's settings"
    )
    sheet: str | None = Field(default=None, description="the sheet of a workbook that has several")


class InboxSettings(Section):
    """A folder from which files are imported as they arrive whole."""

    folder: FilePath | None = Field(default=None, description="the folder, relative to this file; none: no files are imported")
    settle_s: int = Field(default=10, ge=0, le=86_400, description="seconds that a file must not have changed before it is taken as whole")
    poll_s: int = Field(default=10, ge=1, le=86_400, description="seconds between two looks")
    files: Annotated[tuple[InboxRule, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="what files are, by name; the first pattern that fits counts"
    )
