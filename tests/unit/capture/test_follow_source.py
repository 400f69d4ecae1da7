"""Following a source on a log in memory: what is appended, in which order, and what a second reading of the log makes of it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.standins.log_memory import MemoryLog
from pipeline.capture.follow_source import SourceFollower
from pipeline.capture.held import Held
from pipeline.capture.kinds.table import TableReading
from pipeline.capture.source import Content, Known, Look, TableLook
from pipeline.capture.source_state import SourcePlan
from pipeline.log.events import AnyEvent, decode, encode
from pipeline.log.events.ledger import Allocations, Complete, Payments
from pipeline.log.events.sources import SourceComplete, SourceDecided, SourceItems, SourcePolled, SourceRows
from pipeline.model.errors import FencedError, LogError, SourceError

HOUR = 3_600_000_000
BEGIN = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp()) * 1_000_000
AFTER = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 1_000_000
TXID = "ab" * 32


class Books:
    """A source in memory: its tables, and whether it can be reached."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Content]] = {"allocations": {}, "payments": {}}
        self.is_down = False
        self.is_last = True
        self.before_look = lambda: None

    def look(self, known: Known, now_us: int) -> Look:
        self.before_look()
        if self.is_down:
            raise SourceError("out of reach", is_retryable=True)
        return Look(now_us, {name: TableLook(dict(rows)) for name, rows in self.tables.items()}, is_last=self.is_last)

    def close(self) -> None: ...

    def __enter__(self) -> Books:
        return self

    def __exit__(self, *_: object) -> None: ...


class Bench:
    """A source, its follower, a log and a clock."""

    def __init__(
        self, *, retention_s: int | None = None, others: tuple[str, ...] = (), log: MemoryLog | None = None, name: str = "books"
    ) -> None:
        self.log, self.books, self.now = log or MemoryLog(), Books(), BEGIN
        reading = TableReading(f"{name}:", {"BTC": 8})
        self.plan = SourcePlan(name, "sql", {"since": "2026-10-01"}, reading, retention_s, BEGIN, 3600, True, others)
        self.restart()

    def restart(self) -> None:
        """As after a kill: nothing is left but the log."""
        self.follower = SourceFollower(self.log, "pool", self.books, self.plan, lambda: self.now)

    def allocate(self, row_id: str, amount: str = "1", **changes: str | None) -> None:
        row: dict[str, str | None] = {"account": "a", "asset": "BTC", "allocated_at": "2026-10-05T10:00:00+00:00", "amount": amount}
        self.books.tables["allocations"][row_id] = row | changes

    def step(self, minutes: int = 1) -> int:
        self.now += minutes * 60_000_000
        return self.follower.step().events

    def decide(self, item: str, outcome: str, txid: str | None = None) -> None:
        event = SourceDecided(
            id=f"d{item}", source="books", item=item, outcome=outcome, txid=txid, by="A. Person", reason="looked up", at=self.now // 1_000_000,  # type: ignore[arg-type]
        )  # fmt: skip
        with self.log.writer("months", "pool") as writer:
            writer.append([encode(event)])

    def events(self, *kinds: type) -> list[AnyEvent]:
        found = [decode(record.value) for record in self.log.read({}, topics=["ledger"])]
        return [event for event in found if isinstance(event, kinds)]

    @property
    def held(self) -> Held:
        found = Held("books", "")
        for event in self.events(Allocations, Payments, SourceItems):
            found.apply(event)
        return found


def test_rows_become_allocations_and_nothing_is_said_twice() -> None:
    bench = Bench()
    bench.allocate("x", "1.5")
    assert bench.step() > 0
    assert bench.step() == 0
    bench.restart()
    assert bench.step() == 0
    assert [row.row.amount for row in bench.held.rows.values()] == [150_000_000]
    assert len(bench.events(SourceRows)) == 1


def test_a_restatement_is_a_version_with_its_cause() -> None:
    bench = Bench()
    bench.allocate("x")
    bench.step()
    bench.allocate("x", state="void", cause="reversed by hand")
    bench.step()
    (event,) = (event for event in bench.events(Allocations) if event.rows.version == [2])  # type: ignore[union-attr]
    assert (event.rows.amount, event.cause, event.source) == (["0"], "reversed by hand", "source:books")  # type: ignore[union-attr]


