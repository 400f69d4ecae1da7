"""Facts that are held between two looks are what the store has, after whatever it was told."""

from __future__ import annotations

import pytest

from pipeline.enrich.frames import Facts
from pipeline.log.protocol import TOPICS
from pipeline.store import facts as module
from pipeline.store.facts import facts_of, read_facts
from pipeline.store.ingest import Ingest

from .streams import Delivery, allocations, complete, empty_store, example_events, label, openings, payments, registry, waiver


def same(held: Facts, read: Facts) -> bool:
    return all(frame.equals(getattr(read, name)) for name, frame in vars(held).items())


def test_after_each_event_the_facts_are_those_of_the_store() -> None:
    delivery, example = Delivery(), example_events()
    events = [(topic, event) for topic in TOPICS for event in example[topic]]
    with empty_store() as store:
        ingest = Ingest(delivery, store)
        for topic, event in events:
            delivery.tell(topic, [event])
            ingest.catch_up()
            assert same(facts_of(store), read_facts(store.connection)), event


def test_they_are_read_again_only_when_a_fact_may_have_changed() -> None:
    delivery = Delivery()
    with empty_store() as store:
        ingest = Ingest(delivery, store)
        delivery.tell("ledger", [allocations(range(3)), payments(range(2)), openings(70), complete("2026-10-30")])
        delivery.tell("registry", registry(1))
        ingest.catch_up()
        first = facts_of(store)
        delivery.tell("months", [waiver("2026-10", "t:0")])
        ingest.catch_up()
        assert facts_of(store) is first, "a waiver is no fact"
        delivery.tell("months", [label("x", "vendor")])
        ingest.catch_up()
        assert facts_of(store).labels.height == first.labels.height + 1


def test_many_rows_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = Delivery()
    with empty_store() as store:
        delivery.tell("ledger", [allocations(range(4))])
        Ingest(delivery, store).catch_up()
        monkeypatch.setattr(module, "HELD_ROWS", 3)
        assert facts_of(store) is not facts_of(store)
        monkeypatch.setattr(module, "HELD_ROWS", 4)
        assert facts_of(store) is facts_of(store)
