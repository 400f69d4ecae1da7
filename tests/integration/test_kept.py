"""A look that was kept says what a look that computes says, and is forgotten when anything changes that it rests on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .example_month import OUTFLOW, esep

LOOKS = (("status", "2026-10"), ("issues", "2026-10"), ("issues", "2026-10", "--blocking"), ("issues", "2026-10", "--json"))


@pytest.fixture
def var(blocked: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "var"
    shutil.copytree(blocked, folder)
    return folder


def look(var: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert esep(*arguments, "--config", var / "esep.toml") == 0
    return capsys.readouterr().out


def unmet(var: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    (month,) = json.loads(look(var, capsys, "status", "2026-10", "--json"))["months"]
    return [condition["name"] for condition in month["conditions"] if not condition["is_met"]]


@pytest.mark.parametrize("language", ["en", "kk"])
def test_what_was_kept_reads_as_what_is_computed(
    var: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    for arguments in (("status", "2026-10"), ("issues", "2026-10")):
        look(var, capsys, *arguments)  # kept in English
    monkeypatch.setenv("ESEP_LANG", language)
    from_kept = [look(var, capsys, *arguments) for arguments in LOOKS]
    computed = []
    for arguments in LOOKS:
        shutil.rmtree(var / "kept", ignore_errors=True)
        computed.append(look(var, capsys, *arguments))
    assert from_kept == computed


def test_a_kept_look_is_read(var: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is what is shown: else the other tests of this module would show nothing."""
    before = look(var, capsys, "status", "2026-10")
    place = var / "kept" / "2026-10-figures.json"
    kept: dict[str, Any] = json.loads(place.read_bytes())
    assert f"{kept['content']['rows']} row(s)" in before
    kept["content"]["rows"] += 1
    place.write_text(json.dumps(kept))
    assert f"{kept['content']['rows']} row(s)" in look(var, capsys, "status", "2026-10")


def test_a_decision_in_the_log_ends_a_kept_look(var: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert unmet(var, capsys) == ["no blocking issue left"]
    look(var, capsys, "issues", "2026-10")
    config = ("--config", var / "esep.toml")
    assert esep("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person", *config) == 0
    assert unmet(var, capsys) == []
    assert "waived by A. Person" in look(var, capsys, "issues", "2026-10")


def test_another_rule_in_the_settings_ends_a_kept_look(var: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert unmet(var, capsys) == ["no blocking issue left"]
    settings = var / "esep.toml"
    settings.write_text(settings.read_text().replace("finality = 6", "finality = 100000"))
    assert "bitcoin is final" in unmet(var, capsys)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"basis": "x"}', b"\xff"])
def test_a_kept_file_that_cant_be_read_is_as_good_as_none(var: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    before = look(var, capsys, "status", "2026-10")
    (var / "kept" / "2026-10-figures.json").write_bytes(content)
    assert look(var, capsys, "status", "2026-10") == before


def test_where_nothing_can_be_kept_a_look_is_computed(var: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(var / "kept", ignore_errors=True)
    (var / "kept").write_text("in the way")
    assert look(var, capsys, "status", "2026-10") == look(var, capsys, "status", "2026-10")
