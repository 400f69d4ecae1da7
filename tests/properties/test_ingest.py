"""However the log is delivered, the store's tables are the same; whatever an event holds, nothing is lost."""

from __future__ import annotations

import json
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.enrich.frames import Facts
from pipeline.log.events import decode, encode
from pipeline.log.protocol import TOPICS, Record
from pipeline.model.errors import StoreError
from pipeline.store import Store
from pipeline.store.facts import read_facts
from pipeline.store.ingest import Ingest

from ..unit.store.streams import (
    CHAIN_KEY,
    POOL,
    ChainTeller,
    Delivery,
    allocations,
    complete,
    empty_store,
    example_events,
    payments,
    tables,
)

QUICK = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])


VIEWS = (
    "blocks",
    "allocations",
    "payments",
    "openings",
    "waivers",
    "counterparties",
    "frozen_versions",
    "chains",
    "pool_wallets",
    "bad_events",
)
"""Those that turn what an event says into other types."""


def _empty() -> Store:
    with empty_store() as store:
        return store


@cache
def _plain() -> dict[str, list[tuple[str, bytes]]]:
    return {topic: [(event.id, encode(event).value) for event in events] for topic, events in example_events().items()}


@cache
def _expected() -> tuple[dict, object]:
    delivery = Delivery()
    for topic, events in _plain().items():
        for id_, value in events:
            delivery.tell_bytes(topic, id_, value)
    store = _empty()
    Ingest(delivery, store).catch_up()
    return tables(store.connection), read_facts(store.connection)


@QUICK
@given(
    turns=st.lists(st.sampled_from(TOPICS), min_size=1, max_size=12),
    count=st.sampled_from([2, 3, 5, 12]),
    repeats=st.lists(st.tuples(st.sampled_from(TOPICS), st.integers(0, 20), st.integers(0, 20)), max_size=8),
)
def test_any_batch_size_order_of_topics_and_duplicates_give_the_same_tables(turns, count, repeats):
    delivery = Delivery([*turns, *TOPICS], count)
    for topic, events in _plain().items():
        told = list(events)
        for _, first, later in (r for r in repeats if r[0] == topic):
            event = told[first % len(told)]
            told.insert(told.index(event) + 1 + later, event)  # again, some time after it was first told
        for id_, value in told:
            delivery.tell_bytes(topic, id_, value)
    raw, facts = _expected()
    store = _empty()
    Ingest(delivery, store).catch_up()
    assert tables(store.connection) == raw
    for name, frame in vars(read_facts(store.connection)).items():
        assert frame.equals(getattr(facts, name)), name


@QUICK
@given(order=st.permutations(range(len(_plain()["ledger"]))), count=st.integers(1, 4))
def test_the_ledgers_order_of_arrival_does_not_matter(order, count):
    delivery = Delivery(count=count)
    for place in order:
        delivery.tell_bytes("ledger", *_plain()["ledger"][place])
    expected = _expected()[1]
    store = _empty()
    Ingest(delivery, store).catch_up()
    facts = read_facts(store.connection)
    for name in ("allocations", "payments", "openings"):
        assert getattr(facts, name).equals(getattr(expected, name)), name


@QUICK
@given(
    rows=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 3)), min_size=1, max_size=40),
    cuts=st.lists(st.integers(1, 7), min_size=1, max_size=10),
    count=st.integers(1, 9),
)
def test_ledger_rows_in_any_packing_are_kept_once_each(rows, cuts, count):
    """Rows come again in other events, beside others: each (id, version) is one row, and the greatest version counts."""
    delivery = Delivery(count=count)
    left, n = list(rows), 0
    while left:
        size = cuts[n % len(cuts)]
        for version in (1, 2, 3):
            ids = [id_ for id_, v in left[:size] if v == version]
            if ids:
                delivery.tell(
                    "ledger",
                    [allocations(ids, version=version, name=f"a{n}:{version}"), payments(ids, version=version, name=f"p{n}:{version}")],
                )
        left, n = left[size:], n + 1
    store = _empty()
    step = Ingest(delivery, store).catch_up()
    assert (step.bad_events, step.rows) == (0, 2 * len(set(rows)))
    kept = store.connection.execute("SELECT allocation_id, version FROM raw_allocation ORDER BY ALL").fetchall()
    assert kept == sorted((f"A{id_:07}", version) for id_, version in set(rows))
    newest = {id_: max(v for i, v in rows if i == id_) for id_, _ in rows}
    facts = read_facts(store.connection)
    assert facts.allocations.height == facts.payments.height == len(newest)
    assert {row[0]: row[4] for row in facts.payments.rows()} == {f"P{id_}": id_ * version for id_, version in newest.items()}


