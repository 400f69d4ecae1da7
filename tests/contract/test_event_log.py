"""What every event log must do, whatever holds it: one suite, run on each implementation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from connectors.log_sqlite.log import SqliteLog
from pipeline.log.protocol import MAX_ATTEMPTS, EventLog, NewEvent, Positions, Topic, Writer, advance, append_shared
from pipeline.model.errors import FencedError, LogError

Opener = Callable[[], EventLog]


def _sqlite(folder: Path) -> Opener:
    return lambda: SqliteLog(folder / "log.sqlite")


def _memory(folder: Path) -> Opener:
    from connectors.standins.log_memory import MemoryLog

    log = MemoryLog()
    return lambda: log


IMPLEMENTATIONS = {"sqlite": _sqlite}
if find_spec("connectors.standins.log_memory") is not None:
    IMPLEMENTATIONS["memory"] = _memory


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the one log of this test, again where it is asked again."""
    return IMPLEMENTATIONS[request.param](tmp_path)


@pytest.fixture
def has_gaps() -> bool:
    """Whether offsets may be left out between appends: Kafka's transactions take some for themselves."""
    return False


@pytest.fixture
def log(open_log: Opener):
    opened = open_log()
    yield opened
    opened.close()


def _events(*numbers: int, size: int = 0) -> list[NewEvent]:
    return [NewEvent(f"e{n}", f'{{"n":{n}}}'.encode() + b" " * size) for n in numbers]


def test_what_is_appended_is_read_in_order_from_offset_0(log: EventLog, has_gaps: bool):
    with log.writer("ledger", "pool") as writer:
        assert writer.append(_events(1, 2)) == 2
        assert writer.append(_events(3)) == 1
    records = log.read({})
    third = records[2].offset if has_gaps else 2
    assert [(r.topic, r.partition, r.offset, r.key, r.id, r.value) for r in records] == [
        ("ledger", 0, 0, "pool", "e1", b'{"n":1}'),
        ("ledger", 0, 1, "pool", "e2", b'{"n":2}'),
        ("ledger", 0, third, "pool", "e3", b'{"n":3}'),
    ]
    assert third >= 2
    assert all(isinstance(r.value, bytes) for r in records)
    assert log.end()["ledger/0"] >= third + 1
    assert has_gaps or log.end()["ledger/0"] == 3


def test_reading_goes_on_after_positions_and_ends_empty(log: EventLog):
    with log.writer("chain", "pool/bitcoin") as chain, log.writer("ledger", "pool") as ledger:
        chain.append(_events(1, 2, 3))
        ledger.append(_events(1))
    positions = advance({}, log.read({"chain/0": 2}))
    assert positions == {"chain/0": 3, "ledger/0": 1}
    assert log.read(positions) == []


def test_a_read_keeps_to_the_topics_asked_for(log: EventLog):
    with log.writer("chain", "k") as chain, log.writer("ledger", "k") as ledger:
        chain.append(_events(1))
        ledger.append(_events(2))
    assert [r.topic for r in log.read({}, topics=["ledger"])] == ["ledger"]


def test_until_is_exclusive_and_a_partition_not_in_it_is_not_read(log: EventLog):
    with log.writer("chain", "k") as chain, log.writer("ledger", "k") as ledger:
        chain.append(_events(1, 2, 3))
        ledger.append(_events(4))
    assert [(r.topic, r.offset) for r in log.read({}, until={"chain/0": 2})] == [("chain", 0), ("chain", 1)]
    assert log.read({"chain/0": 2}, until={"chain/0": 2}) == []


def test_a_read_gives_about_limit_bytes_and_at_least_one_record(log: EventLog):
    with log.writer("ledger", "k") as writer:
        writer.append(_events(*range(10), size=1000))
    assert len(log.read({}, limit_bytes=1)) == 1
    assert 2 <= len(log.read({}, limit_bytes=3000)) <= 4
    positions, seen = {}, []
    while records := log.read(positions, limit_bytes=2500):
        positions = advance(positions, records)
        seen += [r.id for r in records]
    assert seen == [f"e{n}" for n in range(10)]


def test_an_id_known_with_the_same_content_is_skipped(log: EventLog):
    with log.writer("ledger", "k") as writer:
        writer.append(_events(1, 2))
        assert writer.append(_events(2, 3, 3)) == 1
    assert [r.id for r in log.read({})] == ["e1", "e2", "e3"]


def test_an_id_known_with_other_content_is_refused_and_nothing_of_the_append_stays(log: EventLog):
    with log.writer("ledger", "k") as writer:
        writer.append(_events(1))
        with pytest.raises(LogError, match="e1"):
            writer.append([*_events(2), NewEvent("e1", b"{}")])
        with pytest.raises(LogError, match="e5"):
            writer.append([NewEvent("e5", b"{}"), NewEvent("e5", b"[]")])
    assert [r.id for r in log.read({})] == ["e1"]


def test_ids_are_unique_within_topic_and_key_only(log: EventLog):
    with log.writer("ledger", "a") as a, log.writer("ledger", "b") as b, log.writer("months", "a") as c:
        assert a.append(_events(1)) == b.append([NewEvent("e1", b"[]")]) == c.append([NewEvent("e1", b"{}")]) == 1


