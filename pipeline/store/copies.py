"""Read the published copy of the store.

In: the path of a published copy. Out: a read-only connection to it, and the log positions that it shows. Every failure to open or
read it is a `StoreError` that says what is wrong and what to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import duckdb

from pipeline.model.errors import StoreError
from pipeline.model.message import message

from .errors import PUBLISHED_COPY, translate_errors
from .threads import threads_for


@contextlib.contextmanager
def open_copy(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The copy at `path`, read-only and without access to other files or the network.

    Raises `StoreError` when it is missing, empty, damaged, or was opened for writing by someone; `StoreLocked` when another
    process has it open for writing now. Errors of statements within the block pass through.
    """
    if not path.exists():
        raise StoreError(
            message("the published copy {path} is not there yet: `esep run` publishes it, and so does `esep ingest`", path=path)
        )
    changes = path.with_name(path.name + ".wal")
    if changes.is_file() and changes.stat().st_size > 0:
        raise StoreError(
            message(
                "the published copy {path} was opened for writing: {changes} holds changes that are not the store's; end that session and publish a new copy with `esep ingest`",
                path=path,
                changes=changes,
            )
        )
    with translate_errors(path, PUBLISHED_COPY):
        connection = duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false"})
        # Another opening in this process, even of the copy that lay here before, is the same instance of DuckDB: it has its settings already.
        if not connection.execute("SELECT current_setting('lock_configuration')").fetchall()[0][0]:
            for name, value in (threads_for(path) | {"lock_configuration": "true"}).items():
                connection.execute(f"SET {name} = {value}")
    with connection:
        yield connection


def published_positions(path: Path) -> dict[str, int] | None:
    """The log's positions that the copy shows: the next offset of each partition. None when there is no copy yet. Errors as in `open_copy`."""
    if not path.exists():
        return None
    with open_copy(path) as connection, translate_errors(path, PUBLISHED_COPY):
        return dict(connection.execute("SELECT place, next_offset FROM raw_position ORDER BY place").fetchall())
