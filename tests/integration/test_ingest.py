"""From a real log into a real store: exactly once, through kills, bad events and broken chains."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest

from connectors.log_sqlite.log import SqliteLog
from pipeline.log.events import decode, encode
from pipeline.log.protocol import EventLog
from pipeline.model.errors import LogError, StoreError
from pipeline.model.issues import Issue, IssueCode
from pipeline.store import Store
from pipeline.store.ingest import Ingest
from pipeline.store.queries import bad_events, chain_state

from ..unit.store.streams import (
    CHAIN,
    CHAIN_KEY,
    POOL,
    ChainTeller,
    Delivery,
    allocations,
    empty_store,
    example_events,
    payments,
    registry,
    tables,
)


def _log_of_everything(path: Path) -> SqliteLog:
    log = SqliteLog(path)
    for topic, events in example_events().items():
        with log.writer(topic, CHAIN_KEY if topic == "chain" else POOL) as writer:
            writer.append([encode(event) for event in events])
    return log


def _tables_of(log: EventLog) -> dict:
    with Store.memory() as store:
        Ingest(log, store).catch_up()
        return tables(store.connection)


def test_rows_and_positions_are_committed_together_and_a_second_run_finds_nothing(tmp_path: Path):
    with _log_of_everything(tmp_path / "log.sqlite") as log:
        with Store.open(tmp_path / "store.duckdb") as store:
            step = Ingest(log, store).catch_up()
            assert step.positions == store.positions() == log.end()
            assert (step.events, step.bad_events, step.at_end) == (28, 0, True)
            before = tables(store.connection)
        with Store.open(tmp_path / "store.duckdb") as store:
            again = Ingest(log, store).step()
            assert (again.events, again.rows, again.at_end, again.positions) == (0, 0, True, log.end())
            assert tables(store.connection) == before


def test_the_rows_counted_are_the_rows_added(tmp_path: Path):
    with _log_of_everything(tmp_path / "log.sqlite") as log, empty_store() as store:
        step = Ingest(log, store).catch_up()
        kept = tables(store.connection)
        assert step.rows == sum(len(rows) for name, rows in kept.items() if name not in ("raw_event", "raw_bad_event", "raw_chain_tip"))


def test_new_events_are_taken_live(tmp_path: Path):
    chain = ChainTeller()
    with SqliteLog(tmp_path / "log.sqlite") as log, empty_store() as store, log.writer("chain", CHAIN_KEY) as writer:
        ingest = Ingest(log, store)
        for _ in range(3):
            chain.connect(transactions=1)
            assert writer.append([encode(event) for event in chain.events]) > 0
            assert ingest.step().at_end
            assert chain_state(store.connection)[CHAIN].hash == chain.main[-1][0]


# --- killed anywhere


class _Killing:
    """A store's connection that kills its process at the chosen one of the moments around each commit point."""

    POINTS = ("BEGIN", "INSERT INTO raw_position", "COMMIT")

    def __init__(self, real, moment: int) -> None:
        self._real = real
        self._left = moment

    def _pass(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def execute(self, statement: str, *arguments):
        is_point = statement.startswith(self.POINTS)
        if is_point:
            self._pass()
        incoming = sys._getframe(1).f_locals.get("incoming")  # noqa: F841 - DuckDB looks for it where it is called from, and that is here
        result = self._real.execute(statement, *arguments)
        if is_point:
            self._pass()
        return result

    def __getattr__(self, name):
        return getattr(self._real, name)


def _ingest_until(folder: Path, moment: int) -> None:
    with SqliteLog(folder / "log.sqlite") as log, Store.open(folder / "store.duckdb") as store:
        store.connection = _Killing(store.connection, moment)  # type: ignore[assignment]
        Ingest(log, store, limit_bytes=16_000).catch_up()


def test_a_kill_around_every_commit_point_changes_nothing_in_the_end(tmp_path: Path):
    """For each batch: killed before and after its begin, its positions and its commit, resumed each time."""
    with _log_of_everything(tmp_path / "log.sqlite") as log:
        expected, end = _tables_of(log), log.end()
    Store.open(tmp_path / "store.duckdb").close()
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["pipeline.store.ingest", "connectors.log_sqlite.log", "tests.unit.store.streams", "pytest"])
    moments: list[list[int]] = [[]]
    reached = 0
    while True:
        process = server.Process(target=_ingest_until, args=(tmp_path, len(moments[-1])))
        process.start()
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        moments[-1].append(reached)
        with Store.open(tmp_path / "store.duckdb") as store:
            if (now := sum(store.positions().values())) > reached:  # committed: on to the next batch
                reached = now
                moments.append([])
    assert [len(batch) for batch in moments[:-1]] == [6] * (len(moments) - 1)
    assert len(moments) >= 3
    with Store.open(tmp_path / "store.duckdb") as store:
        assert store.positions() == end
        assert tables(store.connection) == expected


