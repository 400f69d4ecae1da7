"""A short name waives the one issue that was shown under it, or nothing."""

from __future__ import annotations

import pytest

from pipeline.assess.issue_names import short_name
from pipeline.cli import decisions
from pipeline.model.errors import MonthError
from pipeline.model.months import Month

MONTH = Month(2026, 10)
ISSUES = [("unknown-outflow", f"{n:064x}:0") for n in range(3)]


def test_a_short_name_finds_its_issue_whatever_else_is_listed_and_in_whatever_order() -> None:
    name = short_name(*ISSUES[1])
    assert len(name) == 4
    assert decisions._named(MONTH, name, ISSUES) == decisions._named(MONTH, name.upper(), ISSUES[::-1]) == ISSUES[1]
    with pytest.raises(MonthError, match="no blocking issue"):
        decisions._named(MONTH, name, [ISSUES[0], ISSUES[2]])


def test_a_short_name_of_two_issues_is_refused_and_both_are_named() -> None:
    seen: dict[str, tuple[str, str]] = {}
    for n in range(100_000):
        issue = ("unknown-outflow", f"{n:064x}:0")
        other = seen.setdefault(short_name(*issue), issue)
        if other != issue:
            break
    else:
        raise AssertionError("no two share a name")
    with pytest.raises(MonthError, match="several issues") as refused:
        decisions._named(MONTH, short_name(*issue), [issue, other])
    assert issue[1] in str(refused.value) and other[1] in str(refused.value)
