"""The producer of docs/examples writes what Esep reads: an allocation, from a program that knows nothing of Esep but the published event."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from connectors.log_kafka import KafkaLog
from pipeline.log.events.ledger import Allocations
from pipeline.log.read import events_of
from pipeline.store import Store
from pipeline.store.ingest import Ingest

from .kafka_protocol import fresh_log

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "kafka_producer.py"


def test_the_example_s_event_is_an_allocation_in_the_store(servers: str) -> None:
    settings = fresh_log(servers, partitions=3)
    done = subprocess.run([sys.executable, str(EXAMPLE), servers, settings.prefix, "my-pool"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    with KafkaLog(settings) as log:
        ((record, event),) = events_of(log, "ledger", "my-pool", [Allocations])
        assert (record.id, event.rows.amount) == ("own-software:A-1:1", ["1234560"])
        with Store.memory() as store:
            assert Ingest(log, store).catch_up().bad_events == 0
            assert store.connection.execute("SELECT allocation_id, account, amount::BIGINT FROM core_allocation").fetchall() == [
                ("A-1", "acct-1", 1_234_560)
            ]
