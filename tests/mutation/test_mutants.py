"""Every deliberate bug still has its place in the code; whether the suite catches it is `python -m tests.mutation`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_stands_exactly_once_and_its_tests_are_there(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1, (
        f"{mutant.file} has changed: move the bug to where its code is now"
    )
    assert mutant.old != mutant.new
    for place in mutant.tests:
        assert (ROOT / place.partition("::")[0]).exists(), place


def test_names_are_unique_and_there_are_enough() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 30
