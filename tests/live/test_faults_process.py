"""Processes killed in the windows around a sync, two on one store, a clock set back, a node of another network: each as a process."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from connectors.log_sqlite.log import SqliteLog
from pipeline.log.copying import check_log

from ..integration.example_month import DIGEST
from .faulty_disk import AT_A_SHIFTED_CLOCK, FREEZE, PROGRAM, at_once, esep, told
from .regtest_node import RegtestNode, find_program

pytestmark = pytest.mark.live
LITECOIND = find_program("litecoind", "LITECOIND")
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
DAY_S = 86_400


def strace(call: str, number: int) -> tuple[str, ...]:
    """Kill the process at its so-many-th system call of this name, before it is made.

    strace counts by name and by thread. Without `--seccomp-bpf`: with it, a call may be traced and not killed, depending on the kernel.
    """
    return ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}")


def no_strace() -> str:
    if shutil.which("strace") is None:
        return "there is no strace on this machine"
    syncs = (sys.executable, "-c", "import os; os.sync(); os.sync(); print('alive')")
    done = subprocess.run([*strace("sync", 2), *syncs], capture_output=True, text=True)
    if done.returncode in KILLED:
        return ""
    return f"strace may not trace here, or kills nothing: {done.stderr.strip() or done.stdout.strip()}"


KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
CALLS = ("fsync", "fdatasync", "rename")


def calls_of(*arguments: object, log: Path) -> list[str]:
    """The calls at which the command is going to be killed, as its first thread makes them, in order. `log` takes strace's lines."""
    done = esep(*arguments, before=("strace", "-f", "-qq", "-o", str(log), "-e", f"trace={','.join(CALLS)}"))
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1) for line in log.read_text().splitlines()]
    first = Counter(thread for thread, _ in lines).most_common(1)[0][0]
    return [said.partition("(")[0] for thread, said in lines if thread == first]


def empty_store(var: Path) -> None:
    for file in (*var.glob("store.duckdb*"), *var.glob("published.duckdb*")):
        file.unlink()


def sound(var: Path) -> int:
    """Every event of the log is as it was written; how many there are."""
    with SqliteLog(var / "log.sqlite") as log:
        log.check()
        return check_log(log).events


ALL_KILLS = bool(os.environ.get("ESEP_ALL_KILLS"))
"""Whether all kills of the next test are made (12 minutes), or one of each kind."""


