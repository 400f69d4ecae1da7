"""Ledger files into the log: new rows, restatements, batches, openings; whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from connectors.files import ReadOptions, declare_complete, import_ledger
from connectors.files.ledger import BATCH_ROWS
from connectors.log_sqlite.log import SqliteLog
from connectors.standins.log_memory import MemoryLog
from pipeline.log.events import decode, encode
from pipeline.log.events.ledger import Allocations, Openings, Payments
from pipeline.log.events.months import Frozen
from pipeline.log.protocol import EventLog, NewEvent
from pipeline.model.errors import FencedError, InputRefused, LogError
from pipeline.model.rules import Asset
from pipeline.validate.ledger import LedgerKind
from pipeline.validate.review import Consent

EXAMPLE = Path(__file__).parents[2] / "docs" / "example" / "2026-10"
ASSETS = {"BTC": Asset("BTC", "bitcoin", 8)}
CONSENT = Consent(to_oddities=True, to_moves=True)
NETWORKS = {"bitcoin": "regtest"}
READING = ReadOptions(ASSETS, NETWORKS)
Given = Callable[..., Path]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    def write(kind: LedgerKind, *rows: str, name: str = "") -> Path:
        head = {
            "allocations": "allocation_id,account,asset,allocated_at,amount",
            "openings": "account,asset,amount,owed_at",
        }[kind]
        path = tmp_path / (name or f"{kind}.csv")
        path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
        return path

    return write


def take(log: EventLog, path: Path, kind: LedgerKind = "allocations", pool: str = "pool") -> tuple[int, int, int]:
    found = import_ledger(log, pool, path, kind, READING, consent=CONSENT)
    return found.new, found.restated, found.unchanged


def events(log: EventLog, pool: str = "pool") -> list[object]:
    return [decode(record.value) for record in log.read({}, topics=["ledger"], limit_bytes=1 << 30) if record.key == pool]


def test_the_example_enters_the_log_as_it_is(tmp_path: Path) -> None:
    with SqliteLog(tmp_path / "log.db") as log:
        assert take(log, EXAMPLE / "allocations.csv") == (1702, 0, 0)
        assert take(log, EXAMPLE / "payments.csv", "payments") == (1304, 0, 0)
        allocations, payments = events(log)
        assert isinstance(allocations, Allocations) and isinstance(payments, Payments)
        assert allocations.source == "allocations.csv" and set(allocations.rows.version) == {1}
        place = allocations.rows.allocation_id.index("A000006")
        assert allocations.rows.amount[place] == "1022352" and allocations.rows.commission_currency_amount[place] == "9993.86"
        assert allocations.rows.commission_asset[place] is None and allocations.rows.allocated_at[place] == 1790537400000000
        assert payments.rows.txid[0] == "319e6aeec4b25c317f902ebd7e6af85d06df5296d79085821574b49066fc6e30"
        assert take(log, EXAMPLE / "allocations.csv") == (0, 0, 1702) and take(log, EXAMPLE / "payments.csv", "payments") == (0, 0, 1304)
        assert len(events(log)) == 2


def test_a_row_changed_and_changed_back_has_three_versions(given: Given) -> None:
    log = MemoryLog()
    first, second = "A1,a,BTC,2026-10-01T00:00:00+05:00,1", "A1,a,BTC,2026-10-01T00:00:00+05:00,2"
    other = "A2,a,BTC,2026-10-01T00:00:00+05:00,1"
    assert take(log, given("allocations", first, other)) == (2, 0, 0)
    assert take(log, given("allocations", other, second)) == (0, 1, 1)
    assert take(log, given("allocations", first)) == (0, 1, 0)
    assert take(log, given("allocations", first)) == (0, 0, 1)
    held = [event.rows for event in events(log) if isinstance(event, Allocations)]
    assert [(rows.allocation_id, rows.version, rows.amount) for rows in held] == [
        (["A1", "A2"], [1, 1], ["100000000", "100000000"]),
        (["A1"], [2], ["200000000"]),
        (["A1"], [3], ["100000000"]),
    ]
    assert len({record.id for record in log.read({}, topics=["ledger"])}) == 3


def test_pools_do_not_see_each_other(given: Given) -> None:
    log = MemoryLog()
    path = given("allocations", "A1,a,BTC,2026-10-01T00:00:00+05:00,1")
    assert take(log, path) == (1, 0, 0) and take(log, path, pool="other") == (1, 0, 0) and take(log, path) == (0, 0, 1)


def test_rows_travel_in_batches_and_in_one_append(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"A{number:05},a,BTC,2026-10-01T00:00:00+05:00,1" for number in range(BATCH_ROWS + 1)]
    appends: list[int] = []
    log = MemoryLog()
    real = log.append

    def counted(topic: str, key: str, epoch: int, new: list[NewEvent]) -> int:
        appends.append(len(new))
        return real(topic, key, epoch, new)  # type: ignore[arg-type]

    monkeypatch.setattr(log, "append", counted)
    take(log, given("allocations", *rows))
    assert appends == [2]
    assert [len(event.rows.version) for event in events(log) if isinstance(event, Allocations)] == [BATCH_ROWS, 1]
    shuffled = MemoryLog()
    take(shuffled, given("allocations", *rows[::-1]))
    assert shuffled.read({}) == log.read({}), "the order of a file's rows leaves no trace"


def test_a_refused_file_leaves_the_log_as_it_was(given: Given) -> None:
    log = MemoryLog()
    rows = [f"A{number:05},a,BTC,2026-10-01T00:00:00+05:00,1" for number in range(BATCH_ROWS * 2)]
    with pytest.raises(InputRefused) as refused:
        take(log, given("allocations", *rows, "A1,a,BTC,2026-10-01,x"))
    assert [fault.split(": ")[:2] for fault in refused.value.faults] == [
        ["allocations.csv:4002", "allocated_at"],
        ["allocations.csv:4002", "amount"],
    ]
    assert log.end() == MemoryLog().end()


def test_an_import_that_another_one_overtakes_is_fenced(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryLog()
    path = given("allocations", "A1,a,BTC,2026-10-01T00:00:00+05:00,1")
    real = log.writer
    overtaken = False

    def writer(topic: str, key: str) -> object:
        """The first import's writer, whose append comes after the whole of a second import."""
        nonlocal overtaken
        held = real(topic, key)  # type: ignore[arg-type]
        if not overtaken:
            overtaken = True
            append = held.append

            def late(new: list[NewEvent]) -> int:
                assert take(log, path) == (1, 0, 0)
                return append(new)

            monkeypatch.setattr(held, "append", late)
        return held

    monkeypatch.setattr(log, "writer", writer)
    with pytest.raises(FencedError):
        take(log, path)
    assert len(events(log)) == 1


