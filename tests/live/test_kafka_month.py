"""The example month through three brokers of Apache Kafka, while a broker and every process is killed (-9) again and again.

`esep watch` follows the recorded node, `esep import` brings the files, `esep ingest --follow` fills the store: each a process of
its own, restarted when it is killed, and when it says that the log could not serve it. What comes out must be the month of the
embedded run, to the last byte of the report. Prints how many kills that was.
"""

from __future__ import annotations

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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.log_kafka import KafkaLog, KafkaSettings, make_topics
from pipeline.demo import read_pool, write_settings
from pipeline.errors import FencedError, LogError
from pipeline.log import advance

from .kafka_cluster import KafkaCluster, free_ports, why_not

pytestmark = [pytest.mark.live, pytest.mark.timeout(1500)]

MONTH = Path(__file__).parents[2] / "docs/example/2026-10"
DIGEST = "f5fed8388edefd70b4f7980884899e2be207ce1997a58c9f53e1d441ec3d84b7"
"""The report's, of the run with the embedded log."""
OUTFLOW = "d4dcae3cb3112ed9b2ef6c2a24b493f6fefbac4e117c6c4e0b10908cd739dfd9:1"
SEED = int(os.environ.get("ESEP_SEED", "20261031"))
KEY = "demo/bitcoin"
LOG_TROUBLE = LogError.exit_code
PATIENCE_S = 900


