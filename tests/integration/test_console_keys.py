"""The console where `[keys] root` is in force: it decides for the owners of the keys on its machine; everybody else is told why not, and where it is done (ADR 14, 24)."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.app.accounts import set_user
from pipeline.web.parts import Parts

from .consoles import PASSWORD, Browser, as_user, by_link, running
from .test_console_access import NEEDS, routes
from .test_console_old import BOARD, MONTH, bring_in_an_allocation, ended
from .test_keys import begin, pool

__all__ = ["pool"]
WHOSE = "[keys] root is in force: the console signs with the keys on its machine, which are of A. Person"
NO_KEY = "no key on the console's machine has the role {} here"
NEED_A_KEY = {
    "POST /months/{month}/issues/{name}/waiver": "decide", "POST /months/{month}/issues/{name}/label": "decide", "POST /months/{month}/freeze": "decide", "POST /months/{month}/outcome": "decide",
    "POST /months/{month}/steps": "file", "POST /months/{month}/approval/options": "decide", "POST /months/{month}/approval": "decide", "POST /months/{month}/approval/by-name": "decide",
    "POST /bring-in/{task}/take": "import", "POST /bring-in/complete": "import", "POST /bring-in/item": "decide",
    "POST /users": "decide", "POST /users/revoke": "decide", "POST /users/passkeys/revoke": "decide",
    "POST /account/passkeys/options": "decide", "POST /account/passkeys": "decide", "POST /account/passkeys/revoke": "decide",
}  # fmt: skip
"""Every act of the console that writes to the log, with the role of the key that signs it."""


def words(answer: Any) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", answer.text)).split())


@pytest.fixture
def parts(pool: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Parts]:
    """A console over the month under a root key; A. Person's key lies on its machine, and one each to import and to file."""
    begin(pool, capsys)
    with running(pool.parent) as found:
        yield found


def test_every_act_that_writes_to_the_log_names_the_role_of_its_key(parts: Parts) -> None:
    keys = {name: need.key for name, route in routes(parts).items() for need in _needs(route) if need.key}
    assert keys == NEED_A_KEY and keys.keys() <= NEEDS.keys()


def _needs(route: Any) -> list[Any]:
    return [one.call for one in route.dependant.dependencies if hasattr(one.call, "is_fresh")]


def issue_path(parts: Parts) -> str:
    (issue,) = next(one for one in parts.reading.snapshot().groups[MONTH] if one.open_count).issues
    return f"{BOARD}/issues/{issue.name}"


def test_the_owner_of_a_key_decides_and_others_are_told_whose_keys_these_are(parts: Parts) -> None:
    stranger, owner, path = by_link(parts, "C. Other"), by_link(parts, "A. Person"), issue_path(parts)
    for page, form in ((path, "Waive in my name"), (f"{BOARD}/close", "Approve by passkey"), ("/users", "Make the user")):
        told = words(stranger.get(page))
        assert WHOSE in told and "C. Other can look at everything here and decide nothing" in told and form not in told, page
        assert "[keys] root" not in words(owner.get(page)), page
    assert "Make the user" in words(owner.get("/users")) and "Waive in my name" in words(owner.get(path))
    end = parts.app.log.end()
    for name, role in NEED_A_KEY.items():
        if role == "decide" and "account" not in name:
            refused = stranger.send_form(
                name.removeprefix("POST ").replace("{month}", "2026-10").replace("{name}", path.rpartition("/")[2]),
                {"reason": "refund <b>"},
            )
            assert refused.status_code == 409 and WHOSE in words(refused) and "refund <b>" in html.unescape(refused.text), name
    assert parts.app.log.end() == end
    digest = re.findall(r'name="digest" value="([0-9a-f]{64})"', owner.get(path).text)[0]
    assert owner.send_form(f"{path}/waiver", {"reason": "refund pending", "digest": digest}).status_code == 303
    assert [one.by for one in parts.app.decisions.held().waivers.values()] == ["A. Person"] and parts.app.diary.faults == []


def test_users_are_made_by_the_owner_and_a_user_without_a_key_adds_no_passkey(parts: Parts) -> None:
    set_user(parts.app, "A. Person", ["admin", "operator"], by="A. Person", reason="the first user")
    set_user(parts.app, "C. Other", ["operator", "approver"], by="A. Person", reason="looks on")
    parts.credentials.set_password("C. Other", PASSWORD)
    other = Browser(parts)
    assert other.post("/sign-in", data={"person": "C. Other", "password": PASSWORD}).status_code == 303
    assert WHOSE in words(other.get("/account")) and "Add a passkey" not in words(other.get("/account"))
    refused = other.send_json("/account/passkeys/options", {})
    assert refused.status_code == 409 and WHOSE in refused.json()["detail"]
    assert other.send_form("/account/tokens", {"name": "robot", "scopes": ["operator"]}).status_code == 200, "a token is no event"
    assert as_user(parts, "A. Person", "admin", "operator").send_json("/account/passkeys/options", {}).status_code == 200


def test_a_preview_and_a_freeze_of_the_owner_count(parts: Parts) -> None:
    owner, path = by_link(parts, "A. Person"), issue_path(parts)
    digest = re.findall(r'name="digest" value="([0-9a-f]{64})"', owner.get(path).text)[0]
    assert owner.send_form(f"{path}/waiver", {"reason": "refund pending", "digest": digest}).status_code == 303
    page = owner.get(ended(owner, owner.send_form(f"{BOARD}/preview"))).text.split('/freeze">')[1].split("</form>")[0]
    seen = dict(re.findall(r'<input type="hidden" name="(digest|header|task)" value="([^"]*)"', page))
    assert ended(owner, owner.send_form(f"{BOARD}/freeze", seen)) == f"{BOARD}/close"
    (event,) = parts.app.months.frozen(MONTH)
    assert event.by == "A. Person" and parts.app.diary.faults == []
    assert owner.send_form("/bring-in/complete", {"through": "2026-11-02"}).status_code == 303
    assert owner.send_form("/bring-in/complete", {"through": "2126-11-02"}).status_code == 422  # a year to come
    refused = bring_in_an_allocation(parts, owner)
    assert "what needs a person's agreement is imported here by Importer alone" in refused and "A. Person imports it by command" in refused
    bring_in_an_allocation(parts, by_link(parts, "Importer"))
    assert "What version 2 would change" in words(owner.get(ended(owner, owner.send_form(f"{BOARD}/preview"))))
    draft = parts.app.diary.life(MONTH).draft
    assert draft is not None and draft.by == "schedule", "who only looks gives no name that has no key"


def test_where_no_key_is_granted_each_page_says_what_to_do(pool: Path) -> None:
    with running(pool.parent) as parts:
        client = by_link(parts, "A. Person")
        deadline = time.monotonic() + 60
        while "esep keys start" not in (told := words(client.get(f"{BOARD}/close"))) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert NO_KEY.format("decide") in told and "--owner 'A. Person' --role decide" in told
        told = words(client.get("/bring-in"))
        assert NO_KEY.format("import") in told and "--role import" in told and "It holds everything through" not in told
        refused = client.send_form(f"{BOARD}/steps")
        assert refused.status_code == 409 and NO_KEY.format("file") in words(refused)
