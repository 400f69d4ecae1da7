"""Many lives, one after another: what they met, whether it was enough, and the first that breaks an invariant.

Enters: seeds, months a life, rates. Leaves: a `Report` of faults, issue codes, states and checks; or a `Failure` with the one command that
brings it back. The minimums are for a run of a thousand seeds or so; a short run reports and demands nothing.
"""

from __future__ import annotations

import logging
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path

import structlog

from pipeline.closing.submission import State
from pipeline.model.issues import IssueCode

from .dice import kinds_of
from .judge import Judge
from .life import Life, Plan
from .process import joined

OF_ACCOUNT_CHAINS = {
    IssueCode.UNKNOWN_ASSET,
    IssueCode.BAD_ADDRESS,
    IssueCode.NODE_ANSWER_CHANGED,
    IssueCode.TRACES_DIFFER,
    IssueCode.FORGED_TRANSFERS,
}
"""Issues that only account chains raise: no Bitcoin life reaches them."""
OF_SEVERAL_NODES = {IssueCode.NODES_DISAGREE, IssueCode.ONE_NODE_ONLY}
"""Issues that only several nodes raise (ADR 20): the lives have one each."""
STATES = sorted(state.value for state in State)
SHARED_MEMORY = Path("/dev/shm")


def codes_of(chain: str) -> list[str]:
    """The issue codes that lives on a family's chain can reach."""
    ours = set(IssueCode) - OF_SEVERAL_NODES
    return sorted(code.value for code in ours if chain != "bitcoin" or code not in OF_ACCOUNT_CHAINS)


@dataclass
class Report:
    """What the lives of a campaign met. `chain`: the family on whose chain they were lived."""

    chain: str = "bitcoin"
    lives: int = 0
    months: int = 0
    versions: int = 0
    kills: int = 0
    cpu_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    issues: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    looks: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)

    def add(self, other: Report) -> None:
        """What other lives met, of the same family, besides."""
        for name in (one.name for one in fields(self) if one.name != "chain"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def missing(self, least: int) -> list[str]:
        """Faults that happened less than `least` times, and codes and states that were never reached."""
        found = [f"fault {kind}: {self.faults[kind]} of {least}" for kind in kinds_of(self.chain) if self.faults[kind] < least]
        found += [f"issue {code}: never" for code in codes_of(self.chain) if not self.issues[code]]
        return found + [f"state {state}: never" for state in STATES if not self.states[state]]

    def lines(self) -> list[str]:
        """The report, to be read."""
        years = self.months / 12
        cost = f"{self.cpu_s:.0f} s of CPU ({self.cpu_s / max(years, 0.01):.1f} s a year)"
        lines = [f"{self.lives} lives, {years:.1f} years, {self.versions} versions frozen, {self.kills} kills, {cost}"]
        for name, counter, known in (
            ("faults", self.faults, sorted(kinds_of(self.chain))), ("issues", self.issues, codes_of(self.chain)), ("states seen", self.states, STATES),
            ("people", self.deeds, sorted(self.deeds)), ("looks at months", self.looks, sorted(self.looks)), ("checked", self.checked, sorted(self.checked)),
        ):  # fmt: skip
            lines.append(f"{name}: " + ", ".join(f"{kind} {counter[kind]}" for kind in known))
        return lines


@dataclass(frozen=True)
class Failure:
    """A life that broke."""

    plan: Plan
    what: str
    where: str
    occurrences: tuple[tuple[str, int], ...]

    @property
    def kind(self) -> str:
        """What is compared while shrinking: the same failure, not just any."""
        return self.what.split(":")[0][:60]

    def command(self) -> str:
        family = "" if self.plan.chain == "bitcoin" else f" --chain {self.plan.chain}"
        brief = " --brief" if self.plan.is_brief else ""
        return f"python -m tests.simulation{family} --seed {self.plan.seed} --seeds 1 --months {self.plan.months}{brief}"


def family_of(plan: Plan) -> tuple[type[Life], type[Judge]]:
    """Whose life it is, and who judges it."""
    if plan.chain == "bitcoin":
        return Life, Judge
    # web3 takes seconds to be imported: only who lives on such a chain should wait for it.
    from .account_judge import AccountJudge
    from .account_life import AccountLife

    return AccountLife, AccountJudge


def live_once(plan: Plan, report: Report | None = None) -> Failure | None:
    """One life, judged; its failure, or None."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        began = time.process_time()
        lives, judges = family_of(plan)
        life = lives(plan, Path(folder))
        try:
            with joined(life.service, printed=lambda month: month == life.printed), life.in_line():
                try:
                    life.live()
                    judge = judges(life)
                    judge.judge()
                finally:
                    life.close(is_over=True)
        except Exception as error:  # noqa: BLE001 - whatever a life dies of is its failure, and is told with its seed
            where = "".join(traceback.format_exception(error)[-4:])
            return Failure(plan, f"{type(error).__name__}: {error}", where, tuple(life.dice.occurrences))
        if report is not None:
            report.lives += 1
            report.months += plan.months
            report.versions += len(judge.frozen)
            report.kills += life.troubles["killed"]
            report.faults += life.dice.happened
            report.issues += life.issues
            report.states += life.states
            report.deeds += life.deeds
            report.looks += life.looks
            report.checked += judge.checked
            report.cpu_s += time.process_time() - began
    return None


def run(plans: Iterable[Plan], report: Report, *, told: Callable[[Plan, Failure | None], None] = lambda *_: None) -> list[Failure]:
    """All the lives; those that failed."""
    failures = []
    with quiet():
        for plan in plans:
            failure = live_once(plan, report)
            told(plan, failure)
            if failure is not None:
                failures.append(failure)
    return failures


class quiet:
    """The program's own journal is not what is looked at here."""

    def __enter__(self) -> None:
        self._before = structlog.get_config()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False)

    def __exit__(self, *_: object) -> None:
        structlog.configure(**self._before)