# --- bad events


@pytest.mark.parametrize(
    ("topic", "value", "said"),
    [
        ("ledger", b"\x00\xff garbage", "JSON"),
        ("ledger", b"[]", "object"),
        ("ledger", b'{"type":"complete","id":"c","through":"2026-02-30"}', "not a day of the calendar"),
        ("ledger", b'{"type":"complete","id":"c","through":"2026-10-31","schema":2}', "upgrade"),
        ("ledger", b'{"type":"unheard-of","id":"c"}', "unheard-of"),
        (
            "ledger",
            b'{"type":"label","id":"l","chain":"b","address":"a","outflow_class":"v","name":"n","by":"x","reason":"r","at":1}',
            "does not belong",
        ),
        ("months", b'{"type":"complete","id":"c","through":"2026-10-31"}', "does not belong"),
        ("registry", b"{" * 100_000, ""),
    ],
)
def test_a_bad_event_is_kept_with_its_place_and_the_stream_goes_on(topic, value: bytes, said: str):
    delivery = Delivery().tell("ledger", [allocations(range(5))])
    place = f"{topic}/0@{len(delivery.records[topic])}"
    delivery.tell_bytes(topic, "c", value).tell("ledger", [allocations(range(5, 9))])
    with empty_store() as store:
        step = Ingest(delivery, store).catch_up()
        (issue,) = bad_events(store.connection)
        assert (issue.code, issue.ref) == (IssueCode.UNREADABLE_EVENT, place)
        assert said in issue.detail
        assert (step.bad_events, step.positions) == (1, {place: end for place, end in delivery.end().items() if end})
        assert store.connection.execute("SELECT count(*) FROM raw_allocation").fetchall() == [(9,)]


def _changed(event, **columns) -> bytes:
    document = json.loads(encode(event).value)
    document["rows"].update(columns)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "columns",
    [
        {"amount": ["1", "-5"]},
        {"amount": ["1", "1.5"]},
        {"amount": ["1", "1" * 39]},
        {"amount": ["1", "5\n"]},
        {"amount": [1, 2]},
        {"amount": ["1"]},
        {"version": [0, 1]},
        {"version": [1, 2**31]},
        {"allocated_at": [1, 2**63]},
        {"allocation_id": ["a", None]},
        {"commission_amount": ["x", None]},
        {"more": []},
    ],
)
def test_one_wrong_row_refuses_its_event_and_no_other(columns: dict):
    bad = _changed(allocations([1, 2]), **columns)
    delivery = (
        Delivery()
        .tell("ledger", [allocations(range(10, 20))])
        .tell_bytes("ledger", "bad", bad)
        .tell("ledger", [allocations(range(20, 30))])
    )
    with empty_store() as store:
        Ingest(delivery, store).catch_up()
        assert [issue.ref for issue in bad_events(store.connection)] == ["ledger/0@1"]
        assert store.connection.execute("SELECT count(*), min(allocation_id) FROM raw_allocation").fetchall() == [(20, "A0000010")]


@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_row_that_contradicts_an_earlier_one_is_bad_and_the_good_events_around_it_stay(count: int):
    delivery = Delivery(count=count).tell(
        "ledger",
        [
            allocations(range(10)),
            allocations(range(5, 15)),  # overlaps, equal: a re-import
            allocations(range(12, 18), amount=7, name="other"),  # contradicts
            allocations(range(15, 20)),
            payments([1, 2]),
            payments([2, 2, 3]),  # equal rows within one event
        ],
    )
    with empty_store() as store:
        step = Ingest(delivery, store).catch_up()
        assert [issue.ref for issue in bad_events(store.connection)] == ["ledger/0@2"]
        assert "A0000012" in bad_events(store.connection)[0].detail
        assert store.connection.execute("SELECT count(*), count(DISTINCT allocation_id) FROM raw_allocation").fetchall() == [(20, 20)]
        assert store.connection.execute("SELECT payment_id FROM raw_payment ORDER BY ALL").fetchall() == [("P1",), ("P2",), ("P3",)]
        assert step.rows == 23


