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


@dataclass(frozen=True)
class FileKind:
    """A kind of DuckDB file, with the advice for its failures."""

    name: str
    when_held: str
    """What to do while another process has it open for writing."""
    when_lost: str
    """What to do when it is damaged, empty or not a database."""


LIVE_STORE = FileKind(
    "the store", "end that process, or read the published copy meanwhile", "delete it with its .wal: it is rebuilt from the log"
)
PUBLISHED_COPY = FileKind(
    "the published copy",
    "end that session and open the copy read-only, or publish a new copy with `esep ingest`",
    "publish a new copy with `esep ingest` (a running service does so after its next commit)",
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
        advice = "free disk space, then start again" if is_full else "check the folder and its permissions"
        raise StoreError(f"{kind.name} {place}: {error.strerror or error}; {advice}") from error
    except duckdb.Error as error:
        raise store_error(error, path, kind) from error


def store_error(error: duckdb.Error, path: Path | None, kind: FileKind = LIVE_STORE) -> StoreError:
    """The error as a `StoreError` with advice; tells apart an empty file, a folder in its place, and a file of a newer DuckDB."""
    said, place = str(error), f"{kind.name} {path or ':memory:'}"
    if "Conflicting lock" in said:
        holder = re.search(r"held in (.+?) \(PID ([0-9]+)\)", said)
        who = f"process {holder[2]} ({holder[1]})" if holder else "another process"
        return StoreLocked(f"{place}: {who} has it open: {kind.when_held}")
    if path is not None and path.is_dir():
        return StoreError(f"{place}: a folder stands in the file's place: move it away, then start again")
    if "database file with version number" in said or "newer version of DuckDB" in said:
        return StoreError(f"{place} was written by a newer version of DuckDB: upgrade the program, or {kind.when_lost}")
    if _FULL.search(said):
        return StoreError(f"{place}: {_first_line(said)}; nothing of this step was stored: free disk space or memory, then start again")
    if path is not None and path.is_file() and path.stat().st_size == 0:
        return StoreError(f"{place} is empty (0 bytes): {kind.when_lost}")
    if _ACCESS.search(said) and "WAL" not in said:
        return StoreError(f"{place}: {_first_line(said)}; check the folder and its permissions")
    if is_damage(error):
        return StoreError(f"{place} is damaged or not a DuckDB database ({_first_line(said)}): {kind.when_lost}")
    return StoreError(f"{place}: {_first_line(said)}; if the file is damaged: {kind.when_lost}")


def is_damage(error: duckdb.Error) -> bool:
    """Whether the error comes from a damaged file, not from the statement."""
    return bool(_DAMAGE.search(str(error)))


def _first_line(said: str) -> str:
    return said.strip().splitlines()[0] if said.strip() else "no reason given"
