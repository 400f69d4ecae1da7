"""`esep query`: SQL queries on the published copy, and how far that copy is behind the log.

Enters: a statement, a file, a ready query's name, or lines at a prompt. Leaves: a table, or each row print_vertical where a table
would not fit the terminal, or JSON or CSV on stdout; on stderr one line on the copy's lag. The ready queries are the files
of docs/queries, which travel with the program.
"""

from __future__ import annotations

import csv
import re
import sys
import time
from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.cells import cell_len

from pipeline.app.app import App
from pipeline.app.overview import lag_events
from pipeline.log.lease import PoolLease
from pipeline.log.protocol import Positions
from pipeline.model.errors import EsepError, LogError, SettingsError, StoreError, StoreLocked
from pipeline.model.message import counted, message, text_of
from pipeline.model.plain import plain
from pipeline.model.system_words import system_words
from pipeline.service.loops import refresh
from pipeline.store.copies import open_copy, published_positions
from pipeline.store.errors import PUBLISHED_COPY, is_damage, store_error
from pipeline.texts import N_

from .frame import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    err,
    fit,
    now,
    out,
    print_json,
    progress,
    say,
    settings_of,
    table,
    terminal_words,
)
from .logs import mask
from .services import measured

_POLL_S = 0.2
_WAIT_MARGIN_S = 60
"""How much longer than two intervals of publishing `--fresh` waits for the process that fills the store."""
_COLUMN_GAP = 2


