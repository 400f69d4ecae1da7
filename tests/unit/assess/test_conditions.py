"""The conditions of rule 8.1 at their edges: a block, a day, a second, a waiver too few."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from pipeline.assess.conditions import closing_conditions
from pipeline.enrich.frames import SHAPES, Facts
from pipeline.enrich.issue_rows import ISSUES_WITH_FACTS
from pipeline.model.months import Month
from pipeline.model.rules import Asset, Payer, Rules
from pipeline.texts import Language, texts

MONTH = Month(2026, 10)
RULES = Rules({"BTC": Asset("BTC", "bitcoin", 8)}, {"bitcoin": 6}, {})
NO_ISSUES = pl.DataFrame(schema=ISSUES_WITH_FACTS)


def facts(*, after: int, mediantime: int) -> Facts:
    """A chain with its last block of the month at height 10, and so many blocks after it; the tip has that median time."""
    times = [MONTH.end_at - 1, *(MONTH.end_at + n for n in range(after))]
    blocks = [
        {"chain": "bitcoin", "hash": f"{n:064x}", "height": 10 + n, "time": at, "mediantime": mediantime} for n, at in enumerate(times)
    ]
    frames = {name: pl.DataFrame(blocks if name == "blocks" else [], schema=shape) for name, shape in SHAPES.items()}
    return Facts(**frames)


def unmet(*, after: int = 9, mediantime: int = MONTH.end_at, complete: date | None = MONTH.last, has_registry: bool = True) -> list[str]:
    made = closing_conditions(
        facts(after=after, mediantime=mediantime), NO_ISSUES, [], MONTH, RULES, complete_through=complete, has_registry=has_registry
    )
    return [condition.name for condition in made if not condition.is_met]


def test_a_month_with_everything_can_close() -> None:
    assert unmet() == []


@pytest.mark.parametrize(("after", "expected"), [(4, ["bitcoin is final"]), (5, [])])
def test_the_month_s_last_block_is_its_own_first_confirmation(after: int, expected: list[str]) -> None:
    assert unmet(after=after) == expected


@pytest.mark.parametrize(("mediantime", "expected"), [(MONTH.end_at - 1, ["bitcoin has passed the month"]), (MONTH.end_at, [])])
def test_the_tip_s_median_time_is_at_the_month_s_end_or_after(mediantime: int, expected: list[str]) -> None:
    assert unmet(mediantime=mediantime) == expected


@pytest.mark.parametrize("complete", [None, date(2026, 10, 30)])
def test_the_ledger_is_complete_through_the_last_day(complete: date | None) -> None:
    assert unmet(complete=complete) == ["ledger complete"]


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_command_that_declares_it_can_be_copied_in_any_language(language: Language) -> None:
    made = closing_conditions(
        facts(after=9, mediantime=MONTH.end_at), NO_ISSUES, [], MONTH, RULES, complete_through=None, has_registry=True
    )
    (ledger,) = [condition for condition in made if condition.name == "ledger complete"]
    said = texts(language).tell(ledger.detail)
    assert "31.10.2026 (esep import complete 2026-10-31)" in said, "people read the one day, the command takes the other"


def test_a_registry_is_loaded() -> None:
    assert unmet(has_registry=False) == ["registry loaded"]


def test_a_payment_of_a_payer_on_a_chain_that_is_not_followed_keeps_the_month_open() -> None:
    """Rule 10.8: it was looked for nowhere; the condition says what is missing."""
    payment = {
        "payment_id": "P",
        "account": "a",
        "asset": "LTC",
        "address": "x",
        "amount": 1,
        "txid": "ab" * 32,
        "paid_at": 1,
        "payer": "up",
    }
    rules = replace(RULES, assets={**RULES.assets, "LTC": Asset("LTC", "litecoin", 8)}, payers={"up": Payer("on-chain", "litecoin")})
    paid = replace(facts(after=9, mediantime=MONTH.end_at), payments=pl.DataFrame([payment], schema=SHAPES["payments"]))
    made = closing_conditions(paid, NO_ISSUES, [], MONTH, rules, complete_through=MONTH.last, has_registry=True)
    (open_one,) = [condition for condition in made if not condition.is_met and condition.kind == "payers-seen"]
    assert "there is no [chains.litecoin]" in str(open_one.detail)
