"""Lines on a narrow terminal: broken at spaces, never within a word, indented below themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.cells import cell_len

from pipeline.cli.frame import DEFAULT_CONFIG, break_line, command_line


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
