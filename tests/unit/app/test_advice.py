"""What is advised about an issue: every code has a title and a hint, and the hint follows what the chain shows."""

from __future__ import annotations

import pytest

from pipeline.app.advice import TITLES, advice
from pipeline.model.issues import IssueCode, Severity
from pipeline.model.months import Month

MONTH = Month(2026, 10)


@pytest.mark.parametrize("code", list(IssueCode))
def test_every_code_has_a_title_and_a_hint_and_what_blocks_can_be_waived(code: IssueCode) -> None:
    assert code in TITLES
    said = advice(code, {}, MONTH)
    assert said.title and said.hint
    assert ("esep waive 2026-10 SHORT-NAME --by NAME --reason TEXT" in said.commands) == (code.severity is Severity.BLOCKING)


def test_an_outflow_of_a_transaction_without_change_asks_for_a_missing_descriptor() -> None:
    code = IssueCode.UNKNOWN_OUTFLOW
    assert "is a change descriptor missing" in advice(code, {"chain": "bitcoin"}, MONTH).hint
    assert "is a change descriptor missing" not in advice(code, {"chain": "bitcoin", "has_change": "yes"}, MONTH).hint
    assert "--chain litecoin" in advice(code, {"chain": "litecoin"}, MONTH).commands[0]


def test_a_payment_in_a_transaction_of_the_pool_is_another_case_than_one_in_none() -> None:
    code = IssueCode.PAYMENT_NOT_ON_CHAIN
    assert "no wallet of yours is in it" in advice(code, {}, MONTH).hint
    assert advice(code, {"is_on_chain": "yes"}, MONTH).hint.startswith("The transaction is on the chain, but no wallet of yours is in it")
    assert "never mined" in advice(code, {"is_on_chain": "no"}, MONTH).hint
    assert "is the address in the ledger right?" in advice(code, {"is_of_pool": "yes"}, MONTH).hint


def test_a_payers_payment_is_looked_for_first_and_no_descriptor_of_the_pool_is_missing() -> None:
    code = IssueCode.PAYMENT_NOT_ON_CHAIN
    waits, lost = (
        advice(code, {"payer": "big", "is_of_pool": of_pool, "is_sought": sought}, MONTH) for of_pool, sought in (("", ""), ("yes", "yes"))
    )
    assert "was not looked for yet" in waits.hint and "payer's own statement" in lost.hint
    assert {waits.rule, lost.rule} == {"10.4"}


def test_amounts_that_look_rounded_point_to_payout_unit() -> None:
    code = IssueCode.PAYMENT_AMOUNT_DIFFERS
    assert "[payout_unit]" in advice(code, {"amount": "120000", "paid": "123456"}, MONTH).hint
    assert "[payout_unit]" not in advice(code, {"amount": "123455", "paid": "123456"}, MONTH).hint
