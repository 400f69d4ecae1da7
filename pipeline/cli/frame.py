"""The outermost frame of the command line: error messages, exit codes, crash reports, and what all commands share.

The only place that reads the environment and the clock for the commands. `except Exception` stands here, and in the outermost frame of each chain's thread
(`pipeline/service/following.py`).
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from typer.exceptions import Abort, TyperException

from pipeline.model import errors
from pipeline.model.message import message, text_of
from pipeline.model.plain import UNSEEN, plain, plain_name
from pipeline.model.system_words import system_words
from pipeline.texts import N_, Texts, terminal_language, texts

from .logs import mask
from .usage_errors import translate_headings, usage_lines

if TYPE_CHECKING:
    from pipeline.settings import Settings

CRASHED = 70
INTERRUPTED = 130

EXIT_CODES = {
    0: N_("done"),
    1: N_("a failure not named below"),
    errors.SettingsError.exit_code: N_("wrong command line, or wrong settings: every fault is listed"),
    errors.MonthError.exit_code: N_("the month can't make that step yet: what is open is listed"),
    errors.InputRefused.exit_code: N_("a file was refused whole: every fault is listed by line"),
    errors.SourceError.exit_code: N_("a node or another source can't be read"),
    errors.LogError.exit_code: N_("the event log can't be read or written"),
    errors.StoreError.exit_code: N_("the store can't be opened, read or written"),
    errors.VerifyError.exit_code: N_("a bundle, or a replay, does not hold"),
    errors.UndecidedError.exit_code: N_("a bundle holds, but something in it can't be checked here: the list says what"),
    errors.SigningError.exit_code: N_("a month can't be signed: key, certificate or signing service"),
    errors.FencedError.exit_code: N_("another process took over this chain or pool: this one must stay stopped"),
    errors.FilingError.exit_code: N_("a submission can't be made, or can't take that step"),
    errors.DiskError.exit_code: N_("a file can't be written or read: disk full, read-only, failing, or no permission"),
    CRASHED: N_("a defect of the program: a crash report was written"),
    INTERRUPTED: N_("interrupted"),
}

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar="ESEP_CONFIG", help="The settings file.", show_default="./esep.toml", metavar="FILE")
]
ConfigsOption = Annotated[
    list[Path],
    typer.Option(
        "--config", "-c", envvar="ESEP_CONFIG", help="The settings file of a pool, or a folder of them. Say it several times for several.",
        show_default="./esep.toml", metavar="FILE",
    ),
]  # fmt: skip
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts, on one line.")]
MonthArgument = Annotated[str, typer.Argument(metavar="MONTH", help="The month, as 2026-10.")]
DEFAULT_CONFIG = Path("esep.toml")
DEFAULT_CONFIGS = [DEFAULT_CONFIG]

_START_AGAIN = N_("nothing of this step counts; {what}, then start again")
DISK_TROUBLE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), message(_START_AGAIN, what=message("free disk space"))),
    errno.EROFS: message(_START_AGAIN, what=message("make the disk writable, or choose another folder")),
    **dict.fromkeys((errno.EACCES, errno.EPERM), message(_START_AGAIN, what=message("give this user the right to it"))),
    errno.EIO: message(_START_AGAIN, what=message("the disk fails: check it")),
    **dict.fromkeys(
        (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP),
        message(_START_AGAIN, what=message("check the path")),
    ),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), message(_START_AGAIN, what=message("raise the limit of open files"))),
}

_crash_folder: list[Path] = []


def now() -> int:
    """The clock, Unix seconds."""
    return int(time.time())


def terminal_words() -> Texts:
    """The words of the terminal's language: `ESEP_LANG`, else the locale; English where `ESEP_LANG` says something else (`run` refuses that)."""
    try:
        return texts(terminal_language(os.environ))
    except ValueError:
        return texts("en")


def settings_of(config: Path) -> Settings:
    """The settings in force; crash reports go below their `var` from now on."""
    from pipeline.settings import load_settings

    return use_settings(load_settings(config, os.environ))


def use_settings(settings: Settings) -> Settings:
    """Crash reports go below the settings' `var` from now on, and what is written is for the owner alone; the settings."""
    os.umask(0o077)
    _crash_folder[:] = [settings.var / "crashes"]
    return settings


