"""A start from a checkpoint: the same events follow as without one, and one that is of another log, program or reading is passed over (law 1)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.standins.log_memory import MemoryLog
from pipeline.capture import follow_source
from pipeline.capture.follow_source import SourceFollower
from pipeline.capture.kinds.table import TableReading
from pipeline.log.protocol import NewEvent

from .test_follow_source import TXID, Bench


class Memory:
    """A checkpoint in memory."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.loads = 0

    def load(self) -> bytes | None:
        self.loads += 1
        return self.content

    def save(self, content: bytes) -> None:
        self.content = content


class Checked(Bench):
    """A bench whose follower keeps checkpoints, or none."""

    def __init__(self, memory: Memory | None, log: MemoryLog | None = None) -> None:
        self.memory = memory
        self.said: set[str] = set()
        super().__init__(log=log, retention_s=86_400)

    def restart(self) -> None:
        self.plan = replace(self.plan, checkpoint=self.memory, program="1.0")
        super().restart()


def act(benches: list[Checked], seed: int) -> None:
    """The same life for all of them: rows that come, change, wait, vanish; decisions; kills."""
    chance = random.Random(seed)
    for number in range(40):
        row, fate, amount = str(chance.randrange(9)), chance.randrange(7), f"{chance.randrange(10**9)}e-10"
        state, sent, minutes = chance.choice(["final", "final", "pending", "void"]), chance.choice([None, TXID]), chance.randrange(1, 2000)
        for bench in benches:
            match fate:
                case 0 | 1:
                    bench.allocate(row, amount, state=state)
                case 2:
                    bench.allocate(row, amount, account=f"a{number % 3}")
                case 3:
                    bench.books.tables["payments"][row] = {
                        "account": "a", "asset": "BTC", "address": "addr", "amount": amount, "paid_at": "2026-10-06", "txid": sent,
                    }  # fmt: skip
                case 4:
                    bench.books.tables["allocations"].pop(row, None)
                case 5:
                    bench.follower._save()
                    bench.restart()
                case 6:
                    waiting = sorted(
                        item
                        for item in bench.follower.open_items()
                        if item.startswith(("payment:", "restatement:")) and item not in bench.said
                    )
                    bench.said |= set(waiting[:1])
                    if waiting:
                        payment = waiting[0].startswith("payment:")
                        bench.decide(
                            waiting[0],
                            ("paid" if number % 2 else "not-paid") if payment else ("accept" if number % 2 else "refuse"),
                            TXID if payment and number % 2 else None,
                        )
            bench.step(minutes)


def log_of(bench: Checked) -> list[NewEvent]:
    return [NewEvent(record.id, record.value, None) for record in bench.log.read({}, topics=["ledger"])]


@settings(max_examples=40, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_with_a_checkpoint_and_without_the_same_events_follow(seed: int) -> None:
    checked, plain = Checked(Memory()), Checked(None)
    act([checked, plain], seed)
    assert log_of(checked) == log_of(plain)
    before = len(log_of(checked))
    checked.restart()
    checked.step()
    checked.memory = None
    checked.restart()
    checked.step()
    assert len([event for event in log_of(checked)[before:] if b"source-polled" not in event.value]) == 0, "nothing more to say, either way"


def test_a_start_reads_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_source, "SAVED_ROWS", 1)
    memory = Memory()
    bench = Checked(memory)
    for row in range(20):
        bench.allocate(str(row))
    bench.step()
    assert memory.content is not None
    bench.allocate("20")
    bench.follower._plan = replace(bench.plan, checkpoint=None)  # it is killed before the next one
    bench.step()
    read: list[int] = []
    whole = bench.log.read

    def counted(positions, **more):  # type: ignore[no-untyped-def]
        records = whole(positions, **more)
        read.extend(record.offset for record in records if record.topic == "ledger" and more.get("until") is None)
        return records

    bench.restart()
    monkeypatch.setattr(bench.log, "read", counted)
    bench.step()
    assert read and min(read) > 2, "the rows of the first look were not read again"
    assert len(bench.held.rows) == 21


@pytest.mark.parametrize("change", ["program", "reading", "settings", "damage", "another log"])
def test_a_checkpoint_of_something_else_is_passed_over(change: str) -> None:
    memory = Memory()
    bench = Checked(memory)
    bench.allocate("x")
    bench.step()
    bench.follower._save()
    bench.restart()
    match change:
        case "program":
            bench.plan = replace(bench.plan, program="1.1")
        case "reading":
            bench.plan = replace(bench.plan, reading=TableReading("books:", {"BTC": 6}))
        case "settings":
            bench.plan = replace(bench.plan, settings={"since": "2026-09-01"})
        case "damage":
            assert memory.content is not None
            memory.content = memory.content[:-1] + b"?"
        case "another log":
            other = Checked(None)
            other.allocate("y", "2")
            other.step()
            bench.log, bench.books = other.log, other.books
    bench.follower = SourceFollower(bench.log, "pool", bench.books, bench.plan, lambda: bench.now)
    bench.step()
    expected = {"reading": 1_000_000, "another log": 200_000_000}.get(change, 100_000_000)
    assert [row.row.amount for row in bench.held.rows.values()] == [expected]
