"""A month of any size frozen for good, as `esep freeze` does it: each part's time and memory; and stopped in the middle, by -9 and by Ctrl-C.

Enters: a folder with `log.sqlite` (and `store.duckdb`, where it was filled before). Leaves: the bundle in the folder's `months`, what each part took, and
how far it is, a line a time, on standard error. `python -m tests.bench.freezing FOLDER`; with `--wait-at STEP` it stays there, to be killed.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import structlog

from pipeline.app.app import App
from pipeline.model.months import Month
from pipeline.settings import Settings, load_settings
from pipeline.verify.files import digest_of

from .measure import Measured, Measurements
from .synthetic import CHAIN_SETTINGS, MONTH

LANGUAGES = ("kk", "ru", "en")
_SETTINGS = """\
var = "."
log = "sqlite:log.sqlite"
[pool]
key = "pool"
bin = "201040000013"
name = "Synthetic"
[report]
languages = {languages}
"""


def settings(folder: Path, languages: tuple[str, ...] = LANGUAGES) -> Settings:
    """The settings of the synthetic pool, its var the folder."""
    path = folder / "esep.toml"
    path.write_text(_SETTINGS.format(languages=json.dumps(languages)) + CHAIN_SETTINGS)
    return load_settings(path, {})


def freeze(
    folder: Path, languages: tuple[str, ...] = LANGUAGES, *, month: Month = MONTH, wait_at: str | None = None
) -> tuple[list[Measured], str]:
    """Freeze a month of the folder's log, three days after it ended; what each part took, and the report's digest."""
    measurements = Measurements()
    with (
        App(settings(folder, languages), lambda: month.end_at + 3 * 86_400) as app,
        app.stores.current() as store,
        ExitStack() as part,
    ):

        def progress(step: str) -> None:
            if ": " not in step:  # a part of its own, not how far one is
                part.close()
                part.enter_context(measurements.step(f"freeze: {step}"))
            print(step, flush=True, file=sys.stderr)
            if wait_at is not None and step.startswith(wait_at):
                sys.stdin.read()

        outcome = app.months.freeze(store, month, by="A. Person", reason="the month's report", progress=progress)
    return measurements.taken, outcome.digest


def start(folder: Path, languages: tuple[str, ...] = LANGUAGES, *, wait_at: str | None = None) -> subprocess.Popen[str]:
    """The same in a process of its own; its standard error tells how far it is, its output is JSON: parts, digest."""
    command = [sys.executable, "-m", "tests.bench.freezing", str(folder), "--languages", ",".join(languages)]
    command += ["--wait-at", wait_at] if wait_at is not None else []
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=Path(__file__).parents[2])


def stop(process: subprocess.Popen[str], at: str, how: signal.Signals, timeout_s: int) -> list[str]:
    """Stop a freeze by a signal once it tells a step that begins with `at`; the steps it told, that one last."""
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line.strip())
        if told[-1].startswith(at):
            break
    else:
        raise AssertionError(f"the freeze ended before {at!r}: {told[-5:]}")
    process.send_signal(how)
    process.communicate(timeout=timeout_s)
    return told


def left_over(folder: Path) -> list[str]:
    """What lies beside finished versions: halves that an interrupted freeze left behind."""
    return sorted(path.name for path in (folder / "months" / str(MONTH)).iterdir() if path.name.startswith("."))


def changed_files(folder: Path) -> list[str]:
    """The files of the frozen version that are not what its manifest says, and those it does not name."""
    bundle = folder / "months" / str(MONTH) / "v1"
    named = json.loads((bundle / "manifest.json").read_bytes())["files"]
    there = {
        str(path.relative_to(bundle)): digest_of(path) for path in bundle.rglob("*") if path.is_file() and path.name != "manifest.json"
    }
    return sorted(name for name in named.keys() | there.keys() if named.get(name) != there.get(name))


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.freezing", description="Freeze the synthetic month of a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    parser.add_argument("--wait-at", metavar="STEP", help="stay at the step that begins so, until standard input ends")
    chosen = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    taken, digest = freeze(chosen.folder, tuple(chosen.languages.split(",")), wait_at=chosen.wait_at)
    print(json.dumps({"taken": [asdict(one) for one in taken], "digest": digest}))


if __name__ == "__main__":
    main()