MOVES = st.lists(st.one_of(st.tuples(st.just("connect"), st.integers(0, 2)), st.tuples(st.just("stretch"), st.integers(0, 3)),
                           st.tuples(st.just("back"), st.integers(1, 4)), st.tuples(st.just("return"), st.just(0))), max_size=15)  # fmt: skip


@QUICK
@given(moves=MOVES, count=st.integers(1, 20))
def test_a_chain_that_reorganises_and_returns_equals_one_that_never_did(moves, count):
    chain = ChainTeller()
    chain.stretch(2)
    held: list[tuple[str, int]] = []
    contents: dict[str, int] = {}
    for n, (move, size) in enumerate(moves):
        if move == "connect":
            contents[chain.connect(n, transactions=size)] = size
            held.clear()
        elif move == "stretch":
            chain.stretch(size, n)
            held.clear()
        elif move == "back":
            for _ in range(min(size, len(chain.main) - 1)):
                left = chain.disconnect()
                held.append((left, contents.get(left, 0)))
        else:
            while held:
                hash_, size = held.pop()
                chain.connect(hash_=hash_, transactions=size)
    straight = ChainTeller()
    straight.main = []
    for hash_, _, _ in chain.main:
        straight.connect(hash_=hash_, transactions=contents.get(hash_, 0))
    crooked = _facts_of(Delivery(count=count).tell("chain", chain.events))
    clean = _facts_of(Delivery().tell("chain", straight.events))
    for name in ("blocks", "transactions", "inputs", "outputs"):
        one, other = getattr(crooked, name), getattr(clean, name)
        assert one.drop("time", "mediantime", strict=False).equals(other.drop("time", "mediantime", strict=False)), name


def _facts_of(delivery: Delivery) -> Facts:
    store = _empty()
    Ingest(delivery, store).catch_up()
    return read_facts(store.connection)


# --- whatever an event holds

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1", "-1", "0" * 64, "2026-02-30"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def _garbled(draw) -> tuple[str, bytes]:
    """An event of the example with one part of it replaced, dropped or cut; or any JSON; or any bytes."""
    topic = draw(st.sampled_from(TOPICS))
    document = json.loads(draw(st.sampled_from(_plain()[topic]))[1])
    how = draw(st.sampled_from(["keep", "replace", "replace", "drop", "cut", "json", "bytes"]))
    if how == "json":
        return topic, json.dumps(draw(JSON)).encode()
    if how == "keep":
        return topic, json.dumps(document).encode()
    if how == "bytes":
        return topic, draw(st.binary(max_size=60))
    spot = document
    while isinstance(spot, dict | list) and spot:
        key = draw(st.sampled_from(sorted(spot) if isinstance(spot, dict) else range(len(spot))))
        if not isinstance(spot[key], dict | list) or not spot[key] or draw(st.booleans()):
            if how == "drop":
                del spot[key]
            else:
                spot[key] = draw(JSON)
            break
        spot = spot[key]
    value = json.dumps(document).encode()
    return topic, value[: draw(st.integers(0, len(value)))] if how == "cut" else value


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(garbled=st.lists(_garbled(), min_size=4, max_size=12))
def test_no_event_brings_ingest_down_and_none_is_lost(garbled):
    """Every record ends as rows, as a duplicate, or among the bad events with its place; a chain that breaks says so."""
    store = _empty()
    delivery = Delivery()
    for n, (topic, value) in enumerate(garbled):
        delivery.tell_bytes(topic, f"garbled:{n}", value, key=CHAIN_KEY if topic == "chain" else POOL)
    delivery.tell("ledger", [allocations(range(1000, 1003), name="good")])
    try:
        Ingest(delivery, store, topics=("ledger", "registry", "months")).catch_up()
        Ingest(delivery, store).catch_up()
    except StoreError as stopped:
        assert "chain/0@" in str(stopped)
    positions = store.positions()
    assert [positions.get(f"{topic}/0", 0) for topic in TOPICS[1:]] == [len(delivery.records[topic]) for topic in TOPICS[1:]]
    taken = [record for topic in TOPICS for record in delivery.records[topic][: positions.get(f"{topic}/0", 0)]]
    _all_accounted_for(store, taken)
    assert store.connection.execute("SELECT count(*) FROM core_allocation WHERE allocation_id >= 'A0001000'").fetchall() >= [(3,)]
    read_facts(store.connection)
    for view in VIEWS:
        store.connection.execute(f"SELECT * FROM {view}").fetchall()


