"""Apache Kafka as the event log (`pipeline.log.protocol.EventLog`): many processes and machines, one truth.

`open_kafka_log("kafka://host:9092/prefix", table)` gives the log; `topics.py` makes and checks the topics; ADR 3 says why it is built so.
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
    """The log at `url`, with what the `[kafka]` table says; with `pool`, that pool's part of it.

    Raises SettingsError for what is written wrongly. The first reading or writing raises LogError when no broker answers.
    """
    return KafkaLog(kafka_settings(url, table, password=password), pool=pool)
