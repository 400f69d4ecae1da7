"""The views' own arithmetic: printed amounts, days in Almaty, and which rows are in force."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from importlib import resources

import pytest

from pipeline.model.amounts import from_units
from pipeline.model.months import ALMATY, almaty_date
from pipeline.store import Store
from pipeline.store.ingest import Ingest
from pipeline.store.queries import allocation_assets

from .streams import BIGGEST, CHAIN, Delivery, allocations, example_events, payments


@pytest.fixture(scope="module")
def store():
    with Store.memory() as store:
        delivery = Delivery()
        for topic, events in example_events().items():
            delivery.tell(topic, events)
        Ingest(delivery, store).catch_up()
        yield store


@pytest.mark.parametrize("decimals", [0, 1, 6, 8, 18, 37])
@pytest.mark.parametrize("units", [0, 1, 9, 10, 99_999_999, 100_000_000, 123_456_789_012, BIGGEST, -1, -100_000_000])
def test_amounts_print_as_the_report_prints_them(store: Store, units: int, decimals: int):
    (printed,) = store.connection.execute(
        "SELECT printed($units::DECIMAL(38,0), $decimals)", {"units": str(units), "decimals": decimals}
    ).fetchall()[0]
    assert printed == from_units(units, decimals)


def test_an_amount_without_known_decimals_prints_as_nothing(store: Store):
    assert store.connection.execute("SELECT DISTINCT amount_printed FROM allocations").fetchall() == [(None,)]


def test_days_are_almaty_days_before_and_after_the_change_of_offset(store: Store):
    start = int(datetime(2024, 2, 28, tzinfo=ALMATY).timestamp())
    for at_s in [start + 1800 * n for n in range(200)] + [0, 1_790_000_000, 4_000_000_000]:
        ((day,),) = store.connection.execute("SELECT almaty_date($at)", {"at": at_s * 1_000_000}).fetchall()
        assert day == almaty_date(at_s)
    ((just_before,),) = store.connection.execute(
        "SELECT almaty_date($at)", {"at": int(datetime(2026, 11, 1, tzinfo=ALMATY).timestamp()) * 1_000_000 - 1}
    ).fetchall()
    assert just_before == almaty_date(int((datetime(2026, 11, 1, tzinfo=ALMATY) - timedelta(seconds=1)).timestamp()))


def test_the_greatest_version_of_a_ledger_row_is_in_force(store: Store):
    assert store.connection.execute("SELECT count(*), count(DISTINCT allocation_id) FROM core_allocation").fetchall() == [(30, 30)]
    assert store.connection.execute("SELECT allocation_id FROM core_allocation WHERE version = 2 ORDER BY 1").fetchall() == [
        (f"A{n:07}",) for n in range(5, 9)
    ]
    assert store.connection.execute("SELECT version, amount FROM core_payment WHERE payment_id = 'P3'").fetchall() == [(2, 6)]
    assert store.connection.execute("SELECT version, amount FROM core_opening").fetchall() == [(2, 71)]


def test_what_allocations_are_in_is_told_by_their_ids_and_those_of_openings(store: Store):
    asked = ["A0000005", "opening:acct000:BTC", "opening:acct000:LTC", "A9999999"]
    known = store.connection.execute("SELECT asset, commission_asset FROM core_allocation WHERE allocation_id = 'A0000005'").fetchall()[0]
    assert allocation_assets(store.connection, asked) == {"A0000005": known, "opening:acct000:BTC": ("BTC", None)}
    assert allocation_assets(store.connection, []) == {}


def test_versions_may_arrive_in_any_order_and_with_holes():
    with Store.memory() as store:
        delivery = Delivery().tell(
            "ledger", [allocations([1], version=5), allocations([1], version=2), payments([1], version=3), payments([1])]
        )
        Ingest(delivery, store).catch_up()
        assert store.connection.execute("SELECT version FROM core_allocation").fetchall() == [(5,)]
        assert store.connection.execute("SELECT version FROM core_payment").fetchall() == [(3,)]


def test_restatements_show_before_and_after(store: Store):
    rows = store.connection.execute("SELECT kind, id, version, amount, amount_before FROM restatements ORDER BY ALL").fetchall()
    assert ("allocation", "A0000005", 2, 5002, 5001) in rows
    assert ("payment", "P3", 2, 6, 3) in rows
    assert len(rows) == 5


def test_the_newest_registry_of_which_all_parts_are_there_is_in_force(store: Store):
    assert store.connection.execute("SELECT version FROM core_registry").fetchall() == [(2,)]
    assert store.connection.execute("SELECT DISTINCT name FROM miners").fetchall() == [("ЖШС «Кен 2.0»",)]


def test_labels_override_the_registrys_counterparties_and_the_newest_counts(store: Store):
    rows = store.connection.execute("SELECT address, outflow_class, labelled_by FROM counterparties ORDER BY ALL").fetchall()
    assert rows == [("vendor-0", "exchange", "aigul"), ("x", "exchange", "aigul")]


def test_only_the_newest_watch_list_names_the_pools_wallets(store: Store):
    assert store.connection.execute("SELECT * FROM pool_wallets ORDER BY ALL").fetchall() == [
        (CHAIN, "main wallet"),
        (CHAIN, "second wallet"),
    ]


def test_every_view_can_be_read(store: Store):
    views = {view for (view,) in store.connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
    text = resources.files("pipeline.store").joinpath("views.sql").read_text(encoding="utf-8")
    assert views == set(re.findall(r"CREATE OR REPLACE VIEW (\w+)", text)) >= {"report", "issues", "months"}
    for view in views:
        store.connection.execute(f"SELECT * FROM {view}").fetchall()


def test_an_issue_is_waived_while_it_rests_on_what_the_waiver_was_given_on() -> None:
    with Store.memory() as store:
        issue = "INSERT INTO out_issue VALUES ('2026-10', 'allocation-twice', 'blocking', $ref, '', $facts, $before)"
        for ref, facts, before in [
            ("A1", "A1\nA2", None),
            ("B1", "B1\nB2\nB3", None),
            ("m:2026-10-10", "x", "m"),
            ("m:2026-10-20", "y", "m"),
        ]:
            store.connection.execute(issue, {"ref": ref, "facts": facts, "before": before})
        given = "INSERT INTO raw_waiver VALUES ($ref, $at, '2026-10', 'allocation-twice', $ref, 'A', 'why', 1, $facts)"
        for at, (ref, facts) in enumerate([("A1", "A1"), ("A1", "A1\nA2"), ("B1", "B1\nB2"), ("m", None)]):
            store.connection.execute(given, {"ref": ref, "at": at, "facts": facts})
        shown = store.connection.execute("SELECT ref, is_waived, is_waiver_lapsed FROM issues ORDER BY ref").fetchall()
    assert shown == [("A1", True, False), ("B1", False, True), ("m:2026-10-10", True, False), ("m:2026-10-20", True, False)]
