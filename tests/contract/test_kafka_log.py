"""What `KafkaLog` does beyond the contract: pools, partitions, foreign records, sizes, topics that can't be trusted."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from connectors.log_kafka import KafkaLog, KafkaSettings, alter_topics, check_topics, make_topics, partition_of, require_topics
from connectors.log_sqlite.log import SqliteLog
from pipeline.log.copying import check_log, copy_log
from pipeline.log.protocol import NewEvent, advance
from pipeline.model.errors import LogError

from .kafka_protocol import fresh_log


@pytest.fixture
def settings(servers: str) -> KafkaSettings:
    return fresh_log(servers, partitions=3)


@pytest.fixture
def log(settings: KafkaSettings) -> Iterator[KafkaLog]:
    with KafkaLog(settings) as opened:
        yield opened


def _events(*numbers: int, size: int = 0) -> list[NewEvent]:
    return [NewEvent(f"e{n}", f'{{"n":{n}}}'.encode() + b" " * size) for n in numbers]


def _pools(settings: KafkaSettings) -> tuple[str, str, str]:
    """Two pools that share a partition, and one that lies in another."""
    by_partition: dict[int, list[str]] = {}
    for number in range(30):
        by_partition.setdefault(partition_of(f"pool{number}", settings.partitions), []).append(f"pool{number}")
    first, second = list(by_partition.values())[:2]
    return first[0], first[1], second[0]


def test_a_pool_sees_its_own_events_and_partitions_only(log: KafkaLog, settings: KafkaSettings):
    mine, neighbour, other = _pools(settings)
    for key in (mine, f"{neighbour}/bitcoin", f"{mine}/bitcoin", f"{mine}x", other):
        log.writer("chain", key).append(_events(1, 2))
    with KafkaLog(settings, pool=mine) as scoped:
        records = scoped.read({}, limit_bytes=1)
        while more := scoped.read(advance({}, records), limit_bytes=1):
            records += more
        assert [(r.key, r.id) for r in records] == [(mine, "e1"), (mine, "e2"), (f"{mine}/bitcoin", "e1"), (f"{mine}/bitcoin", "e2")]
        assert set(scoped.end()) == {f"{t}/{partition_of(mine, 3)}" for t in ("chain", "ledger", "registry", "months")}
        assert not scoped.wait(advance({}, records), 0.05)
        with pytest.raises(LogError, match="opened for pool"):
            scoped.writer("chain", other)


def test_events_of_other_pools_do_not_end_a_read_early(log: KafkaLog, settings: KafkaSettings):
    mine, neighbour, _ = _pools(settings)
    log.writer("chain", neighbour).append(_events(*range(50), size=2000))
    log.writer("chain", mine).append(_events(1))
    with KafkaLog(settings, pool=mine) as scoped:
        assert [r.key for r in scoped.read({}, limit_bytes=10)] == [mine]
        assert scoped.wait({}, 5)


def test_keys_of_many_partitions_are_read_each_in_order(log: KafkaLog):
    keys = [f"pool{n}" for n in range(7)]
    for round_ in range(3):
        for key in keys:
            log.writer("ledger", key).append(_events(round_ * 2, round_ * 2 + 1))
    positions: dict[str, int] = {}
    seen: dict[str, list[str]] = {}
    while records := log.read(positions, limit_bytes=40):
        positions = advance(positions, records)
        for record in records:
            seen.setdefault(record.key, []).append(record.id)
    assert seen == {key: [f"e{n}" for n in range(6)] for key in keys}
    assert {key: log.last("ledger", key).id for key in keys} == dict.fromkeys(keys, "e5")


def test_the_last_event_is_found_far_from_the_end(log: KafkaLog, settings: KafkaSettings):
    mine, neighbour, _ = _pools(settings)
    log.writer("chain", mine).append(_events(7))
    with log.writer("chain", neighbour) as writer:
        writer.append(_events(*range(3000)))
    assert log.last("chain", mine).id == "e7"


def test_a_new_writer_knows_what_older_ones_appended(log: KafkaLog):
    log.writer("ledger", "pool").append(_events(1, 2, 3))
    again = log.writer("ledger", "pool")
    assert again.append(_events(2, 3, 4)) == 1
    with pytest.raises(LogError, match="'e1' with other content"):
        again.append([NewEvent("e1", b"changed")])
    assert again.append(_events(5)) == 1


def test_a_large_append_is_split_by_event_and_stays_one(log: KafkaLog):
    with log.writer("ledger", "pool") as writer:
        assert writer.append(_events(*range(40), size=200_000)) == 40  # 8 MB, many batches
    seen, positions = [], {}
    while records := log.read(positions):
        positions = advance(positions, records)
        seen += [r.id for r in records]
    assert seen == [f"e{n}" for n in range(40)]


def test_an_event_larger_than_the_limit_is_refused_with_the_way_to_raise_it(servers: str):
    settings = fresh_log(servers, max_event_bytes=1 << 20)
    with KafkaLog(settings) as log, log.writer("ledger", "pool") as writer:
        with pytest.raises(LogError, match=r"'e2'.*max_event_bytes is 1,048,576.*esep topics --alter"):
            writer.append([*_events(1), *_events(2, size=1 << 20)])
        assert log.read({}) == []
        assert writer.append(_events(1)) == 1


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_compressed_batches_read_back(servers: str, compression: str):
    settings = fresh_log(servers, compression=compression)
    with KafkaLog(settings) as log, log.writer("ledger", "pool") as writer:
        writer.append(_events(*range(20), size=1000))
        assert [r.value for r in log.read({})] == [e.value for e in _events(*range(20), size=1000)]


def test_positions_of_another_log_are_refused(log: KafkaLog):
    log.writer("chain", "pool").append(_events(1))
    with pytest.raises(LogError, match="has no partition 'chain/7'"):
        log.read({"chain/7": 0})
    with pytest.raises(LogError, match="has no partition 'blocks/0'"):
        log.wait({"blocks/0": 0}, 0)


def test_a_position_past_the_end_is_an_older_copys(log: KafkaLog, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("connectors.log_kafka.log._SETTLE_S", 0.3)
    with pytest.raises(LogError, match="another log, or an older copy"):
        log.read({"chain/0": 99})


STRANGE: dict[str, tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = {
    "it has no key": (None, b"{}", [("id", b"x1")]),
    "it has no id": (b"pool", b"{}", []),
    "it has no value": (b"pool", None, [("id", b"x2")]),
    "its key is not UTF-8": (b"\xff\xfe", b"{}", [("id", b"x3")]),
    "its id is not UTF-8": (b"pool", b"{}", [("id", b"\xff")]),
    "it has no id ": (b"pool", os.urandom(300), [("id", b""), ("trace", os.urandom(20))]),
}


def test_what_another_program_writes_does_not_stop_reading(settings: KafkaSettings, tmp_path: Path):
    """Law 8: whatever any producer writes counts for nothing, is told with its place, and reading, writing, copying and checking go on."""
    with KafkaLog(settings) as log:
        producer = KafkaProducer(bootstrap_servers=list(settings.servers), linger_ms=0)
        partition = log.partition("months", "pool").partition
        ids = []
        for number, (key, value, headers) in enumerate(STRANGE.values()):
            with log.writer("months", "pool") as writer:
                assert writer.append(_events(number)) == 1
            ids.append(f"e{number}")
            producer.send(settings.topic("months"), value=value, key=key, headers=headers, partition=partition).get(timeout=60)
        producer.close()
        with log.writer("months", "pool") as writer:
            assert writer.append(_events(0, 99)) == 1, "the events before are known"
        records = log.read({})
        while more := log.read(advance({}, records)):
            records += more
        assert [record.id for record in records if not record.fault] == [*ids, "e99"]
        strange = [record for record in records if record.fault]
        assert len(strange) == len(STRANGE)
        for record, why in zip(strange, STRANGE, strict=True):
            assert why.strip() in record.fault
        again = log.read({f"months/{partition}": strange[-1].offset})
        assert [record.offset for record in again] == [strange[-1].offset, records[-1].offset], "from its place on, as from any other"
        last = log.last("months", "pool")
        assert last is not None and last.id == "e99"

        checked = check_log(log)
        assert checked.events == len(ids) + 1
        assert [told.split(":")[0] for told in checked.unreadable if "no event of this log" in told] == [record.where for record in strange]
        with SqliteLog(tmp_path / "log.sqlite") as target:
            assert copy_log(log, target).events == len(ids) + 1
            assert [record.id for record in target.read({})] == [*ids, "e99"]


def test_a_log_that_was_closed_says_so(settings: KafkaSettings):
    log = KafkaLog(settings)
    writer = log.writer("chain", "pool")
    log.close()
    with pytest.raises(LogError, match="the log was closed"):
        log.read({})
    with pytest.raises(LogError, match="this writer was closed"):
        writer.append(_events(1))


def test_no_broker_is_said_in_time():
    # In a process of its own: kafka-python leaves refused sockets to the garbage collector, whose warnings would be errors here.
    lines = (
        "from connectors.log_kafka import open_kafka_log",
        "open_kafka_log('kafka://127.0.0.1:9/esep', {'timeout_s': 1}).end()",
    )
    ended = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=120)
    assert "LogError: kafka://127.0.0.1:9/esep: can't read: " in ended.stderr
    assert "check that they run and can be reached" in ended.stderr


# --- topics


def test_topics_are_made_once_and_are_then_in_order(servers: str):
    settings = fresh_log(servers, partitions=2)
    assert check_topics(settings) == []
    assert make_topics(settings) == []
    require_topics(settings)


def test_missing_topics_are_named_with_the_command(servers: str):
    nothing = KafkaSettings((servers,), "nowhere", replication_factor=1, min_insync_replicas=1, partitions=1)
    assert check_topics(nothing)[0] == "there is no topic nowhere.chain: `esep topics` makes it"
    with pytest.raises(LogError, match=r"nowhere\.months: `esep topics`"):
        require_topics(nothing)
    with KafkaLog(nothing) as log, pytest.raises(LogError, match="there is no topic"):
        log.read({})


def test_another_number_of_partitions_is_refused(settings: KafkaSettings):
    faults = check_topics(dataclasses.replace(settings, partitions=5))
    assert len(faults) == 5
    assert "has 3 partitions and [kafka] partitions is 5" in faults[0]
    assert "esep log copy" in faults[0]


def test_too_few_replicas_are_refused(settings: KafkaSettings):
    faults = check_topics(dataclasses.replace(settings, replication_factor=3))
    assert len(faults) == 5
    assert "has 1 replicas where [kafka] replication_factor is 3: `kafka-reassign-partitions.sh" in faults[0]


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("retention.ms", "604800000", "it would forget"),
        ("retention.bytes", "1000000", "it would forget"),
        ("cleanup.policy", "compact", "drop a key's older events"),
        ("unclean.leader.election.enable", "true", "drop what was acknowledged"),
        ("max.message.bytes", "1048588", "would be refused"),
    ],
)
def test_a_topic_that_would_forget_is_refused_and_mended(settings: KafkaSettings, key: str, value: str, why: str):
    name = settings.topic("ledger")
    admin = KafkaAdminClient(bootstrap_servers=list(settings.servers))
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {key: value})])
    admin.close()
    (fault,) = _once_the_brokers_know(settings, 1)
    assert fault.startswith(f"{name}: {key} is {value}, ")
    assert why in fault
    assert f"--entity-name {name} --add-config {key}=" in fault
    (change,) = alter_topics(settings)
    assert change.startswith(f"{name}: {key} is now ")
    assert _once_the_brokers_know(settings, 0) == []


def _once_the_brokers_know(settings: KafkaSettings, count: int) -> list[str]:
    """The topics' faults, once there are `count`: the controller tells the brokers of a change a moment later."""
    until = time.monotonic() + 60
    while len(faults := check_topics(settings)) != count and time.monotonic() < until:
        time.sleep(0.1)
    return faults


# --- moving a log


def test_a_log_moves_into_the_cluster_and_back_the_same(settings: KafkaSettings, log: KafkaLog, tmp_path: Path):
    with SqliteLog(tmp_path / "log.sqlite") as small, SqliteLog(tmp_path / "back.sqlite") as back:
        for key in ("qaz/bitcoin", "qaz/litecoin"):
            with small.writer("chain", key) as writer:
                writer.append(_events(*range(200), size=300))
        for topic in ("ledger", "registry", "months"):
            with small.writer(topic, "qaz") as writer:
                writer.append(_events(*range(50)))
        there = copy_log(small, log, batch_bytes=20_000)
        assert (there.events, there.appended) == (550, 550)
        with KafkaLog(settings) as fresh:
            assert copy_log(small, fresh).appended == 0
            assert copy_log(fresh, back).digest == there.digest
        assert [(r.topic, r.key, r.id, r.value) for r in back.read({})] == [(r.topic, r.key, r.id, r.value) for r in small.read({})]
