"""Six months close themselves against a hostile filing service over real HTTP, by a simulated clock: each is filed exactly once and in time.

The service answers late, twice, without receipts, with garbage, or not at all; our process crashes between steps, sleeps through its
slots, and once has a clock a day off. A failure prints the seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from connectors.filing.http import HttpFiling, HttpTarget
from connectors.log_sqlite.log import SqliteLog
from connectors.standins.filing_service import FAULTS, Faults, ReceivedSubmissions, SandboxServer
from pipeline.closing.advance import Closing, MonthStatus, submit
from pipeline.closing.calendar import Plan, due_at, months_until
from pipeline.closing.diary import Diary
from pipeline.closing.filing import AnswerMap, BodyMap
from pipeline.closing.submission import State
from pipeline.model.months import ALMATY, Month

from .closing_world import POOL, Bundles, Crash, Key

FIRST, LAST = Month(2027, 10), Month(2028, 3)
"""With new year and a 29 February among them."""
PLAN = Plan(file_day=5, file_hour=9, has_signer=True, retry_s=60, transmission_s=1, first_month=FIRST)
LYING = tuple(kind for kind in FAULTS if kind != "rejected-rows")


@dataclass
class Day:
    """The clock, and what our process does by it."""

    now: int
    skew_s: int = 0


@dataclass
class World:
    clock: Day
    log: SqliteLog
    desk: ReceivedSubmissions
    server: SandboxServer
    bundles: Bundles
    filed_at: dict[str, int] = field(default_factory=dict)
    running: Closing | None = None

    def process(self, *, crash_after: int | None = None) -> Closing:
        """A fresh process of ours, which may end after some steps."""
        left = [crash_after]

        def step_done(name: str) -> None:
            if left[0] is not None:
                left[0] -= 1
                if left[0] < 0:
                    raise Crash(name)

        target = HttpTarget(f"{self.server.url}/submissions", status_url=f"{self.server.url}/submissions/{{submission_id}}", timeout_s=0.15)
        return Closing(
            Diary(self.log, POOL), POOL, PLAN, self.bundles, HttpFiling(target, BodyMap(), AnswerMap()), Key(), step_done=step_done
        )

    def tick(self, *, crash_after: int | None = None) -> list[MonthStatus]:
        """The running process looks; one that is to crash is a fresh one, and so is the next after it."""
        statuses: list[MonthStatus] = []
        if crash_after is not None or self.running is None:
            self.running = self.process(crash_after=crash_after)
        try:
            statuses = self.running.advance(self.clock.now + self.clock.skew_s)
        except Crash:
            self.running = None
        for entry in self.desk.entries.values():
            if entry.state != "rejected":
                self.filed_at.setdefault(entry.month, self.clock.now)
        return statuses

    def judge(self) -> None:
        """Every month once, in time, with its receipt in the log."""
        diary = Diary(self.log, POOL)
        diary.refresh()
        for month in months_until(FIRST, LAST):
            entries = [e for e in self.desk.entries.values() if e.month == str(month) and e.state != "rejected"]
            assert [e.state for e in entries] == ["accepted"], (str(month), entries)
            assert self.filed_at[str(month)] < due_at(month), f"{month} was filed late"
            life = diary.lives[str(month)]
            assert life.is_filed and life.submission is not None
            assert life.submission.receipt == entries[0].receipt, f"{month}: the receipt is lost"
            kept = [name for m, _, name in self.bundles.files if m == str(month)]
            assert "manifest.json.p7s" in kept and any(name.startswith("submissions/") and "accepted" in name for name in kept)


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator:
    opened: list[World] = []

    def make(faults: Faults) -> World:
        clock = Day(FIRST.end_at - 3600)
        desk = ReceivedSubmissions(tmp_path / "desk.jsonl")
        server = SandboxServer(desk, faults, lambda: clock.now, hang_s=0.4)
        server.start()
        log = SqliteLog(tmp_path / "log.sqlite")
        opened.append(World(clock, log, desk, server, Bundles(log, FIRST)))
        return opened[-1]

    yield make
    for world in opened:
        world.server.close()
        world.log.close()


def live(
    world: World, *, chance: random.Random | None = None, sleeps: range = range(0), skewed: dict[int, int] | None = None, hours: int = 8
) -> None:
    """Six months and 25 days: a look every few hours. `sleeps`: days of each month without our process. `skewed`: seconds by month number."""
    end = due_at(LAST)
    while world.clock.now < end:
        day = datetime.fromtimestamp(world.clock.now, ALMATY)
        world.clock.skew_s = (skewed or {}).get(day.month, 0)
        if day.day not in sleeps:
            statuses = world.tick(crash_after=chance.randrange(8) if chance and chance.random() < 0.5 else None)
            open_now = [s for s in statuses if world.clock.now >= s.month.end_at and not s.life.is_filed]
            ahead = [s.month.end_at for s in statuses if s.month.end_at > world.clock.now]
            if ahead and not open_now and not skewed:
                world.clock.now = max(world.clock.now, min(ahead) - hours * 3600)  # nothing is due before the next month ends
        world.clock.now += hours * 3600
    world.judge()


@pytest.mark.parametrize("seed", range(3))
def test_any_faults_and_crashes(make_world, seed: int) -> None:
    print(f"seed {seed}")
    live(make_world(Faults(seed, share=0.6, kinds=LYING)), chance=random.Random(seed))


@pytest.mark.parametrize("fault", [kind for kind in LYING if kind != "down"])
def test_each_fault_on_every_first_call_of_a_day(make_world, fault: str) -> None:
    """The fault meets every call up to the 20th of each month; then the service is well."""
    sick = lambda now: fault if datetime.fromtimestamp(now, ALMATY).day < 20 else None  # noqa: E731 - one expression, used as a value
    live(make_world(Faults(at=sick)), hours=20)


def test_down_from_the_1st_to_the_24th(make_world) -> None:
    down = lambda now: "down" if datetime.fromtimestamp(now, ALMATY).day < 24 else None  # noqa: E731 - one expression, used as a value
    live(make_world(Faults(at=down)), hours=12)


def test_asleep_through_its_slot(make_world) -> None:
    live(make_world(Faults(7, share=0.3, kinds=LYING)), sleeps=range(3, 20))


def test_a_day_of_clock_skew_either_way(make_world) -> None:
    live(make_world(Faults(8, share=0.3, kinds=LYING)), skewed={11: 86_400, 12: -86_400, 2: 86_400, 3: -86_400})


def test_rejected_rows_wait_for_a_person_and_are_then_filed_once(make_world) -> None:
    """The first submission of a month is rejected; nothing is sent again by itself; a person files a corrected version."""
    rejected: set[str] = set()

    def first_of_a_month(now: int) -> str | None:
        name = f"{datetime.fromtimestamp(now, ALMATY):%Y-%m}"
        return "rejected-rows" if name not in rejected else None

    world = make_world(Faults(at=first_of_a_month))
    while world.clock.now < due_at(LAST):
        world.tick()
        rejected.update(f"{datetime.fromtimestamp(e.at, ALMATY):%Y-%m}" for e in world.desk.entries.values() if e.state == "rejected")
        diary = world.process().diary
        diary.refresh()
        for life in diary.lives.values():
            last = life.submission
            if last is not None and last.state is State.REJECTED:
                sent = sum(e.times_sent for e in world.desk.entries.values() if e.month == str(life.month))
                world.tick()
                assert sum(e.times_sent for e in world.desk.entries.values() if e.month == str(life.month)) == sent
                assert last.verdict is not None and last.verdict.rows[0].n == "1"
                world.bundles.freeze(life.month, now=world.clock.now, by="A. Person", reason="licence corrected", version=life.version + 1)
        world.clock.now += 12 * 3600
    world.judge()
    assert sum(e.state == "rejected" for e in world.desk.entries.values()) == 6


def test_an_accepted_month_is_corrected_by_a_submission_that_names_it(make_world) -> None:
    world = make_world(Faults())
    live(world, hours=24)
    before = next(e for e in world.desk.entries.values() if e.month == str(LAST))
    world.bundles.freeze(LAST, now=world.clock.now, by="A. Person", reason="late row", version=2)
    world.tick()
    after = [e for e in world.desk.entries.values() if e.month == str(LAST)]
    assert [(e.version, e.amends, e.state) for e in after] == [("1", "", "accepted"), ("2", before.submission_id, "accepted")]


def test_a_closing_that_never_asks_would_be_caught(make_world, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge is no rubber stamp: a client that takes a timeout for a failure, and makes a new submission of it, fails here."""
    world = make_world(Faults(at=lambda now: "timeout" if datetime.fromtimestamp(now, ALMATY).day < 6 else None))
    world.clock.now = FIRST.end_at + 4 * 86_400 + 10 * 3600
    world.tick()
    closing = world.process()
    closing.diary.refresh()
    life = closing.diary.lives[str(FIRST)]
    assert life.state() is State.UNKNOWN
    target = HttpTarget(f"{world.server.url}/submissions")
    filing = HttpFiling(target, BodyMap(), AnswerMap())
    world.clock.now += 86_400 * 2
    event = submit(closing.diary, world.bundles, filing, POOL, life, now=world.clock.now, by="a wrong client", reason="again")
    from pipeline.closing.advance import content_of_submission

    told = filing.send(event, content_of_submission(event))
    assert told.outcome == "rejected" and "already" in told.message
