"""A month that the log knows nothing of, or that comes before its turn: it is not frozen, and no command calls it free of issues without a word."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .example_month import OUTFLOW, esep

# The recorded chain begins with the genesis block of its network (of 2011), then with a block of 22 September 2026; the ledger begins later.


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.CaptureFixture[str]]:
    monkeypatch.setenv("ESEP_LANG", "en")
    capsys.readouterr()
    yield capsys


@pytest.mark.parametrize("month", ["2024-10", "2026-08", "1026-10"])
def test_a_month_before_all_facts_is_not_frozen_by_mistake(
    blocked: Path, tmp_path: Path, printed: pytest.CaptureFixture[str], month: str
) -> None:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    assert esep("freeze", month, "--by", "A. Person", "--config", var / "esep.toml") == 3
    told = printed.readouterr().err
    assert f"nothing of {month} or earlier is in the log, whose facts begin on 2026-09-22: is the year right?" in told
    assert f'set first_month = "{month}" in esep.toml, below [closing]' in told
    assert list((var / "months" / month).glob("*")) == []
    assert esep("replay", month, "--config", var / "esep.toml") == 3
    assert f"{month} has no frozen version in the log" in printed.readouterr().err


def test_no_setting_after_it_asks_for_a_month_before_all_facts(blocked: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    with (var / "esep.toml").open("a", encoding="utf-8") as settings:
        settings.write('\n[closing]\nfirst_month = "2026-09"\n')
    assert esep("freeze", "2026-08", "--by", "A. Person", "--config", var / "esep.toml") == 3
    assert "is the year right?" in printed.readouterr().err


def test_an_empty_report_that_first_month_asks_for_is_frozen(blocked: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    with (var / "esep.toml").open("a", encoding="utf-8") as settings:
        settings.write('\n[closing]\nfirst_month = "2026-08"\n')
    assert esep("freeze", "2026-08", "--by", "A. Person", "--json", "--config", var / "esep.toml") == 0
    assert json.loads(printed.readouterr().out)["version"] == 1
    assert esep("replay", "2026-08", "--config", var / "esep.toml") == 0


def test_status_of_a_month_before_all_facts_asks_for_the_year_and_names_no_freeze(
    blocked: Path, printed: pytest.CaptureFixture[str]
) -> None:
    assert esep("status", "2024-10", "--json", "--config", blocked / "esep.toml") == 0
    (view,) = json.loads(printed.readouterr().out)["months"]
    (move,) = view["next"]
    assert move["who"] == "you" and "is the year right?" in move["what"] and move["command"] == ""


@pytest.mark.parametrize(
    ("month", "told"),
    [
        ("2024-10", "nothing of 2024-10 or earlier is in the log, whose facts begin on 2026-09-22"),
        ("2026-12", "the log has no block, allocation or payment of 2026-12"),
    ],
)
def test_no_issue_of_a_month_without_facts_is_told_as_such(
    blocked: Path, printed: pytest.CaptureFixture[str], month: str, told: str
) -> None:
    assert esep("issues", month, "--config", blocked / "esep.toml") == 0
    assert f"{told}: there are no facts in which an issue could show (esep status {month})" in printed.readouterr().out
    assert esep("issues", month, "--json", "--config", blocked / "esep.toml") == 0
    assert json.loads(printed.readouterr().out) == []


@pytest.mark.parametrize("month", ["2026-09", "2026-11"])
def test_a_month_with_facts_is_told_as_ever(blocked: Path, printed: pytest.CaptureFixture[str], month: str) -> None:
    assert esep("issues", month, "--config", blocked / "esep.toml") == 0
    assert "no facts" not in printed.readouterr().out


@pytest.mark.parametrize("month", ["0000-01", "0001-01", "9999-12"])
def test_a_month_without_months_beside_it_is_no_defect(blocked: Path, printed: pytest.CaptureFixture[str], month: str) -> None:
    for command in (["status", month], ["issues", month], ["freeze", month, "--by", "A. Person"], ["statement", month]):
        assert esep(*command, "--config", blocked / "esep.toml") == 2, command
        assert f"'{month}' is not a month: write it as 2026-10" in printed.readouterr().err


def test_a_month_is_not_frozen_before_the_one_before_it_that_esep_files(
    blocked: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]
) -> None:
    """`status`, `close` and the console say that months are frozen in order; a month frozen before its turn never proves what it opened with."""
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    config = var / "esep.toml"
    with config.open("a", encoding="utf-8") as settings:
        settings.write('\n[closing]\nfirst_month = "2026-09"\n')
    waived = ("waive", "2026-10", "unknown-outflow", OUTFLOW, "--by", "A. Person", "--reason", "refund pending", "--config", config)
    assert esep(*waived) == 0
    assert esep("freeze", "2026-10", "--by", "A. Person", "--config", config) == 3
    assert "2026-10 is not frozen: 2026-09 comes first" in printed.readouterr().err
    assert not list((var / "months" / "2026-10").glob("*"))
    assert esep("freeze", "2026-09", "--by", "A. Person", "--config", config) == 0
    assert esep("freeze", "2026-10", "--by", "A. Person", "--config", config) == 0
    assert esep("amend", "2026-10", "--config", config) == 0
    printed.readouterr()
    esep("verify", var / "months" / "2026-10" / "v1", "--test-network")
    assert "that 2026-09 was not reported before this month" not in printed.readouterr().out