def test_a_source_read_in_several_looks_is_complete_only_after_the_last() -> None:
    bench = Bench()
    bench.now = BEGIN + 40 * 86_400_000_000
    bench.books.is_last = False
    bench.allocate("x")
    bench.step()
    bench.restart()
    bench.allocate("y")
    bench.step()
    assert not bench.events(Complete)
    bench.books.is_last = True
    bench.allocate("z")
    bench.step()
    assert [event.through for event in bench.events(Complete)] == ["2026-10-31"]  # type: ignore[union-attr]
    kinds = [type(event) for event in bench.events(Allocations, Complete)]
    assert kinds[-1] is Complete and len(kinds) == 4


def test_a_payment_taken_back_is_restated_to_nothing_and_comes_again() -> None:
    """It stayed as it was, and nothing on a chain contradicts an off-chain payer's."""
    bench = Bench()
    paid: dict[str, str | None] = {
        "account": "a", "asset": "BTC", "address": "addr", "amount": "0.1", "paid_at": "2026-10-06", "txid": TXID,
    }  # fmt: skip
    bench.books.tables["payments"]["p"] = paid
    bench.step()
    assert [(row.version, row.row.amount) for row in bench.held.rows.values()] == [(1, 10_000_000)]
    for change, version, amount in (({"state": "void"}, 2, 0), ({}, 3, 10_000_000), ({"txid": None}, 4, 0)):
        bench.books.tables["payments"]["p"] = paid | change
        bench.step()
        assert [(row.version, row.row.amount) for row in bench.held.rows.values()] == [(version, amount)]
    assert list(bench.held.open_items()) == ["payment:p"]
    assert {event.cause for event in bench.events(Payments) if event.rows.amount == ["0"]} == {  # type: ignore[union-attr]
        "the source's rows no longer give this payment"
    }
    bench.decide("payment:p", "not-paid")
    bench.step()
    bench.restart()
    assert bench.step() == 0 and not bench.held.open_items()
    assert [row.row.amount for row in bench.held.rows.values()] == [0]


@pytest.mark.parametrize("change", [{"account": "b"}, {"allocated_at": "2026-11-05T10:00:00+00:00"}])
def test_a_row_that_moves_waits_until_a_person_accepts_it(change: dict[str, str]) -> None:
    bench = Bench()
    bench.allocate("x")
    bench.step()
    bench.allocate("x", **change)
    bench.step()
    (item,) = bench.held.open_items().values()
    assert item.code.value == "source-restatement" and item.day.isoformat() == "2026-10-05"
    assert [row.version for row in bench.held.rows.values()] == [1]
    bench.restart()
    bench.step()
    assert list(bench.held.open_items()) == [item.item], "it still waits after a restart"
    bench.decide(item.item, "accept")
    bench.step()
    assert not bench.held.open_items()
    assert [row.version for row in bench.held.rows.values()] == [2]


def test_a_refused_restatement_asks_again_only_when_the_row_changes_again() -> None:
    bench = Bench()
    bench.allocate("x")
    bench.step()
    bench.allocate("x", account="b")
    bench.step()
    bench.decide(next(iter(bench.held.open_items())), "refuse")
    bench.step()
    bench.restart()
    bench.step()
    assert not bench.held.open_items() and [row.row.account for row in bench.held.rows.values()] == ["a"]
    bench.allocate("x", account="c")
    bench.step()
    assert len(bench.held.open_items()) == 1


def test_what_a_person_imported_by_hand_is_not_overwritten() -> None:
    bench = Bench()
    bench.allocate("x")
    bench.step()
    event = bench.events(Allocations)[0]
    rows = event.rows  # type: ignore[union-attr]
    corrected = type(rows)(**{name: getattr(rows, name) for name in rows.__struct_fields__} | {"version": [2], "amount": ["70"]})
    with bench.log.writer("ledger", "pool") as writer:
        writer.append([encode(Allocations(id="by-hand", source="corrections.csv", rows=corrected))])
    bench.step()
    bench.restart()
    bench.step()
    assert [row.row.amount for row in bench.held.rows.values()] == [70]
    assert not bench.held.open_items(), "nothing changed at the source, so nothing is asked"
    bench.allocate("x", "2")
    bench.step()
    (item,) = bench.held.open_items().values()
    assert "an import by hand says 70" in item.detail


