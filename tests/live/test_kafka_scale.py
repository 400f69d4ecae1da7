"""Twelve pools on one Kafka, filled by four `esep ingest --share` that are killed (-9) at random: every pool's report is right.

Each process is the program as it stands, given the folder of the pools' settings, whose `log` names the cluster.

The pools' months come in while the processes are killed, started again, and one of them stopped for longer than its
session (its pools are taken from it, and it finds that out). Then everything is let run to the log's end, ended by SIGTERM, and the digest of each
pool's report from its store is compared with the one that the embedded log gives. Prints how many kills that was.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.log_kafka import KafkaLog, KafkaSettings, make_topics
from pipeline.log.protocol import advance
from pipeline.store import Store

from ..contract.test_kafka_lease import *  # noqa: F403 - the same tests, other fixtures
from ..integration.pools import SmallPool, report_digest, small_pool
from ..ports import free_ports

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("ESEP_SEED", "20261031"))
POOL_COUNT = 12
PROCESSES = 4
PARTS = 5
"""In how many parts a pool's month comes in."""
TORMENT_S = 50
POSITION = re.compile(r'^esep_store_position\{partition="(.*?)",pool="(.*?)",topic="(.*?)"\} (\S+)$', re.MULTILINE)
STOPPED_S = 14
"""Longer than a session."""


