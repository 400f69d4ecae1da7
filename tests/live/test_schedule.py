"""The real scheduler, its calendar points seconds away, and the sandbox, each a process of its own: the month is filed once."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.example_month import OUTFLOW, RECORDED, esep

pytestmark = pytest.mark.live
FAULTS = [word for fault in ("duplicate", "error-after", "lost-receipt", "slow", "garbage") for word in ("--fault", fault)]


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def entries(kept: Path) -> dict[str, dict]:
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    return {entry["submission_id"]: entry for entry in map(json.loads, lines)}


def test_scheduler_and_sandbox_as_processes_file_the_month_once(tmp_path: Path) -> None:
    var = tmp_path / "var"
    assert esep("demo", RECORDED, "--var", var) == 3
    config = var / "esep.toml"
    assert esep("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person", "--config", config) == 0
    kept = tmp_path / "desk.jsonl"
    sandbox = start(
        "sandbox",
        "--port",
        0,
        "--seed",
        4,
        "--share",
        60,
        "--keep",
        kept,
        *FAULTS,
    )
    schedulers: list[subprocess.Popen[str]] = []
    try:
        assert sandbox.stdout is not None
        url = sandbox.stdout.readline().split()[-1]
        config.write_text(
            config.read_text(encoding="utf-8")
            + '\n[closing]\nfirst_month = "2026-10"\nhold_hours = 0\nfile_day = 1\nfile_hour = 0\nretry_s = 1\nretry_max_s = 2\n'
            + f'[filing]\nway = "http"\nurl = "{url}/submissions"\nstatus_url = "{url}/submissions/{{submission_id}}"\ntimeout_s = 5\n',
            encoding="utf-8",
        )
        # Two at once, one of them killed on the way: the log alone decides who does what.
        schedulers = [start("schedule", "--every", 1, "--config", config) for _ in range(2)]
        time.sleep(6)
        schedulers[0].kill()
        deadline = time.monotonic() + 90
        bundle = var / "months" / "2026-10" / "v1"
        while time.monotonic() < deadline and not list(bundle.glob("submissions/*/*-accepted.txt")):
            assert schedulers[1].poll() is None, schedulers[1].stderr.read() if schedulers[1].stderr else ""
            time.sleep(0.5)
        assert list(bundle.glob("submissions/*/*-accepted.txt")), entries(kept)
        schedulers[1].send_signal(signal.SIGTERM)
        assert schedulers[1].wait(timeout=60) == 0
    finally:
        for process in (*schedulers, sandbox):
            if process.poll() is None:
                process.kill()
            process.communicate()
    (entry,) = entries(kept).values()
    assert (entry["month"], entry["state"]) == ("2026-10", "accepted")
    assert esep("verify", bundle) == 0
    shutil.rmtree(var)
