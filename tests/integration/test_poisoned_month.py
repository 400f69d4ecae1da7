"""A month with a forged token's log, read when no node has that block's state any more: the operator is told what to do, and a label ends it for good."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline.render import render_all

from ..simulation.evm_world import Answer, Spend, World, address
from .test_evm_poisoning import FORGED, POISONER
from .two_node_pool import CHAIN, HOT, MONTH, AccountPool, october


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.freeze.bundle.render_all", functools.partial(render_all, formats=("json",)))
    monkeypatch.setattr("pipeline.store.publish.export_month", lambda connection, month, path: path.touch() or path)


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> World:
    """The pool's October, in which a stranger's contract logs that the pool paid."""
    mine = World.mine

    def mining(self: World, spends: Any = (), **given: Any) -> Any:
        forged = [Spend(POISONER, FORGED, logs=[(FORGED, (HOT, address(30), 5))])] if self.height == 49 else []
        return mine(self, [*spends, *forged], **given)

    monkeypatch.setattr(World, "mine", mining)
    return october()


@pytest.fixture
def pool(tmp_path: Path, poisoned: World) -> Iterator[AccountPool]:
    with ExitStack() as held:
        yield AccountPool(tmp_path, held, poisoned, n_nodes=1)


def test_a_log_that_no_node_can_judge_any_more_waits_for_a_person_who_is_told_what_to_do(
    pool: AccountPool, capsys: pytest.CaptureFixture[str]
) -> None:
    def between(method: str, params: list[Any], answers: Answer) -> Any:
        return None if method == "eth_call" and params[0]["to"] == FORGED else answers(method, params)

    def said(*words: object) -> str:
        capsys.readouterr()
        assert pool.esep(*words) == 0
        return " ".join(capsys.readouterr().out.split())

    pool.nodes[0].between = between
    assert pool.esep("watch", "--once") == 0
    pool.import_books()
    [issue] = pool.issues(lambda: capsys.readouterr().out)["unknown-asset"]
    assert "resolve, label or waive: unknown-asset (1) esep issues 2026-10 --blocking" in said("status", MONTH)
    told = said("issues", MONTH, "--blocking")
    assert (
        "no node still had that block's state to show so, label the contract, or the account that sends the transactions, poisoning" in told
    )
    assert f"esep label CONTRACT poisoning --name WHOSE --chain {CHAIN} --by NAME --reason TEXT" in told
    contract = issue["ref"].partition(":")[2]
    assert (
        pool.esep("label", contract, "poisoning", "--name", "nobody", "--by", "A. Person", "--reason", "never held", "--chain", CHAIN) == 0
    )
    assert not pool.issues(lambda: capsys.readouterr().out)
    assert pool.freeze()["report.csv"]


def test_with_the_state_it_is_one_warning_and_nothing_waits(pool: AccountPool, capsys: pytest.CaptureFixture[str]) -> None:
    assert pool.esep("watch", "--once") == 0
    pool.import_books()
    capsys.readouterr()
    assert not pool.issues(lambda: capsys.readouterr().out)
    assert pool.esep("issues", MONTH) == 0
    assert "forged-transfers" in capsys.readouterr().out