def test_openings_go_with_allocations_that_follow_them(given: Given) -> None:
    log = MemoryLog()
    assert take(log, given("openings", "a,BTC,1,2026-10-01T00:00:00+05:00", "b,BTC,0,2026-10-01T00:00:00+05:00"), "openings") == (2, 0, 0)
    with pytest.raises(InputRefused, match=r"allocations\.csv:2: allocated_at: is before the opening, 2026-09-30T19:00:00"):
        take(log, given("allocations", "A1,a,BTC,2026-09-30T23:59:59+05:00,1", "A2,a,BTC,2026-10-01T00:00:00+05:00,1"))
    assert take(log, given("allocations", "A2,a,BTC,2026-10-01T00:00:00+05:00,1")) == (1, 0, 0)
    with pytest.raises(InputRefused, match=r"1 openings in the log stand at 2026-09-30T19:00:00.*that of 'b' in BTC"):
        take(log, given("openings", "a,BTC,1,2026-09-01T00:00:00+05:00"), "openings")
    both = given("openings", "a,BTC,1,2026-09-01T00:00:00+05:00", "b,BTC,0,2026-09-01T00:00:00+05:00")
    assert take(log, both, "openings") == (0, 2, 0)
    assert take(log, given("allocations", "A1,a,BTC,2026-09-30T23:59:59+05:00,1")) == (1, 0, 0)
    with pytest.raises(InputRefused, match="2 allocations in the log are older than the opening, 'A1' first"):
        take(log, given("openings", "a,BTC,1,2026-11-01T00:00:00+05:00", "b,BTC,0,2026-11-01T00:00:00+05:00"), "openings")
    assert [event.rows.version for event in events(log) if isinstance(event, Openings)] == [[1, 1], [2, 2]]


def test_an_opening_lies_before_the_first_month_reported(given: Given) -> None:
    log = MemoryLog()
    frozen = Frozen(
        id="f",
        month="2026-10",
        version=1,
        digest="0" * 64,
        positions={},
        rules={},
        header={},
        manifest_digest="0" * 64,
        by="x",
        reason="x",
        at=0,
    )
    log.writer("months", "pool").append([encode(frozen)])
    with pytest.raises(InputRefused, match="is not before 2026-10, the first month reported"):
        take(log, given("openings", "a,BTC,1,2026-10-01T00:00:00+05:00"), "openings")
    assert take(log, given("openings", "a,BTC,1,2026-09-30T23:59:59+05:00"), "openings") == (1, 0, 0)


def test_what_the_log_holds_unreadably_is_passed_over_but_not_what_is_newer(given: Given) -> None:
    log = MemoryLog()
    writer = log.writer("ledger", "pool")
    writer.append(
        [NewEvent("bad", b"{"), NewEvent("odd", b'{"type":"allocations","id":"odd","rows":1}'), NewEvent("utf", b'{"type":"\xff"}')]
    )
    path = given("allocations", "A1,a,BTC,2026-10-01T00:00:00+05:00,1")
    assert take(log, path) == (1, 0, 0) and take(log, path) == (0, 0, 1)
    log.writer("ledger", "pool").append([NewEvent("new", b'{"type":"allocations","id":"new","schema":2}')])
    with pytest.raises(LogError, match="upgrade it"):
        take(log, path)


def test_the_ledger_declares_itself_complete_once() -> None:
    log = MemoryLog()
    assert declare_complete(log, "pool", date(2026, 10, 31)) is True
    assert declare_complete(log, "pool", date(2026, 10, 31)) is False
    assert declare_complete(log, "pool", date(2026, 11, 30)) is True
    assert len(events(log)) == 2
