"""The static files: what others wrote is what was taken, with its licence; nothing asks another host."""

import hashlib
import re
from importlib.resources import files

import pytest

from pipeline.web.assets import VENDORED, assets

STATIC = files("pipeline.web") / "static"


@pytest.mark.parametrize(("name", "digest"), VENDORED.items())
def test_what_others_wrote_is_as_it_was_taken_and_has_its_licence(name: str, digest: str) -> None:
    assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest
    licence = (STATIC / f"{name.partition('.')[0]}.LICENSE").read_text("utf-8")
    assert "Permission to use, copy, modify" in licence


def test_every_script_of_others_is_listed() -> None:
    ours = {"console.js", "passkey.js"}
    assert {name for name in assets() if name.endswith(".js")} == ours | set(VENDORED)


def test_styles_and_our_scripts_fetch_nothing_and_style_nothing_inline() -> None:
    for name in ("console.css", "console.js", "passkey.js", "esep.svg"):
        text = assets()[name].content.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.|@import|@font-face|\.style\b|\beval\b|Function\(", text), name
