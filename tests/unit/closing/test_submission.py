"""Which transmissions of a submission may have arrived, from its events alone."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.closing.submission import State, Submission
from pipeline.log.events.months import Answered, Sending, Submitting

COMMON: dict[str, Any] = {"month": "2026-10", "version": 1, "by": "esep", "reason": "", "at": 0}


def _submission(*trail: Sending | Answered) -> Submission:
    made = Submitting(
        id="s", attempt=1, submission_id="s", target="https://filing.example/", content_type="text/csv", body_gzip="", body_digest="0" * 64, **COMMON
    )  # fmt: skip
    return Submission(made, list(trail))


def _sending(number: int) -> Sending:
    return Sending(id=f"sending:{number}", submission_id="s", transmission=number, **COMMON)


def _missing(asked: Any, begun: int | None, number: int = 1) -> Answered:
    """The answer "we have nothing", to a question put when `begun` transmissions had begun."""
    return Answered(id=f"answer:{number}", submission_id="s", number=number, asked=asked, outcome="missing", transmission=begun, **COMMON)


@pytest.mark.parametrize("asked", ["status", "person"])
def test_an_answer_to_a_question_put_before_a_transmission_says_nothing_of_it(asked: str) -> None:
    first = _submission(_sending(1), _sending(2), _missing(asked, 1))
    assert first.delivery.possibly_delivered == {2: "https://filing.example/"}
    assert first.state is State.UNKNOWN
    stale = _submission(_sending(1), _missing(asked, 0))
    assert stale.delivery.possibly_delivered == {1: "https://filing.example/"}
    assert stale.state is State.UNKNOWN


def test_an_answer_to_a_question_put_after_the_transmissions_clears_them_all() -> None:
    found = _submission(_sending(1), _sending(2), _missing("status", 2))
    assert found.delivery.possibly_delivered == {}
    assert found.state is State.SUBMITTING


def test_an_answer_without_a_number_of_transmissions_proves_nothing() -> None:
    assert _submission(_sending(1), _missing("status", None)).may_be_delivered
