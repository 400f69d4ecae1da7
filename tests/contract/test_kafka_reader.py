"""What a `Reader` was once told not to fetch, it fetches again when it is asked to: whatever partitions join meanwhile."""

from __future__ import annotations

from kafka import TopicPartition

from connectors.log_kafka import KafkaLog
from connectors.log_kafka.reader import Reader
from pipeline.log.protocol import NewEvent, Topic

from .kafka_protocol import fresh_log


def test_a_partition_that_was_passed_over_is_read_after_another_has_joined(servers: str) -> None:
    settings = fresh_log(servers, timeout_s=30.0)
    with KafkaLog(settings) as log:

        def append(topic: Topic, number: int) -> None:
            with log.writer(topic, "pool") as writer:
                writer.append([NewEvent(f"{topic}:{number}", b"{}")])

        at: dict[TopicPartition, int] = {}
        reader = Reader(settings)

        def read(*topics: Topic) -> list[str]:
            partitions = [log.partition(topic, "pool") for topic in topics]
            records = reader.read({p: at.get(p, 0) for p in partitions}, reader.ends(partitions), 1 << 20)
            for record in records:
                at[TopicPartition(settings.topic(record.topic), record.partition)] = record.offset + 1
            return sorted(record.id for record in records)

        try:
            append("ledger", 1)
            append("chain", 1)
            assert read("ledger", "chain") == ["chain:1", "ledger:1"]
            append("chain", 2)
            assert read("chain") == ["chain:2"], "the ledger is passed over"
            append("registry", 1)
            append("ledger", 2)
            assert read("registry", "ledger") == ["ledger:2", "registry:1"], (
                "the registry joins, the ledger is asked for again: else nothing comes, and `take` gives up"
            )
        finally:
            reader.close()
