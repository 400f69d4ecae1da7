"""A frame of the facts is passed over only where the statement that reads it would give no row."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.enrich.frames import SHAPES, Facts
from pipeline.store import Store
from pipeline.store.facts import read_facts
from pipeline.store.queries import statements

from .streams import empty_store

DAY = "DATE '2026-10-01'"
ROWS = {
    "raw_watch": "'c', 1, 'regtest', 1, '[{\"name\": \"w\", \"addresses\": [\"a\"]}]', NULL, ['p'], NULL",
    "raw_block": "'c', 'h', 1, 'g', 5, 5, NULL, true",
    "raw_transaction": "'c', 'h', 't', 0, false, 0, 0, 0, 'BTC', NULL, NULL, NULL, NULL, NULL, NULL",
    "raw_input": "'c', 'h', 't', 's', 0, 1, 'a', 'w', 'BTC', NULL, NULL, NULL",
    "raw_output": "'c', 'h', 't', 0, 1, 'a', 'w', 'BTC', 'x', false, 't:0'",
    "raw_balance": "'c', 2, 1, 'h', 'w', 'a', 'BTC', 1",
    "raw_account_proof": "'c', 2, 1, 'h', NULL, 'BTC', 'w', 'a', 1, []",
    "raw_doubt": "'c', 2, 1, 'h', 5, 'told otherwise', NULL",
    "raw_witness": "'c', 2, 1, 1, 'h', ['one', 'two'], 'asked', true",
    "raw_disagreement": "'c', 2, 1, 'h', 5, ['one', 'two'], ['x', 'y'], true",
    "raw_allocation": "'A', 1, 'acc', 'BTC', 7, 1, NULL, NULL, NULL, NULL",
    "raw_payment": "'P', 1, 'acc', 'BTC', 'a', 1, 't', 7, NULL",
    "raw_sought": "'c', 2, 't', true",
    "raw_opening": "'acc', 'BTC', 1, 1, 7",
    "raw_source_item": f"'s', 'i', 1, true, 'unclear-row', {DAY}, 'what'",
    "raw_registry": "1, 'd', 1, 1",
    "raw_miner": "1, 'm', 'Miner'",
    "raw_licence": f"1, 'm', 'L', {DAY}, {DAY}, NULL, NULL, NULL",
    "raw_account": f"1, 'acc', 'm', {DAY}, NULL",
    "raw_wallet": f"1, 'a', 'c', 'm', {DAY}, NULL",
    "raw_counterparty": "1, 'v', 'c', 'vendor', 'V'",
    "raw_label": "'e', 1, 'c', 'u', 'vendor', 'U', 'by', 'why', 5",
}
"""One row of each table that the facts are read from, so that no frame is empty."""


@pytest.fixture
def full() -> Iterator[Store]:
    with empty_store() as store:
        for table, row in ROWS.items():
            store.connection.execute(f"INSERT INTO {table} SELECT {row}")
        yield store


def plainly(store: Store) -> dict[str, int]:
    """How many rows each frame's statement gives."""
    return {name: len(store.connection.execute(statements()[f"facts.{name}"]).fetchall()) for name in SHAPES}


def heights(facts: Facts) -> dict[str, int]:
    return {name: getattr(facts, name).height for name in SHAPES}


def test_no_frame_of_a_full_store_is_passed_over(full: Store) -> None:
    facts = read_facts(full.connection)
    assert heights(facts) == plainly(full) and min(heights(facts).values()) > 0
    assert {name: dict(getattr(facts, name).schema) for name in SHAPES} == SHAPES


@pytest.mark.parametrize("table", ROWS)
def test_without_the_rows_of_a_table_each_frame_is_what_its_statement_gives(full: Store, table: str) -> None:
    full.connection.execute(f"DELETE FROM {table}")
    facts = read_facts(full.connection)
    assert heights(facts) == plainly(full)
    assert {name: dict(getattr(facts, name).schema) for name in SHAPES} == SHAPES


def test_what_a_transaction_has_not_committed_is_there(full: Store) -> None:
    full.connection.execute("DELETE FROM raw_doubt")
    with full.transaction() as connection:
        connection.execute(f"INSERT INTO raw_doubt SELECT {ROWS['raw_doubt']}")
        assert read_facts(connection).doubts.height == 1
