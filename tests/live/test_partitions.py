"""The example month while brokers, node, database and filing service are cut off and healed at random, through relays: nobody is killed.

One `esep run` does all of it: it follows the recorded node, reads the ledger from the pool's own tables in PostgreSQL, keeps its log on three brokers of Apache Kafka
(they reach each other through the relays, too), fills the store, freezes the month and files it to the sandbox, whose first answer is lost on its way. A file of the registry comes last
from another terminal. What comes out must be the month of the embedded run, to the last byte of the report: nothing that was acknowledged is lost, nothing is there twice, the form is filed
once. Prints how often each was cut, and how long it took until all was well again after each healing.

A campaign of `ESEP_PARTITIONS_S` seconds or as long as the month takes, skipped without it; `ESEP_SEED` chooses other cuts.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.log_kafka import KafkaSettings
from pipeline.capture.held import Held
from pipeline.log.events import decode
from pipeline.log.events.months import Answered
from pipeline.model.months import Month

from ..integration.example_month import DIGEST, RECORDED, ROOT
from ..ports import free_port
from .databases import PASSWORD, PostgresServer, find_postgres
from .kafka_cluster import KafkaCluster, why_not
from .relay import Cut, Relay
from .test_kafka_month import Supervisor, check_the_log, last_hash, node, read_all, registry_folder, shown_tip, write_config
from .test_sources import OWN_SELECTS, OWN_TABLES

__all__ = ["node"]
pytestmark = [pytest.mark.live, pytest.mark.timeout(1500)]
SEED = int(os.environ.get("ESEP_SEED", "20261129"))
LASTS_S = float(os.environ.get("ESEP_PARTITIONS_S", "0"))
LEAST_ROUNDS = 6
PATIENCE_S = 300
"""How long a healing, or a step of the month, is waited for."""


@dataclass
class Partitions:
    """The relays, by the name of what is behind each, and what was done to them."""

    relays: dict[str, list[Relay]]
    chance: random.Random
    left_cut: set[str] = field(default_factory=set)
    """What stays cut until the test heals it."""
    done: Counter[str] = field(default_factory=Counter)
    recovered_s: list[float] = field(default_factory=list)

    def cut(self, name: str, how: Cut) -> None:
        for relay in self.relays[name]:
            relay.cut(how)
        self.done[name] += 1

    def heal(self, name: str) -> None:
        keeps_connections = self.chance.random() < 0.5
        for relay in self.relays[name]:
            relay.heal(keeps_connections=keeps_connections)

    def round(self) -> None:
        """Cut one to three parts off at random moments, each for up to 20 s, and heal them."""
        names = self.chance.sample(sorted(self.relays.keys() - self.left_cut), self.chance.choice((1, 1, 2, 3)))
        for name in names:
            self.cut(name, self.chance.choice(list(Cut)))
            time.sleep(self.chance.uniform(0.2, 4))
        time.sleep(self.chance.choice((1, 4, 18)))
        for name in names:
            self.heal(name)
            time.sleep(self.chance.uniform(0, 1))


@contextlib.contextmanager
def partitioned_cluster(folder: Path, relays: dict[str, list[Relay]], held: contextlib.ExitStack) -> Iterator[KafkaCluster]:
    """Three brokers that clients and other brokers reach through relays; a broker's two relays stand under its name."""
    if reason := why_not():
        pytest.skip(reason)

    def through(node: int, port: int) -> int:
        relay = held.enter_context(Relay(port))
        relays.setdefault(f"broker {node}", []).append(relay)
        return relay.port

    cluster = KafkaCluster(folder, 3, through=through)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def books() -> Iterator[PostgresServer]:
    """PostgreSQL with the pool's own tables, still empty, and a user who may read them."""
    if find_postgres() is None:
        pytest.skip("no PostgreSQL server: install it (on Debian: apt-get install postgresql)")
    with PostgresServer() as server:
        with server.connect() as connection:
            connection.execute("CREATE DATABASE pool")
            connection.execute(f"CREATE USER esep PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
        with server.connect("pool") as connection:
            for statement in OWN_TABLES:
                connection.execute(statement)
                connection.execute(f"GRANT SELECT ON {statement.split()[2]} TO esep")
        yield server


def keep_books(server: PostgresServer, stop: threading.Event, pause_s: float) -> int:
    """The pool's software writes its month, a hundred rows at a time; how many rows that is."""
    count = 0
    with server.connect("pool") as connection, connection.cursor() as cursor:
        for statement, name in zip(OWN_TABLES, ("allocations", "payments"), strict=True):
            table = statement.split()[2]
            with (RECORDED / f"{name}.csv").open(newline="", encoding="utf-8") as lines:
                for number, row in enumerate(csv.DictReader(lines)):
                    values = {key: value or None for key, value in row.items()} | {"seq": number}
                    cursor.execute(
                        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})", list(values.values())
                    )
                    count += 1
                    if count % 100 == 0 and stop.wait(pause_s):
                        return count
    return count


