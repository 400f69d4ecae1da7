"""What the logs show, and what they hide."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline.cli.logs import configure_logs, mask


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """structlog's settings are the process's: tests that run after these must not inherit them."""
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("miner 201040334324 has", "miner ********4324 has"),
        ("201040334324:2026-10-05", "********4324:2026-10-05"),
        ("txid 319e6aeec4b25c317f902ebd7e6af85d06df5296d79085821574b49066fc6e30", "txid 319e6aeec4b25c317f902ebd7e6af85d06df5296d79085821574b49066fc6e30"),
        ("subject BIN201040334324, IIN840312301231", "subject BIN********4324, IIN********1231"),
        ("БИН201040334324жоқ miner_840312301231x", "БИН********4324жоқ miner_********1231x"),
        ("0.201040334324 and 201040334324.5 and 2010403343241", "0.201040334324 and 201040334324.5 and 2010403343241"),
        ("0xa7b9d201040334324fedcba9876543210abcdef00 x", "0xa7b9d201040334324fedcba9876543210abcdef00 x"),
        ("1793473200000000 µs", "1793473200000000 µs"),
        ("http://user:pw@127.0.0.1:8332/x", "http://***@127.0.0.1:8332/x"),
        ("__cookie__:abcdef0123 refused", "__cookie__:*** refused"),
        ("Authorization: Basic dXNlcjpwdw==", "Authorization: Basic ***"),
        ("password=hush, then", "password=***, then"),
        ('{"password": "hush"}', '{"password": "***"}'),
        ("block 4860 of 5113", "block 4860 of 5113"),
    ],
)  # fmt: skip
def test_mask(text: str, shown: str) -> None:
    assert mask(text) == shown


def logged(**values: object) -> dict[str, object]:
    stream = io.StringIO()
    configure_logs(stream, verbose=True)
    structlog.get_logger().info("said", **values)
    parsed: dict[str, object] = json.loads(stream.getvalue())
    return parsed


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_no_sentence_of_our_own_loses_a_word(language: str) -> None:
    """`user without a password: *** password_file` did not say what to do with the file."""
    path = Path(pipeline.__file__).parent / "texts" / "locale" / language / "LC_MESSAGES" / "esep.po"
    with path.open("rb") as file:
        texts = [
            text
            for message in read_po(file)
            for said in (message.id, message.string)
            for text in ([said] if isinstance(said, str) else said)
        ]
    assert len(texts) > 5000 and [text for text in texts if mask(text) != text] == []
    assert mask("password: set") == "password: ***" and mask("password: setting1 failed") == "password: *** failed"


def test_lines_are_json_where_nobody_watches_and_deep_values_are_masked() -> None:
    line = logged(
        miner="201040334324",
        amount=201040334324,
        inner={"password": "hush", "ids": ["240440639442", 7]},
        height=5113,
        cookie_file="/x/.cookie",
    )
    assert line["miner"] == "********4324" and line["amount"] == "********4324"
    assert line["inner"] == {"password": "***", "ids": ["********9442", 7]}
    assert line["height"] == 5113 and line["cookie_file"] == "/x/.cookie"
    assert line["level"] == "info" and str(line["timestamp"]).endswith("Z")


def test_an_exception_is_masked_too() -> None:
    stream = io.StringIO()
    configure_logs(stream)
    try:
        raise ValueError("http://u:pw@node/ said 201040334324")
    except ValueError:
        structlog.get_logger().error("failed", exc_info=True)
    assert "pw" not in stream.getvalue() and "201040334324" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_quiet_unless_asked() -> None:
    stream = io.StringIO()
    configure_logs(stream)
    structlog.get_logger().info("not shown")
    structlog.get_logger().warning("shown")
    assert "not shown" not in stream.getvalue() and "shown" in stream.getvalue()


@given(st.text(alphabet=st.sampled_from("0123456789 :x/"), max_size=60), st.from_regex(r"[0-9]{12}", fullmatch=True))
def test_no_twelve_digits_alone_ever_pass(before: str, number: str) -> None:
    if not before[-1:].isalnum():
        assert number not in mask(f"{before}{number} after") or number in before


def test_a_key_of_the_settings_that_is_none_is_told_whole() -> None:
    fault = "filing.token: no such key: here stand way, outbox"
    assert mask(fault) == fault and "hunter2" not in mask("filing.token: hunter2")