def table(title: str, headings: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table on stdout. Cells are data: markup in them is not interpreted."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    words = terminal_words()
    headings = [words.tell(heading) for heading in headings]
    grid = Table(
        title=words.tell(title) or None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        show_header=any(headings),
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for heading in headings:
        grid.add_column(heading, overflow="fold")
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    # On a terminal the table fits its width; in a file or pipe no cell is cut.
    Console(highlight=False, markup=False, width=None if out.is_terminal else 240).print(grid)


def _cell(value: object) -> str:
    return "" if value is None else plain(terminal_words().tell(value) if isinstance(value, str) else str(value))


MOST_FIELD = 20
"""Of the columns of names: a longer name moves what it says, and not the others."""


def say(text: str = "", *, hang: int = 0) -> None:
    """Print a line on stdout, a message in the terminal's language; markup and control characters in it are not interpreted.

    On a terminal it is broken at spaces to the terminal's width; further lines are indented by `hang` columns more than the first.
    """
    out.print(fit(plain(terminal_words().tell(text)), out, hang=hang), markup=False)


def print_json(value: Any) -> None:
    """One line of JSON on stdout; values without a JSON type (paths, days, DECIMALs) as text. Integers of any length stay integers."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    # What JSON leaves as it is and a terminal would follow is escaped as JSON has it.
    say(UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def say_field(name: str, text: str, *, indent: int = 0, width: int = 10) -> None:
    """Print a name and what it says, which stands below itself where it takes several lines."""
    words = terminal_words()
    for number, line in enumerate(words.tell(text).split("\n")):
        told = words.tell(name)
        label = f"{told} ".ljust(width + len(told) - cell_len(told)) if number == 0 else " " * width
        say(f"{' ' * indent}{label}{line}", hang=width if number == 0 and name else 2)


def field_width(names: Iterable[str], *, least: int = 10, most: int = MOST_FIELD) -> int:
    """The columns that the names of a block take beside what they say, in the terminal's language: two stand between, except behind a name longer than `most`."""
    words = terminal_words()
    widths = [cell_len(words.tell(name)) + 2 for name in names]
    return max([least, *(width for width in widths if width <= most)])


def say_fields(fields: Sequence[tuple[str, str]], *, indent: int = 0, least: int = 10) -> None:
    """Print a block of names and what they say, one below the other. A name that is "" has the one above it."""
    width = field_width((name for name, _ in fields), least=least)
    for name, text in fields:
        say_field(name, text, indent=indent, width=width)


def fail(text: str) -> None:
    """Print on stderr why the command ends. Stderr often goes to a journal, so people's numbers and secrets are masked."""
    told = plain(mask(terminal_words().tell(text)))
    # What a command refuses begins with the command already: `esep waive: --reason: …`.
    line = told if told.startswith("esep ") else f"esep: {told}"
    err.print(fit(line, err, hang=2), markup=False, style="red" if err.is_terminal else "")


def fit(text: str, console: Console, *, hang: int = 0) -> str:
    """The text, on a terminal broken at spaces to its width; in a file or pipe as it is. A word that is longer than a line stays whole, so that it can be copied."""
    if not console.is_terminal:
        return text
    return "\n".join(part for line in text.split("\n") for part in break_line(line, console.width, hang=hang))


def break_line(line: str, width: int, *, hang: int = 0) -> list[str]:
    """A line as lines of at most `width` terminal columns, broken at spaces; the further ones stand as deep as the first, and `hang` columns deeper."""
    if cell_len(line) <= width:
        return [line]
    start = " " * (len(line) - len(line.lstrip(" ")) + hang)
    lines: list[str] = []
    current = ""
    for word in re.findall(r" *[^ ]+", line):
        if current.strip() and cell_len(current) + cell_len(word) > width:
            lines.append(current)
            alone = word.lstrip(" ")
            current = start[: max(0, width - cell_len(alone))] + alone  # a digest stands as deep as it fits
        else:
            current += word
    return [*lines, current]


def shown(path: Path) -> str:
    """The path as a person would type it: relative if it is below the working folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def command_line(command: str, config: Path) -> str:
    """The command as it is typed: with --config, where the settings are not those that it would find by itself."""
    is_found = config == DEFAULT_CONFIG or os.environ.get("ESEP_CONFIG") == str(config)
    return command if is_found or not command.startswith("esep ") else f"{command} --config {shlex.quote(shown(config))}"


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Any]:
    """A progress bar on stderr, removed when done; nothing if stderr is no terminal. Gives `on_progress(done, total=None)`."""
    if not err.is_terminal:
        yield lambda _done, _total=None: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=err, transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task(plain(terminal_words().tell(what)), total=total)

        def on_progress(done: int, total: int | None = None) -> None:
            # More may be done than was promised (events that came meanwhile): then the total grows, so that it never shows "305 of 255".
            promised = total if total is not None else bar.tasks[0].total
            bar.update(task, completed=done, total=max(promised, done) if promised is not None else None)

        yield on_progress


def run(command: Any, arguments: list[str] | None = None, *, prepare: Callable[[Any, Texts], None] | None = None) -> int:
    """Run the command line, which `prepare` puts into the terminal's language; its exit code. Every failure is one clear message on stderr, never a traceback."""
    umask = os.umask(0o077)
    os.umask(umask)
    try:
        _check_language()
        _check_arguments(sys.argv[1:] if arguments is None else arguments)
        if prepare is not None:
            prepare(command, terminal_words())
        code = command.main(args=arguments, prog_name="esep", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except TyperException as error:
        # Of a group without a command the help stands there by now, and nothing is wrong besides; Typer itself knows that error by its name.
        if type(error).__name__ != "NoArgsIsHelpError":
            translate_headings(terminal_words())
            said = usage_lines(error, terminal_words()) if hasattr(error, "format_message") else str(error)
            err.print(fit(said, err), markup=False, highlight=False)
        return int(error.exit_code)
    except errors.EsepError as error:
        fail(text_of(error))
        return error.exit_code
    except (KeyboardInterrupt, Abort):
        fail(message("interrupted"))
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has closed it (`esep query … | head`): no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            return _crashed(error)
        fail(
            message(
                "{file}: {trouble}; {what_to_do}",
                file=error.filename or message("a file"),
                trouble=system_words(error),
                what_to_do=DISK_TROUBLE[error.errno],
            )
        )
        return errors.DiskError.exit_code
    except Exception as error:  # noqa: BLE001 - the outermost frame of the process
        return _crashed(error)
    finally:
        os.umask(umask)


def _check_language() -> None:
    try:
        terminal_language(os.environ)
    except ValueError as error:
        raise errors.SettingsError([text_of(error)], source="") from None


def _check_arguments(arguments: Sequence[str]) -> None:
    """Refuse an argument that is not UTF-8, of a terminal in Windows-1251 for instance: it can be neither stored nor shown. A file's name may be such."""
    for argument in arguments:
        value = argument.partition("=")[2] if argument.startswith("-") and "=" in argument else argument
        if re.search(r"[\ud800-\udfff]", argument) and not os.path.lexists(value):
            told = message("{argument} is not UTF-8 text: set the terminal's character set to UTF-8", argument=f"'{plain_name(argument)}'")
            raise errors.SettingsError([told], source="")


def _crashed(error: Exception) -> int:
    where = _write_crash(error)
    fail(
        message(
            "a defect of the program ({error}); the report is in {file}: send it to the maintainers", error=type(error).__name__, file=where
        )
    )
    return CRASHED


def _write_crash(error: Exception) -> Path:
    """Write the crash report: command, versions, traceback; secrets and people's numbers masked. Gives its path."""
    from importlib.metadata import version

    at = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%S-%fZ")
    text = "\n".join(
        [
            f"esep {version('esep')}, Python {platform.python_version()}, {platform.platform()}",
            f"command: {' '.join(sys.argv)}",
            "",
            "".join(traceback.format_exception(error)),
        ]
    )
    for folder in [*_crash_folder, Path(tempfile.gettempdir())]:
        path = folder / f"esep-crash-{at}.txt"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(mask(text), encoding="utf-8", errors="backslashreplace")  # arguments may be no text
        except OSError:
            continue
        return path
    err.print(mask(text), markup=False)
    return Path("the lines above")
