"""`python -m tests.bench kafka_latency`: how soon a block is seen by an analyst, and how soon a killed `esep ingest` goes on.

A real Bitcoin Core on regtest (ESEP_BITCOIND, or bitcoind on PATH), one broker of Apache Kafka, `esep watch` and `esep ingest --follow` as processes of
their own, all on this machine. Blocks are mined at random moments; each counts from the node's answer to the moment at which the published
copy, opened as an analyst would, shows it. Then allocations come in without pause while ingest is killed (-9) and started again at once: from
the kill to the first row committed after it. Prints p50, p99 and the greatest.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from connectors.log_kafka import KafkaLog, KafkaSettings, make_topics

from ..live.kafka_cluster import KafkaCluster, why_not
from ..live.regtest_node import RegtestNode, find_program
from ..ports import free_ports
from .kafka import events

ADDRESS = "2N8pSts1r8eQ9VULobgMQGZ4wDEZKL4kTwg"
SETTINGS = """\
log = "{log}"
var = "{var}"
[kafka]
partitions = 1
replication_factor = 1
min_insync_replicas = 1
[pool]
key = "bench"
bin = "201040000013"
name = "Bench"
[store]
publish_every_s = {publish_every_s}
[chains.bitcoin]
network = "regtest"
asset = "BTC"
rpc_url = "{url}"
cookie_file = "{cookie}"
poll_s = 1
[[chains.bitcoin.wallets]]
name = "pool"
addresses = ["{address}"]
"""
POSITION = re.compile(r'^esep_store_position\{partition="0",pool="bench",topic="ledger"\} (\S+)$', re.MULTILINE)
PATIENCE_S = 120.0


def spawn(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", name, *arguments, "--config", str(folder / "esep.toml")]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


@contextlib.contextmanager
def kept(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool], what: str) -> float:
    """Wait for it; the seconds that took."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > PATIENCE_S:
            raise SystemExit(f"waited {PATIENCE_S:g} s in vain: {what}")
        time.sleep(0.01)
    return time.monotonic() - begun


def shown_height(path: Path) -> int:
    """What an analyst sees: the highest block in the published copy; -1 before there is one."""
    try:
        with contextlib.closing(duckdb.connect(str(path), read_only=True)) as connection:
            (height,) = connection.execute("SELECT coalesce(max(height), -1) FROM core_block").fetchall()[0]
            return int(height)
    except duckdb.Error:
        return -1


def blocks_seen(node: RegtestNode, published: Path, count: int, chance: random.Random) -> list[float]:
    """Seconds from each block's being in the node to its being shown; blocks come at any moment of the others' way."""
    known_at: dict[int, float] = {}
    seen_s: list[float] = []
    base = int(node.rpc.call("getblockcount"))
    is_over = threading.Event()

    def look() -> None:
        reached, changed = base, 0.0
        while reached < base + count and not is_over.is_set():
            stamp = published.stat().st_mtime_ns
            if stamp != changed:
                height, now, changed = shown_height(published), time.monotonic(), stamp
                seen_s.extend(now - known_at[shown] for shown in range(reached + 1, height + 1) if shown in known_at)
                reached = max(reached, height)
            time.sleep(0.01)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for number in range(1, count + 1):
            time.sleep(chance.uniform(0.2, 1.8))
            node.mine(ADDRESS)
            known_at[base + number] = time.monotonic()
        until(lambda: not looking.is_alive(), "the last block is not shown")
    finally:
        is_over.set()
        looking.join()
    return seen_s


def recoveries(folder: Path, settings: KafkaSettings, times: int, chance: random.Random) -> list[float]:
    """Seconds from each kill to the first rows committed after it."""
    (port,) = free_ports(1)
    is_over = threading.Event()

    def feed() -> None:
        with KafkaLog(settings) as log, log.writer("ledger", "bench") as writer:
            pending = events(10_000_000, 1)
            while not is_over.wait(0.05):
                writer.append([next(pending) for _ in range(50)])

    def position() -> float:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                found = POSITION.search(answer.read().decode())
                return float(found[1]) if found else -1.0
        except OSError:
            return -1.0

    feeding = threading.Thread(target=feed)
    feeding.start()
    took_s: list[float] = []
    process = spawn(folder, "ingest", "--follow", "--listen", f"127.0.0.1:{port}")
    try:
        until(lambda: position() > 0, "ingest does not begin")
        for _ in range(times):
            time.sleep(chance.uniform(1, 3))
            before = position()
            process.kill()
            killed_at = time.monotonic()
            process.wait()
            process = spawn(folder, "ingest", "--follow", "--listen", f"127.0.0.1:{port}")
            until(lambda before=before: position() > before, "ingest does not go on")  # type: ignore[misc]
            took_s.append(time.monotonic() - killed_at)
    finally:
        is_over.set()
        feeding.join()
        process.kill()
        process.wait()
    return took_s


def told(name: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99))
    return f"{name}: {len(ordered)} times, p50 {p50:.2f} s, p99 {p99:.2f} s, most {ordered[-1]:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench kafka_latency", description="How soon a block is seen; how soon ingest goes on."
    )
    parser.add_argument("--blocks", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--publish-every", type=int, default=1, metavar="SECONDS", help="[store] publish_every_s")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    program = find_program("bitcoind", "ESEP_BITCOIND")
    if reason := why_not() or (None if program else "no bitcoind: set ESEP_BITCOIND or put it on PATH"):
        raise SystemExit(reason)
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as place, RegtestNode(str(program), "-rest=1") as node:
        folder = Path(place)
        cluster = KafkaCluster(folder / "kafka")
        try:
            cluster.start()
            settings = KafkaSettings(tuple(cluster.servers.split(",")), "bench", partitions=1, replication_factor=1, min_insync_replicas=1)
            make_topics(settings)
            (folder / "esep.toml").write_text(
                SETTINGS.format(
                    log=settings.place, var=folder / "var", url=node.rpc_url, cookie=node.cookie_path, address=ADDRESS,
                    publish_every_s=arguments.publish_every,
                )
            )  # fmt: skip
            published = folder / "var/published.duckdb"
            node.mine(ADDRESS, 10)
            with kept(spawn(folder, "watch", "bitcoin")), kept(spawn(folder, "ingest", "--follow")):
                until(lambda: shown_height(published) >= 10, "the first blocks are not shown")
                seen_s = blocks_seen(node, published, arguments.blocks, chance)
            print(
                told(f"a block in the node until an analyst sees it (poll_s = 1, publish_every_s = {arguments.publish_every})", seen_s),
                flush=True,
            )
            print(
                told(
                    "ingest killed (-9) and started again at once, until its rows go on",
                    recoveries(folder, settings, arguments.kills, chance),
                )
            )
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