def query(
    statement: Annotated[
        str | None,
        typer.Argument(
            help="One SQL statement, or a ready query's name after --saved; a prompt opens when it is not given.", metavar="[SQL]"
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the statement from a file.", metavar="FILE")] = None,
    saved: Annotated[bool, typer.Option("--saved", help="Ask a ready query by its name; without a name, list them.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="First bring the copy up to the log's end: make it, or wait for the process that does.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Ask the published read-only copy in SQL (DuckDB): one statement, a file, a ready query, or a prompt.

    The copy opens while the service runs, and nothing in it can be changed. A line on stderr says how far it is behind the
    log. The views are described in docs/data-dictionary.md; `SHOW TABLES` lists them, `DESCRIBE report` shows one.

    [dim]esep query "SELECT miner_id, sum(amount) FROM report GROUP BY ALL ORDER BY 2 DESC LIMIT 10"[/dim]

    [dim]esep query --saved payouts-by-miner --fresh[/dim]
    """
    wanted = _wanted(statement, file, is_saved=saved)
    if saved and wanted is None:
        table("", [message("name"), message("question")], [[name, _question(text)] for name, text in sorted(ready_queries().items())])
        return
    settings = settings_of(config)
    path = settings.store.published
    with App(settings, now) as app:
        if fresh:
            _freshen(app)
        with open_copy(path) as connection:
            if wanted is not None:
                _answer(connection, wanted, path, as_json=as_json, as_csv=as_csv)
                _tell_lag(app, connection)
                return
            _tell_lag(app, connection)
            _prompt(connection, path)


# --- what is asked


def _wanted(statement: str | None, file: Path | None, *, is_saved: bool) -> str | None:
    """The statement to run; None for the prompt, and for the list of ready queries. Raises SettingsError for a wrong command line."""
    if file is not None:
        if statement is not None or is_saved:
            raise SettingsError([message("--file: the statement comes from the file: leave out the other one")], source="esep query")
        try:
            return file.read_text("utf-8-sig")
        except OSError as error:
            raise SettingsError(
                [message("--file: {file}: {strerror}", file=file, strerror=system_words(error))], source="esep query"
            ) from error
        except UnicodeDecodeError as error:
            raise SettingsError(
                [message("--file: {file} is not UTF-8 text (byte {start}): save it as UTF-8", file=file, start=error.start)],
                source="esep query",
            ) from error
    if is_saved and statement is not None:
        found = ready_queries()
        if statement not in found:
            raise SettingsError(
                [
                    message(
                        "--saved: there is no ready query {statement}: the names are {found}",
                        statement=repr(statement),
                        found=", ".join(sorted(found)),
                    )
                ],
                source="esep query",
            )
        return found[statement]
    if statement is not None and re.fullmatch(r"-\S*", statement):
        raise SettingsError([message("no such option: {statement}; see `esep query --help`", statement=statement)], source="esep query")
    return statement


def ready_queries() -> dict[str, str]:
    """The text of each ready query by its name: `payouts-by-miner` of `docs/queries/01-payouts-by-miner.sql`."""
    return {re.sub(r"^[0-9]+-", "", entry.name)[: -len(".sql")]: entry.read_text("utf-8") for entry in _query_files()}


def _query_files() -> list[Traversable]:
    """The files of docs/queries: inside the installed package, or beside it in a checkout."""
    installed = files("pipeline") / "queries"
    folder: Traversable = installed if installed.is_dir() else Path(__file__).parents[2] / "docs" / "queries"
    return [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]


def _question(text: str) -> str:
    """The question that a ready query answers: its first line, a comment."""
    return text.partition("\n")[0].removeprefix("--").strip()


_ROW_OF = N_("--- row {number} of {count}")


# --- how old the copy is


def _tell_lag(app: App, connection: duckdb.DuckDBPyConnection) -> None:
    """One line on stderr: how many events the copy is behind the log, and for how many seconds at most."""
    path = app.settings.store.published
    age_s = max(0, app.now() - int(path.stat().st_mtime))
    positions = dict(connection.execute("SELECT place, next_offset FROM raw_position").fetchall())
    try:
        behind = _events_behind(app, positions)
    except (EsepError, OSError) as error:
        _note(message("the copy is {age_s} s old; how far it is behind the log is not known: {why}", age_s=age_s, why=error))
        return
    if behind:
        _note(
            message("the copy is {behind} event(s) and {age_s} s behind the log: --fresh brings it up to date", behind=behind, age_s=age_s)
        )
    else:
        _note(message("the copy shows the whole log (0 events behind; made {age_s} s ago)", age_s=age_s))


def _events_behind(app: App, positions: Positions, until: Positions | None = None) -> int:
    """How many events of the log (up to `until`) are after the positions. Raises LogError if the log can't be read."""
    if not app.settings.log.startswith("kafka:") and not app.settings.log_path.is_file():
        raise LogError(message("there is no log at {log_path}", log_path=app.settings.log_path))
    return sum(lag_events(app.log, positions, until).values())


def _note(text: str) -> None:
    err.print(fit(f"esep: {plain(mask(terminal_words().tell(text)))}", err, hang=2), markup=False)


def _freshen(app: App) -> None:
    """Bring the copy up to what is the log's end now: make it here, or wait for the process that has the store.

    Raises StoreError when no such copy comes in time.
    """
    end = app.log.end()
    if _shows(app, end):
        return
    try:
        with app.stores.live() as store:
            with progress(message("reading the log")) as on_progress:
                app.stores.fill(store, on_progress=on_progress)
            refresh(app, store, measured(app.settings.metrics), PoolLease(app.pool))
        return
    except StoreLocked as held:
        reason = held
    patience_s = 2 * app.settings.store.publish_every_s + _WAIT_MARGIN_S
    deadline = time.monotonic() + patience_s
    while not _shows(app, end):
        if time.monotonic() > deadline:
            raise StoreError(
                message(
                    "no fresh copy was published within {patience_s} s: {reason}; `esep status` tells how far it is",
                    patience_s=patience_s,
                    reason=reason,
                )
            )
        time.sleep(_POLL_S)


def _shows(app: App, end: Positions) -> bool:
    """Whether the copy shows the log up to `end`; False for an unreadable copy."""
    try:
        positions = published_positions(app.settings.store.published)
    except StoreError:
        return False
    return positions is not None and _events_behind(app, positions, end) == 0


# --- the answer


def _answer(connection: duckdb.DuckDBPyConnection, statement: str, path: Path, *, as_json: bool = False, as_csv: bool = False) -> None:
    try:
        result = connection.execute(statement)
        names = [column[0] for column in result.description or []]
        rows = result.fetchall()
    except duckdb.Error as error:
        if is_damage(error):
            raise store_error(error, path, PUBLISHED_COPY) from error
        raise StoreError(message("the query failed: {splitlines}", splitlines=str(error).splitlines()[0])) from error
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    else:
        if out.is_terminal and table_width(names, rows) > out.width:
            say("\n".join(print_vertical(names, rows)))
        else:
            table("", names, rows)
        say(counted("{count} row(s)", "{count} row(s)", len(rows)))


def table_width(names: list[str], rows: Iterable[tuple[Any, ...]]) -> int:
    """How many terminal columns the answer takes as a table without folding a cell."""
    widths = [cell_len(name) for name in names]
    for row in rows:
        widths = [max(width, cell_len(_shown(value))) for width, value in zip(widths, row, strict=True)]
    return sum(widths) + _COLUMN_GAP * max(0, len(widths) - 1)


def print_vertical(names: list[str], rows: list[tuple[Any, ...]]) -> list[str]:
    """Each row as lines of `name  value`, numbered, for a terminal that is too narrow for a table."""
    longest = max((cell_len(name) for name in names), default=0)
    lines = []
    for number, row in enumerate(rows, 1):
        lines.append(terminal_words().gettext(_ROW_OF, number=number, count=len(rows)))
        lines += [f"{name}{' ' * (longest - cell_len(name))}  {_shown(value)}" for name, value in zip(names, row, strict=True)]
    return lines


def _shown(value: Any) -> str:
    return "" if value is None else plain(str(value))


def _prompt(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Statements, each ended by a semicolon, until the end of the input or `.quit`."""
    if out.is_terminal:
        say(message("The published copy, read-only. End a statement with ; and leave with .quit or Ctrl-D."))
    waiting = ""
    while True:
        try:
            line = input("   ...> " if waiting else "esep> ") if sys.stdin.isatty() else input()
        except EOFError:
            break
        if line.strip() in (".quit", ".exit"):
            break
        waiting = f"{waiting}\n{line}".strip()
        if waiting.endswith(";"):
            try:
                _answer(connection, waiting, path)
            except StoreError as error:
                say(text_of(error))
            waiting = ""
    if waiting:
        _answer(connection, waiting, path)
