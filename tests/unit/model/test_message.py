"""Messages: English text for everything that has no language, with what it takes to say it in another."""

import json
import pickle
from datetime import date

import msgspec
import pytest

from pipeline.model.errors import SettingsError
from pipeline.model.message import Message, as_plain, counted, joined, message, text_of


def test_a_message_is_its_english_text_with_its_template_and_values() -> None:
    said = message("{count} of {total}", count=3, total=5)
    assert said == "3 of 5" and isinstance(said, str)
    assert (said.template, said.values) == ("{count} of {total}", {"count": 3, "total": 5})


def test_a_counted_message_has_the_form_of_its_number() -> None:
    assert [counted("{count} row of {what}", "{count} rows of {what}", n, what="x") for n in (1, 2)] == ["1 row of x", "2 rows of x"]


def test_joined_texts_keep_their_parts() -> None:
    said = joined("; ", ["data", message("due {day}", day=date(2026, 11, 25))])
    assert said == "data; due 2026-11-25"
    assert said.parts is not None and isinstance(said.parts[1], Message)


def test_outside_a_terminal_it_is_plain_text() -> None:
    said = message("due {day}", day=date(2026, 11, 25))
    assert json.dumps(said) == '"due 2026-11-25"'
    assert msgspec.json.Encoder(enc_hook=as_plain).encode({"a": said}) == b'{"a":"due 2026-11-25"}'
    assert type(pickle.loads(pickle.dumps(said))) is str
    assert type(str(said)) is str
    with pytest.raises(TypeError):
        as_plain(3)


def test_an_error_keeps_the_message_that_it_was_raised_with() -> None:
    said = message("no {what}", what="node")
    assert text_of(ValueError(said)) is said
    assert text_of(ValueError("plain")) == "plain"
    assert text_of(OSError(2, "no file")) == "[Errno 2] no file"
    two = SettingsError(["a: b", message("no {what}", what="c")], source="esep.toml")
    assert str(two) == "esep.toml: 2 faults\n  - a: b\n  - no c"
    assert isinstance(text_of(two), Message)
