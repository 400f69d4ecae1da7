"""A pool's life under one seed: the world goes on, our program follows, people decide, months are filed.

Enters: a seed, the months to live through, rates of faults. Leaves: a `Life` at rest: everything said, read, frozen and filed, ready to be
judged. Each tick is an instant at which the program looks; between the 21st and the 25th the world is calm, so that no month is late by
the world's fault, unless its facts came too late. A crash ends the process, and the next tick starts another from what is left.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from connectors.bitcoin import BitcoinChain, BitcoinConnector
from connectors.files import declare_complete
from pipeline.app.payees import Payees
from pipeline.closing.advance import MonthStatus
from pipeline.closing.calendar import due_at, is_held_past_the_24th
from pipeline.closing.steps import Act
from pipeline.follow.connector import ChainConnector
from pipeline.log.events.chain import WatchedWallet
from pipeline.log.protocol import EventLog, NewEvent
from pipeline.model.errors import EsepError, InputRefused
from pipeline.model.months import Month
from pipeline.validate.review import Consent

from ..closing_world import Crash
from .chain import PoolChain, address
from .checkpoints import watched
from .dice import RATES, Dice
from .log import TroubledLog
from .node import TroubledNode
from .office import VENDORS, Office
from .people import decide
from .process import CHAIN, Process, SimApp, write_settings
from .service import Service

CONSENT = Consent(to_oddities=True, to_moves=True)
"""The simulated office knows what it does: oddities are its trade."""
FIRST_MONTHS = (Month(2024, 2), Month(2025, 11), Month(2026, 10), Month(2027, 12))
"""With a change of clocks, a new year, a leap day among them."""
DAY_S = 86_400
LOOK_DAYS = (1.3, 3.1, 6.2, 12.0, 15.6, 18.0, 22.5, 24.4, 28.2)
"""Days of a month at which the program looks."""
BRIEF_DAYS = (2.5, 6.2, 15.6, 22.5, 24.4)
"""And those of a brief life."""
MOST_ROUNDS = 5
"""Rounds of people and looks within a calm tick: label, freeze, approve, file again."""


@dataclass(frozen=True)
class Plan:
    """What decides a life."""

    seed: int
    months: int = 12
    rates: dict[str, float] = field(default_factory=lambda: dict(RATES))
    muted: tuple[tuple[str, int], ...] = ()
    is_brief: bool = False
    chain: str = "bitcoin"
    """The family of the pool's chain: bitcoin or evm."""


