"""The simulator in short: 25 lives of a month, every kept scenario, and proof that the judge and the shrinker are no rubber stamps."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from .__main__ import SCENARIOS, main
from .fire.campaign import Failure, Report, live_once, quiet, run
from .fire.dice import RATES, Dice
from .fire.judge import Broken, Judge
from .fire.life import Life, Plan
from .fire.process import joined
from .fire.shrink import from_toml, shrink, to_toml

SEEDS = 25
CALM = dict.fromkeys(RATES, 0.0)


@cache
def lived(seed: int) -> tuple[list[Failure], Report]:
    """A brief life of a month, what it met and whether it failed."""
    report = Report()
    return run([Plan(seed, 1, is_brief=True)], report), report


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(0, SEEDS, 5))
def test_every_invariant_holds_after_every_life(first: int) -> None:
    failures, report = list[Failure](), Report()
    for failed, met in (lived(seed) for seed in range(first, first + 5)):
        failures += failed
        report.add(met)
    assert not failures, "\n".join(f"{f.what}\n{f.where}\nonce more: {f.command()}" for f in failures)
    assert report.lives == 5 and all(report.checked[letter] for letter in "abcdefgh"), report.lines()
    assert len(report.faults) > 15, report.lines()


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_a_life_that_once_broke_holds_now(path: Path) -> None:
    with quiet():
        failure = live_once(from_toml(path))
    assert failure is None, f"{failure.what}\n{failure.where}"


def test_the_same_seed_lives_the_same_life() -> None:
    (failed, first), (failed_again, second) = lived(3), lived.__wrapped__(3)
    assert failed == failed_again == []
    assert (first.faults, first.deeds, first.states, first.checked) == (second.faults, second.deeds, second.states, second.checked)


def test_faults_do_not_share_their_chance() -> None:
    """Leaving a kind out changes nothing about the others: shrinking rests on it."""
    whole, without = Dice(7), Dice(7, {**RATES, "node-lies": 0.0}, muted={("node-busy", 3)})
    drawn = [[dice.happens(kind) for kind in ("node-lies", "chain-reorganises", "node-lags") * 50] for dice in (whole, without)]
    assert drawn[0][1::3] == drawn[1][1::3] and drawn[0][2::3] == drawn[1][2::3]
    assert not any(drawn[1][0::3])


@pytest.fixture(scope="module")
def calm_life(tmp_path_factory: pytest.TempPathFactory):
    """A life without a fault, at rest."""
    life = Life(Plan(11, 1, CALM, is_brief=True), tmp_path_factory.mktemp("calm"))
    with quiet(), joined(life.service, printed=lambda _: False):
        life.live()
        yield life
        life.close()


def spoil_books(life: Life) -> None:
    """The world books an allocation that the program was never told of."""
    row = next(iter(life.office.ledger["allocations"].values()))
    life.office.ledger["allocations"]["A-more"] = {**row, "allocation_id": "A-more"}


def spoil_store(life: Life) -> None:
    """A row of the store is not what the log says."""
    life.process.app.sim_stores._store.connection.execute("UPDATE raw_output SET value = value + 1 WHERE wallet IS NOT NULL")


def spoil_desk(life: Life) -> None:
    """The filing service has the month twice."""
    entry = next(iter(life.service.submissions.entries.values()))
    life.service.submissions.entries["twice"] = replace(entry, submission_id="twice")
    life.service.accepted_at["twice"] = 0


def spoil_log(life: Life) -> None:
    """An acknowledged event is gone."""
    life.log.acknowledged.append(("ledger", "pool", "lost", b"{}"))


def spoil_time(life: Life) -> None:
    """The month came late."""
    life.service.accepted_at = dict.fromkeys(life.service.accepted_at, 2**40)


@pytest.mark.parametrize(
    ("spoil", "letter"), [(spoil_books, "h"), (spoil_desk, "g"), (spoil_log, "h"), (spoil_time, "g"), (spoil_store, "h")]
)
def test_the_judge_sees_what_is_wrong(calm_life: Life, spoil, letter: str) -> None:
    Judge(calm_life).filed_once()
    kept = (dict(calm_life.office.ledger["allocations"]), dict(calm_life.service.submissions.entries), list(calm_life.log.acknowledged))
    times = dict(calm_life.service.accepted_at)
    spoil(calm_life)
    try:
        with pytest.raises(Broken) as broken:
            Judge(calm_life).judge()
        assert broken.value.letter == letter
    finally:
        calm_life.office.ledger["allocations"], calm_life.service.submissions.entries = kept[0], kept[1]
        calm_life.log.acknowledged, calm_life.service.accepted_at = kept[2], times


def test_shrinking_keeps_what_matters_and_nothing_else() -> None:
    def lives(plan: Plan) -> Failure | None:
        """Breaks whenever the third opportunity of one kind is met, and not muted."""
        dice = Dice(plan.seed, plan.rates, frozenset(plan.muted))
        met = [(kind, n) for kind in ("node-busy", "chain-reorganises", "ledger-restates") for n in range(12) if dice.happens(kind)]
        is_broken = ("chain-reorganises", 2) in met
        return Failure(plan, "Broken: it", "", tuple(met)) if is_broken else None

    often = {**CALM, "node-busy": 0.9, "chain-reorganises": 0.9, "ledger-restates": 0.9}
    failure = next(found for seed in range(50) if (found := lives(Plan(seed, 5, often))))
    small = shrink(failure, lives=lives, timeout_s=60)
    assert small.occurrences == (("chain-reorganises", 2),) and small.plan.months == 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.toml"
        path.write_text(to_toml(small), encoding="utf-8")
        again = lives(from_toml(path))
    assert again is not None and again.occurrences == small.occurrences


def test_a_failing_seed_prints_the_command_that_brings_it_back(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Life, "live", lambda self: self.tick(self.now_true, is_calm=True))
    monkeypatch.setattr(Judge, "judge", lambda self: (_ for _ in ()).throw(Broken("g", "by hand")))
    assert main(["--seeds", "1", "--seed", "4", "--months", "1", "--brief"]) == 1
    printed = capsys.readouterr().out
    assert "invariant (g): by hand" in printed and "python -m tests.simulation --seed 4 --seeds 1 --months 1 --brief" in printed


def test_the_want_of_coverage_is_told() -> None:
    report = Report(faults=Counter(dict.fromkeys(RATES, 3)))
    assert [line for line in report.missing(3) if line.startswith("fault")] == []
    assert "fault node-lies: 3 of 4" in report.missing(4)
    assert "issue unknown-outflow: never" in report.missing(1)
