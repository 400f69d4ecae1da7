"""Events of one key out of a log that holds more than them."""

from __future__ import annotations

import msgspec
import pytest

from connectors.standins.log_memory import MemoryLog
from pipeline.log.events import AnyEvent, encode
from pipeline.log.events.ledger import Complete
from pipeline.log.events.months import Frozen, Labelled, Waived
from pipeline.log.protocol import NewEvent
from pipeline.log.read import KeyReader, batches, events_of, refuse_newer
from pipeline.model.errors import LogError


def label(number: int) -> Labelled:
    return Labelled(
        id=f"label:person:{number}", chain="bitcoin", address=f"a{number}", outflow_class="vendor", name="n", by="b", reason="r", at=number
    )


def waiver(number: int) -> Waived:
    return Waived(id=f"waive:{number}", month="2026-10", code="unknown-outflow", ref=f"t:{number}", by="b", reason="r", at=number)


def log_of(*events: NewEvent, key: str = "pool") -> MemoryLog:
    log = MemoryLog()
    with log.writer("months", key) as writer:
        writer.append(events)
    return log


def test_only_the_types_wanted_of_the_key_wanted_each_with_its_place() -> None:
    log = log_of(encode(label(1)), encode(waiver(2)), encode(label(3)))
    with log.writer("months", "another") as writer:
        writer.append([encode(label(4))])
    with log.writer("ledger", "pool") as writer:
        writer.append([encode(Complete(id="complete:2026-10-31", through="2026-10-31"))])
    found = list(events_of(log, "months", "pool", [Labelled]))
    assert [event for _, event in found] == [label(1), label(3)]
    assert [record.where for record, _ in found] == ["months/0@0", "months/0@2"]
    everything: list[AnyEvent] = [event for _, event in events_of(log, "months", "pool", None)]
    assert everything == [label(1), waiver(2), label(3)]
    assert sum(len(records) for records in batches(log)) == 5


def test_each_look_gives_what_came_since_the_last_one() -> None:
    log = log_of(encode(label(1)))
    reader = KeyReader(log, "months", "pool", [Labelled])
    assert [event.at for _, event in reader.new()] == [1]
    assert list(reader.new()) == []
    with log.writer("months", "pool") as writer:
        writer.append([encode(label(2)), encode(label(3))])
    assert [event.at for _, event in reader.new()] == [2, 3]


def test_what_a_look_broke_off_in_is_given_again() -> None:
    reader = KeyReader(log_of(encode(label(1)), encode(label(2))), "months", "pool", [Labelled])
    assert next(reader.new()).event == label(1)
    assert [event.at for _, event in reader.new()] == [1, 2]


DAMAGED = (b"{", b"\xff", b'{"type":"label"}', b"[" * 100_000)


@pytest.mark.parametrize("value", DAMAGED)
def test_what_cant_be_read_is_passed_over_and_told(value: bytes) -> None:
    log = log_of(encode(label(1)), NewEvent("label:person:x", value), encode(label(2)))
    told: list[str] = []
    found = events_of(log, "months", "pool", [Labelled], on_unreadable=lambda record, _: told.append(record.where))
    assert [event.at for _, event in found] == [1, 2]
    assert told == ["months/0@1"]
    assert [event.at for _, event in events_of(log, "months", "pool", [Labelled], on_unreadable=refuse_newer)] == [1, 2]


def test_a_newer_schema_of_a_type_that_is_wanted_is_refused_where_it_must_not_be_missed() -> None:
    newer = msgspec.json.encode({"type": "label", "schema": 2, "id": "label:person:9", "something": "new"})
    log = log_of(NewEvent("label:person:9", newer), encode(waiver(1)))
    with pytest.raises(LogError, match=r"months/0@0: schema 2 of 'label' is newer .* upgrade it"):
        list(events_of(log, "months", "pool", [Labelled], on_unreadable=refuse_newer))
    assert [event.at for _, event in events_of(log, "months", "pool", [Waived], on_unreadable=refuse_newer)] == [1]
    assert list(events_of(log, "months", "pool", [Labelled])) == []
    assert list(events_of(log, "months", "pool", [Frozen])) == []