@pytest.mark.timeout(2400)
@pytest.mark.xfail(strict=False, reason="passed whole on a calm machine, failed once beside other work: not understood yet")
def test_killed_at_each_sync_of_an_append_an_ingest_and_a_freeze_nothing_acknowledged_is_missing(closable: Path, tmp_path: Path) -> None:
    if reason := no_strace():
        pytest.skip(reason)
    var, tried = tmp_path / "var", tmp_path / "tried"
    for folder in (var, tried):
        shutil.copytree(closable, folder)
        empty_store(folder)
    held = sound(var)
    complete, ingest = ("import", "complete", "2026-11-01"), ("ingest",)

    def made(*arguments: object) -> list[str]:
        """What the command does when nobody kills it: the numbers of the kills are chosen from this."""
        return calls_of(*arguments, "--config", tried / "esep.toml", log=tmp_path / "calls")

    def killed(call: str, number: int, *arguments: object) -> None:
        done = esep(*arguments, *config, before=strace(call, number))
        assert done.returncode in KILLED, f"{call} {number} of {arguments[0]} was never reached: {done.stdout}{done.stderr}"

    def finish(held: int) -> None:
        done = told(*FREEZE, *config)
        assert (done["version"], done["digest"]) == (1, DIGEST)
        assert at_once("verify", "2026-10", "--test-network", *config).returncode == 0
        assert sound(var) == held + 1 and [path.name for path in frozen.parent.iterdir()] == ["v1"]

    config, frozen = ("--config", var / "esep.toml"), var / "months" / "2026-10" / "v1"
    # An append: at each of its syncs it is not there, or it is whole; said again it is there once.
    syncs = made(*complete).count("fdatasync")
    assert syncs >= 1
    for number in range(1, syncs + 1):
        shutil.rmtree(var)
        shutil.copytree(closable, var)
        killed("fdatasync", number, *complete)
        assert sound(var) in (held, held + 1)
    assert esep(*complete, *config).returncode == 0 and sound(var) == held + 1
    # An ingest into an empty store, and its publishing: the next one goes on from whatever is there.
    syncs = made(*ingest).count("fsync")
    assert syncs >= 2
    for number in sorted({2, syncs // 2, syncs - 1} if ALL_KILLS else {syncs // 2}):
        empty_store(var)
        killed("fsync", number, *ingest)
        assert at_once(*ingest, *config).returncode == 0
    # A freeze: killed again and again, ever later, then it is done once. Its last renaming is that of the whole folder; the last
    # `fdatasync` before it is that of the log, which acknowledges the version: killed there, the next freeze may find all done but the renaming.
    calls = made(*FREEZE)
    syncs, renames = calls.count("fsync"), calls.count("rename")
    last_rename = len(calls) - 1 - calls[::-1].index("rename")
    acknowledging = calls[:last_rename].count("fdatasync")
    assert syncs >= 40 and renames >= 3 and acknowledging >= 1
    held = sound(var)
    kills = (("fsync", syncs // 6), ("rename", 2), ("fsync", syncs // 2), ("fdatasync", acknowledging))
    for call, number in kills if ALL_KILLS else kills[2:]:
        killed(call, number, *FREEZE)
        assert sound(var) in (held, held + 1)
        assert not frozen.exists()
    finish(held)
    # Another one, killed between the acknowledgement and the renaming.
    shutil.rmtree(var)
    shutil.copytree(closable, var)
    held = sound(var)
    killed("rename", renames, *FREEZE)
    assert sound(var) == held + 1 and not frozen.exists()
    finish(held)


ACKNOWLEDGE = """
import sys
from connectors.log_sqlite import SqliteLog
from pipeline.log.protocol import NewEvent
with SqliteLog(sys.argv[1]) as log, log.writer("ledger", "k") as writer:
    for n in range(int(sys.argv[2]), 10**9):
        writer.append([NewEvent(f"{n}:{part}", b"x" * 3000) for part in range(4)])
        print(n, flush=True)
"""


def test_killed_at_random_moments_again_and_again_every_acknowledged_append_is_there(tmp_path: Path) -> None:
    path, choose, acknowledged = tmp_path / "log.sqlite", random.Random(6), -1
    for _ in range(12):
        process = subprocess.Popen([sys.executable, "-c", ACKNOWLEDGE, str(path), str(acknowledged + 1)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        acknowledged = int(process.stdout.readline())
        time.sleep(choose.random() * 0.05)  # somewhere within some later append: whichever, the same must hold
        process.kill()
        acknowledged = max([acknowledged, *(int(line) for line in process.stdout.read().splitlines() if line)])
        process.wait()
        process.stdout.close()
        with SqliteLog(path) as log:
            ids = [record.id for record in log.read({}, limit_bytes=1 << 40)]
        assert ids == [f"{n}:{part}" for n in range(len(ids) // 4) for part in range(4)]
        assert len(ids) // 4 > acknowledged
        acknowledged = len(ids) // 4 - 1


HOLD = """
import sys
from pipeline.store import Store
with Store.open(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_of_two_processes_on_one_store_the_second_is_told_who_has_it(closable: Path, tmp_path: Path) -> None:
    var = tmp_path / "var"
    shutil.copytree(closable, var)
    config = ("--config", var / "esep.toml")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(var / "store.duckdb")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None and holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        done = esep("ingest", *config)
        assert done.returncode == 7 and f"process {holder.pid}" in done.stderr and "has it open" in done.stderr, done.stderr
        assert esep("query", "SELECT 1", *config).returncode == 0
        done = esep("issues", "2026-10", "--json", *config)
        assert done.returncode == 0 and len(json.loads(done.stdout)) > 20, "what only asks builds a store of its own from the log"
    finally:
        holder.stdin.close()
        holder.wait()
        holder.stdout.close()
    assert esep("ingest", *config).returncode == 0


def configure(var: Path, text: str) -> tuple[object, ...]:
    config = var / "esep.toml"
    config.write_text(config.read_text(encoding="utf-8") + text, encoding="utf-8")
    return ("--config", config)


CLOSING = '\n[closing]\nfirst_month = "2026-10"\nhold_hours = 0\nfile_day = 1\nfile_hour = 0\n'
FILED_AT = 1_794_900_000
"""17 November 2026: the month is over and due."""


def test_a_clock_set_back_files_nothing_early_and_nothing_twice(closable: Path, tmp_path: Path) -> None:
    var = tmp_path / "var"
    shutil.copytree(closable, var)
    config = configure(var, CLOSING)
    shift = tmp_path / "shift"

    def look(at: int) -> dict:
        shift.write_text(str(at - time.time()))
        done = esep("close", "--json", *config, program=AT_A_SHIFTED_CLOCK, environ={"ESEP_TEST_SHIFT_S": str(shift)})
        assert done.returncode == 0, done.stderr
        return {row["month"]: row for row in json.loads(done.stdout)}

    early = look(FILED_AT - 40 * DAY_S)
    assert early["2026-10"]["state"] == "open" and not (var / "months").exists(), "by this clock the month is not over"
    look(FILED_AT)  # a freeze takes its seconds: what is due after it may wait for the next look
    first = look(FILED_AT + 60)
    assert first["2026-10"]["state"] == "submitting"
    placed = sorted(path.name for path in (var / "outbox").iterdir())
    held = sound(var)
    for at in (FILED_AT - 40 * DAY_S, FILED_AT - 3600, FILED_AT, FILED_AT + 120):
        seen = look(at)
        assert "2026-10" not in seen or seen["2026-10"]["state"] == "submitting"
    assert sorted(path.name for path in (var / "outbox").iterdir()) == placed
    assert sound(var) == held, "nothing was said twice"
    assert len(list((var / "months" / "2026-10").iterdir())) == 1


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not on this machine (Debian: apt-get install libfaketime)")
def test_a_clock_that_jumps_back_under_the_scheduler_files_once(closable: Path, tmp_path: Path) -> None:
    var = tmp_path / "var"
    shutil.copytree(closable, var)
    config = configure(var, CLOSING)
    stamp = tmp_path / "clock"

    def clock(at: int) -> None:
        part = stamp.with_suffix(".part")
        part.write_text(time.strftime("@%Y-%m-%d %H:%M:%S", time.gmtime(at)))
        part.replace(stamp)

    clock(FILED_AT)
    environ = {**os.environ, "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(stamp), "FAKETIME_NO_CACHE": "1", "TZ": "UTC",
               "FAKETIME_DONT_FAKE_MONOTONIC": "1"}  # fmt: skip
    command = [sys.executable, "-c", PROGRAM, "schedule", "--every", "1", *map(str, config)]
    with (tmp_path / "journal").open("w+") as journal:
        process = subprocess.Popen(command, env=environ, stderr=journal)
        try:
            deadline = time.monotonic() + 600

            def wait_until(is_so) -> None:
                while not is_so():
                    assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "journal").read_text()
                    time.sleep(0.2)

            wait_until(lambda: list(var.glob("outbox/*/README.txt")))
            held = sound(var)
            for at in (FILED_AT - 40 * DAY_S, FILED_AT - 60, FILED_AT + 120):
                clock(at)
                size = (tmp_path / "journal").stat().st_size
                time.sleep(2.5)  # a look or two at that clock; that none happens would not make the test fail
                assert process.poll() is None, (tmp_path / "journal").read_text()[size:]
        finally:
            process.terminate()
            code = process.wait(timeout=300)
    assert code == 0
    assert len(list((var / "outbox").iterdir())) == 1 and sound(var) == held


@pytest.mark.skipif(LITECOIND is None, reason="there is no litecoind on this machine (Debian: apt-get install litecoind)")
def test_a_node_swapped_for_one_of_another_network_is_refused_and_the_log_stays(closable: Path, tmp_path: Path) -> None:
    var = tmp_path / "var"
    shutil.copytree(closable, var)
    assert LITECOIND is not None
    held = sound(var)
    with RegtestNode(LITECOIND) as node:
        config = var / "esep.toml"
        text = config.read_text(encoding="utf-8").replace("http://127.0.0.1:1", node.rpc_url)
        config.write_text(text.replace("rpc_url =", f'cookie_file = "{node.cookie_path}"\nrpc_url =', 1), encoding="utf-8")
        done = esep("watch", "bitcoin", "--once", "--config", config)
    assert done.returncode == 5 and "on another network" in done.stderr, done.stderr
    assert sound(var) == held
