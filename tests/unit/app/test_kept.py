"""Texts come back from what was kept of them as they were, so that they can still be said in another language."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pipeline.app.kept import _packed, _unpacked
from pipeline.model.message import Message, counted, joined, message
from pipeline.model.months import Month

TEXTS = [
    message("no text has values"),
    message("{a} and {b}", a=1, b="two"),
    message("until {day} of {month}", day=date(2026, 10, 31), month=Month(2026, 10)),
    message("{outer}", outer=message("{inner} inside", inner=3)),
    counted("{count} row of {n}", "{count} rows of {n}", 2, n=5),
    counted("{count} row", "{count} rows", 1),
    joined("; ", [message("{n} of them", n=4), "plain", counted("{count} row", "{count} rows", 7)]),
    message("before ") + message("{n} after", n=1),
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_with_what_it_is_translated_by(text: str) -> None:
    assert isinstance(text, Message)
    found = _unpacked(_packed(text))
    assert (str(found), found.template, found.many, found.parts) == (str(text), text.template, text.many, text.parts)
    assert found.values == text.values
    assert [type(value) for value in found.values.values()] == [type(value) for value in text.values.values()]


@pytest.mark.parametrize(
    "value", ["", "list", None, True, 10**30, ["list", ["a"]], ("x", ("y",)), {"a": {"b": [1]}}, date(2026, 1, 2), Month(2026, 1)]
)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert _unpacked(_packed(value)) == value


def test_texts_that_name_counts_come_back_as_texts() -> None:
    found = _unpacked(_packed({message("in {zone}", zone="UTC"): 2, "plain": 1}))
    assert found == {"in UTC": 2, "plain": 1}
    assert next(iter(found)).values == {"zone": "UTC"}


@pytest.mark.parametrize("value", [1.5, b"bytes", {1, 2}, object(), message("{value}", value=2.5)])
def test_what_has_no_form_is_not_kept(value: Any) -> None:
    with pytest.raises(TypeError):
        _packed(value)
