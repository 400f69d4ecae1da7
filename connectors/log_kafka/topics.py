"""The log's topics: created without retention limits, and checked at every start.

Enters: the settings. Leaves: the topics with unlimited retention, no compaction and no unclean leader election; or the faults of
existing topics, each with the command that fixes it. A topic that could delete events, lose acknowledged ones or move keys between
partitions is refused, because a month could not be rebuilt from it (laws 1 and 2).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec

from pipeline.log.protocol import AUDIT
from pipeline.model.errors import LogError
from pipeline.model.message import joined, message

from .client import open_client
from .errors import translate_errors
from .settings import KafkaSettings


def wanted_configs(settings: KafkaSettings) -> dict[str, str]:
    """The configuration that every topic must have; `max.message.bytes` and `min.insync.replicas` may be greater."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "min.insync.replicas": str(settings.min_insync_replicas),
        "unclean.leader.election.enable": "false",
        # The limit counts a whole batch: one event, its header and the batch's header.
        "max.message.bytes": str(settings.max_event_bytes + 4096),
    }


def make_topics(settings: KafkaSettings) -> list[str]:
    """Create the topics that do not exist yet; their names. Existing topics are not changed."""
    with _administering(settings, message("make the topics")) as admin:
        there = _described(admin, settings)
        missing = [name for name in settings.topic_names if name not in there]
        if missing:
            shape = {"num_partitions": settings.partitions, "replication_factor": settings.replication_factor}
            try:
                admin.create_topics({name: shape | {"configs": wanted_configs(settings)} for name in missing}, wait_for_metadata=True)
            except kafka_errors.InvalidReplicationFactorError as error:
                raise LogError(
                    message(
                        "{place}: can't make the topics: fewer than {replication_factor} brokers are up; start them, or say [kafka] replication_factor = 1 where losing one machine may lose the log",
                        place=settings.place,
                        replication_factor=settings.replication_factor,
                    )
                ) from error
        return missing


def alter_topics(settings: KafkaSettings) -> list[str]:
    """Correct the configuration of existing topics; a line for each change. Replicas and partitions are not changed."""
    with _administering(settings, message("alter the topics")) as admin:
        changed = []
        there = [name for name in settings.topic_names if name in _described(admin, settings)]
        for name, held in _configs(admin, there).items():
            off = {key: value for key, (_, value) in _differences(settings, held).items()}
            if off:
                admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, off)])
                changed += [message("{name}: {key} is now {value}", name=name, key=key, value=value) for key, value in sorted(off.items())]
        return changed


def check_topics(settings: KafkaSettings) -> list[str]:
    """What is wrong with the topics, one line each with the command that fixes it; empty when all is right."""
    with _administering(settings, message("check the topics")) as admin:
        described = _described(admin, settings)
        faults = [
            message("there is no topic {name}: `esep topics` makes it", name=name)
            for name, topic in settings.topic_names.items()
            if name not in described and topic != AUDIT  # the console alone needs it: what ran before there was one goes on
        ]
        for name, topic in described.items():
            faults += _shape_faults(settings, name, topic["partitions"])
        faults += _forgotten(admin, described)
        for name, held in _configs(admin, list(described)).items():
            for key, (value, needed) in sorted(_differences(settings, held).items()):
                faults.append(
                    message(
                        "{name}: {key} is {value}, {why}: `esep topics --alter` sets it, or `kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name {name} --add-config {key}={needed}`",
                        name=name,
                        key=key,
                        value=value,
                        why=_why(key, needed),
                        servers=settings.servers[0],
                        needed=needed,
                    )
                )
        return faults


def missing_topics(settings: KafkaSettings) -> list[str]:
    """The topics that are not there, by the cluster's names. Raises LogError where no broker answers."""
    with _administering(settings, message("check the topics")) as admin:
        there = _described(admin, settings)
    return [name for name in settings.topic_names if name not in there]


def require_topics(settings: KafkaSettings) -> None:
    """Raises LogError with every fault of the topics; called when a process starts."""
    faults = check_topics(settings)
    if faults:
        raise LogError(message("{place}: the topics can't be trusted with the log\n  - ", place=settings.place) + joined("\n  - ", faults))


