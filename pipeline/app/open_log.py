"""The log that the settings name, opened: a SQLite file or a cluster. Part of the composition root, like `app`.

Kafka's client takes its time to be imported, so only those who need it do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.log_sqlite.log import SqliteLog
from pipeline.settings import Settings

if TYPE_CHECKING:
    from connectors.log_kafka import KafkaSettings
    from pipeline.log.protocol import EventLog


def kafka_settings_of(settings: Settings) -> KafkaSettings:
    """The cluster that `log` and `[kafka]` name. Raises SettingsError with every fault."""
    from connectors.log_kafka import kafka_settings

    password = settings.kafka.password
    return kafka_settings(settings.log, settings.kafka.table(), password=password.get_secret_value() if password else None)


def open_log(settings: Settings, *, pool: str | None = None) -> EventLog:
    """The log, a file made where there is none; with `pool` that pool's part of a cluster's.

    A cluster's topics are checked at every start. Raises LogError, SettingsError.
    """
    if settings.log.startswith("kafka:"):
        from connectors.log_kafka import KafkaLog, require_topics

        cluster = kafka_settings_of(settings)
        require_topics(cluster)
        return KafkaLog(cluster, pool=pool)
    settings.log_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return SqliteLog(settings.log_path)