def test_another_import_between_look_and_append_is_followed_by_a_new_try() -> None:
    bench = Bench()
    bench.allocate("x")
    bench.books.before_look = lambda: bench.log.writer("ledger", "pool").close()  # another writer opens, and fences ours
    with pytest.raises(FencedError):
        bench.step()
    bench.books.before_look = lambda: None
    bench.step()
    assert len(bench.held.rows) == 1 and len(bench.events(SourceRows)) == 1


def test_looks_that_find_nothing_are_one_event_and_closing_writes_the_last() -> None:
    bench = Bench()
    bench.step()
    for _ in range(8):
        assert bench.step() == 0
    for _ in range(3):
        bench.step()
    runs = bench.events(SourcePolled)
    assert [event.polls for event in runs] == [1, 11]  # type: ignore[union-attr]
    bench.step()
    bench.follower.close()
    assert bench.events(SourcePolled)[-1].at == bench.now  # type: ignore[union-attr]


def test_looks_that_found_nothing_are_not_lost_when_their_append_is_fenced() -> None:
    bench = Bench(retention_s=3600)
    bench.step()
    first = bench.now
    for _ in range(5):
        bench.step()
    bench.allocate("x")
    fence(bench.log, "source-polled")
    for _ in range(2):  # before the rows, and after them
        with pytest.raises(FencedError):
            bench.step()
    for _ in range(5):
        bench.step()
    runs = bench.events(SourcePolled)
    assert runs[1].first_at == first + 60_000_000 and runs[1].at == first + 8 * 60_000_000  # type: ignore[union-attr]
    bench.step()
    fence(bench.log, "source-polled")
    bench.follower.close()
    assert bench.events(SourcePolled)[-1].at == bench.now  # type: ignore[union-attr]


def fence(log: MemoryLog, kind: str) -> None:
    """Have another writer come between just before the next append of an event of this kind, once."""
    open_writer = log.writer

    def writer(topic, key):  # type: ignore[no-untyped-def]
        found = open_writer(topic, key)
        append = found.append

        def fenced(events):  # type: ignore[no-untyped-def]
            if log.writer is writer and any(f'"{kind}"'.encode() in event.value for event in events):
                log.writer = open_writer  # type: ignore[method-assign]
                open_writer(topic, key).close()
            return append(events)

        found.append = fenced
        return found

    log.writer = writer  # type: ignore[method-assign]
    open_writer("ledger", "pool").close()  # the follower opens its writer anew, and gets one of these


def test_a_source_out_of_reach_for_longer_than_it_keeps_rows_is_a_hole() -> None:
    bench = Bench(retention_s=12 * 3600)
    bench.step()
    bench.books.is_down = True
    for _ in range(13):
        with pytest.raises(SourceError):
            bench.step(60)
    bench.books.is_down = False
    bench.step()
    (item,) = bench.held.open_items().values()
    assert item.code.value == "source-hole"
    assert "from 2026-10-01 00:01:00 UTC to 2026-10-01 13:02:00 UTC" in item.detail
    bench.decide(item.item, "accept")
    bench.step()
    assert not bench.held.open_items()


def test_a_hole_over_the_end_of_a_month_blocks_both() -> None:
    bench = Bench(retention_s=3600)
    bench.step()
    bench.now = AFTER + 48 * HOUR
    bench.step()
    assert [item.day.isoformat()[:7] for item in bench.held.open_items().values()] == ["2026-10", "2026-11"]


def test_a_month_is_complete_once_it_was_read_past_its_end_and_nothing_waits() -> None:
    bench = Bench()
    bench.allocate("x", state="pending")
    bench.now = AFTER - 6 * HOUR  # 23:00 in Almaty on 31 October
    bench.step()
    assert not bench.events(Complete)
    bench.now = AFTER
    bench.step()
    assert not bench.events(Complete), "an allocation waits"
    bench.allocate("x")
    bench.step()
    (event,) = bench.events(Complete)
    assert (event.through, event.reason) == ("2026-10-31", "every source is: books")  # type: ignore[union-attr]
    bench.restart()
    bench.step()
    assert len(bench.events(Complete)) == 1


