"""quixstreams from a topic of allocations to committed DuckDB: run by `tests.bench.kafka` with the Python of an environment that has quixstreams.

Enters: the broker, the topic, how many rows. Leaves: one number, rows a second from the first event on, the joining of its group not counted. As quixstreams'
own documentation has it: a `BatchingSink`, which commits offsets after `write`; its JSON by orjson, its rows to DuckDB as an Arrow table.
"""

from __future__ import annotations

import sys
import time
import uuid
from typing import Any

import duckdb
import pyarrow
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

COLUMNS = ("allocation_id", "account", "allocated_at", "amount")
SCHEMA = pyarrow.schema([("allocation_id", "string"), ("account", "string"), ("allocated_at", "int64"), ("amount", "string")])


class ToDuckdb(BatchingSink):
    """Every batch in a transaction of its own."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self._wanted = wanted
        self._connection = duckdb.connect()
        self._connection.execute(
            "CREATE TABLE allocation (allocation_id VARCHAR, account VARCHAR, allocated_at BIGINT, amount DECIMAL(38,0))"
        )
        self.begun = 0.0
        self.rows = 0

    def add(self, *arguments: Any, **named: Any) -> None:
        if not self.begun:
            self.begun = time.perf_counter()
        super().add(*arguments, **named)

    def write(self, batch: SinkBatch) -> None:
        columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        for item in batch:
            rows = item.value["rows"]
            for name in COLUMNS:
                columns[name] += rows[name]
        table = pyarrow.table(columns, schema=SCHEMA)
        self._connection.begin()
        self._connection.register("incoming", table)
        self._connection.execute("INSERT INTO allocation SELECT allocation_id, account, allocated_at, amount::DECIMAL(38,0) FROM incoming")
        self._connection.commit()
        self.rows += table.num_rows
        if self.rows >= self._wanted:
            print(self.rows / (time.perf_counter() - self.begun), flush=True)
            sys.exit(0)


def main() -> None:
    server, topic, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
    application = Application(
        broker_address=server,
        consumer_group=uuid.uuid4().hex,
        auto_offset_reset="earliest",
        commit_every=20_000,
        commit_interval=60.0,
        consumer_extra_config={"isolation.level": "read_committed"},
        loglevel="ERROR",
    )
    frame = application.dataframe(application.topic(topic, value_deserializer="json"))
    frame.sink(ToDuckdb(rows))
    application.run()


if __name__ == "__main__":
    main()
