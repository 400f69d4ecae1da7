"""The real scheduler, its calendar points seconds away, and the sandbox, each a process of its own: the month is filed once.

Two ways: woken every second among processes that are killed; and woken by nothing but the calendar's points, with the process's clock (ours and
APScheduler's) set to a minute before the month is to be filed.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.app.closer import closer_file
from pipeline.model.months import ALMATY
from pipeline.settings import load_settings

from ..integration.example_month import OUTFLOW, RECORDED, esep

pytestmark = pytest.mark.live
FAULTS = [word for fault in ("duplicate", "error-after", "lost-receipt", "slow", "garbage") for word in ("--fault", fault)]


PATIENCE_S = 240
"""How long a process is waited for on a busy machine."""
SHIFTED = """
import time
from datetime import datetime
import apscheduler.executors.base, apscheduler.schedulers.base, apscheduler.triggers.date
import apscheduler.triggers.interval
import pipeline.cli.closing
from pipeline.cli import main

class Shifted(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.fromtimestamp(time.time() + {shift_s}, tz)

for module in (apscheduler.executors.base, apscheduler.schedulers.base, apscheduler.triggers.date, apscheduler.triggers.interval):
    assert module.datetime is datetime
    module.datetime = Shifted
pipeline.cli.closing.now = lambda: int(time.time() + {shift_s})
main()
"""
"""The program with the clock of its closing, and the scheduler's, shifted. APScheduler stays the real one."""


def start(*arguments: object, shift_s: int | None = None, errors: Path | None = None) -> subprocess.Popen[str]:
    """A command as a process. What it logs goes to the file `errors`: a pipe that nobody reads would fill and stop it."""
    source = "from pipeline.cli import main; main()" if shift_s is None else SHIFTED.format(shift_s=shift_s)
    command = [sys.executable, "-c", source, *map(str, arguments)]
    if errors is None:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with errors.open("ab") as file:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)


def wait_until(is_done: Callable[[], object], process: subprocess.Popen[str], errors: Path) -> None:
    """Wait until something shows on disk, as long as the process lives."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_done():
        assert process.poll() is None, errors.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, errors.read_text(encoding="utf-8")
        time.sleep(0.2)


def entries(kept: Path) -> dict[str, dict]:
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    return {entry["submission_id"]: entry for entry in map(json.loads, lines)}


def ready(var: Path, url: str, plan: str) -> Path:
    """The recorded month, its issue waived and not frozen, with settings to file it to the sandbox; the settings file."""
    assert esep("demo", RECORDED, "--var", var) == 3
    config = var / "esep.toml"
    assert esep("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person", "--config", config) == 0
    config.write_text(
        config.read_text(encoding="utf-8")
        + f'\n[closing]\nfirst_month = "2026-10"\nhold_hours = 0\nretry_s = 1\nretry_max_s = 2\n{plan}\n'
        + f'[filing]\nway = "http"\nurl = "{url}/submissions"\nstatus_url = "{url}/submissions/{{submission_id}}"\ntimeout_s = 5\n',
        encoding="utf-8",
    )
    return config


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes of a test: none outlives it."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def sandbox(processes: list[subprocess.Popen[str]], kept: Path, *options: object) -> str:
    """The address of a sandbox."""
    process = start("sandbox", "--port", 0, "--keep", kept, *options)
    processes.append(process)
    assert process.stdout is not None
    return process.stdout.readline().split()[-1]


def test_scheduler_and_sandbox_as_processes_file_the_month_once(tmp_path: Path, processes: list[subprocess.Popen[str]]) -> None:
    """A second scheduler is refused; when the first is killed on the way, the next goes on from the log."""
    var, kept, errors = tmp_path / "var", tmp_path / "desk.jsonl", tmp_path / "errors"
    config = ready(var, sandbox(processes, kept, "--seed", 4, "--share", 60, *FAULTS), "file_day = 1\nfile_hour = 0")
    first = start("schedule", "--every", 1, "--config", config, errors=errors)
    processes.append(first)
    bundle = var / "months" / "2026-10" / "v1"
    wait_until(bundle.exists, first, errors)
    refused = start("schedule", "--every", 1, "--config", config, errors=tmp_path / "refused")
    processes.append(refused)
    assert refused.wait(timeout=PATIENCE_S) == 11
    assert f"closed by process {first.pid} already" in (tmp_path / "refused").read_text(encoding="utf-8")
    first.kill()
    first.wait()
    second = start("schedule", "--every", 1, "--config", config, errors=errors)
    processes.append(second)
    held = closer_file(load_settings(config, {}))
    wait_until(lambda: held.read_text(encoding="utf-8") == f"process {second.pid}\n", second, errors)
    wait_until(lambda: list(bundle.glob("submissions/*/*-accepted.txt")), second, errors)
    second.send_signal(signal.SIGTERM)
    assert second.wait(timeout=PATIENCE_S) == 0
    (entry,) = entries(kept).values()
    assert (entry["month"], entry["state"]) == ("2026-10", "accepted")
    assert esep("verify", bundle, "--test-network") == 0
    shutil.rmtree(var)


def test_the_calendar_alone_wakes_the_real_scheduler(tmp_path: Path, processes: list[subprocess.Popen[str]]) -> None:
    """The process begins before the pool's instant of filing and is looked at by no interval: only the calendar's point can file the month."""
    var, kept, errors = tmp_path / "var", tmp_path / "desk.jsonl", tmp_path / "errors"
    config = ready(var, sandbox(processes, kept), "file_day = 17\nfile_hour = 9")
    filed_at = int(datetime(2026, 11, 17, 9, tzinfo=ALMATY).timestamp())
    shift_s = filed_at - int(time.time()) - 60
    scheduler = start("schedule", "--every", 86_400, "--config", config, shift_s=shift_s, errors=errors)
    processes.append(scheduler)
    bundle = var / "months" / "2026-10" / "v1"
    wait_until(lambda: list(bundle.glob("submissions/*/*-accepted.txt")), scheduler, errors)
    scheduler.send_signal(signal.SIGTERM)
    assert scheduler.wait(timeout=PATIENCE_S) == 0
    (entry,) = entries(kept).values()
    lines = [json.loads(line) for line in errors.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    steps = [line["step"] for line in lines if line.get("event") == "step"]
    assert steps == ["freeze", "submit", "send"]
    submitted = list(bundle.glob("submissions/*/body"))
    at = datetime.fromisoformat(json.loads(submitted[0].read_bytes())["at"]).timestamp()
    assert filed_at <= at < filed_at + PATIENCE_S and entry["times_sent"] == 1
