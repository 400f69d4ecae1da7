"""The console in a real Chromium: no page breaks its own policy, cookies are what they should be, a passkey of the browser signs in and approves, and a decision of
another process is seen while a page is open."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.app.accounts import set_user
from pipeline.app.app import App
from pipeline.cli.frame import settings_of
from pipeline.model.months import Month
from pipeline.web.parts import Parts
from pipeline.web.serve import serve_console
from tests.integration.consoles import PASSWORD, Clock
from tests.integration.example_month import OUTFLOW, esep

from .chromium import CHROMIUM, PATIENCE_MS
from .console_people import AUTHENTICATOR

pytestmark = [pytest.mark.live, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

MOVED = """() => {
  delete document.body.dataset.answered;
  document.body.addEventListener("htmx:afterRequest", () => { document.body.dataset.answered = "yes" }, { once: true });
  document.body.dispatchEvent(new CustomEvent("moved"));
}"""
WATCH_FOCUS = """() => {
  window.seen = [];
  new MutationObserver((_, observer) => { window.seen.push(document.activeElement.tagName); observer.disconnect(); })
    .observe(document.querySelector("#close").parentNode, { childList: true });
}"""
"""Where the focus is in the moment in which the part was replaced."""


def served(var: Path) -> Any:
    return serve_console(App(settings_of(var / "esep.toml"), Clock()), "localhost:0")


def opened(chromium: Any) -> tuple[Any, list[str]]:
    """A page of a fresh browser profile, and what its console complains of."""
    context = chromium.new_context(locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    return page, troubles


def enter(page: Any, address: str, parts: Parts) -> None:
    page.goto(f"{address}/enter?link={parts.make_link('A. Person')}")
    page.click("main button")
    page.wait_for_selector("#board, h1")


@contextmanager
def asking_for_itself(page: Any) -> Iterator[None]:
    """New facts are heard of, and their answer comes only after what is done meanwhile."""
    held: list[Any] = []
    page.route("**/*", lambda route: held.append(route) if "hx-request" in route.request.headers else route.continue_())
    page.evaluate(MOVED)
    while not held:
        page.wait_for_timeout(20)
    yield
    for route in held:
        route.continue_()
    page.wait_for_selector("body[data-answered]")
    page.unroute("**/*")


def test_no_press_is_lost_while_a_page_asks_for_itself(blocked: Path, tmp_path: Path, chromium: Any) -> None:
    """The focus is never anywhere else, not for a moment; and what a button of the mouse went down on is there when it comes up."""
    shutil.copytree(blocked, tmp_path / "var")
    with served(tmp_path / "var") as (address, parts):
        page, troubles = opened(chromium)
        enter(page, address, parts)
        page.goto(f"{address}/months/2026-10/close")
        button = page.locator("form[action$='/preview'] button")
        button.focus()
        page.evaluate(WATCH_FOCUS)
        with asking_for_itself(page):
            pass
        assert page.evaluate("seen") == ["BUTTON"]
        place = button.bounding_box()
        page.mouse.move(place["x"] + 5, place["y"] + 5)
        with asking_for_itself(page):
            page.mouse.down()
        page.mouse.up()
        page.wait_for_url(f"{address}/tasks/*")
        assert troubles == []


def test_no_page_breaks_its_policy_and_a_decision_is_seen_while_a_page_is_open(blocked: Path, tmp_path: Path, chromium: Any) -> None:
    shutil.copytree(blocked, tmp_path / "var")
    with served(tmp_path / "var") as (address, parts):
        page, troubles = opened(chromium)
        enter(page, address, parts)
        (cookie,) = page.context.cookies()
        assert cookie["name"] == "__Host-session" and cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        for path in (
            "/account",
            "/users",
            "/months/2026-10",
            "/months/2026-10/form",
            "/months/2026-10/issues",
            "/months/2026-10/close",
            "/",
        ):
            page.goto(address + path)
        before = parts.reading.number
        config = tmp_path / "var" / "esep.toml"
        assert (
            esep("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person", "--config", config) == 0
        )
        page.wait_for_selector(f"body:not([data-snapshot='{before}'])")
        page.select_option("#theme", "dark")
        page.wait_for_selector("html[data-theme=dark]")
        assert troubles == []


def test_a_passkey_of_the_browser_signs_in_and_approves(frozen: Path, tmp_path: Path, chromium: Any) -> None:
    shutil.copytree(frozen, tmp_path / "var")
    with served(tmp_path / "var") as (address, parts):
        set_user(parts.app, "B. Approver", ["approver"], by="Tests", reason="for a test")
        page, troubles = opened(chromium)
        page.goto(f"{address}/invitation/{parts.credentials.invite('B. Approver')}")
        page.fill("input[name=password]", PASSWORD)
        page.click("main button")
        page.wait_for_url(f"{address}/")
        protocol = page.context.new_cdp_session(page)
        protocol.send("WebAuthn.enable")
        protocol.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        page.goto(f"{address}/account")
        page.fill("#passkey-name", "laptop")
        page.click("button[data-passkey=register]")
        page.wait_for_selector("text=laptop")
        page.click("text=Sign out")
        page.wait_for_url(f"{address}/sign-in")
        page.click("button[data-passkey=sign-in]")
        page.wait_for_url(f"{address}/")
        page.goto(f"{address}/months/2026-10/close")
        reason = "form:has(button[data-passkey=approve]) [name=reason]"
        with asking_for_itself(page):
            page.fill(reason, "compared with the ledger")
        page.wait_for_selector("body.is-behind")
        assert page.input_value(reason) == "compared with the ledger"
        page.click("button[data-passkey=approve]")
        page.wait_for_selector("text=/B. Approver/ >> nth=1")
        approval = parts.app.diary.life(Month(2026, 10)).approvals[1]["B. Approver"]
        assert approval.assertion is not None and troubles == []
