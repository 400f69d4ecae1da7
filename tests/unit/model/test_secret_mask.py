"""A token that a service echoes is hidden before it is an event, however the service spells it."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.secret_mask import HIDDEN, SecretMask

TOKEN = 'tok-1/é"<&>+9\\x'
SPELLINGS = {
    "as it is": TOKEN,
    "JSON": json.dumps(TOKEN),
    "JSON, as it is": json.dumps(TOKEN, ensure_ascii=False),
    "JSON within JSON": json.dumps(json.dumps(TOKEN)),
    "address": quote(TOKEN, safe=""),
    "address twice": quote(quote(TOKEN, safe=""), safe=""),
    "XML": html.escape(TOKEN),
    "XML by numbers": "".join(f"&#{ord(letter)};" for letter in TOKEN),
    "XML by hexadecimal numbers": "".join(f"&#x{ord(letter):X};" for letter in TOKEN),
    "base64": base64.b64encode(TOKEN.encode()).decode(),
    "base64 within more, at each of three places": " ".join(
        base64.b64encode(b"u" * n + b":" + TOKEN.encode() + b":").decode() for n in range(3)
    ),
    "base64 for addresses": base64.urlsafe_b64encode(b":" + TOKEN.encode()).decode(),
    "hexadecimal": TOKEN.encode().hex().upper(),
    "UTF-16 read as something else": TOKEN.encode("utf-16-le").decode("latin-1").replace("Ã", "Ã"),
    "escapes": "".join(f"\\u{ord(letter):04x}" for letter in TOKEN),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_secret_is_hidden_however_it_is_spelled(spelling: str) -> None:
    hidden = SecretMask([TOKEN])(f"before {spelling} after")
    assert hidden.startswith("before ") and hidden.endswith(" after") and HIDDEN in hidden
    assert "tok-1" not in hidden and "tok%2D1" not in hidden
    for part in (TOKEN[:6], base64.b64encode(TOKEN.encode()).decode()[:12], TOKEN.encode().hex()[:12]):
        assert part.lower() not in hidden.lower()


def test_a_secret_cut_by_the_end_of_what_is_kept_is_hidden_whole() -> None:
    mask = SecretMask(["s3cr3t-token"])
    text = "x" * 95 + "s3cr3t-token" + "y" * mask.longest
    assert mask.beginning(text, 100) == "x" * 95 + HIDDEN
    assert mask.beginning("short", 100) == "short"


def test_what_is_no_secret_stays() -> None:
    text = json.dumps({"receipt": "KZ-2026-0001", "message": "принято 201040334324"}, ensure_ascii=False)
    assert SecretMask(["s3cr3t-token", "", "abc"])(text) == text
    assert SecretMask([])("abc") == "abc"


@given(st.text(min_size=4, max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_secret_stands_in_what_is_left(secret: str, before: str, after: str) -> None:
    hidden = SecretMask([secret])(before + secret + after)
    assert secret not in hidden or secret in HIDDEN * 4 or secret in before + HIDDEN + after