def filing_service(kept: Path, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The sandbox as a process, and its port."""
    port = free_port()
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "sandbox", "--port", str(port), "--keep", str(kept)]
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT), port


def is_ready(port: int) -> bool:
    """Whether all is well and caught up, as `/readyz` says."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False


def received(kept: Path) -> list[str]:
    """The ids of the submissions that the filing service took."""
    return sorted({json.loads(line)["submission_id"] for line in kept.read_text().splitlines()}) if kept.exists() else []


@pytest.mark.skipif(not LASTS_S, reason="a campaign of some minutes: ESEP_PARTITIONS_S says of how many seconds")
@pytest.mark.skipif(time.time() < Month.parse("2026-10").end_at, reason="by this machine's clock the recorded month is not over")
def test_the_month_is_the_embedded_runs_whatever_is_cut_off(
    node: tuple[str, Path], books: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.ExitStack() as held:
        relays: dict[str, list[Relay]] = {}
        cluster = held.enter_context(partitioned_cluster(tmp_path / "kafka", relays, held))
        kept = tmp_path / "received.jsonl"
        sandbox, sandbox_port = filing_service(kept, tmp_path / "sandbox.log")
        held.callback(sandbox.wait)
        held.callback(sandbox.kill)
        for name, port in (("node", int(node[0].rpartition(":")[2])), ("database", books.port), ("filing service", sandbox_port)):
            relays[name] = [held.enter_context(Relay(port))]
        settings = KafkaSettings(tuple(cluster.servers.split(",")), partitions=3, timeout_s=60)
        config = write_config(tmp_path, settings.place, f"http://127.0.0.1:{relays['node'][0].port}", node[1])
        password = tmp_path / "password"
        password.touch(0o600)
        password.write_text(PASSWORD)
        url = f"http://127.0.0.1:{relays['filing service'][0].port}/submissions"
        config.write_text(config.read_text().replace("[closing]\n", "[closing]\nin_run = true\nretry_s = 1\nretry_max_s = 2\n"))
        with config.open("a") as lines:
            lines.write(
                f'[filing]\nway = "http"\nurl = "{url}"\nstatus_url = "{url}/{{submission_id}}"\ntimeout_s = 5\n'
                f'[sources.books]\nkind = "sql"\nengine = "postgresql"\nsince = "2020-01-01"\nport = {relays["database"][0].port}\ndatabase = "pool"\nuser = "esep"\n'
                f'password_file = "{password}"\npoll_s = 1\ntimeout_s = 5\n{OWN_SELECTS}'
            )
        run = Supervisor(tmp_path, config)
        live(run, Partitions(relays, random.Random(SEED)), books, kept, capsys)
        assert all(cluster.is_up(broker) for broker in cluster.nodes)
        check(run, settings, kept)


def live(run: Supervisor, partitions: Partitions, books: PostgresServer, kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The month among partitions, from empty topics to its receipt; then the same processes' store, from the log, once more."""
    run.finish("topics", "topics")
    port, begun, stop = free_port(), time.monotonic(), threading.Event()
    service = ("run", "--listen", f"127.0.0.1:{port}")
    writer = threading.Thread(target=keep_books, args=(books, stop, 0.5))
    writer.start()
    partitions.cut("filing service", Cut.ANSWERS)  # until it has what was sent: the first answer is lost
    partitions.left_cut.add("filing service")

    def until(holds: object, what: str) -> float:
        since = time.monotonic()
        while not holds():  # type: ignore[operator]
            run.keep("run", *service)
            assert time.monotonic() - since < PATIENCE_S, f"{what}: not after {PATIENCE_S} s: {run.tail('run')}"
            time.sleep(0.1)
        return time.monotonic() - since

    try:
        is_registered = False
        while not (is_accepted(run.folder / "var") and len(partitions.recovered_s) >= LEAST_ROUNDS and time.monotonic() - begun > LASTS_S):
            assert time.monotonic() - begun < 3 * PATIENCE_S + LASTS_S, run.tail("run")
            run.keep("run", *service)
            partitions.round()
            if partitions.left_cut and received(kept):
                partitions.left_cut.clear()
                partitions.heal("filing service")
            partitions.recovered_s.append(until(lambda: is_ready(port), "well again"))
            if not is_registered and not writer.is_alive():
                run.finish("import-registry", "import", "registry", str(registry_folder(run.folder)))
                is_registered = True
        until(lambda: shown_tip(run.folder / "var") == last_hash(), "the newest block is shown")
    finally:
        stop.set()
        writer.join()
        run.stop()
    took_s = time.monotonic() - begun
    with capsys.disabled():
        cuts = ", ".join(f"{name} {count}" for name, count in sorted(partitions.done.items()))
        ordered = sorted(partitions.recovered_s)
        print(
            f"\nseed {SEED}: {partitions.done.total()} cuts in {took_s:.0f} s ({cuts}); well again after a healing: {ordered[len(ordered) // 2]:.1f} s in the median, "
            f"{ordered[-1]:.1f} s at most; restarts of `esep run`: {run.ended['run']}"
        )


def is_accepted(var: Path) -> bool:
    return any(var.glob("months/2026-10/v1/submissions/*/*-accepted.txt"))


def check(run: Supervisor, settings: KafkaSettings, kept: Path) -> None:
    """Nothing lost, nothing twice: the report, the chain's events, the ledger's rows, the version, the submission. And the log alone gives the same again."""
    assert hashlib.sha256((run.folder / "var/months/2026-10/v1/report.csv").read_bytes()).hexdigest() == DIGEST
    check_the_log(settings)
    ledger = Held("books", "")
    for record in read_all(settings, "ledger"):
        ledger.apply(decode(record.value))
    owed = {
        f"{prefix}{row[column]}"
        for name, column, prefix in (("allocations", "allocation_id", "books:"), ("payments", "payment_id", "books:payment:"))
        for row in csv.DictReader((RECORDED / f"{name}.csv").read_text().splitlines())
    }
    assert ledger.rows.keys() == owed and {row.version for row in ledger.rows.values()} == {1}
    (sent,) = received(kept)
    answers = [event for record in read_all(settings, "months") if isinstance(event := decode(record.value), Answered)]
    assert {answer.submission_id for answer in answers} == {sent}
    assert answers[0].outcome == "unknown" and [answer.outcome for answer in answers].count("accepted") == 1
    run.finish("ingest-rest", "ingest")
    run.finish("freeze-again", "freeze", "2026-10", "--by", "Example operator", "--reason", "is it still the same?")
    assert "nothing in the report changed since version 1" in run.tail("freeze-again")
    run.finish("replay", "replay", "2026-10")
    run.finish("verify", "verify", "2026-10", "--test-network")