@dataclass
class Supervisor:
    """Starts `esep` processes, starts them again when they end, and kills them."""

    folder: Path
    config: Path
    url: str
    kills: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def spawn(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "from pipeline.cli import main; main()", *arguments, "--config", str(self.config)]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=MONTH.parents[2])

    def keep(self, name: str, *arguments: str) -> None:
        """See that the process runs. It may have ended because the log failed it; never for another reason."""
        process = self.running.get(name)
        if process is not None and process.poll() is None:
            return
        if process is not None and process.returncode != -signal.SIGKILL:
            assert process.returncode == LOG_TROUBLE, f"{name} ended with {process.returncode}: {self.tail(name)}"
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
            assert code == LOG_TROUBLE, f"{name} ended with {code}: {self.tail(name)}"
            self.ended[name] += 1
        raise AssertionError(f"{name} does not succeed: {self.tail(name)}")

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def tail(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[KafkaCluster]:
    if reason := why_not():
        pytest.skip(reason)
    cluster = KafkaCluster(tmp_path / "kafka", 3)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The recorded node, served by a process of its own that nobody kills; its URL and cookie."""
    (port,), cookie = free_ports(1), tmp_path / "cookie"
    command = [sys.executable, "-m", "connectors.bitcoin.replay", str(MONTH), "--port", str(port), "--cookie", str(cookie)]
    with (tmp_path / "node.log").open("wb") as log:
        process = subprocess.Popen([*command, "--events-per-poll", "12"], stdout=log, stderr=log, cwd=MONTH.parents[2])
    try:
        until = time.monotonic() + 60
        while not cookie.exists():
            assert process.poll() is None and time.monotonic() < until, (tmp_path / "node.log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", cookie
    finally:
        process.kill()
        process.wait()


def write_config(folder: Path, log: str, url: str, cookie: Path) -> Path:
    """The example's settings, with the log on the cluster and the node as it is served now."""
    path = write_settings(MONTH, folder / "var", read_pool(MONTH))
    text = path.read_text().replace('rpc_url = "http://127.0.0.1:1"', f'rpc_url = "{url}"\ncookie_file = "{cookie}"\npoll_s = 1')
    assert url in text
    text = text.replace('var = "."', f'var = "."\nlog = "{log}"', 1)
    path.write_text(text + "\n[kafka]\npartitions = 3\ntimeout_s = 60\n")
    return path


def registry_folder(folder: Path) -> Path:
    """The registry's files, with the recording's counterparties beside them."""
    made = folder / "registry"
    made.mkdir()
    for name in ("miners", "licences", "accounts", "wallets"):
        shutil.copy(MONTH / f"{name}.csv", made)
    pool = json.loads((MONTH / "pool.json").read_text())
    with (made / "counterparties.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, ["address", "chain", "class", "name"])
        rows.writeheader()
        rows.writerows({"chain": pool["chain"], **entry} for entry in pool["counterparties"])
    return made


def last_hash() -> str:
    with gzip.open(MONTH / "sequence.jsonl.gz", "rt") as lines:
        return str(json.loads(list(lines)[-1])["hash"])


def tip_of(url: str) -> str | None:
    """The newest block in the log; None while nobody can say. Asked by a process of its own, as all that meets dying brokers here."""
    command = [sys.executable, "-m", "tests.live.kafka_esep", "tip", KEY]
    asked = subprocess.run(command, env=os.environ | {"ESEP_TEST_LOG": url}, cwd=MONTH.parents[2], capture_output=True, text=True)
    return asked.stdout.strip() if asked.returncode == 0 else None


def torment_brokers(cluster: KafkaCluster, kills: Counter[str], stop: threading.Event, chance: random.Random) -> None:
    """One broker at a time: killed, left for a while, brought back, left to catch up."""
    while not stop.wait(chance.uniform(3, 7)):
        broker = chance.choice(list(cluster.nodes))
        cluster.kill(broker)
        kills["broker"] += 1
        stop.wait(chance.uniform(0.5, 3))
        cluster.revive(broker)


def test_the_month_is_the_embedded_runs_whatever_is_killed(
    cluster: KafkaCluster, node: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    chance = random.Random(SEED)
    settings = KafkaSettings(tuple(cluster.servers.split(",")), partitions=3, timeout_s=60)
    config = write_config(tmp_path, settings.place, *node)
    run = Supervisor(tmp_path, config, settings.place)
    run.finish("topics", "topics")
    begun = time.monotonic()
    stop = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        brokers = threads.submit(torment_brokers, cluster, run.kills, stop, random.Random(SEED + 1))
        files = threads.submit(bring_files, run, registry_folder(tmp_path), random.Random(SEED + 2))
        try:
            follow(run, chance)
            files.result()
        finally:
            stop.set()
            run.stop()
    brokers.result()
    kills = run.kills
    assert all(cluster.is_up(broker) for broker in cluster.nodes)
    run.finish("ingest-rest", "ingest")
    run.finish("waive", "waive", "2026-10", "unknown-outflow", OUTFLOW, "--by", "Example operator", "--reason", "asked on 2 November")
    run.finish("freeze", "freeze", "2026-10", "--by", "Example operator")
    report = (tmp_path / "var/months/2026-10/v1/report.csv").read_bytes()
    check_the_log(settings)
    with capsys.disabled():
        print(
            f"\nseed {SEED}: {kills.total()} kills -9 in {time.monotonic() - begun:.0f} s ({', '.join(f'{n} {k}' for k, n in sorted(kills.items()))}), "
            f"restarts after trouble with the log: {dict(run.ended) or 'none'}; report {hashlib.sha256(report).hexdigest()}"
        )
    assert hashlib.sha256(report).hexdigest() == DIGEST
    assert min(kills["broker"], kills["watch"], kills["ingest"]) >= 3
    run.finish("replay", "replay", "2026-10")


def follow(run: Supervisor, chance: random.Random) -> None:
    """Keep `watch` and `ingest` running, and kill them, until the whole recording is in the log."""
    wanted, until = last_hash(), time.monotonic() + PATIENCE_S
    while tip_of(run.url) != wanted:
        assert time.monotonic() < until, f"not done after {PATIENCE_S} s: {run.tail('watch')}"
        run.keep("watch", "watch", "bitcoin")
        run.keep("ingest", "ingest", "--follow")
        time.sleep(chance.uniform(2, 8))
        run.kill(chance.choice(["watch", "ingest"]))
        run.keep("watch", "watch", "bitcoin")
        run.keep("ingest", "ingest", "--follow")


def bring_files(run: Supervisor, registry: Path, chance: random.Random) -> None:
    """Every file imported by a process that is killed once on its way."""
    for name, *arguments in (
        ("registry", str(registry)),
        ("allocations", str(MONTH / "allocations.csv")),
        ("payments", str(MONTH / "payments.csv")),
        ("complete", "2026-10-31"),
    ):
        run.finish(f"import-{name}", "import", name, *arguments, kill_after_s=chance.uniform(1.5, 5))


def check_the_log(settings: KafkaSettings) -> None:
    """No event of the chain is missing, doubled or out of order: its ids count from 0."""
    with KafkaLog(settings, pool="demo") as log:
        positions: dict[str, int] = {}
        ids: list[str] = []
        while records := log.read(positions, topics=["chain"]):
            positions = advance(positions, records)
            ids += [r.id for r in records if r.key == KEY]
    assert ids == [f"bitcoin:{seq}" for seq in range(len(ids))]


def test_a_second_connector_of_a_chain_fences_the_first_which_says_so_and_stops(
    cluster: KafkaCluster, node: tuple[str, Path], tmp_path: Path
):
    settings = KafkaSettings(tuple(cluster.servers.split(",")), partitions=3, timeout_s=60)
    make_topics(settings)
    run = Supervisor(tmp_path, write_config(tmp_path, settings.place, *node), settings.place)
    try:
        run.running["first"] = first = run.spawn("first", "watch", "bitcoin")
        with KafkaLog(settings, pool="demo") as log:
            until = time.monotonic() + 60
            while log.last("chain", KEY) is None:
                assert first.poll() is None and time.monotonic() < until, run.tail("first")
                time.sleep(0.2)
            run.running["second"] = second = run.spawn("second", "watch", "bitcoin")
            assert first.wait(60) == FencedError.exit_code
            assert "another writer has taken it over; stop this one, only one may run" in run.tail("first")
            seen = log.last("chain", KEY)
            until = time.monotonic() + 60
            while log.last("chain", KEY) == seen:
                assert second.poll() is None and time.monotonic() < until, run.tail("second")
                time.sleep(0.2)
        check_the_log(settings)
    finally:
        run.stop()
