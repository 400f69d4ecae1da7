"""The example month through three brokers of Apache Kafka, while a broker and every process is killed (-9) again and again.

`esep watch` follows the recorded node, `esep import` brings the files, `esep ingest --follow` fills the store and publishes it, `esep schedule`
freezes the month as soon as it can close and places its form in the outbox: each a process of its own, restarted when it is killed,
and when it says that the log could not serve it. What comes out must be the month of the embedded run, to the last byte of the
report, frozen once and filed once. Prints how many kills that was.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from connectors.log_kafka import KafkaLog, KafkaSettings, make_topics
from pipeline.demo.demo import read_pool, write_settings
from pipeline.log.events import decode
from pipeline.log.events.months import Frozen
from pipeline.log.protocol import Record, Topic, advance
from pipeline.model.errors import FencedError, LogError, StoreLocked
from pipeline.model.months import Month
from pipeline.store.queries import chain_state

from ..integration.example_month import DIGEST, OUTFLOW, RECORDED, ROOT
from ..ports import free_port
from .kafka_cluster import KafkaCluster

pytestmark = [pytest.mark.live, pytest.mark.timeout(1500)]

SEED = int(os.environ.get("ESEP_SEED", "20261031"))
KEY = "demo/bitcoin"
PATIENCE_S = 900
PROCESSES = {"watch": ("watch", "bitcoin"), "ingest": ("ingest", "--follow"), "schedule": ("schedule", "--every", "2")}
LEAST_KILLS, MOST_KILLS = 3, 5
"""Of each process. Beyond the most it is spared: on a slow machine it must come to its end at last."""
EXPECTED_ENDS = {LogError.exit_code, StoreLocked.exit_code}
"""Of processes that a supervisor starts again: the cluster failed them, or `schedule` had the store that `ingest` wanted."""
SETTINGS = f"""
[kafka]
partitions = 3
timeout_s = 20
[closing]
first_month = "2026-10"
hold_hours = 0
file_day = 1
file_hour = 0
[[waivers]]
month = "2026-10"
code = "unknown-outflow"
ref = "{OUTFLOW}"
by = "Example operator"
reason = "asked on 2 November"
"""


@dataclass
class Supervisor:
    """Starts `esep` processes, starts them again when they end, and kills them."""

    folder: Path
    config: Path
    kills: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def spawn(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "from pipeline.cli import main; main()", *arguments, "--config", str(self.config)]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)

    def keep(self, name: str, *arguments: str) -> None:
        """See that the process runs. It may have ended because the log failed it; never for another reason."""
        process = self.running.get(name)
        if process is not None and process.poll() is None:
            return
        if process is not None and process.returncode != -signal.SIGKILL:
            expected = {*EXPECTED_ENDS, FencedError.exit_code} if name == "schedule" else EXPECTED_ENDS
            # A scheduler that is started again may meet its dead predecessor's membership, which dead brokers keep longer than a session. There is but one here.
            assert process.returncode in expected, f"{name} ended with {process.returncode}: {self.tail(name)}"
            self.ended[name] += 1
        self.running[name] = self.spawn(name, *arguments)

    def kill(self, name: str) -> None:
        process = self.running.get(name)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
            self.kills[name] += 1

    def finish(self, name: str, *arguments: str, kill_after_s: float | None = None) -> None:
        """Run a command until it succeeds, killed once in its course when asked to."""
        for attempt in range(20):
            process = self.spawn(name, *arguments)
            try:
                code = process.wait(kill_after_s if attempt == 0 and kill_after_s is not None else 240)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.kills[name] += 1
                continue
            if code == 0:
                return
            assert code in EXPECTED_ENDS, f"{name} ended with {code}: {self.tail(name)}"
            self.ended[name] += 1
        raise AssertionError(f"{name} does not succeed: {self.tail(name)}")

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def tail(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The recorded node, served by a process of its own that nobody kills; its URL and cookie."""
    port, cookie = free_port(), tmp_path / "cookie"
    command = [sys.executable, "-m", "connectors.standins.bitcoin_node", str(RECORDED), "--port", str(port), "--cookie", str(cookie)]
    with (tmp_path / "node.log").open("wb") as log:
        process = subprocess.Popen([*command, "--events-per-poll", "48"], stdout=log, stderr=log, cwd=ROOT)
    try:
        until = time.monotonic() + 300
        while not (cookie.exists() and cookie.read_text()):
            assert process.poll() is None and time.monotonic() < until, (tmp_path / "node.log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", cookie
    finally:
        process.kill()
        process.wait()


def write_config(folder: Path, log: str, url: str, cookie: Path) -> Path:
    """The example's settings, with the log on the cluster and the node as it is served now."""
    path = write_settings(RECORDED, folder / "var", read_pool(RECORDED))
    text = path.read_text().replace('rpc_url = "http://127.0.0.1:1"', f'rpc_url = "{url}"\ncookie_file = "{cookie}"\npoll_s = 1')
    assert url in text
    text = text.replace('var = "."', f'var = "."\nlog = "{log}"', 1)
    path.write_text(text + SETTINGS + "[store]\npublish_every_s = 1\n")
    return path


def registry_folder(folder: Path) -> Path:
    """The registry's files, with the recording's counterparties beside them."""
    made = folder / "registry"
    made.mkdir()
    for name in ("miners", "licences", "accounts", "wallets"):
        shutil.copy(RECORDED / f"{name}.csv", made)
    pool = json.loads((RECORDED / "pool.json").read_text())
    with (made / "counterparties.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, ["address", "chain", "class", "name"])
        rows.writeheader()
        rows.writerows({"chain": pool["chain"], **entry} for entry in pool["counterparties"])
    return made


def last_hash() -> str:
    with gzip.open(RECORDED / "sequence.jsonl.gz", "rt") as lines:
        return str(json.loads(list(lines)[-1])["hash"])


def shown_tip(var: Path) -> str | None:
    """The newest block in the analysts' copy; None before there is one."""
    path = var / "published.duckdb"
    if not path.exists():
        return None
    with contextlib.closing(duckdb.connect(str(path), read_only=True)) as connection:
        return next((tip.hash for tip in chain_state(connection).values()), None)


def torment_brokers(cluster: KafkaCluster, kills: Counter[str], stop: threading.Event, chance: random.Random) -> None:
    """One broker at a time: killed, left for a while, brought back, left to catch up."""
    while not stop.wait(chance.uniform(3, 7)):
        broker = chance.choice(list(cluster.nodes))
        cluster.kill(broker)
        kills["broker"] += 1
        stop.wait(chance.uniform(0.5, 3))
        cluster.revive(broker)


@pytest.mark.skipif(time.time() < Month.parse("2026-10").end_at, reason="by this machine's clock the recorded month is not over")
def test_the_month_is_the_embedded_runs_whatever_is_killed(
    cluster: KafkaCluster, node: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    chance = random.Random(SEED)
    settings = KafkaSettings(tuple(cluster.servers.split(",")), partitions=3, timeout_s=60)
    run = Supervisor(tmp_path, write_config(tmp_path, settings.place, *node))
    run.finish("topics", "topics")
    begun = time.monotonic()
    stop = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        brokers = threads.submit(torment_brokers, cluster, run.kills, stop, random.Random(SEED + 1))
        files = threads.submit(bring_files, run, registry_folder(tmp_path), random.Random(SEED + 2))
        try:
            torment(
                run,
                chance,
                lambda: (
                    files.done() and files.result() is None and is_filed(tmp_path / "var") and shown_tip(tmp_path / "var") == last_hash()
                ),
            )
            files.result()
        finally:
            stop.set()
            run.stop()
    brokers.result()
    kills, took_s = run.kills.copy(), time.monotonic() - begun
    assert all(cluster.is_up(broker) for broker in cluster.nodes)
    report = hashlib.sha256((tmp_path / "var/months/2026-10/v1/report.csv").read_bytes()).hexdigest()
    with capsys.disabled():
        print(
            f"\nseed {SEED}: {kills.total()} kills -9 in {took_s:.0f} s ({', '.join(f'{n} {k}' for k, n in sorted(kills.items()))}), "
            f"restarts after trouble with the log or the store: {dict(run.ended) or 'none'}; report {report}"
        )
    assert report == DIGEST
    check_the_log(settings)
    # The store that `ingest` filled while it was killed says the same as the one that `schedule` froze from; so does the log alone.
    run.finish("ingest-rest", "ingest")
    run.finish("freeze-again", "freeze", "2026-10", "--by", "Example operator", "--reason", "is it still the same?")
    assert "nothing in the report changed since version 1" in run.tail("freeze-again")
    run.finish("replay", "replay", "2026-10")
    run.finish("verify", "verify", "2026-10", "--test-network")
    check_the_log(settings)


def torment(run: Supervisor, chance: random.Random, is_done: Callable[[], bool]) -> None:
    """Keep the processes running, and kill them, until all is done and each was killed often enough."""
    until = time.monotonic() + PATIENCE_S
    while not (min(run.kills[name] for name in [*PROCESSES, "broker"]) >= LEAST_KILLS and is_done()):
        assert time.monotonic() < until, f"not done after {PATIENCE_S} s: " + "\n".join(f"{name}: {run.tail(name)}" for name in PROCESSES)
        for name, arguments in PROCESSES.items():
            run.keep(name, *arguments)
        time.sleep(chance.uniform(2, 8))
        victim = chance.choice(list(PROCESSES))
        if run.kills[victim] < MOST_KILLS:
            run.kill(victim)


def is_filed(var: Path) -> bool:
    """Whether a form lies in the outbox, whole: its note comes last."""
    return any(var.glob("outbox/2026-10-v1-*/README.txt"))


def bring_files(run: Supervisor, registry: Path, chance: random.Random) -> None:
    """Every file imported by a process that is killed once on its way."""
    for name, *arguments in (
        ("registry", str(registry)),
        ("allocations", str(RECORDED / "allocations.csv")),
        ("payments", str(RECORDED / "payments.csv")),
        ("complete", "2026-10-31"),
    ):
        run.finish(f"import-{name}", "import", name, *arguments, kill_after_s=chance.uniform(1.5, 5))


def check_the_log(settings: KafkaSettings) -> None:
    """No event of the chain is missing, doubled or out of order: its ids count from 0. And the month was frozen once, by `schedule`, and filed once."""
    chain = read_all(settings, "chain")
    assert [r.id for r in chain] == [f"bitcoin:{seq}" for seq in range(len(chain))]
    months = read_all(settings, "months")
    (frozen,) = (decode(r.value) for r in months if r.id.startswith("frozen:"))
    assert isinstance(frozen, Frozen) and (frozen.version, frozen.digest, frozen.by) == (1, DIGEST, "schedule")
    assert len([r for r in months if r.id.startswith("submitting:")]) == 1
    assert not [r.id for r in months if r.id.startswith("drafted:")]


def read_all(settings: KafkaSettings, topic: Topic) -> list[Record]:
    with KafkaLog(settings, pool="demo") as log:
        positions: dict[str, int] = {}
        found: list[Record] = []
        while records := log.read(positions, topics=[topic]):
            positions = advance(positions, records)
            found += records
    return found


def test_a_second_connector_of_a_chain_fences_the_first_which_says_so_and_stops(
    cluster: KafkaCluster, node: tuple[str, Path], tmp_path: Path
):
    settings = KafkaSettings(tuple(cluster.servers.split(",")), partitions=3, timeout_s=60)
    make_topics(settings)
    run = Supervisor(tmp_path, write_config(tmp_path, settings.place, *node))
    try:
        run.running["first"] = first = run.spawn("first", "watch", "bitcoin")
        with KafkaLog(settings, pool="demo") as log:
            until = time.monotonic() + 300
            while log.last("chain", KEY) is None:
                assert first.poll() is None and time.monotonic() < until, run.tail("first")
                time.sleep(0.2)
            run.running["second"] = second = run.spawn("second", "watch", "bitcoin")
            assert first.wait(300) == FencedError.exit_code
            assert "another writer has taken it over; stop this one, only one may run" in run.tail("first")
            seen = log.last("chain", KEY)
            until = time.monotonic() + 300
            while log.last("chain", KEY) == seen:
                assert second.poll() is None and time.monotonic() < until, run.tail("second")
                time.sleep(0.2)
        ids = [r.id for r in read_all(settings, "chain")]
        assert ids == [f"bitcoin:{seq}" for seq in range(len(ids))]
    finally:
        run.stop()