def test_an_id_again_with_other_content_is_bad_and_with_the_same_is_skipped():
    delivery = Delivery()
    for ids in ([1], [2], [1]):
        delivery.tell("ledger", [allocations(ids, name="same id")])
    with empty_store() as store:
        Ingest(delivery, store).catch_up()
        (issue,) = bad_events(store.connection)
        assert (issue.ref, "different content" in issue.detail) == ("ledger/0@1", True)
        assert store.connection.execute("SELECT allocation_id FROM raw_allocation").fetchall() == [("A0000001",)]


def test_registry_parts_that_contradict_are_bad():
    first, second = registry(1, parts=2)
    other = registry(2)[0]
    delivery = Delivery().tell("registry", [first, second])
    for id_, change in (("a", {"digest": other.digest}), ("b", {"miners": []}), ("c", {"version": 2, "part": 2})):
        document = json.loads(encode(first).value) | {"id": id_} | change
        delivery.tell_bytes("registry", id_, json.dumps(document).encode())
    with empty_store() as store:
        Ingest(delivery, store).catch_up()
        assert [issue.ref for issue in bad_events(store.connection)] == ["registry/0@2", "registry/0@3", "registry/0@4"]
        assert store.connection.execute("SELECT version FROM core_registry").fetchall() == [(1,)]
        assert store.connection.execute("SELECT count(*) FROM core_miner").fetchall() == [(2,)]


# --- chains


def test_a_block_that_returns_after_a_reorganisation_has_its_rows_once():
    chain = ChainTeller()
    chain.connect()
    kept = chain.connect(transactions=3)
    once = tables_after(chain)
    chain.disconnect()
    chain.connect("fork", transactions=2)
    chain.disconnect()
    chain.connect(hash_=kept, transactions=3)
    for count in (1, 2, 3, 100):
        returned = tables_after(chain, count=count)
        for name in ("raw_input", "raw_output", "raw_transaction"):
            assert [row for row in returned[name] if row[1] == kept] == once[name]
        assert [row for row in returned["raw_block"] if row[-1]] == once["raw_block"]


def tables_after(chain: ChainTeller, count: int = 100) -> dict:
    with empty_store() as store:
        Ingest(Delivery(count=count).tell("chain", chain.events), store).catch_up()
        return tables(store.connection)


def test_a_block_told_anew_has_the_rows_of_the_last_telling():
    """A watch list that grew is a reason to read blocks again; what they hold for the pool is then more."""
    chain = ChainTeller()
    block = chain.connect(transactions=1)
    chain.disconnect()
    chain.watch("main wallet", "another")
    chain.connect(hash_=block, transactions=4)
    assert {len(tables_after(chain, count=count)["raw_transaction"]) for count in (1, 100)} == {4}
    chain.disconnect()
    chain.connect(hash_=block)
    assert {len(tables_after(chain, count=count)["raw_transaction"]) for count in (1, 100)} == {0}


def test_the_chain_may_be_walked_back_below_the_first_block_read():
    chain = ChainTeller(first_height=700)
    chain.connect()
    chain.disconnect()
    chain.connect("other", transactions=1)
    assert [row[2] for row in tables_after(chain)["raw_block"] if row[-1]] == [700]


def _altered(chain: ChainTeller, place: int, **fields) -> list:
    events = list(chain.events)
    document = json.loads(encode(events[place]).value) | fields
    events[place] = decode(json.dumps(document).encode())
    return events


@pytest.mark.parametrize("count", [1, 2, 100])
@pytest.mark.parametrize(
    ("place", "fields", "said"),
    [
        (3, {"seq": 4}, "events are missing before it"),
        (3, {"seq": 2}, "contradicts"),
        (3, {"prev": "00" * 32}, "ends with"),
        (3, {"height": 9}, "has height 9"),
        (4, {"hash": "00" * 32}, "leaves, but the main chain"),
        (4, {"prev": "00" * 32}, "had joined on"),
        (5, {"mediantime": 5}, "another header"),
    ],
)
def test_a_chain_that_does_not_follow_stops_after_committing_what_came_before(count: int, place: int, fields: dict, said: str):
    chain = ChainTeller()
    chain.connect()
    chain.connect(transactions=1)
    kept = chain.connect(transactions=1)
    chain.disconnect()
    chain.connect(hash_=kept, transactions=1)
    chain.connect(transactions=1)
    delivery = Delivery(count=count).tell("chain", _altered(chain, place, **fields))
    with empty_store() as store:
        for _ in range(2):  # it stops there again, whatever the batches
            with pytest.raises(StoreError, match=rf"chain/0@{place}: .*{said}"):
                Ingest(delivery, store).catch_up()
            assert store.positions() == {"chain/0": place}
            assert chain_state(store.connection)[CHAIN].seq == place - 1


