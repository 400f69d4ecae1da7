"""Opens the log that the settings name, a SQLite file or a Kafka cluster; makes and checks a cluster's topics.

Kafka's client is slow to import, so it is imported only where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.log_sqlite.formats import OldLog, look_at_old_log
from connectors.log_sqlite.log import SqliteLog
from connectors.log_sqlite.one_pool import require_pool
from pipeline.log.lease import Leases, LocalLeases
from pipeline.model.errors import LogError, SettingsError
from pipeline.model.message import message
from pipeline.settings import Settings

from .open_keys import log_keys

if TYPE_CHECKING:
    from connectors.log_kafka import KafkaSettings
    from pipeline.log.keys import LogKeys
    from pipeline.log.protocol import EventLog


def is_on_kafka(settings: Settings) -> bool:
    """Whether the log is on a Kafka cluster; else it is a file on this machine."""
    return settings.log.startswith("kafka:")


def kafka_settings_of(settings: Settings) -> KafkaSettings:
    """The cluster that `log` and `[kafka]` name. Raises SettingsError with every fault."""
    from connectors.log_kafka import kafka_settings

    password = settings.kafka.password
    return kafka_settings(settings.log, settings.kafka.table(), password=password.get_secret_value() if password else None)


def open_log(settings: Settings, *, pool: str | None = None, keys: LogKeys | None = None) -> EventLog:
    """The log; a missing file is created. With `pool`, only that pool's part of a cluster's log is read, and a file with another pool's events is refused, as `require_pool` has it.
    Without `keys` nothing is signed, nor checked.

    A cluster's topics are checked. Raises LogError, SettingsError.
    """
    if is_on_kafka(settings):
        from connectors.log_kafka import KafkaLog, require_topics

        cluster = kafka_settings_of(settings)
        require_topics(cluster)
        return KafkaLog(cluster, pool=pool, keys=keys)
    settings.log_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = SqliteLog(settings.log_path, keys=keys)
    try:
        if pool is not None:
            require_pool(log, pool, is_signed=keys is not None)
    except BaseException:
        log.close()
        raise
    return log


def require_log_file(settings: Settings) -> None:
    """Raises LogError where the log is a file that is not there: `open_log` would make an empty one."""
    if not is_on_kafka(settings) and not settings.log_path.is_file():
        raise LogError(message("there is no log {log_path}: name the file as sqlite:FILE", log_path=settings.log_path))


def open_kept_log(settings: Settings) -> EventLog:
    """An existing log; a file is checked for damage. Raises LogError."""
    require_log_file(settings)
    if is_on_kafka(settings):
        return open_log(settings, keys=log_keys(settings))
    log = SqliteLog(settings.log_path, keys=log_keys(settings))
    try:
        log.check()
    except BaseException:
        log.close()
        raise
    return log


def look_at_log_of_format_1(settings: Settings) -> OldLog | None:
    """What lies in an embedded log of format 1, without changing it; None for another log. Raises LogError."""
    return None if is_on_kafka(settings) else look_at_old_log(settings.log_path)


def seal_log_of_format_1(settings: Settings) -> None:
    """Give the events of an embedded log of format 1 their digests, because a person looked at it. Raises LogError."""
    SqliteLog(settings.log_path, seals_format_1=True).close()


def open_leases(settings: Settings, pools: Sequence[str]) -> Leases:
    """The leases for filling these pools' stores: on a cluster, processes share them out; an embedded log's one process holds them all.

    A cluster's topics are checked first. Raises LogError, SettingsError.
    """
    if not is_on_kafka(settings):
        return LocalLeases(pools)
    from connectors.log_kafka import require_topics
    from connectors.log_kafka.lease import KafkaLeases

    cluster = kafka_settings_of(settings)
    require_topics(cluster)
    return KafkaLeases(cluster, pools)


@dataclass(frozen=True)
class Topics:
    """The result of making topics: names of those made and altered, and the faults that remain."""

    place: str
    made: list[str]
    altered: list[str]
    faults: list[str]


def make_log_topics(settings: Settings, *, is_altering: bool) -> Topics:
    """Make the missing topics; `is_altering`: also correct differing settings of existing ones. Raises SettingsError, LogError."""
    from connectors.log_kafka import alter_topics, check_topics, make_topics

    if not is_on_kafka(settings):
        raise SettingsError([message('log = "{log}" is a file: there are no topics to make', log=settings.log)], source="esep topics")
    cluster = kafka_settings_of(settings)
    made = list(make_topics(cluster))
    altered = list(alter_topics(cluster)) if is_altering else []
    return Topics(cluster.place, made, altered, list(check_topics(cluster)))