def _all_accounted_for(store: Store, taken: list[Record]) -> None:
    known = set(store.connection.execute("SELECT topic, key, id FROM raw_event").fetchall())
    assert {(record.topic, record.key, record.id) for record in taken} == known
    unread = set(store.connection.execute("SELECT topic || '/0', log_offset FROM raw_event WHERE type IS NULL").fetchall())
    assert unread <= set(store.connection.execute("SELECT place, log_offset FROM raw_bad_event").fetchall())


ONE_ROW_FAULTS = [
    {"amount": ["1.5"]}, {"amount": ["5\n"]}, {"amount": []}, {"amount": ["1", "2"]}, {"amount": [1]}, {"version": [0]}, {"version": [1.5]},
    {"account": [None]}, {"account": "a"}, {"more": []}, {"allocated_at": [2**63]}, {"schema": 2}, {"schema": "1"}, {"source": None},
]  # fmt: skip
ONE_ROW = st.tuples(
    st.sampled_from(["good", "good", "good", "good", "payment", "packed", "again", "contradicts", "empty", "garbled", "complete"]),
    st.integers(0, 9),
    st.sampled_from(ONE_ROW_FAULTS),
)


def test_every_fault_of_a_one_row_event_is_told_as_when_it_is_read_strictly():
    told = [("good", 0, {})] + [step for fault in ONE_ROW_FAULTS for step in (("garbled", 0, fault), ("good", 0, {}))]
    delivery = _told_one_by_one(told, 10**9)
    store = _empty()
    Ingest(delivery, store).catch_up()
    strictly = []
    for record in delivery.records["ledger"]:
        try:
            decode(record.value)
        except ValueError as fault:
            strictly.append((record.offset, str(fault)))
    assert len(strictly) == len(ONE_ROW_FAULTS)
    assert store.connection.execute("SELECT log_offset, error FROM raw_bad_event ORDER BY ALL").fetchall() == strictly
    assert store.connection.execute("SELECT count(*) FROM raw_allocation").fetchall() == [(len(ONE_ROW_FAULTS) + 1,)]


def _told_one_by_one(told: list[tuple], count: int) -> Delivery:
    """Events of mostly one row, as a live pool appends them, with every kind of fault between."""
    delivery = Delivery(count=count)
    for n, (how, number, fault) in enumerate(told):
        event = payments([n], name=f"e{n}") if how == "payment" else allocations([100 * n], name=f"e{n}")
        match how:
            case "again" if n:
                last = delivery.records["ledger"][-1]
                delivery.tell_bytes("ledger", last.id, last.value)
                continue
            case "packed":
                event = allocations(range(100 * n, 100 * n + number), name=f"e{n}")
            case "contradicts" if n:
                event = allocations([100 * (n - 1)], amount=77, name=f"e{n}")
            case "empty":
                event = allocations([], name=f"e{n}")
            case "complete":
                event = complete("2026-10-31")
        document = json.loads(encode(event).value)
        if how == "garbled":
            (document if set(fault) & {"schema", "source"} else document["rows"]).update(fault)
        delivery.tell_bytes("ledger", f"e{n}", json.dumps(document).encode())
    return delivery


def _taken(delivery: Delivery) -> tuple[object, dict, list[int]]:
    """What the steps did, the rows, and where the bad events lie."""
    store = _empty()
    step = Ingest(delivery, store).catch_up()
    bad = store.connection.execute("SELECT log_offset FROM raw_bad_event ORDER BY ALL").fetchall()
    return step, tables(store.connection), [offset for (offset,) in bad]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(told=st.lists(ONE_ROW, min_size=1, max_size=25), count=st.sampled_from([2, 7, 10**9]))
def test_one_row_events_with_bad_ones_among_them_are_taken_as_if_each_came_alone(told, count):
    """A batch is read whole where it can be: rows, events and bad events are those of reading the same one at a time (law 8)."""
    together = _told_one_by_one(told, count)
    step, rows, bad = _taken(together)
    assert (step, rows, bad) == _taken(_told_one_by_one(told, 1))
    first = {record.id: record for record in reversed(together.records["ledger"])}
    unreadable = {record.offset for record in first.values() if not _can_be_read(record)}
    assert unreadable <= set(bad)
    assert step.events == len(told)


def _can_be_read(record: Record) -> bool:
    try:
        decode(record.value)
    except (ValueError, RecursionError):
        return False
    return True


def test_the_fuzz_reaches_both_sides():
    """The generator above must make good events and bad ones, or it proves nothing."""
    seen = {"good": 0, "bad": 0}

    @settings(max_examples=30, deadline=None, database=None, derandomize=True)
    @given(garbled=_garbled())
    def sample(garbled):

        try:
            decode(garbled[1])
            seen["good"] += 1
        except (ValueError, RecursionError):
            seen["bad"] += 1

    sample()
    assert seen["good"] >= 3
    assert seen["bad"] >= 10