def _shape_faults(settings: KafkaSettings, name: str, partitions: list[dict[str, Any]]) -> list[str]:
    """Partitions and replicas that differ."""
    faults = []
    if len(partitions) != settings.partitions:
        faults.append(
            message(
                "{name}: has {count} partitions and [kafka] partitions is {partitions}: a key's events would be in two of them. Say partitions = {count}, or make topics of another prefix and move the log there with `esep log copy`",
                name=name,
                count=len(partitions),
                partitions=settings.partitions,
            )
        )
    replicas = min((len(p["replica_nodes"]) for p in partitions), default=0)
    if replicas < settings.replication_factor:
        faults.append(
            message(
                "{name}: has {replicas} replicas where [kafka] replication_factor is {replication_factor}: `kafka-reassign-partitions.sh --bootstrap-server {servers} --execute --reassignment-json-file FILE` adds some",
                name=name,
                replicas=replicas,
                replication_factor=settings.replication_factor,
                servers=settings.servers[0],
            )
        )
    in_step = min((len(p["isr_nodes"]) for p in partitions), default=0)
    if in_step < settings.min_insync_replicas <= replicas:
        faults.append(
            message(
                "{name}: only {in_step} replicas are in step, {min_insync_replicas} are needed to write: start the brokers that are down",
                name=name,
                in_step=in_step,
                min_insync_replicas=settings.min_insync_replicas,
            )
        )
    return faults


def _forgotten(admin: Any, described: Mapping[str, dict[str, Any]]) -> list[str]:
    """Partitions whose first events are gone: they were deleted while the topic's settings were others, or by hand, and the store can't be rebuilt from what is left."""
    partitions = [TopicPartition(name, one["partition_index"]) for name, topic in described.items() for one in topic["partitions"]]
    if not partitions:
        return []
    first = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    return [
        message(
            "{name}/{partition}: begins at offset {offset}: the events before it were deleted (retention, or kafka-delete-records). Keep the store, it can't be rebuilt from this log; bring the events back from a copy with `esep log copy` into topics of another prefix",
            name=partition.topic,
            partition=partition.partition,
            offset=first[partition].offset,
        )
        for partition in partitions
        if first[partition].offset > 0
    ]


def _differences(settings: KafkaSettings, held: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The configuration that differs, by setting: the actual value and the required one."""
    off = {}
    for key, needed in wanted_configs(settings).items():
        value = held.get(key, message("not said"))
        is_least = key in ("max.message.bytes", "min.insync.replicas")
        if value != needed and not (is_least and value.isdigit() and int(value) >= int(needed)):
            off[key] = (value, needed)
    return off


def _why(key: str, needed: str) -> str:
    if key.startswith("retention"):
        return message("so it would forget")
    if key == "cleanup.policy":
        return message("so it would drop a key's older events")
    if key == "unclean.leader.election.enable":
        return message("so a broker that is behind could become leader and drop what was acknowledged")
    if key == "min.insync.replicas":
        return message("so an append would count as safe on fewer than {needed} brokers", needed=needed)
    return message("so an event of the greatest size would be refused ({needed} is needed)", needed=needed)


@contextlib.contextmanager
def _administering(settings: KafkaSettings, action: str) -> Iterator[Any]:
    with translate_errors(settings.place, action):
        admin: Any = open_client(KafkaAdminClient, **settings.client())
        try:
            yield admin
        finally:
            admin.close()


def _described(admin: Any, settings: KafkaSettings) -> dict[str, dict[str, Any]]:
    """The existing topics by name. Raises kafka-python's error for one that the user may not describe."""
    found = {}
    for topic in admin.describe_topics(list(settings.topic_names)):
        kind = kafka_errors.for_code(topic["error_code"])
        if kind is kafka_errors.NoError:
            found[topic["name"]] = topic
        elif kind is not kafka_errors.UnknownTopicOrPartitionError:
            raise kind(topic["name"])
    return found


def _configs(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    """All settings of each topic, by name."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answer = admin.describe_configs(resources, config_filter="all")["topic"]
    return {name: {key: entry["value"] for key, entry in answer[name].items()} for name in names}
