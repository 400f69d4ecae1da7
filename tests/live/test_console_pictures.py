"""Every page of the console over the recorded month, in a real Chromium: a picture of each, for docs/console.md and for who judges the design.

`ESEP_PICTURES=docs/images/console` names the folder for the pictures of 1,200 pixels width; those of a phone's width and of the dark theme stay in the test's own
folder. A page must not complain to the browser's console, and on a phone it must not be wider than the screen.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.app.accounts import set_user
from pipeline.app.app import App
from pipeline.app.month_figures import month_figures
from pipeline.cli.frame import settings_of
from pipeline.model.months import Month
from pipeline.web.pages.confirming import confirm_at
from pipeline.web.parts import Parts
from pipeline.web.serve import serve_console
from tests.integration.consoles import PASSWORD, Clock
from tests.integration.example_month import LOOKED_AT

from .chromium import CHROMIUM
from .test_console_browser import enter, opened

pytestmark = [pytest.mark.live, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]
MONTH = Month(2026, 10)
BOARD = f"/months/{MONTH}"
WIDE, PHONE, TALLEST = 1200, 390, 1000
PAPER = 703
"""What A4 has between the margins, in CSS pixels."""
CUT = "[...document.querySelectorAll('main, table')].some(one => one.getBoundingClientRect().right > innerWidth + 1)"
MOST_BYTES = 120_000


def compressed(path: Path) -> None:
    """The picture with a palette: small enough to be kept in a repository."""
    for colours in (128, 64, 32):
        with Image.open(path) as picture:
            drawn = picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
        drawn.save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            return
    raise AssertionError(f"{path.name} takes {path.stat().st_size} bytes with 32 colours")


SHORTEN = """folder => { for (const one of document.querySelectorAll("code")) one.textContent = one.textContent.replace(folder, "var") }"""


def take(page: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": min(height, TALLEST)}, animations="disabled")


def photograph(page: Any, address: str, paths: Mapping[str, str], own: Path) -> list[str]:
    """Take each page wide (without the name of the test's folder), on a phone, and dark; leaves the names of those that are wider than a phone, or than a sheet of paper."""
    kept = Path(os.environ.get("ESEP_PICTURES") or own / "wide")
    too_wide = []
    for name, path in paths.items():
        page.set_viewport_size({"width": WIDE, "height": 800})
        answer = page.goto(address + path)
        assert answer.status == 200, f"{path}: {answer.status}"
        page.evaluate(SHORTEN, str(own / "var"))
        take(page, kept / f"{name}.png")
        compressed(kept / f"{name}.png")
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        take(page, own / "dark" / f"{name}.png")
        page.evaluate("document.documentElement.dataset.theme = 'light'")
        page.set_viewport_size({"width": PHONE, "height": 800})
        take(page, own / "phone" / f"{name}.png")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            too_wide.append(name)
        page.emulate_media(media="print")
        page.set_viewport_size({"width": PAPER, "height": 1000})
        if page.evaluate(CUT):
            too_wide.append(f"{name}, printed")
        page.emulate_media(media="screen")
    return too_wide


def served(var: Path, at: int | None = None) -> Any:
    clock = Clock()
    clock.at = at or clock.at
    return serve_console(App(settings_of(var / "esep.toml"), clock), "localhost:0")


def blocking_issue(parts: Parts) -> str:
    (group,) = [one for one in parts.reading.snapshot().groups[MONTH] if one.open_count]
    return group.issues[0].name


def test_the_month_while_an_issue_stands_in_the_way(blocked: Path, tmp_path: Path, chromium: Any) -> None:
    shutil.copytree(blocked, tmp_path / "var")
    with served(tmp_path / "var", LOOKED_AT) as (address, parts):
        page, troubles = opened(chromium)
        enter(page, address, parts)
        issue = f"{BOARD}/issues/{blocking_issue(parts)}"
        paths = {"board": "/", "issues": f"{BOARD}/issues", "issue": issue}
        assert photograph(page, address, paths, tmp_path) == [] and troubles == []


def test_the_other_pages_over_the_frozen_month(frozen: Path, tmp_path: Path, chromium: Any) -> None:
    shutil.copytree(frozen, tmp_path / "var")
    with served(tmp_path / "var") as (address, parts):
        page, troubles = opened(chromium)
        set_user(parts.app, "B. Approver", ["approver"], by="A. Person", reason="approves from this month on")
        set_user(parts.app, "A. Person", ["viewer", "operator", "admin"], by="A. Person", reason="the first user")
        assert photograph(page, address, {"sign-in": "/sign-in"}, tmp_path) == []
        page.goto(f"{address}/invitation/{parts.credentials.invite('A. Person')}")
        page.fill("input[name=password]", PASSWORD)
        page.click("main button")
        page.wait_for_url(f"{address}/")
        miner = month_figures(parts.reading.book(MONTH)).miners[0].miner_id
        paths = {
            "month": BOARD,
            "form": f"{BOARD}/form",
            "story": f"{BOARD}/rows/807",
            "miners": f"{BOARD}/miners",
            "miner": f"{BOARD}/miners/{miner}",
            "outflows": f"{BOARD}/outflows/exchange",
            "close": f"{BOARD}/close",
            "machine": "/machine",
            "deeds": "/deeds",
            "sign-ins": "/sign-ins",
            "tasks": "/tasks",
            "rule": "/rules/5.3",
            "users": "/users",
            "account": "/account",
            "confirm": confirm_at("/users"),
        }
        assert photograph(page, address, paths, tmp_path) == []
        page.goto(f"{address}/bring-in")
        assert photograph(page, address, {"bring-in": "/bring-in"}, tmp_path) == [] and troubles == []


def test_the_head_takes_one_line_at_1280_pixels_in_every_language(blocked: Path, tmp_path: Path, chromium: Any) -> None:
    shutil.copytree(blocked, tmp_path / "var")
    with served(tmp_path / "var", LOOKED_AT) as (address, parts):
        page, _ = opened(chromium)
        page.set_viewport_size({"width": 1280, "height": 800})
        enter(page, address, parts)
        tall = {}
        for language in ("kk", "ru", "en"):
            with page.expect_navigation():
                page.select_option("select[name=language]", language)
            for path in ("/", "/bring-in", "/machine", "/deeds", "/users", "/sign-ins", BOARD):
                page.goto(address + path)
                height = page.evaluate("document.querySelector('.top').offsetHeight")
                if height > 50:
                    tall[language, path] = height
    assert tall == {}
