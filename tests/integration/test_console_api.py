"""The API with tokens: schemathesis over its document, scopes, ends; what it says is what the command line says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings

from pipeline.app.accounts import revoke_user, set_user
from pipeline.app.app import App
from pipeline.model.months import Month
from pipeline.store.form_index import FormQuery
from pipeline.web.console import console, document
from pipeline.web.parts import Parts
from pipeline.web.serve import serve_console

from .consoles import Clock, as_user, running
from .example_month import ROOT, esep


@pytest.fixture(scope="module")
def parts(blocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    var = tmp_path_factory.mktemp("api") / "var"
    shutil.copytree(blocked, var)
    with running(var, Clock()) as found:
        set_user(found.app, "Admin", ["admin"], by="Tests", reason="for a test")
        set_user(found.app, "Program", ["operator"], by="Tests", reason="for a test")
        yield found


@pytest.fixture(scope="module")
def token(parts: Parts) -> str:
    return parts.tokens.make("Program", "tests", ["viewer"], days=1)


schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def served(parts: Parts) -> Iterator[str]:
    """The address of the same pool's console, as it is served."""
    with App(parts.app.settings, parts.app.now) as app, serve_console(app, "localhost:0") as (address, served_parts):
        served_parts.reading.snapshot()
        yield address


@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_the_document_says(case: schemathesis.Case, served: str, token: str) -> None:
    case.call_and_validate(base_url=served, headers={"Authorization": f"Bearer {token}"})


def client(parts: Parts, token: str = "") -> TestClient:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return TestClient(console(parts), base_url="https://localhost", headers=headers, follow_redirects=False)


def test_the_months_are_those_of_the_command_line(parts: Parts, token: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert esep("status", "--json", "--config", parts.app.settings.var / "esep.toml") == 0
    told = {month["month"]: month for month in json.loads(capsys.readouterr().out)["months"]}
    answered = {month["month"]: month for month in client(parts, token).get("/api/v1/months").json()["months"]}
    assert answered.keys() == told.keys() and "2026-10" in answered
    for name in ("state", "rows", "totals", "conditions"):
        assert answered["2026-10"][name] == told["2026-10"][name]


def test_rows_issues_and_the_close_state_are_those_of_the_pages(parts: Parts, token: str) -> None:
    asked, decides = client(parts, token), client(parts, parts.tokens.make("Program", "decides", ["viewer", "operator"], days=1))
    form = parts.app.books.form(parts.reading.book(Month(2026, 10)))
    found = asked.get("/api/v1/months/2026-10/rows", params={"search": "Павлодар", "sort": "amount", "down": True, "limit": 3}).json()
    wanted = form.page(FormQuery(search="Павлодар", sort="amount", is_descending=True), limit=3, offset=0)
    assert found["count"] == wanted.count == 157 and [row["n"] for row in found["rows"]] == [row["n"] for row in wanted.rows]
    assert (
        found["version"] is None and found["positions"] == parts.reading.snapshot().positions and found["rows"][0]["amount"].count(".") == 1
    )
    number = wanted.rows[0]["miner_id"]
    assert number not in asked.get("/api/v1/months/2026-10/rows").text, "a viewer's token sees no number"
    assert asked.get("/api/v1/months/2026-10/rows", params={"search": number[:8]}).json()["count"] == 0, "nor finds one by its digits"
    assert decides.get("/api/v1/months/2026-10/rows", params={"search": number, "limit": 1}).json()["rows"][0]["miner_id"] == number
    seen = [entry for entry in parts.app.audit.entries() if number in getattr(entry, "numbers", ())]
    assert [(entry.by, getattr(entry, "page", "")) for entry in seen] == [("Program", "/api/v1/months/2026-10/rows")]
    issues = asked.get("/api/v1/months/2026-10/issues").json()["issues"]
    assert [one["code"] for one in issues if one["is_blocking"]] == ["unknown-outflow"] and issues[0]["amount"] == "0.07770000 BTC"
    closing = asked.get("/api/v1/months/2026-10/close").json()
    assert closing["state"] == "open" and closing["versions"] == []
    assert asked.get("/api/v1/sources").json()["sources"] == []
    told = decides.get(f"/api/v1/months/2026-10/miners/{number}/statement").json()
    assert told["miner_id"] == number and len(told["rows"]) == form.page(FormQuery(miner_id=number), limit=1, offset=0).count
    assert asked.get(f"/api/v1/months/2026-10/miners/{number}/statement").status_code == 403
    for path in ("rows", "issues", "close"):
        assert asked.get(f"/api/v1/months/2031-01/{path}").status_code == 404 and asked.get(f"/api/v1/months/x/{path}").status_code == 404


def test_a_token_is_for_its_scopes_and_for_the_api_alone(parts: Parts, token: str) -> None:
    assert client(parts).get("/api/v1/months").status_code == 401
    assert client(parts, "esep_wrong").get("/api/v1/months").status_code == 401
    asked = client(parts, token)
    assert asked.get("/api/v1/months/2026-10").status_code == 200 and asked.get("/api/v1/months/2026-01").status_code == 404
    assert asked.get("/").headers["location"] == "/sign-in", "pages take no token"
    assert asked.get("/users").headers["location"] == "/sign-in?then=/users"
    side = b"".join(path.read_bytes() for path in parts.app.settings.var.glob("console.sqlite*"))
    assert token.encode() not in side


def test_tokens_are_made_for_ones_own_roles_shown_once_and_end(parts: Parts) -> None:
    browser = as_user(parts, "Operator", "operator")
    for scopes in ([], ["approver"], ["admin"]):
        assert browser.send_form("/account/tokens", {"name": "x", "scopes": scopes}).status_code == 409, (
            "no token approves or manages users"
        )
    shown = browser.send_form("/account/tokens", {"name": "<b>ledger</b>", "scopes": ["viewer", "operator"]}).text
    made = shown.split('<code id="token">')[1].split("<")[0]
    assert client(parts, made).get("/api/v1/months").status_code == 200
    page = browser.get("/account").text
    assert made not in page and "<b>ledger" not in page and "&lt;b&gt;ledger" in page
    (listed,) = parts.tokens.listed("Operator")
    assert as_user(parts, "Other", "operator").send_form(f"/account/tokens/{listed.digest}/end").status_code == 303
    assert client(parts, made).get("/api/v1/months").status_code == 200, "nobody ends another's token"
    assert browser.send_form(f"/account/tokens/{listed.digest}/end").status_code == 303
    assert client(parts, made).get("/api/v1/months").status_code == 401
    again = parts.tokens.make("Operator", "x", ["viewer"], days=1)
    revoke_user(parts.app, "Operator", by="Admin", reason="left us")
    assert client(parts, again).get("/api/v1/months").status_code == 401


def test_the_document_is_the_one_that_is_printed() -> None:
    assert json.loads((ROOT / "docs" / "console.openapi.json").read_text()) == document()
