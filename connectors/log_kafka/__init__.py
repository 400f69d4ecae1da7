"""Apache Kafka as the event log (`pipeline.log.protocol.EventLog`), shared by many processes and machines.

`open_kafka_log("kafka://host:9092/prefix", table)` opens the log; `topics.py` creates and checks the topics; ADR 3 gives the design.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .log import KafkaLog, partition_of, pool_of
from .settings import KafkaSettings, kafka_settings
from .topics import alter_topics, check_topics, make_topics, require_topics

__all__ = [
    "KafkaLog", "KafkaSettings", "alter_topics", "check_topics", "kafka_settings", "make_topics", "open_kafka_log", "partition_of",
    "pool_of", "require_topics",
]  # fmt: skip


def open_kafka_log(url: str, table: Mapping[str, Any] | None = None, *, password: str | None = None, pool: str | None = None) -> KafkaLog:
    """The log at `url` with the settings of the `[kafka]` table; with `pool`, only that pool's keys.

    Raises SettingsError for wrong settings. It does not connect: the first read or write raises LogError when no broker answers.
    """
    return KafkaLog(kafka_settings(url, table, password=password), pool=pool)
