"""The command line `esep` with its log on the cluster that ESEP_TEST_LOG names: `python -m tests.live.kafka_esep watch …`.

The commands are the program's own; only where the log lies is said here instead of in the settings file. One is added: `tip KEY`
prints the hash of the newest block in the log.
"""

from __future__ import annotations

import os
import sys
from functools import cached_property

from connectors.log_kafka import open_kafka_log
from pipeline import cli
from pipeline.app import App
from pipeline.events import Connect, Stretch, decode
from pipeline.log import EventLog


def main() -> None:
    url = os.environ["ESEP_TEST_LOG"]
    table = {"timeout_s": 60, "transaction_timeout_s": 60, "partitions": 3}
    if sys.argv[1] == "tip":
        print(tip(open_kafka_log(url, table | {"timeout_s": 10}), sys.argv[2]))
        return
    log: cached_property[EventLog] = cached_property(lambda app: open_kafka_log(url, table, pool=app.pool))
    log.__set_name__(App, "log")
    App.log = log  # type: ignore[method-assign]
    cli.main()


def tip(log: EventLog, key: str) -> str | None:
    record = log.last("chain", key)
    event = decode(record.value) if record is not None else None
    return event.hash if isinstance(event, Connect) else event.hash[-1] if isinstance(event, Stretch) else None


if __name__ == "__main__":
    main()
