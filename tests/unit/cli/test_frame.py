"""Lines on a narrow terminal: broken at spaces, never within a word, indented below themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.cells import cell_len

from pipeline.cli import frame
from pipeline.cli.frame import DEFAULT_CONFIG, break_line, command_line
from pipeline.model.message import message


def test_a_line_that_fits_is_left_alone() -> None:
    assert break_line("  as it is  ", 80) == ["  as it is  "]


def test_a_long_line_is_broken_at_spaces_and_hangs() -> None:
    lines = break_line("  one two three four five", 12, hang=2)
    assert lines == ["  one two", "    three", "    four", "    five"]


def test_no_word_is_lost_and_none_is_cut() -> None:
    digest = "f" * 100
    line = f"  digest {digest} of a month with қазақша words"
    lines = break_line(line, 40, hang=4)
    assert " ".join(part.strip() for part in lines).split() == line.split()
    assert all(cell_len(part) <= 40 or part.strip() == digest for part in lines)


def test_a_command_names_the_settings_that_it_would_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ESEP_CONFIG", raising=False)
    assert command_line("esep status", DEFAULT_CONFIG) == "esep status"
    assert command_line("esep status", Path("my pool/esep.toml")) == "esep status --config 'my pool/esep.toml'"
    monkeypatch.setitem(os.environ, "ESEP_CONFIG", "x/esep.toml")
    assert command_line("esep status", Path("x/esep.toml")) == "esep status"


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_names_of_a_block_never_touch_what_they_say(
    language: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`әрі қарай` and `папка отправки` filled their column, and what they say began at another one."""
    monkeypatch.setenv("ESEP_LANG", language)
    frame.say_fields([(message(name), "0") for name in ("ledger", "next", "outbox", "form")], indent=2)
    lines = capsys.readouterr().out.splitlines()
    assert len({line.rindex("0") for line in lines}) == 1 and all(line.endswith("  0") for line in lines), lines


def test_a_word_as_long_as_a_digest_stands_as_deep_as_it_fits() -> None:
    digest = "ab" * 32
    assert frame.break_line(f"  name                 {digest}", 80, hang=19) == ["  name", " " * 16 + digest]
