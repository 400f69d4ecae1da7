"""The oracle against the recorded month: its files, byte for byte, so that it may judge the enrichment."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.model.months import Month

from .capture import Capture, read_capture
from .registry import Outcome
from .rules import apply_rules
from .tables import balances_csv, issue_keys, outflows_csv, report_csv, transfers_csv

EXAMPLE = Path(__file__).parents[2] / "docs" / "example" / "2026-10"
EXPECTED = EXAMPLE / "expected"


@pytest.fixture(scope="module")
def capture() -> Capture:
    return read_capture(EXAMPLE)


@pytest.fixture(scope="module")
def outcome(capture: Capture) -> Outcome:
    return apply_rules(capture.facts, Month(2026, 10), capture.rules)


def _expected(name: str) -> str:
    return (EXPECTED / name).read_bytes().decode()


def test_report_equals_the_recorded_bytes(capture: Capture, outcome: Outcome) -> None:
    text = report_csv(outcome, capture.rules)
    assert text == _expected("report.csv")
    assert hashlib.sha256(text.encode()).hexdigest() == _summary()["report_sha256"]


def test_outflows_equal_the_recorded_bytes(outcome: Outcome) -> None:
    assert outflows_csv(outcome) == _expected("outflows.csv")


def test_transfers_equal_the_recorded_bytes(outcome: Outcome) -> None:
    assert transfers_csv(outcome) == _expected("transfers.csv")


def test_balances_equal_the_recorded_bytes(outcome: Outcome) -> None:
    assert balances_csv(outcome) == _expected("balances.csv")


def test_issues_equal_the_recorded_ones(outcome: Outcome) -> None:
    with (EXPECTED / "issues.csv").open(newline="") as lines:
        recorded = [(row["code"], row["severity"], row["ref"]) for row in csv.DictReader(lines)]
    assert issue_keys(outcome) == recorded


def test_totals_equal_the_recorded_ones(outcome: Outcome) -> None:
    assert outcome.totals == _summary()["totals"]


def _summary() -> dict[str, Any]:
    return dict(json.loads(_expected("summary.json")))