def test_a_second_writer_fences_the_first(log: EventLog):
    first = log.writer("chain", "k")
    first.append(_events(1))
    second = log.writer("chain", "k")
    with pytest.raises(FencedError, match="k"):
        first.append(_events(2))
    assert second.append(_events(3)) == 1
    assert [r.id for r in log.read({})] == ["e1", "e3"]


def test_writers_of_other_keys_are_not_fenced(log: EventLog):
    one, other, elsewhere = log.writer("chain", "a"), log.writer("chain", "b"), log.writer("ledger", "a")
    assert one.append(_events(1)) == other.append(_events(1)) == elsewhere.append(_events(1)) == 1


def test_a_fenced_writer_is_refused_even_for_events_already_there(log: EventLog):
    first = log.writer("chain", "k")
    first.append(_events(1))
    log.writer("chain", "k")
    with pytest.raises(FencedError):
        first.append(_events(1))


class Contested:
    """A log whose every writer is fenced by another one as soon as it is opened, so many times."""

    def __init__(self, log: EventLog, times: int) -> None:
        self._log = log
        self._times = times

    def writer(self, topic: Topic, key: str) -> Writer:
        opened = self._log.writer(topic, key)
        if self._times:
            self._times -= 1
            self._log.writer(topic, key)
        return opened

    def end(self) -> dict[str, int]:
        return self._log.end()

    def wait(self, positions: Positions, timeout_s: float) -> bool:
        """Nobody else writes here."""
        return False


def test_an_append_beside_others_is_tried_again_when_it_is_fenced(log: EventLog):
    assert append_shared(Contested(log, 2), "months", "k", _events(1, 2)) == 2
    assert append_shared(Contested(log, 1), "months", "k", _events(2, 3)) == 1
    assert [r.id for r in log.read({})] == ["e1", "e2", "e3"]


def test_an_append_beside_others_gives_up_at_last(log: EventLog):
    with pytest.raises(FencedError):
        append_shared(Contested(log, MAX_ATTEMPTS), "months", "k", _events(1))
    assert log.read({}) == []


def test_several_that_append_at_the_same_moment_all_get_through(log: EventLog):
    """Each fences the others for as long as it checks; without a pause of chance they would reopen in step until all give up."""
    people, done = 4, list[int]()
    begin = threading.Barrier(people)

    def append(n: int) -> None:
        begin.wait()
        done.append(append_shared(log, "months", "k", _events(n), check=lambda: time.sleep(0.05)))

    threads = [threading.Thread(target=append, args=(n,)) for n in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [1] * people and {r.id for r in log.read({})} == {f"e{n}" for n in range(people)}


def test_an_append_of_nothing_appends_nothing(log: EventLog):
    with log.writer("chain", "k") as writer:
        assert writer.append([]) == 0
    assert log.read({}) == []


def test_the_last_record_of_a_key_is_its_cursor(log: EventLog):
    with log.writer("chain", "a") as a, log.writer("chain", "b") as b:
        assert log.last("chain", "a") is None
        a.append(_events(1, 2))
        b.append(_events(3))
    newest = log.last("chain", "a")
    assert newest is not None
    assert (newest.id, newest.offset, newest.value) == ("e2", 1, b'{"n":2}')
    assert log.last("ledger", "a") is None


def test_another_opening_of_the_log_sees_everything(open_log: Opener):
    one, other = open_log(), open_log()
    with one.writer("ledger", "k") as writer:
        writer.append(_events(1))
        assert [r.id for r in other.read({})] == ["e1"]
        writer.append(_events(2))
        assert [r.id for r in other.read({"ledger/0": 1})] == ["e2"]


def test_waiting_ends_with_the_time_or_with_something_to_read(open_log: Opener):
    log, follower = open_log(), open_log()
    assert not follower.wait({}, 0.05)
    with log.writer("ledger", "k") as writer:
        late = threading.Timer(0.1, lambda: writer.append(_events(1)))
        late.start()
        assert follower.wait({}, 60)
        late.join()
    assert follower.wait({}, 0)
    assert not follower.wait({"ledger/0": 1}, 0.05)


def test_a_value_may_hold_any_bytes_and_be_large(log: EventLog):
    value = bytes(range(256)) * 20_000
    with log.writer("ledger", "қазақ/𝒳") as writer:
        writer.append([NewEvent("ұ", value)])
    (record,) = log.read({})
    assert (record.key, record.id, record.value) == ("қазақ/𝒳", "ұ", value)


def test_the_audit_topic_is_read_by_itself_and_moves_nothing_else(log: EventLog, open_log: Opener):
    before = log.end()
    with log.writer("audit", "pool") as writer:
        assert writer.append(_events(1, 2)) == 2
    assert log.end() == before and not any(place.startswith("audit/") for place in before)
    assert log.read({}) == [] and not log.wait(before, 0.0)
    records = log.read({}, topics=["audit"])
    assert [record.id for record in records] == ["e1", "e2"] and {record.topic for record in records} == {"audit"}
    append_shared(log, "audit", "pool", _events(3))
    again = open_log()
    assert [record.id for record in again.read(advance({}, records), topics=["audit"])] == ["e3"]
    assert (last := again.last("audit", "pool")) is not None and last.id == "e3"
    again.close()
