"""Hostile names on every page: markup, marks that turn the direction of writing, ten thousand characters. They are shown as they are, and do nothing."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterator

import pytest

from pipeline.app.accounts import set_user
from pipeline.model.errors import SettingsError
from pipeline.web.parts import Parts

from .consoles import Browser, Clock, as_user, running
from .example_month import RECORDED, esep

MARKUP = """<script>alert(1)</script><img src=x onerror=alert(2)>"'`{{ 12345 * 7 }}"""
TURNED = "שלום ( ABC ) مرحبا"
"""Written from right to left. Marks that turn the direction by themselves are refused where names come in."""
LONG = "Ж" * 200
"""As long as an import takes."""
NAMES = [MARKUP, TURNED, LONG]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """A console over the recorded month with hostile names of miners and of users."""
    folder = tmp_path_factory.mktemp("hostile")
    recorded = folder / "2026-10"
    shutil.copytree(RECORDED, recorded)
    with (recorded / "miners.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    name = next(column for column in rows[0] if "name" in column)
    for row, hostile_name in zip(rows, NAMES * len(rows), strict=False):
        row[name] = hostile_name
    with (recorded / "miners.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert esep("demo", recorded, "--var", folder / "var") == 3
    with running(folder / "var", Clock()) as parts:
        set_user(parts.app, MARKUP, ["admin", "operator", "approver"], by=MARKUP, reason=MARKUP)
        parts.reading.snapshot()
        yield parts


PAGES = [
    "/",
    "/account",
    "/users",
    "/months/2026-10",
    "/months/2026-10/form",
    "/months/2026-10/rows/1",
    "/months/2026-10/issues",
    "/months/2026-10/miners",
    "/months/2026-10/close",
    "/tasks",
    "/bring-in",
    "/machine",
    "/deeds",
    "/sign-ins",
]


@pytest.mark.parametrize("path", PAGES)
def test_hostile_names_do_nothing_on_any_page(hostile: Parts, path: str) -> None:
    browser = as_user(hostile, MARKUP, "admin", "operator", "approver")
    answer = browser.get(path)
    assert answer.status_code == 200
    html = answer.text
    assert "<script>alert" not in html and not re.search(r"<img\s+src=x", html) and "onerror=alert(2)>" not in html
    assert "{{" not in html.replace("{{ 12345 * 7 }}", "") and "86415" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html, "the signed-in user's name stands on every page, as it is"
    for found in re.finditer("שלום", html):
        before = html[: found.start()]
        assert before.rfind("<bdi") > before.rfind("</bdi>"), (
            f"a name stands open to its surroundings: {html[found.start() - 80 : found.end()]!r}"
        )


def test_miners_with_hostile_names_are_listed_as_they_are(hostile: Parts) -> None:
    html = as_user(hostile, MARKUP, "admin", "operator", "approver").get("/months/2026-10/miners").text
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 1 and TURNED in html and LONG in html


def test_names_that_are_too_long_or_of_several_lines_are_refused(hostile: Parts) -> None:
    for name in ("Ж" * 10_000, "two\nlines", "", "\u0007", "\u202egnp.exe"):
        with pytest.raises(SettingsError):
            set_user(hostile.app, name, ["viewer"], by="Tests", reason="for a test")
    browser = as_user(hostile, MARKUP, "admin", "operator", "approver")
    assert browser.send_form("/users", {"user": "Ж" * 10_000, "roles": ["viewer"], "reason": "for a test"}).status_code == 422
    assert Browser(hostile).post("/sign-in", data={"person": "Ж" * 10_000, "password": "x"}).status_code == 422
    assert Browser(hostile).post("/sign-in", data={"person": "x", "password": "Ж" * 10_000}).status_code == 422


@pytest.mark.parametrize(
    "path",
    ["/months/<script>", "/static/../../etc/passwd", "/invitation/<b>x", "/rules/<i>", "/months/2026-10/rows/-1", "/" + "a" * 10_000],
)
def test_hostile_paths_are_no_pages(hostile: Parts, path: str) -> None:
    answer = as_user(hostile, MARKUP, "admin", "operator", "approver").get(path)
    assert answer.status_code in (404, 409, 422) and "<script>alert" not in answer.text and "<b>x" not in answer.text