@dataclass
class Ingests:
    """The processes that fill the pools' stores, each with the same folder of settings."""

    folder: Path
    pools: Path
    ports: list[int]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def spawn(self, number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "from pipeline.cli import main; main()", "ingest", "--share", "--config", str(self.pools)]
        with (self.folder / f"ingest-{number}.log").open("ab") as log:
            return subprocess.Popen([*command, "--listen", f"127.0.0.1:{self.ports[number]}"], stdout=log, stderr=log, cwd=ROOT)

    def start(self) -> None:
        self.running = [self.spawn(number) for number in range(PROCESSES)]

    def kill(self, number: int) -> None:
        """End it as a power cut would, and start it again."""
        self.running[number].kill()
        self.running[number].wait()
        self.done["kills -9"] += 1
        self.running[number] = self.spawn(number)

    def pause(self, number: int, seconds: float) -> None:
        """Stop it for a while: it misses its heartbeats, and knows nothing of it."""
        self.running[number].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.running[number].send_signal(signal.SIGCONT)
        self.done["stops"] += 1

    def assert_alive(self) -> None:
        for number, process in enumerate(self.running):
            assert process.poll() is None, f"ingest {number} ended with {process.returncode}: {self.tail(number)}"

    def finish(self) -> None:
        for process in self.running:
            process.terminate()
        for number, process in enumerate(self.running):
            assert process.wait(120) == 0, self.tail(number)

    def stop(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()

    def tail(self, number: int) -> str:
        return (self.folder / f"ingest-{number}.log").read_text(errors="replace")[-3000:]

    def said(self, event: str) -> list[dict[str, str]]:
        """Lines of all processes' logs that say so."""
        found = []
        for path in sorted(self.folder.glob("ingest-*.log")):
            for line in path.read_text(errors="replace").splitlines():
                if f'"event": "{event}"' in line:
                    found.append(json.loads(line))
        return found

    def ask(self, number: int, path: str) -> tuple[int, str]:
        """What a process's probes answer; 0 while it does not listen."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[number]}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def held(self) -> Counter[str]:
        """How many processes say that they hold each pool."""
        found: Counter[str] = Counter()
        for number in range(PROCESSES):
            for line in self.ask(number, "/metrics")[1].splitlines():
                if line.startswith("esep_lease_held{") and line.endswith(" 1.0"):
                    found[line.split('"')[1]] += 1
        return found

    def positions(self) -> dict[tuple[str, str], int]:
        """By pool and place, how far the processes say that they have read."""
        found: dict[tuple[str, str], int] = {}
        for number in range(PROCESSES):
            for partition, pool, topic, offset in POSITION.findall(self.ask(number, "/metrics")[1]):
                found[pool, f"{topic}/{partition}"] = int(float(offset))
        return found


def feed(pools: list[SmallPool], settings: KafkaSettings) -> None:
    """The pools' months, part by part, as writers on other machines would bring them."""
    with KafkaLog(settings) as log:
        for part in range(PARTS):
            for pool in pools:
                pool.append_to(log, part, PARTS)


def ends_of(settings: KafkaSettings, pool: str) -> dict[str, int]:
    """The position after the pool's last event, by place."""
    positions: dict[str, int] = {}
    with KafkaLog(settings, pool=pool) as log:
        while records := log.read(positions):
            positions = advance(positions, records)
    return positions


def test_every_pools_report_is_right_whatever_is_killed(servers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(SEED)
    pools = [small_pool(tmp_path, f"pool-{number:02}", seed=number + 1) for number in range(POOL_COUNT)]
    table = {"partitions": POOL_COUNT, "replication_factor": 1, "min_insync_replicas": 1}
    settings = KafkaSettings(tuple(servers.split(",")), "scale", **table)
    make_topics(settings)
    kafka = "".join(f"{key} = {value}\n" for key, value in table.items())
    configs = {
        pool.name: pool.write_settings(tmp_path / "pools", publish_every_s=3, log=settings.place, further=f"[kafka]\n{kafka}")
        for pool in pools
    }
    run = Ingests(tmp_path, tmp_path / "pools", free_ports(PROCESSES))
    feeding = threading.Thread(target=feed, args=(pools, settings))
    begun = time.monotonic()
    try:
        run.start()
        feeding.start()
        torment(run, chance)
        feeding.join(400)
        assert not feeding.is_alive(), "the months did not come in"
        settled_s = await_ready(run, settings, [pool.name for pool in pools])
        run.finish()
    finally:
        run.stop()
    for pool in pools:
        with Store.open(configs[pool.name].with_name(f"var-{pool.name}") / "store.duckdb") as store:
            assert store.positions() == ends_of(settings, pool.name), pool.name
            assert report_digest(store) == pool.digest, pool.name
            (bad,) = store.connection.execute("SELECT count(*) FROM raw_bad_event").fetchall()
            assert bad == (0,), pool.name
    moved = len(run.said("pool-gained")) - POOL_COUNT
    assert run.done["kills -9"] >= 5 and run.done["stops"] == 1 and moved > 0
    assert not run.said("pool-failed"), run.said("pool-failed")
    with capsys.disabled():
        print(
            f"\nseed {SEED}: {POOL_COUNT} pools, {PROCESSES} processes, {', '.join(f'{count} {what}' for what, count in sorted(run.done.items()))}; "
            f"pools moved {moved} times; caught up {settled_s:.0f} s after the last kill; {time.monotonic() - begun:.0f} s in all; every digest right"
        )


def torment(run: Ingests, chance: random.Random) -> None:
    """Kill a process again and again; stop another one for longer than its session, once."""
    end, stopped = time.monotonic() + TORMENT_S, False
    while time.monotonic() < end:
        time.sleep(chance.uniform(3, 8))
        if not stopped and run.done["kills -9"] >= 2:
            run.pause(chance.randrange(PROCESSES), STOPPED_S)
            stopped = True
        run.assert_alive()
        run.kill(chance.randrange(PROCESSES))


def await_ready(run: Ingests, settings: KafkaSettings, pools: list[str]) -> float:
    """Wait until each pool has one holder, which has read its last event, and all processes say that they have caught up; the seconds that took."""
    begun = time.monotonic()
    wanted = {(pool, place): offset for pool in pools for place, offset in ends_of(settings, pool).items()}
    while True:
        run.assert_alive()
        is_ready = run.held() == Counter(pools) and all(run.ask(number, "/readyz")[0] == 200 for number in range(PROCESSES))
        read = run.positions() if is_ready else {}
        if is_ready and all(read.get(place, 0) >= offset for place, offset in wanted.items()):
            return time.monotonic() - begun
        assert time.monotonic() - begun < 400, (
            f"not caught up: {run.held()} {[run.ask(n, '/readyz') for n in range(PROCESSES)]} {run.tail(0)}"
        )
        time.sleep(0.5)