def test_an_unreadable_chain_event_is_kept_and_the_next_one_names_it():
    chain = ChainTeller()
    for _ in range(3):
        chain.connect()
    delivery = Delivery().tell("chain", chain.events[:2])
    delivery.tell_bytes("chain", chain.events[2].id, b'{"type":"connect"').tell("chain", chain.events[3:])
    with empty_store() as store:
        with pytest.raises(StoreError, match=r"chain/0@3: event 3 .* number 2 must follow.*could not be read \(chain/0@2"):
            Ingest(delivery, store).catch_up()
        assert bad_events(store.connection)[0].ref == "chain/0@2"
        assert isinstance(bad_events(store.connection)[0], Issue)


def test_a_chain_event_that_says_otherwise_than_before_stops():
    chain, other = ChainTeller(), ChainTeller()
    chain.connect()
    other.connect("other")
    delivery = Delivery().tell("chain", [*chain.events, chain.events[1], other.events[1]])
    with empty_store() as store, pytest.raises(StoreError, match=r"chain/0@3: .*different content"):
        Ingest(delivery, store).catch_up()


def test_chains_are_followed_apart():
    one, other = ChainTeller("bitcoin"), ChainTeller("litecoin", first_height=5)
    one.stretch(3)
    other.stretch(3)
    one.disconnect()
    other.connect(transactions=1)
    delivery = Delivery()
    for mine, theirs in zip(one.events, other.events, strict=True):
        delivery.tell("chain", [mine]).tell("chain", [theirs], key="pool/litecoin")
    with empty_store() as store:
        Ingest(delivery, store).catch_up()
        state = chain_state(store.connection)
        assert (state["bitcoin"].height, state["litecoin"].height) == (1, 8)


# --- up to positions


def test_ingest_stops_before_the_positions_asked_for(tmp_path: Path):
    with _log_of_everything(tmp_path / "log.sqlite") as log, empty_store() as store:
        until = {"chain/0": 4, "ledger/0": 2}
        step = Ingest(log, store, until=until, limit_bytes=3000).catch_up()
        assert step.positions == store.positions() == until
        assert store.connection.execute("SELECT count(*) FROM raw_registry").fetchall() == [(0,)]
        whole = Ingest(log, store).catch_up()
        assert whole.positions == log.end()
        assert tables(store.connection) == _tables_of(log)


def test_a_log_that_ends_before_the_positions_asked_for_is_refused(tmp_path: Path):
    with (
        _log_of_everything(tmp_path / "log.sqlite") as log,
        empty_store() as store,
        pytest.raises(LogError, match=r"ledger/0@9, before ledger/0@99"),
    ):
        Ingest(log, store, until={"ledger/0": 99}).catch_up()


def test_a_store_that_has_read_more_than_the_log_holds_is_told(tmp_path: Path):
    with _log_of_everything(tmp_path / "log.sqlite") as log, empty_store() as store:
        Ingest(log, store).catch_up()
        with SqliteLog(tmp_path / "other.sqlite") as other, pytest.raises(LogError, match="was already read"):
            Ingest(other, store).step()


def _ledger(path: Path, *parts: range) -> SqliteLog:
    log = SqliteLog(path)
    with log.writer("ledger", POOL) as writer:
        for part in parts:
            writer.append([encode(allocations(part))])
    return log


@pytest.mark.parametrize("is_open", [False, True])
def test_a_log_that_was_restored_older_and_has_grown_past_the_store_is_told_and_not_read_on(tmp_path: Path, is_open: bool):
    """Reading on from the same offset, the store would keep the rows that the log lost, and never see those that came in their place."""
    ended, other = range(3), range(100, 103)
    with _ledger(tmp_path / "log.sqlite", ended, range(3, 6), range(6, 9)) as log, Store.open(tmp_path / "store.duckdb") as store:
        ingest = Ingest(log, store)
        ingest.catch_up()
        before = tables(store.connection)
        with _ledger(tmp_path / "other.sqlite", ended, other) as restored:
            if is_open:  # a process that runs on meets the shorter log first
                ingest._log = restored
                with pytest.raises(LogError, match=r"was already read|which the store has read there"):
                    ingest.step()
            with restored.writer("ledger", POOL) as writer:
                writer.append([encode(allocations(range(200, 203)))])
                writer.append([encode(allocations(range(300, 303)))])
            assert restored.end()["ledger/0"] > log.end()["ledger/0"]
            with pytest.raises(LogError, match=r"log of topic ledger has not event .* at offset 2, which the store has read there"):
                (ingest if is_open else Ingest(restored, store)).step()
            assert tables(store.connection) == before
        Ingest(log, store).catch_up()
