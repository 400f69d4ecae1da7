"""`python -m tests.bench kafka`: rows a second from Kafka to committed DuckDB, beside what others would write by hand.

One broker of Apache Kafka on loopback, one partition. Allocations one row an event, and 1,000 rows an event: appended by our writer, taken in by our
ingest into an empty store. On the same topic, in the same run: reading alone (the ceiling), kafka-python alone, a plain loop of kafka-python, json and executemany,
and quixstreams, where `--quix PYTHON` names an environment that has it (with duckdb, pyarrow). Prints one line a way, with medians of `--rounds`. How
soon a block is seen, and how soon a killed process goes on: `python -m tests.bench.kafka_latency`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from connectors.log_kafka import KafkaLog
from pipeline.log.events import encode
from pipeline.log.events.ledger import AllocationColumns, Allocations
from pipeline.log.protocol import NewEvent, advance
from pipeline.store import Store
from pipeline.store.ingest import Ingest

from ..contract.kafka_protocol import fresh_log
from ..live.kafka_cluster import KafkaCluster, why_not

APPEND_EVENTS = 20_000


def events(rows: int, rows_an_event: int) -> Iterator[NewEvent]:
    """Allocations of 5,000 accounts, all different."""
    for first in range(0, rows, rows_an_event):
        numbers = range(first, min(first + rows_an_event, rows))
        count = len(numbers)
        columns = AllocationColumns(
            allocation_id=[f"a-{n:09}" for n in numbers],
            version=[1] * count,
            account=[f"worker-{n % 5000}" for n in numbers],
            asset=["BTC"] * count,
            allocated_at=[1_790_000_000_000_000 + n for n in numbers],
            amount=[str(100_000 + n) for n in numbers],
            commission_asset=["BTC"] * count,
            commission_amount=["1000"] * count,
            commission_currency=[None] * count,
            commission_currency_amount=[None] * count,
        )
        yield encode(Allocations(id=f"allocations:{first}", source="bench.csv", rows=columns))


class Rate(NamedTuple):
    """How fast something went, once."""

    rows_a_s: float
    cpu_us: float
    """Processor time of this process for a row, all its threads: on a busy machine it says more than the clock."""

    def __str__(self) -> str:
        return f"{self.rows_a_s:>10,.0f}   {self.cpu_us:>8,.2f} µs CPU a row"


def timed(work: Callable[[], int], rows_each: int = 1) -> Rate:
    begun, begun_cpu = time.perf_counter(), time.process_time()
    rows = work() * rows_each
    return Rate(rows / (time.perf_counter() - begun), (time.process_time() - begun_cpu) / rows * 1e6)


def read_only(log: KafkaLog) -> int:
    """The ceiling of what comes from the log; how many events."""
    positions: dict[str, int] = {}
    seen = 0
    while records := log.read(positions):
        positions = advance(positions, records)
        seen += len(records)
    return seen


def ingest(log: KafkaLog, folder: Path) -> int:
    with Store.open(folder / f"{time.monotonic_ns()}.duckdb") as store:
        return Ingest(log, store).catch_up().rows


def consumer_of(log: KafkaLog) -> Any:
    """A consumer of kafka-python as anybody would make it, at the beginning of the one partition."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=list(log.settings.servers), enable_auto_commit=False, isolation_level="read_committed")
    partition = TopicPartition(log.settings.topic("ledger"), 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    return consumer


def polled(log: KafkaLog, events: int) -> int:
    """kafka-python alone: every event polled, nothing done with it; how many."""
    consumer, seen = consumer_of(log), 0
    while seen < events:
        seen += sum(map(len, consumer.poll(1000, max_records=5000).values()))
    consumer.close()
    return seen


def by_hand(log: KafkaLog, limit_rows: int) -> int:
    """kafka-python, json, executemany in one transaction for 5,000 rows."""
    consumer = consumer_of(log)
    connection = duckdb.connect()
    connection.execute("CREATE TABLE allocation (id VARCHAR, account VARCHAR, allocated_at BIGINT, amount DECIMAL(38,0))")
    rows = 0
    while rows < limit_rows:
        batch = []
        for records in consumer.poll(1000, max_records=5000).values():
            for record in records:
                columns = json.loads(record.value)["rows"]
                batch += list(zip(columns["allocation_id"], columns["account"], columns["allocated_at"], columns["amount"], strict=True))
        if batch:
            connection.begin()
            connection.executemany("INSERT INTO allocation VALUES (?, ?, ?, ?)", batch[: limit_rows - rows])
            connection.commit()
            rows += len(batch)
    consumer.close()
    return min(rows, limit_rows)


def by_quix(log: KafkaLog, python: str | None, rows: int) -> str:
    """quixstreams' own rows a second, or why there are none."""
    if python is None:
        return f"{'not installed':>10}"
    command = [python, str(Path(__file__).with_name("kafka_quix.py")), log.settings.servers[0], log.settings.topic("ledger"), str(rows)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return "gave up after 300 s"
    return f"{float(ran.stdout.split()[-1]):>10,.0f}" if ran.stdout.split() else f"failed: {ran.stderr[-300:]}"


def bench(servers: str, rows: int, rows_an_event: int, rounds: int, quix: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder, KafkaLog(fresh_log(servers, timeout_s=180.0, transaction_timeout_s=180.0)) as log:
        pending = list(events(rows, rows_an_event))
        with log.writer("ledger", "pool") as writer:
            append = timed(
                lambda: sum(writer.append(pending[n : n + APPEND_EVENTS]) for n in range(0, len(pending), APPEND_EVENTS)) * rows_an_event
            )

        def again(work: Callable[[KafkaLog], int], rows_each: int = 1) -> Rate:
            rates = []
            for _ in range(rounds):
                with KafkaLog(log.settings) as fresh:
                    rates.append(timed(lambda fresh=fresh: work(fresh), rows_each))  # type: ignore[misc]
            return Rate(statistics.median(rate.rows_a_s for rate in rates), statistics.median(rate.cpu_us for rate in rates))

        print(f"{rows_an_event:>5} rows an event, {rows:,} rows of {sum(len(e.value) for e in pending) / rows:.0f} bytes, rows/s:")
        print(f"      append (one transaction for {APPEND_EVENTS:,} events)  {append}")
        print(f"      read from the log alone                        {again(read_only, rows_an_event)}")
        print(f"      kafka-python alone, polled                     {again(lambda fresh: polled(fresh, len(pending)), rows_an_event)}")
        print(f"      read, decode, commit to DuckDB                 {again(lambda fresh: ingest(fresh, Path(folder)))}")
        print(f"      kafka-python + json + executemany, 5,000 rows  {again(lambda fresh: by_hand(fresh, 5_000))}", flush=True)
        print(f"      quixstreams, after its group has joined        {by_quix(log, quix, rows)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kafka", description="Rows a second from Kafka to committed DuckDB.")
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quix", metavar="PYTHON", help="the Python of an environment with quixstreams, duckdb and pyarrow")
    arguments = parser.parse_args()
    if reason := why_not():
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory() as folder:
        cluster = KafkaCluster(Path(folder) / "kafka")
        try:
            cluster.start()
            bench(cluster.servers, arguments.rows, 1, arguments.rounds, arguments.quix)
            bench(cluster.servers, arguments.rows * 5, 1000, arguments.rounds, arguments.quix)
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
