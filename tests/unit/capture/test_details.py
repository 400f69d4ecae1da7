"""Details of sources' items: each template's English text is recognised again, and said in the reader's language."""

import re

import pytest

from pipeline.capture import details
from pipeline.capture.details import as_message
from pipeline.model.message import Message
from pipeline.texts import texts

TEMPLATES = {name: value for name, value in vars(details).items() if name.isupper() and isinstance(value, str)}
VALUES = {
    "table": "transactions", "row_id": "17", "amount": "1500.5", "account": "rig: one", "address": "ltc1qxyz", "why": "it counts as it was seen last",
    "what": "changed", "error": "'x' is no amount", "moves": "account from a to b, month from 2026-09 to 2026-10", "rows": "payments row 1, payments row 2",
}  # fmt: skip


def filled(template: str) -> str:
    return template.format(**{name: VALUES.get(name, f"<{name}>") for name in re.findall(r"\{(\w+)\}", template)})


@pytest.mark.parametrize("template", [one for one in TEMPLATES.values() if "{" in one])
def test_a_detail_is_known_again_by_its_own_template(template: str) -> None:
    told = as_message(filled(template))
    assert told == filled(template)
    if template not in (details.MOVED_ACCOUNT, details.MOVED_ASSET, details.MOVED_MONTH, details.ENDS_ELSEWHERE, details.GOES_ON):
        assert isinstance(told, Message) and told.template == template


def test_details_are_said_in_russian_and_kazakh_with_the_words_within() -> None:
    gone = details.GONE.format(table="payments", row_id="17", why="Miningcore never deletes a payment")
    assert (
        texts("ru").tell(as_message(gone))
        == "payments, строка 17: исчезла, а Miningcore никогда не удаляет выплат; выясните, кто её удалил, затем примите её такой, какой она была, или отклоните"
    )
    restated = details.RESTATED.format(row_id="A1", moves="account from a to b, month from 2026-09 to 2026-10")
    assert "счёт: было a, стало b, месяц: было 2026-09, стало 2026-10" in texts("ru").tell(as_message(restated))
    unreadable = details.UNREADABLE_ROWS.format(rows="payments row 1", error="'x' is no amount")
    assert "не сумма" in texts("ru").tell(as_message(unreadable))
    assert texts("kk").tell(as_message(gone)) != gone and texts("en").tell(as_message(gone)) == gone


def test_what_an_older_program_said_otherwise_stays_as_it_is() -> None:
    assert as_message("three rows went somewhere") == "three rows went somewhere"
    assert texts("ru").tell(as_message("three rows went somewhere")) == "three rows went somewhere"


def test_what_is_wrong_with_a_registry_row_is_said_in_the_language() -> None:
    stored = "licences row 7: valid_to: 2023-01-01 is before valid_from, 2024-01-01: the period would end before it begins; miner_id: is missing: it is left out"
    assert str(as_message(stored)) == stored
    said = texts("ru").tell(as_message(stored))
    assert "период кончился бы до начала" in said and "miner_id: отсутствует" in said
