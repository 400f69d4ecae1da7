"""What a person records of a submission is settled for good: an acceptance comes with its own receipt, and every decision with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from .example_month import esep
from .test_closing import close, configured

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def placed(frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The frozen month in the outbox; its settings."""
    monkeypatch.setenv("ESEP_LANG", "en")
    config = configured(frozen, tmp_path, "")
    assert close(config, capsys)["2026-10"]["state"] == "submitting"
    return config


def note(config: Path, outcome: str, *more: str, month: str = "2026-10", reason: str = "handed in at the counter") -> int:
    return esep("receipt", month, outcome, *more, "--by", "A. Person", "--reason", reason, "--config", config)


@pytest.mark.parametrize("number", [(), ("--receipt", ""), ("--receipt", "  ")])
def test_an_acceptance_without_its_receipt_is_not_recorded(
    placed: Path, capsys: pytest.CaptureFixture[str], number: tuple[str, ...]
) -> None:
    assert note(placed, "accepted", *number) == 10
    told = capsys.readouterr().err
    assert "2026-10: an acceptance comes with its receipt, which can't be added later" in told and "record `received`" in told
    assert close(placed, capsys)["2026-10"]["state"] == "submitting"
    assert note(placed, "received") == 0 and "noted: 2026-10 v1, submission" in capsys.readouterr().out
    assert note(placed, "accepted", "--receipt", " N-7 ") == 0, "the number comes later, as long as it is only received"
    capsys.readouterr()
    told = close(placed, capsys)["2026-10"]
    assert (told["state"], told["why"]) == ("accepted", "filed, receipt N-7")


@pytest.mark.parametrize("number", ["-", "none", "N/A", "0", "null"])
def test_what_says_nothing_is_no_receipt(placed: Path, capsys: pytest.CaptureFixture[str], number: str) -> None:
    assert note(placed, "accepted", "--receipt", number) == 10
    assert f"'{number}' is no receipt" in capsys.readouterr().err


def test_a_service_that_gives_no_receipts_is_taken_at_its_word(frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configured(frozen, tmp_path, "[answers]\nhas_receipts = false\n")
    assert close(config, capsys)["2026-10"]["state"] == "submitting"
    assert note(config, "accepted") == 0
    assert close(config, capsys)["2026-10"]["state"] == "accepted"


def test_what_the_service_does_not_have_has_no_receipt_and_a_rejection_keeps_its_own(
    placed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert note(placed, "missing", "--receipt", "N-7") == 10
    assert "has no receipt" in capsys.readouterr().err
    assert note(placed, "rejected", "--receipt", "N-8") == 0
    capsys.readouterr()
    assert esep("status", "2026-10", "--config", placed) == 0
    assert "receipt N-8" in capsys.readouterr().out


def test_the_receipt_of_another_month_is_refused(frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configured(frozen, tmp_path, "")
    config.write_text(config.read_text(encoding="utf-8").replace('first_month = "2026-10"', 'first_month = "2026-09"'), encoding="utf-8")
    assert esep("freeze", "2026-09", "--by", "A. Person", "--config", config) == 0
    capsys.readouterr()
    told = close(config, capsys)
    assert (told["2026-09"]["state"], told["2026-10"]["state"]) == ("submitting", "submitting"), told
    assert note(config, "accepted", "--receipt", "N-7", month="2026-09") == 0
    capsys.readouterr()
    assert note(config, "accepted", "--receipt", "N-7") == 10
    assert "2026-10: N-7 is the receipt of 2026-09 v1: nothing was recorded" in capsys.readouterr().err
    assert note(config, "accepted", "--receipt", "N-8") == 0


@pytest.mark.parametrize("reason", ["", "   ", "ok"])
def test_a_decision_wants_a_reason_that_says_something(placed: Path, capsys: pytest.CaptureFixture[str], reason: str) -> None:
    said = ("--by", "A. Person", "--reason", reason, "--config", placed)
    commands = [("receipt", "2026-10", "accepted", "--receipt", "N-7"), ("approve", "2026-10"), ("refile", "2026-10")]
    commands += [("amend", "2026-10"), ("freeze", "2026-10")] if reason.strip() else []
    for command in commands:
        assert esep(*command, *said) == 2, command
        assert f"esep {command[0]}: --reason: give a reason that an auditor can follow" in capsys.readouterr().err
    assert close(placed, capsys)["2026-10"]["state"] == "submitting"


def test_nothing_is_filed_again_before_it_is_frozen(placed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert esep("refile", "2026-09", "--by", "A", "--reason", "again", "--config", placed) == 10
    assert "2026-09 is not frozen yet: there is nothing to file again" in capsys.readouterr().err
