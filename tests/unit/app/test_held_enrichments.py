"""Months that are held between two looks are what the store's facts come to, after whatever it was told."""

from __future__ import annotations

import dataclasses

import pytest

from pipeline.app.held import KEPT, HeldEnrichments
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.month import enrich_month
from pipeline.log.protocol import TOPICS
from pipeline.model.months import Month
from pipeline.model.rules import Asset, Rules
from pipeline.store import facts as module
from pipeline.store.facts import facts_of, read_facts
from pipeline.store.ingest import Ingest

from ..store.streams import Delivery, allocations, empty_store, example_events, label, waiver

MONTH = Month(2026, 10)
RULES = Rules({"BTC": Asset("BTC", "bitcoin", 8)}, {"bitcoin": 6}, {"BTC": 1})


def same(one: Enriched, other: Enriched) -> bool:
    names = ("outflows", "transfers", "balances", "issues", "debts", "report")
    lines = [(getattr(a, side), getattr(b, side)) for a, b in ((one.opening_line, other.opening_line), (one.closing_line, other.closing_line))
             for side in ("allocations", "credits")]  # fmt: skip
    frames = [(getattr(one, name), getattr(other, name)) for name in names] + lines
    return one.totals == other.totals and all(a.equals(b) for a, b in frames)


def test_after_each_event_a_held_month_is_the_month_of_the_stores_facts() -> None:
    delivery, example, held = Delivery(), example_events(), HeldEnrichments()
    with empty_store() as store:
        ingest = Ingest(delivery, store)
        for topic in TOPICS:
            for event in example[topic]:
                delivery.tell(topic, [event])
                ingest.catch_up()
                fresh = enrich_month(read_facts(store.connection), MONTH, RULES)
                for _ in range(2):
                    assert same(held.enrich(facts_of(store), MONTH, RULES), fresh), event


def test_it_is_worked_out_again_only_for_other_facts_another_month_or_other_rules() -> None:
    delivery, held = Delivery(), HeldEnrichments()
    with empty_store() as store:
        ingest = Ingest(delivery, store)
        delivery.tell("ledger", [allocations(range(3))])
        ingest.catch_up()
        first = held.enrich(facts_of(store), MONTH, RULES)
        delivery.tell("months", [waiver("2026-10", "t:0")])
        ingest.catch_up()
        assert held.enrich(facts_of(store), MONTH, RULES) is first, "a waiver is no fact"
        assert held.enrich(facts_of(store), MONTH.next, RULES) is not first
        assert held.enrich(facts_of(store), MONTH, dataclasses.replace(RULES, payout_unit={"BTC": 10})) is not first
        assert held.enrich(facts_of(store), MONTH, RULES) is first
        delivery.tell("months", [label("x", "vendor")])
        ingest.catch_up()
        assert held.enrich(facts_of(store), MONTH, RULES) is not first


def test_few_months_and_no_large_facts_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    delivery, held = Delivery(), HeldEnrichments()
    with empty_store() as store:
        delivery.tell("ledger", [allocations(range(4))])
        Ingest(delivery, store).catch_up()
        facts = facts_of(store)
        first, month = held.enrich(facts, MONTH, RULES), MONTH
        for _ in range(KEPT):
            month = month.next
            held.enrich(facts, month, RULES)
        assert held.enrich(facts, MONTH, RULES) is not first
        monkeypatch.setattr(module, "HELD_ROWS", 3)
        large = read_facts(store.connection)
        assert held.enrich(large, MONTH, RULES) is not held.enrich(large, MONTH, RULES)
