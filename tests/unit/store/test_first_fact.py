"""Where the log's facts begin, and whether a span of time has any: what tells an empty month from one that the log knows nothing of."""

from __future__ import annotations

import msgspec

from pipeline.store.ingest import Ingest
from pipeline.store.queries import first_fact_at, has_facts

from .streams import ChainTeller, Delivery, allocations, empty_store, openings, payments, registry, waiver

BLOCK_1 = 1_790_000_000
BEGINS = 1_790_000_000
"""Of the ledger: the instant of allocation 0."""


def test_a_log_without_facts_has_no_first_one() -> None:
    with empty_store() as store:
        Ingest(Delivery().tell("registry", registry(1)).tell("months", [waiver("2024-10", "nothing:0")]), store).catch_up()
        assert first_fact_at(store.connection) is None
        assert not has_facts(store.connection, 0, 2 * BEGINS)


def test_the_genesis_block_is_of_no_month_that_was_followed() -> None:
    chain = ChainTeller()
    chain.connect()
    genesis = chain.events[-1]
    chain.events[-1] = msgspec.structs.replace(genesis, time=1_296_688_602, mediantime=1_296_688_602)
    with empty_store() as store:
        Ingest(Delivery().tell("chain", chain.events), store).catch_up()
        assert first_fact_at(store.connection) is None
        assert not has_facts(store.connection, 0, 2 * BEGINS)
    chain.connect()
    with empty_store() as store:
        Ingest(Delivery().tell("chain", chain.events), store).catch_up()
        assert first_fact_at(store.connection) == BLOCK_1
        assert has_facts(store.connection, BLOCK_1, BLOCK_1 + 1) and not has_facts(store.connection, 0, BLOCK_1)


def test_the_first_of_blocks_allocations_payments_and_openings_counts() -> None:
    chain = ChainTeller(first_height=900)
    chain.connect()
    with empty_store() as store:
        delivery = Delivery().tell("chain", chain.events)
        Ingest(delivery, store).catch_up()
        assert first_fact_at(store.connection) == BEGINS + 600 * 899
        Ingest(delivery.tell("ledger", [payments([5])]), store).catch_up()
        assert first_fact_at(store.connection) == BEGINS
        assert has_facts(store.connection, BEGINS, BEGINS + 1) and not has_facts(store.connection, BEGINS + 1, BEGINS + 2)
        Ingest(delivery.tell("ledger", [allocations([1])]), store).catch_up()
        assert has_facts(store.connection, BEGINS + 1, BEGINS + 2) and not has_facts(store.connection, BEGINS + 2, BEGINS + 3)
        Ingest(delivery.tell("ledger", [openings(7)]), store).catch_up()
        assert first_fact_at(store.connection) == 1_780_000_000


def test_a_row_that_was_restated_to_a_later_day_is_no_first_fact() -> None:
    early, late = allocations([0]), allocations([0], version=2)
    late = msgspec.structs.replace(late, rows=msgspec.structs.replace(late.rows, allocated_at=[(BEGINS + 86_400) * 1_000_000]))
    with empty_store() as store:
        Ingest(Delivery().tell("ledger", [early, late]), store).catch_up()
        assert first_fact_at(store.connection) == BEGINS + 86_400
