"""axe-core over every page of the console, in a real Chromium: no violation of WCAG 2.2 A and AA; and no page scrolls sideways on a phone or at 200 % zoom.

Each page is judged light and dark, at 1,280 pixels, at that width with 200 % zoom (640 of the page's own pixels), and at a phone's. Pages are enumerated from the router: one that is
not listed here fails. What axe can't decide by itself (its "incomplete" results) is no finding.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from pipeline.app.accounts import set_user
from pipeline.app.month_figures import month_figures
from pipeline.model.months import Month
from pipeline.web.console import ROUTERS
from pipeline.web.parts import Parts
from tests.integration.consoles import PASSWORD
from tests.integration.example_month import LOOKED_AT

from .chromium import CHROMIUM
from .test_console_browser import enter, opened
from .test_console_pictures import blocking_issue, served

pytestmark = [pytest.mark.live, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]
MONTH = Month(2026, 10)
AT = f"/months/{MONTH}"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
VIEWS = {
    "wide, light": (1280, "light"),
    "wide, dark": (1280, "dark"),
    "zoomed, light": (640, "light"),
    "zoomed, dark": (640, "dark"),
    "phone": (390, "light"),
}
NO_PAGES = {
    "/static/{digest}/{name}", "/favicon.ico", "/live", "/api/openapi.json", "/deeds.csv", "/months/{month}/miners/{miner_id}/statement.{kind}", "/months/{month}/v{version}/{name:path}",
}  # fmt: skip
"""Routes that answer with something else than a page, or with a page that is listed under another name."""


def judge(page: Any, address: str, paths: dict[str, str]) -> list[str]:
    """What axe finds on each page, in each view, in words."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = []
    for name, path in paths.items():
        page.set_viewport_size({"width": 1280, "height": 900})
        answer = page.goto(address + path)
        assert answer.status == 200, f"{path}: {answer.status}"
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        for view, (width, theme) in VIEWS.items():
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
            told = axe.run(page, options={"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}).response
            for violation in told["violations"]:
                where = "; ".join(f"{node['html'][:160]} {node['failureSummary'][:200]}" for node in violation["nodes"][:3])
                found.append(f"{name} ({view}): {violation['id']}, {len(violation['nodes'])} place(s): {where}")
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append(f"{name} ({view}): wider than the window")
    return found


def pages_of_router() -> set[str]:
    return {
        route.path
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and not route.path.startswith("/api/v1")
    }


def test_no_page_violates_wcag_while_a_month_is_open(blocked: Path, tmp_path: Path, chromium: Any) -> None:
    shutil.copytree(blocked, tmp_path / "var")
    with served(tmp_path / "var", LOOKED_AT) as (address, parts):
        page, _ = opened(chromium)
        assert judge(page, address, {"sign-in": "/sign-in", "link": "/enter?link=none"}) == []
        enter(page, address, parts)
        issue = f"{AT}/issues/{blocking_issue(parts)}"
        assert judge(page, address, {"board": "/", "issues": f"{AT}/issues", "issue": issue, "close": f"{AT}/close"}) == []


def test_no_page_violates_wcag_over_the_frozen_month(frozen: Path, tmp_path: Path, chromium: Any) -> None:
    shutil.copytree(frozen, tmp_path / "var")
    with served(tmp_path / "var") as (address, parts):
        page, _ = opened(chromium)
        paths = listed(parts)
        assert pages_of_router() - NO_PAGES - set(paths) == set(), "a page that axe does not see"
        set_user(parts.app, "B. Approver", ["approver"], by="A. Person", reason="approves from this month on")
        set_user(parts.app, "A. Person", ["viewer", "operator", "admin"], by="A. Person", reason="the first user")
        page.goto(f"{address}/invitation/{parts.credentials.invite('A. Person')}")
        assert judge(page, address, {"invitation": f"/invitation/{parts.credentials.invite('B. Approver')}"}) == []
        page.goto(f"{address}/invitation/{parts.credentials.invite('A. Person')}")
        page.fill("input[name=password]", PASSWORD)
        page.click("main button")
        page.wait_for_url(f"{address}/")
        assert judge(page, address, {name: path for name, path in paths.items() if path}) == []


def listed(parts: Parts) -> dict[str, str]:
    """Each page's path; empty for one that another test judges."""
    miner = month_figures(parts.reading.book(MONTH)).miners[0].miner_id
    told = parts.app.tasks.start("A task that fails", lambda _: 1 // 0, by="A. Person", then="/")
    return {
        "/": "/", "/sign-in": "", "/enter": "", "/invitation/{token}": "", "/account": "/account", "/account/confirm": "/account/confirm?then=/users", "/users": "/users", "/sign-ins": "/sign-ins", "/deeds": "/deeds", "/machine": "/machine",
        "/tasks": "/tasks", "/tasks/{name}": f"/tasks/{told.id}", "/bring-in": "/bring-in", "/bring-in/item": "", "/rules/{number}": "/rules/5.3",
        "/months/{month}": AT, "/months/{month}/form": f"{AT}/form?search=a&sort=amount", "/months/{month}/rows/{n}": f"{AT}/rows/807", "/months/{month}/outflows/{name}": f"{AT}/outflows/exchange",
        "/months/{month}/miners": f"{AT}/miners", "/months/{month}/miners/{miner_id}": f"{AT}/miners/{miner}", "/months/{month}/issues": f"{AT}/issues",
        "/months/{month}/issues/{name}": f"{AT}/issues/{parts.reading.snapshot().groups[MONTH][-1].issues[0].name}", "/months/{month}/close": f"{AT}/close",
    }  # fmt: skip
