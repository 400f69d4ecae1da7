"""Facts that are held between two looks are what the store has, after whatever it was told."""

from __future__ import annotations

import polars as pl
import pytest

from pipeline.enrich.frames import Facts
from pipeline.enrich.line import OPEN_ALLOCATIONS, OPEN_CREDITS, Line
from pipeline.enrich.opening import COINS, HEIGHTS, NAMED_PAYMENTS, NAMED_TRANSACTIONS, PAYER_COUNTS, WALLETS, Opening
from pipeline.log.protocol import TOPICS
from pipeline.model.months import Month
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


def test_no_more_rows_than_so_many_are_held_together(monkeypatch: pytest.MonkeyPatch) -> None:
    delivery, month = Delivery(), Month(2026, 9)
    with empty_store() as store:
        delivery.tell("ledger", [allocations(range(4))])
        Ingest(delivery, store).catch_up()
        nothing = Line(pl.DataFrame(schema=OPEN_ALLOCATIONS), pl.DataFrame(schema=OPEN_CREDITS))
        frames = {
            "heights": HEIGHTS,
            "coins": COINS,
            "wallets": WALLETS,
            "transactions": NAMED_TRANSACTIONS,
            "payments": NAMED_PAYMENTS,
            "payers": PAYER_COUNTS,
        }
        opening = Opening(month, 1, nothing, observed=[], **{name: pl.DataFrame(schema=shape) for name, shape in frames.items()})
        monkeypatch.setattr(module, "HELD_ROWS", 8)
        whole, since = facts_of(store), facts_of(store, month, opening)
        assert facts_of(store) is whole
        assert facts_of(store, month, opening) is since
        monkeypatch.setattr(module, "HELD_ROWS", 7)
        assert facts_of(store, month.next, opening) is not whole
        assert facts_of(store) is not whole, "the oldest goes first"