class FencingLog(MemoryLog):
    """A log in which another writer comes between just as a source declares itself complete, once."""

    is_quiet = False

    def writer(self, topic, key):  # type: ignore[no-untyped-def]
        writer = super().writer(topic, key)
        append = writer.append

        def fenced(events):  # type: ignore[no-untyped-def]
            if not self.is_quiet and any(b"source-complete" in event.value for event in events):
                self.is_quiet = True
                super(FencingLog, self).writer(topic, key).close()
            return append(events)

        writer.append = fenced  # type: ignore[method-assign]
        return writer


def test_a_declaration_that_was_fenced_is_made_again() -> None:
    bench = Bench(log=FencingLog())
    bench.now = AFTER
    with pytest.raises(FencedError):
        bench.step()
    bench.step()
    assert [event.through for event in bench.events(SourceComplete)] == ["2026-10-31"]  # type: ignore[union-attr]
    assert [event.through for event in bench.events(Complete)] == ["2026-10-31"]  # type: ignore[union-attr]


def test_the_ledger_is_complete_when_all_its_sources_are() -> None:
    one = Bench(others=("more",))
    two = Bench(others=("books",), log=one.log, name="more")
    one.now = two.now = AFTER
    one.step()
    assert one.events(SourceComplete) and not one.events(Complete)
    two.step()
    assert [event.through for event in one.events(Complete)] == ["2026-10-31"]  # type: ignore[union-attr]


def test_a_setting_that_changes_is_recorded_and_read_anew() -> None:
    bench = Bench()
    bench.allocate("x", commission_amount=None)
    bench.step()
    bench.plan = SourcePlan(
        "books", "sql", {"since": "2026-10-01", "payer": "p"}, TableReading("books:", {"BTC": 6}), None, BEGIN, 3600, True
    )
    bench.restart()
    bench.step()
    assert [row.row.amount for row in bench.held.rows.values()] == [1_000_000]


class FailingLog(MemoryLog):
    """A log of which an append may fail after it was written, or before."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def writer(self, topic, key):  # type: ignore[no-untyped-def]
        writer, chance = super().writer(topic, key), self._chance
        append = writer.append

        def failing(events):  # type: ignore[no-untyped-def]
            fate = chance.random()
            if fate < 0.15:
                raise LogError("the disk failed before")
            done = append(events)
            if fate < 0.3:
                raise LogError("the disk failed after")
            return done

        writer.append = failing  # type: ignore[method-assign]
        return writer


@settings(max_examples=40, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_kills_and_failed_appends_lose_and_double_nothing(seed: int) -> None:
    """Whatever fails, the ledger is the projection of the rows: the same as that of one undisturbed reading of the end."""
    chance = random.Random(seed)
    bench = Bench(log=FailingLog(chance))
    for number in range(30):
        row = str(chance.randrange(8))
        match chance.randrange(5):
            case 0 | 1 | 2:
                bench.allocate(row, f"{chance.randrange(10**9)}e-10", state=chance.choice(["final", "final", "pending", "void"]))
            case 3:
                bench.books.tables["payments"][row] = {
                    "account": "a", "asset": "BTC", "address": "addr", "amount": "0.1", "paid_at": "2026-10-06", "txid": chance.choice([None, TXID]),
                }  # fmt: skip
            case 4:
                bench.restart()
        try:
            bench.step(number)
        except LogError:
            continue
    bench.log._chance = random.Random()  # type: ignore[attr-defined]
    bench.log._chance.random = lambda: 1.0  # type: ignore[attr-defined]
    bench.restart()
    bench.step()
    final: Mapping[str, Content] = bench.books.tables["allocations"]
    held = bench.held
    for row_id, row in final.items():
        found = held.rows.get(f"books:{row_id}")
        if row["state"] == "final":
            assert found is not None and abs(found.row.amount - float(row["amount"] or 0) * 10**8) <= 1
        elif row["state"] == "void":
            assert found is not None and found.row.amount == 0
        else:
            assert found is None or found.row.amount == 0
            assert f"immature:{row_id}" in held.open_items()
    before = len(bench.log.read({}, topics=["ledger"]))
    bench.restart()
    bench.step()
    assert len(bench.log.read({}, topics=["ledger"])) == before, "the log read again gives nothing more to say"