class Life:
    """The world and our program in it; of a Bitcoin pool here, of an account chain's in `account_life`."""

    chain_name: ClassVar[str] = CHAIN
    """The chain's name in the settings."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.dice = Dice(plan.seed, plan.rates, frozenset(plan.muted))
        rng = self.dice.stream("life")
        self.first = rng.choice(FIRST_MONTHS)
        self.months = [self.first]
        while len(self.months) < plan.months:
            self.months.append(self.months[-1].next)
        self.now_true = self.first.previous.end_at - 2 * DAY_S
        self.skew_s = 0
        self.folder = folder
        self.chain = self.make_chain(self.now_true - 6 * DAY_S)
        self.office = self.make_office(self.first.previous.end_at)
        self.log = TroubledLog(self.dice)
        self.service = Service(self.dice, lambda: self.now_true)
        is_late_start = rng.random() < 0.1
        self.start_height = 10 if is_late_start else 1
        has_rest = is_late_start or rng.random() < 0.6
        self.strategy = "rest" if has_rest else "own-outputs"
        self.node = self.make_node(has_rest=has_rest)
        approvals, hold = rng.choice((0, 0, 1)), rng.choice((0, 24, 72))
        self.has_signer = rng.random() < 0.7
        self._write_settings = functools.partial(
            self.write_settings, folder, start_height=self.start_height, hold_hours=hold, approvals=approvals,
            freezes_by_itself=rng.random() < 0.75, first_month=str(self.first),
        )  # fmt: skip
        self._joins_at = 0
        """When the treasury is watched, too: Unix seconds, 0 for from the beginning."""
        if self.dice.happens("wallet-joins-late"):
            self._joins_at = self.first.previous.end_at + self.dice.stream("wallets").randint(1, plan.months * 28) * DAY_S
        self.config = self._write_settings(names=("pool",)) if self._joins_at else self._write_settings()
        self.process: Process | None = None
        self.statuses: list[MonthStatus] = []
        self.states: Counter[str] = Counter()
        self.issues: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()
        self.deeds: Counter[str] = Counter()
        self.looks: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self.labels: dict[str, str] = {}
        self.are_labels_pending = False
        self.printed = self.months[rng.randrange(len(self.months))] if rng.random() < 0.15 else None
        self._watch_wanted = False
        self._foreign = 0

    # --- of its family ---------------------------------------------------------------------------------------------

    write_settings = staticmethod(write_settings)
    process_type: ClassVar[type[Process]] = Process

    def in_line(self) -> AbstractContextManager[object]:
        """While it lasts the family's own parts use no threads."""
        return nullcontext()

    def make_chain(self, start_s: int) -> Any:
        """The chain with its first blocks."""
        return PoolChain(self.dice.stream("chain"), start_s)

    def make_office(self, start_s: int) -> Any:
        """The pool's office, paying on that chain."""
        return Office(self.dice, self.chain, start_s)

    def make_node(self, *, has_rest: bool) -> Any:
        """The node that shows the chain."""
        return TroubledNode(self.chain, self.dice, has_rest=has_rest)

    def open_connector(self, app: SimApp, log: EventLog) -> ChainConnector:
        """The real connector over that node, into a log."""
        return BitcoinConnector(
            log,
            BitcoinChain(
                pool_id=app.pool,
                chain=CHAIN,
                asset="BTC",
                network="regtest",
                rpc_url="http://127.0.0.1:1",
                wallets=[WatchedWallet(name=one.name, addresses=list(one.addresses)) for one in app.settings.chains[CHAIN].wallets],
                start_height=self.start_height,
                strategy=self.strategy,
            ),
            connection=self.node,
            payees=Payees(self.log, app.pool, CHAIN, app.rules),
        )

    def vendor_paid(self, ref: str) -> str | None:
        """The vendor to whom the output TXID:VOUT goes; None where it goes to nobody that is one."""
        txid, _, vout = ref.rpartition(":")
        tx = self.chain.sent.get(txid)
        return address(tx.pays[int(vout)][1]) if tx is not None and tx.pays[int(vout)][1] in VENDORS else None

    # --- the course of time --------------------------------------------------------------------------------------

    def instants(self) -> Iterator[tuple[int, bool]]:
        """When the program looks, and whether the world is calm."""
        rng = self.dice.stream("looks")
        for month in [*self.months, self.months[-1].next]:
            start = month.previous.end_at
            for day in BRIEF_DAYS if self.plan.is_brief else LOOK_DAYS:
                yield start + int((day + rng.uniform(-0.2, 0.2)) * DAY_S), 21.5 < day < 25

    def live(self) -> None:
        """All the months, then rest."""
        end = due_at(self.months[-1])
        for at, is_calm in self.instants():
            if at < end:
                self.tick(at, is_calm=is_calm)
        self.dice.is_calm = True
        for _ in range(40):
            self.tick(self.now_true + DAY_S // 2, is_calm=True, is_ending=True)
            if self.is_at_rest():
                return
        states = {str(s.month): (s.step.act.value, s.step.why, s.trouble) for s in self.statuses if s.month in self.months}
        raise AssertionError(f"the life does not come to rest: {states}; troubles: {self.said.most_common(8)}")

    def is_at_rest(self) -> bool:
        """Everything handed over, frozen and filed, and no draft left."""
        told = {s.month: s for s in self.statuses}
        is_filed = all(month in told and told[month].life.is_filed for month in self.months)
        return (
            is_filed
            and not any(self.office.pending.values())
            and not (self.office.is_registry_pending or self.are_labels_pending or self._watch_wanted)
        )

    def tick(self, at: int, *, is_calm: bool, is_ending: bool = False) -> None:
        """The world moves to an instant; then the program looks and people act."""
        dice = self.dice
        dice.is_calm = is_calm
        self.now_true = max(at, self.now_true)
        if not is_ending:
            self.office.work_until(min(self.now_true, self.months[-1].end_at - 1))
            self._move_chain()
            if self.now_true < self.months[-1].end_at:
                self.office.change_minds(self.now_true)
        else:
            self.chain.mine_until(self.now_true)
        if self._joins_at and (self.now_true >= self._joins_at or is_ending):
            self._join()
        self.node.tick()
        self.log.tick()
        self.skew_s = 0
        if dice.happens("clock-jumps-ahead"):
            self.skew_s = dice.stream("clock").randint(60, 36 * 3600)
        elif dice.happens("clock-jumps-back"):
            self.skew_s = -dice.stream("clock").randint(60, 36 * 3600)
        for _ in range(2):
            try:
                self._run()
            except Crash:
                self._kill()
                continue
            except EsepError as error:
                self._note(error)
            break

    def _move_chain(self) -> None:
        dice, chain, rng = self.dice, self.chain, self.dice.stream("chain-moves")
        chain.mine_until(self.now_true)
        if chain.abandoned is not None:
            if rng.random() < 0.7:
                chain.come_back()
                self._watch_wanted = True
            else:
                chain.abandoned = None
        elif dice.happens("chain-leaves-and-returns"):
            chain.fork(rng.randint(1, 9), 1)
        elif dice.happens("chain-reorganises-deep"):
            chain.fork(rng.randint(12, 40), 1)
            chain.abandoned = None
            self._watch_wanted = True
        elif dice.happens("chain-reorganises"):
            chain.fork(rng.randint(1, 5), rng.randint(1, 2))
            chain.abandoned = None

    def _note(self, error: EsepError) -> None:
        self.troubles[type(error).__name__] += 1
        self.said[str(error)[:300]] += 1

    # --- our program ---------------------------------------------------------------------------------------------

    def _start(self) -> Process:
        if self.process is None:
            app = SimApp(self.config, self.log, self.dice, lambda: self.now_true + self.skew_s)
            watched(app.months, self.dice, self.looks)
            self.process = self.process_type(app, self.open_connector(app, self.log), self.dice, has_signer=self.has_signer)
        return self.process

    def _join(self) -> None:
        """The treasury joins the wallets in the settings; the program is stopped and started for it."""
        self._joins_at = 0
        self._write_settings()
        self.close()
        self._watch_wanted = True

    def _kill(self) -> None:
        self.troubles["killed"] += 1
        if self.process is not None:
            self.process.end()
            self.process.app.sim_stores.kill()
            self.process = None

    def close(self, *, is_over: bool = False) -> None:
        """The program stops, in peace; `is_over`: nobody starts it again."""
        if self.process is not None:
            self.process.end()
            stores = self.process.app.sim_stores
            (stores.drop_store if is_over else stores.close_store)()
            self.process = None

    def _run(self) -> None:
        """One look of everything that runs beside each other: connector, imports, people, closing."""
        process = self._start()
        process.follow(self._note)
        self._try(self._hand_over, process)
        if self.dice.is_calm:  # whom the files name is looked for before anybody looks at the months: following never stands still for days
            process.follow(self._note)
        for _ in range(MOST_ROUNDS):
            before = self.deeds.total()
            self._try(self._people, process)
            self._try(self._look, process)
            # In a calm world nobody lets what the look just showed wait for another day.
            if not self.dice.is_calm or (self.deeds.total() == before and not self._waits_for_people()):
                break
            self._try(self._hand_over, process)
            process.follow(self._note)

    def _try(self, step: Callable[[Process], None], process: Process) -> None:
        try:
            step(process)
        except EsepError as error:
            self._note(error)

    def _waits_for_people(self) -> bool:
        """Whether the last look left a month of ours to a person: it asks for one, or is held past the 24th, so that an approval alone files it in time."""
        return any(s.step.act is Act.PERSON or self._is_held_too_long(s) for s in self.statuses if s.month in self.months)

    def _is_held_too_long(self, status: MonthStatus) -> bool:
        told = status.life
        if self.process is None or status.step.act is not Act.WAIT or not told.frozen or told.approvals.get(told.version):
            return False
        return is_held_past_the_24th(status.month, self.process.desk.plan, told.frozen[told.version].at)

    def _hand_over(self, process: Process) -> None:
        """The office's files, through the real imports."""
        app, office, dice = process.app, self.office, self.dice
        if dice.happens("ledger-refused-file"):
            self._refused(process)
        if dice.happens("log-foreign-event"):
            self._foreign += 1
            with self.log.writer("ledger", app.pool) as writer:
                writer.append([NewEvent(f"foreign:{self._foreign}", b'{"type":"allocations","id":"x"}')])
        for kind in ("allocations", "payments"):
            if office.pending[kind]:
                app.imports.ledger(
                    office.write_ledger(self.folder, kind, everything=dice.stream("files").random() < 0.1), kind, consent=CONSENT
                )  # type: ignore[arg-type]
                office.pending[kind].clear()
                self._watch_wanted = True
        if office.is_registry_pending:
            app.imports.registry(office.write_registry(self.folder / "registry"))
            office.is_registry_pending = False
            self._watch_wanted = True
        for month in self.months:
            if str(month) not in office.declared and self.now_true >= month.end_at and self.now_true >= office.plan_completion(month):
                declare_complete(self.log, app.pool, month.last)
                office.declared.add(str(month))

    def _people(self, process: Process) -> None:
        decide(self, process)

    def _refused(self, process: Process) -> None:
        """A file with one bad row is refused whole, and the log stays as it was."""
        before = self.log.end()
        path = self.folder / "bad.csv"
        path.write_text("payment_id,account,asset,address,amount,txid,paid_at\nX1,acct0,BTC,nowhere,1.0,ab,yesterday\n", encoding="utf-8")
        try:
            process.app.imports.ledger(path, "payments", consent=CONSENT)
        except InputRefused:
            assert self.log.end() == before, "a refused file left something in the log"
            return
        raise AssertionError("a bad file was taken")

    def _look(self, process: Process) -> None:
        """Closing, a few times: answers are waited for, and asked for again."""
        desk = process.desk
        began = self.now_true
        for _ in range(4):
            self.statuses = desk.closing.advance(process.app.now())
            for status in self.statuses:
                self.states[status.life.state(is_closable=status.step.act is Act.PERSON).value] += 1
            if all(s.life.is_filed or not s.life.submissions for s in self.statuses):
                break
            self.now_true += 2 * 3600  # patience of at most an hour passes
        self.now_true = max(began, self.now_true)
        if self._watch_wanted and (self.dice.is_calm or self.dice.stream("looks").random() < 0.15):
            desk.drafts.watch()
            self._watch_wanted = False
