"""DuckDB's and the system's errors as `StoreError`s: what happened, to which file, which process has it, what to do.

In: exceptions raised while a DuckDB file is opened, read or written, and what kind of file it is. Out: `StoreError`, or `StoreLocked`
when another process has the file locked. Errors in SQL statements themselves are not translated here.
"""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipeline.model.errors import StoreError, StoreLocked
from pipeline.model.message import message
from pipeline.model.system_words import system_words


@dataclass(frozen=True)
class FileKind:
    """A kind of DuckDB file, with the advice for its failures."""

    name: str
    when_held: str
    """What to do while another process has it open for writing."""
    when_lost: str
    """What to do when it is damaged, empty or not a database."""


LIVE_STORE = FileKind(
    message("the store"),
    message("end that process, or read the published copy meanwhile"),
    message("delete it with its .wal: it is rebuilt from the log"),
)
PUBLISHED_COPY = FileKind(
    message("the published copy"),
    message("end that session and open the copy read-only, or publish a new copy with `esep ingest`"),
    message("publish a new copy with `esep ingest` (a running service does so after its next commit)"),
)

_DAMAGE = re.compile(
    r"not a valid DuckDB database|Corrupt|checksum|Could not read enough bytes|Failure while replaying WAL|does not match database file"
    r"|checkpoint iteration|FATAL|INTERNAL Error|Serialization Error|attempted to read",
    re.IGNORECASE,
)
_FULL = re.compile(r"No space left|disk quota|Out of Memory|could not allocate", re.IGNORECASE)
_ACCESS = re.compile(r"Permission denied|No such file or directory|Cannot open file")


@contextlib.contextmanager
def translate_errors(path: Path | None, kind: FileKind = LIVE_STORE) -> Iterator[None]:
    """Turn DuckDB's and the system's errors into `StoreError`s that say what to do."""
    place = str(path or ":memory:")
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = message("free disk space, then start again") if is_full else message("check the folder and its permissions")
        raise StoreError(
            message(
                "{name} {place}: {strerror}; {advice}", name=kind.name, place=place, strerror=system_words(error) or error, advice=advice
            )
        ) from error
    except duckdb.Error as error:
        raise store_error(error, path, kind) from error


def store_error(error: duckdb.Error, path: Path | None, kind: FileKind = LIVE_STORE) -> StoreError:
    """The error as a `StoreError` with advice; tells apart an empty file, a folder in its place, and a file of a newer DuckDB."""
    said, place = str(error), f"{kind.name} {path or ':memory:'}"
    if "Conflicting lock" in said:
        holder = re.search(r"held in (.+?) \(PID ([0-9]+)\)", said)
        who = message("process {holder} ({holder_2})", holder=holder[2], holder_2=holder[1]) if holder else message("another process")
        return StoreLocked(message("{place}: {who} has it open: {when_held}", place=place, who=who, when_held=kind.when_held))
    if path is not None and path.is_dir():
        return StoreError(message("{place}: a folder stands in the file's place: move it away, then start again", place=place))
    if "database file with version number" in said or "newer version of DuckDB" in said:
        return StoreError(
            message(
                "{place} was written by a newer version of DuckDB: upgrade the program, or {when_lost}",
                place=place,
                when_lost=kind.when_lost,
            )
        )
    if _FULL.search(said):
        return StoreError(
            message(
                "{place}: {first_line}; nothing of this step was stored: free disk space or memory, then start again",
                place=place,
                first_line=_first_line(said),
            )
        )
    if path is not None and path.is_file() and path.stat().st_size == 0:
        return StoreError(message("{place} is empty (0 bytes): {when_lost}", place=place, when_lost=kind.when_lost))
    if _ACCESS.search(said) and "WAL" not in said:
        return StoreError(message("{place}: {first_line}; check the folder and its permissions", place=place, first_line=_first_line(said)))
    if is_damage(error):
        return StoreError(
            message(
                "{place} is damaged or not a DuckDB database ({first_line}): {when_lost}",
                place=place,
                first_line=_first_line(said),
                when_lost=kind.when_lost,
            )
        )
    return StoreError(
        message(
            "{place}: {first_line}; if the file is damaged: {when_lost}",
            place=place,
            first_line=_first_line(said),
            when_lost=kind.when_lost,
        )
    )


def is_damage(error: duckdb.Error) -> bool:
    """Whether the error comes from a damaged file, not from the statement."""
    return bool(_DAMAGE.search(str(error)))


def _first_line(said: str) -> str:
    return said.strip().splitlines()[0] if said.strip() else message("no reason given")
