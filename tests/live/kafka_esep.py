"""The command line `esep` with its log on the cluster that ESEP_TEST_LOG names: `python -m tests.live.kafka_esep watch …`.

The commands are the program's own; only where the log lies is said here instead of in the settings file.
"""

from __future__ import annotations

import os
from functools import cached_property

from connectors.log_kafka import open_kafka_log
from pipeline import cli
from pipeline.app import App
from pipeline.log import EventLog


def main() -> None:
    url = os.environ["ESEP_TEST_LOG"]
    table = {"timeout_s": 60, "transaction_timeout_s": 60, "partitions": 3}
    log: cached_property[EventLog] = cached_property(lambda app: open_kafka_log(url, table, pool=app.pool))
    log.__set_name__(App, "log")
    App.log = log  # type: ignore[method-assign]
    cli.main()


if __name__ == "__main__":
    main()
