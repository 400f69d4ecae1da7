"""Files brought in by a page: reviewed with what they would change, then taken or left.

Enters: files in a folder of this process, what kind they are. Leaves: `Brought`: faults by line, sums, restatements, questions, the reports' differences; the import, once a person takes it. The files are
deleted when they are taken or left, and with the process. Left out: pages.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.closing.preview import MonthChange
from pipeline.model.errors import InputRefused, MonthError
from pipeline.model.message import message
from pipeline.validate.review import Consent, Review

from .app import App
from .tasks import Told

Kind = Literal["allocations", "payments", "openings", "registry"]
KINDS: tuple[Kind, ...] = ("allocations", "payments", "openings", "registry")
FOLDER = "brought"
"""Below `var`."""


@dataclass(frozen=True)
class Brought:
    """A file, or a registry's files, as they were read."""

    kind: Kind
    names: list[str]
    folder: Path = field(repr=False)
    faults: list[str]
    """`file:line: what`; with any, nothing can be taken."""
    review: Review | None
    """Of a ledger file without faults."""
    registry_rows: dict[str, int]
    registry_differs: dict[str, tuple[int, int]]
    """Of a registry: (rows that come, rows that go) by table."""
    warnings: list[str]
    changes: list[MonthChange]
    """How the reports of the open months would change."""

    @property
    def can_be_taken(self) -> bool:
        return (
            not self.faults
            and (self.review is None or self.review.new + self.review.restated > 0)
            and (self.review is not None or bool(self.registry_differs))
        )


@dataclass(frozen=True)
class Taken:
    """What an import did."""

    kind: Kind
    new: int
    restated: int
    version: int | None
    """Of the registry."""


def bring_in(app: App, kind: Kind, folder: Path, told: Told) -> Brought:
    """Read and check the files, and work out what they would change; nothing is imported."""
    names = sorted(path.name for path in folder.iterdir())
    told.step(message("reading {name}", name=", ".join(names)))
    try:
        if kind == "registry":
            read = app.imports.read_registry(_where(folder))
            told.step(message("working out the open months"))
            differs, changes = app.months.preview_registry(read.content, told.progress)
            rows = {str(name): len(found) for name, found in read.content.items()}
            return Brought(kind, names, folder, [], None, rows, differs, list(read.warnings), changes)
        found, appended = app.imports.review(_where(folder), kind, may_move=True)
        faults = [fault.at(names[0]) for fault in found.faults]
        if faults:
            leave(folder)
        told.step(message("working out the open months"))
        changes = [] if faults else app.months.preview(kind, appended, told.progress)
        return Brought(kind, names, folder, faults, found, {}, {}, found.warnings, changes)
    except InputRefused as error:
        leave(folder)
        return Brought(kind, names, folder, error.faults, None, {}, {}, [], [])


def take(app: App, brought: Brought, told: Told, *, by: str, is_agreed: bool) -> Taken:
    """Import what was reviewed. Raises MonthError where the files were left meanwhile, InputRefused, ConsentNeeded where questions were not agreed to."""
    if not brought.folder.is_dir():
        raise MonthError(message("these files were taken or left already: bring them in again"))
    told.step(message("importing {name}", name=", ".join(brought.names)))
    try:
        if brought.kind == "registry":
            made = app.imports.registry(_where(brought.folder))
            return Taken(brought.kind, sum(made.rows.values()) if made.is_new else 0, 0, made.version)
        moves = brought.review is not None and any(name in brought.review.restated_by for name in ("account", "asset", "month"))
        consent = Consent(is_agreed, is_agreed and moves, app.people.importer(by, is_needed=False) if is_agreed else "")
        done = app.imports.ledger(_where(brought.folder), brought.kind, consent=consent)
        return Taken(brought.kind, done.review.new, done.review.restated, None)
    finally:
        leave(brought.folder)


def sweep(var: Path, now: int) -> None:
    """Delete files that nobody took or left for a day: their process ended."""
    for folder in (var / FOLDER).glob("*"):
        if folder.stat().st_mtime < now - 86_400:
            leave(folder)


def leave(folder: Path) -> None:
    """Delete the files."""
    shutil.rmtree(folder, ignore_errors=True)


def _where(folder: Path) -> Path:
    """A single file itself, several as their folder."""
    files = list(folder.iterdir())
    return files[0] if len(files) == 1 else folder
