"""The simulator on an account chain, in short: lives, kept scenarios by `test_fire`, and proof that its judge is no rubber stamp either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from .fire.account_judge import AccountJudge
from .fire.account_life import AccountLife, in_line
from .fire.account_truth import month_ends
from .fire.campaign import Report, codes_of, quiet, run
from .fire.dice import OF_ACCOUNT_CHAINS, RATES, kinds_of
from .fire.judge import Broken
from .fire.life import Plan
from .fire.process import joined
from .fire.shrink import from_toml, to_toml

SEEDS = (1, 2, 3, 4)
CALM = dict.fromkeys(RATES, 0.0)


@pytest.mark.timeout(900)
def test_every_invariant_holds_after_every_life_on_an_account_chain() -> None:
    report = Report(chain="evm")
    failures = run([Plan(seed, 1, is_brief=True, chain="evm") for seed in SEEDS], report)
    assert not failures, "\n".join(f"{f.what}\n{f.where}\nonce more: {f.command()}" for f in failures)
    assert report.lives == len(SEEDS) and all(report.checked[letter] for letter in "abcdefgh"), report.lines()
    assert len(report.faults) > 25 and report.faults.keys() & OF_ACCOUNT_CHAINS, report.lines()


def test_the_want_of_coverage_is_told_of_each_family() -> None:
    bitcoin, evm = Report(), Report(chain="evm")
    for code in ("unknown-asset", "bad-address", "node-answer-changed"):
        assert f"issue {code}: never" in evm.missing(1) and code not in codes_of("bitcoin")
        assert f"issue {code}: never" not in bitcoin.missing(1)
    assert set(kinds_of("evm")) - set(kinds_of("bitcoin")) == OF_ACCOUNT_CHAINS
    assert "fault payout-reverts: 0 of 1" in evm.missing(1) and "fault payout-reverts: 0 of 1" not in bitcoin.missing(1)


def test_a_failing_life_names_its_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AccountLife, "live", lambda self: (_ for _ in ()).throw(Broken("a", "by hand")))
    (failure,) = run([Plan(9, 1, is_brief=True, chain="evm")], Report(chain="evm"))
    assert failure.command() == "python -m tests.simulation --chain evm --seed 9 --seeds 1 --months 1 --brief"
    path = tmp_path / "kept.toml"
    path.write_text(to_toml(failure), encoding="utf-8")
    assert from_toml(path) == replace(failure.plan, rates=from_toml(path).rates)


@pytest.fixture(scope="module")
def calm_life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountLife]:
    """A life without a fault, at rest."""
    life = AccountLife(Plan(11, 1, CALM, is_brief=True, chain="evm"), tmp_path_factory.mktemp("calm"))
    with quiet(), joined(life.service, printed=lambda _: False), in_line():
        life.live()
        yield life
        life.close()


Undo = Callable[[], None]


def spoil_books(life: AccountLife) -> Undo:
    """After the month's last block somebody holds a wei more than anybody said."""
    block = month_ends(life)[-1]
    where = next(iter(life.chain.tip.wei))
    block.wei[where] += 1
    return lambda: block.wei.update({where: block.wei[where] - 1})


def spoil_gas(life: AccountLife) -> Undo:
    """The store's gas of a transaction is not what was paid; nor is it the sum of what came and went."""
    store = life.process.app.sim_stores._store
    assert store is not None
    connection = store.connection
    connection.execute("UPDATE raw_transaction SET fee = fee + 1 WHERE fee > 0")
    return lambda: connection.execute("UPDATE raw_transaction SET fee = fee - 1 WHERE fee > 1") and None


def spoil_calls(life: AccountLife) -> Undo:
    """The world has a transfer that nobody told."""
    mined = next(m for b in life.chain.chain()[2:] for m in b.mined if not m.is_failed and m.tx.spend.sender == m.tx.body["from"])
    mined.tx.spend.tokens.append((mined.tx.spend.sender, life.chain.tip.miner, 1))
    mined.tx.spend.tokens.append(("0x" + 40 * "1", next(iter(life.chain.tip.wei)), 1))
    return lambda: mined.tx.spend.tokens.__delitem__(slice(-2, None))


def spoil_chain(life: AccountLife) -> Undo:
    """The log's chain lacks the newest block."""
    tip = life.chain.tip
    life.chain.tip = tip.parent
    return lambda: setattr(life.chain, "tip", tip)


@pytest.mark.parametrize(("spoil", "letter"), [(spoil_books, "b"), (spoil_gas, "h"), (spoil_calls, "h"), (spoil_chain, "h")])
def test_the_judge_sees_what_is_wrong(calm_life: AccountLife, spoil: Callable[[AccountLife], Undo], letter: str) -> None:
    undo = spoil(calm_life)
    try:
        with pytest.raises(Broken) as broken:
            AccountJudge(calm_life).judge()
        assert broken.value.letter == letter
    finally:
        undo()


def test_a_calm_life_holds(calm_life: AccountLife) -> None:
    checked = AccountJudge(calm_life).judge()
    assert all(checked[letter] for letter in "abcdefgh"), checked
