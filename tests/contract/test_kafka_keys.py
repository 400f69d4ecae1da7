"""Signed appends over Kafka's protocol: carried by a header, continued by other processes, and a stranger's records that count for nothing (ADR 14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaProducer

from connectors.log_kafka import KafkaLog
from connectors.log_sqlite.log import SqliteLog
from pipeline.log.copying import copy_log
from pipeline.log.events import encode
from pipeline.log.keys import LogKeys
from pipeline.log.protocol import Record, append_shared
from pipeline.log.read import KeyReader, Streams, batches
from pipeline.model.errors import LogError
from pipeline.model.issues import IssueCode
from pipeline.store import Store
from pipeline.store.ingest import Ingest
from pipeline.store.queries import bad_events
from tests.unit.log.signing import AIGUL, FILE, POOL, ROOT, STRANGER, granted, keys, revoked, rooted, waived

from .kafka_protocol import fresh_log


@pytest.fixture
def opened(servers: str) -> Iterator[Callable[[LogKeys | None], KafkaLog]]:
    """Opens the one log of this test, with other keys at hand each time."""
    settings = fresh_log(servers)
    found: list[KafkaLog] = []

    def opener(given: LogKeys | None) -> KafkaLog:
        found.append(KafkaLog(settings, pool=POOL, keys=given))
        return found[-1]

    yield opener
    for log in found:
        log.close()


def begun(opened: Callable[[LogKeys | None], KafkaLog]) -> KafkaLog:
    append_shared(opened(None), "months", POOL, [encode(waived(0, "before"))])
    events = [rooted(), granted(AIGUL, "Aigul", "decide"), granted(FILE, "esep schedule", "file")]
    append_shared(opened(keys(ROOT)), "months", POOL, [encode(event) for event in events])
    return opened(keys(AIGUL))


def verdicts(log: KafkaLog | SqliteLog) -> list[tuple[str, bool, str]]:
    streams = Streams(keys())
    return [(record.id, *streams.judge(record)) for records in batches(log) for record in records]


def produce(log: KafkaLog, event_id: str, value: bytes, signature: bytes | None = None) -> None:
    """What any producer on the cluster can do."""
    producer = KafkaProducer(**log.settings.client())
    headers = [("id", event_id.encode())] + ([("signature", signature)] if signature is not None else [])
    producer.send(
        log.settings.topic("months"), value=value, key=POOL.encode(), headers=headers, partition=log.partition("months", POOL).partition
    ).get(timeout=20)
    producer.close()


def test_processes_with_the_same_key_go_on_from_each_others_appends(opened) -> None:
    first = begun(opened)
    second = opened(keys(AIGUL))
    for n in range(1, 7):
        assert append_shared(first if n % 2 else second, "months", POOL, [encode(waived(n))]) == 1
    assert append_shared(second, "months", POOL, [encode(waived(6))]) == 0, "said twice is said once, and signed once"
    found = verdicts(opened(None))
    assert [(counts, fault) for _, counts, fault in found] == [(True, "")] * 10


def test_an_open_writer_signs_append_after_append_without_reading(opened) -> None:
    log = begun(opened)
    with log.writer("months", POOL) as writer:
        for n in range(1, 5):
            assert writer.append([encode(waived(10 * n)), encode(waived(10 * n + 1))]) == 2
        assert writer.append([encode(waived(40))]) == 0
    assert all(counts and not fault for _, counts, fault in verdicts(log))


def test_a_strangers_records_count_for_nothing_and_take_no_id(opened) -> None:
    log = begun(opened)
    append_shared(log, "months", POOL, [encode(waived(1))])
    signed: list[Record] = [record for record in log.read({}, topics=["months"]) if record.signature is not None]
    forged = encode(waived(2))
    produce(log, forged.id, forged.value.replace(b"known", b"forged"))
    produce(log, signed[-1].id, signed[-1].value, signed[-1].signature)
    assert append_shared(log, "months", POOL, [forged, encode(waived(3))]) == 2, "the id that a stranger took is free"
    reader: KeyReader = KeyReader(log, "months", POOL, None)
    assert [located.record.id for located in reader.new()] == ["waive:0", "waive:1", "waive:2", "waive:3"]
    assert [fault for _, fault in reader.faults] == [
        "nobody signed it",
        "it is append 2, and append 2 was read before: it was repeated, or stands out of order",
    ]


def test_a_key_that_may_not_appends_nothing(opened) -> None:
    log = begun(opened)
    append_shared(opened(keys(ROOT)), "months", POOL, [encode(revoked(AIGUL))])
    before = log.end()
    for given in (log, opened(keys(STRANGER)), opened(keys(FILE))):
        with pytest.raises(LogError, match="nothing was appended"):
            append_shared(given, "months", POOL, [encode(waived(1))])
    assert log.end() == before


def test_signatures_move_with_the_log(opened, tmp_path) -> None:
    log = begun(opened)
    append_shared(log, "months", POOL, [encode(waived(1)), encode(waived(2))])
    with SqliteLog(tmp_path / "log.sqlite") as target:
        copied = copy_log(opened(None), target)
        assert verdicts(target) == verdicts(opened(None))
        assert all(counts and not fault for _, counts, fault in verdicts(target))
        assert copy_log(opened(None), target).digest == copied.digest


@pytest.mark.parametrize("is_signed", [True, False], ids=["keys", "no keys"])
def test_what_is_no_event_is_a_blocking_issue_with_its_place_whatever_the_batches(opened, is_signed: bool) -> None:
    """Law 8: a store takes in what stands around it; in batches of any size, and begun again, it is the same (law 2)."""
    log = begun(opened) if is_signed else opened(None)
    partition = log.partition("months", POOL).partition
    append_shared(log, "months", POOL, [encode(waived(1))])
    producer = KafkaProducer(**log.settings.client(), linger_ms=0)
    places = []
    for key, value, headers in ((None, b"{}", []), (POOL.encode(), None, [("id", b"waive:2")]), (POOL.encode(), b"\x00\xff", [])):
        sent = producer.send(log.settings.topic("months"), value=value, key=key, headers=headers, partition=partition).get(timeout=20)
        places.append(f"months/{partition}@{sent.offset}")
    producer.close()
    assert append_shared(log, "months", POOL, [encode(waived(2))]) == 1, "the id of a tombstone is free"
    found = []
    for limit_bytes in (1, 16 << 20):
        with Store.memory() as store:
            while not Ingest(opened(log.keys), store, limit_bytes=limit_bytes).step().at_end:
                pass  # another log and another look each time, as after a kill
            issues = bad_events(store.connection)
            waivers = store.connection.execute("SELECT id FROM raw_event WHERE type = 'waive' ORDER BY log_offset").fetchall()
            found.append((issues, waivers))
    assert found[0] == found[1]
    issues, waivers = found[0]
    code = IssueCode.EVENT_NOT_AUTHENTIC if is_signed else IssueCode.UNREADABLE_EVENT
    assert [(issue.code, issue.ref, issue.severity.value) for issue in issues] == [(code, place, "blocking") for place in places]
    assert all("no event of this log" in issue.detail for issue in issues)
    assert waivers[-2:] == [("waive:1",), ("waive:2",)]
