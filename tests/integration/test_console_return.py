"""What is not there says why; who signs in again comes back to where they were."""

from __future__ import annotations

import html
import re
from typing import Any

from pipeline.model.months import Month
from pipeline.web.parts import Parts

from .consoles import PASSWORD, Browser, as_user, by_link
from .test_console_access import answered, registered

MONTH = Month(2026, 10)
BOARD = "/months/2026-10"


def words(answer: Any) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", answer.text)).split())


def test_what_is_not_there_says_why_and_what_to_do(parts: Parts) -> None:
    client = by_link(parts)
    for path, told in {
        "/none": "There is no such page: the address is wrong, or what it showed is gone. Begin at the months.",
        "/months/october/close": "The address names no month: a month is written like 2026-10.",
        "/months/2031-01/issues": "2031-01 has no rows yet",
        "/months/2031-01/close": "2031-01 has no rows yet",
        f"{BOARD}/rows/999999": "2026-10 has no row 999999",
        "/tasks/none": "This work is not kept any more",
        "/rules/99.9": "rules are numbered like 5.3",
        f"{BOARD}/miners/000000000000": "2026-10 has no row and no debt of that miner",
    }.items():
        answer = client.get(path)
        assert answer.status_code == 404 and told in words(answer), (path, words(answer))
    assert client.get("/api/v1/months/2031-01", headers={"accept": "application/json"}).json() == {"detail": "2031-01 is not on the board"}


def test_who_signs_in_again_comes_back_to_the_page_that_they_asked_for(parts: Parts) -> None:
    user = as_user(parts, "Operator", "operator")
    passkey = registered(user, "Operator")
    asked = f"{BOARD}/form?search=%D0%9F&sort=amount"
    client = Browser(parts)
    led = client.get(asked).headers["location"]
    assert led == "/sign-in?then=/months/2026-10/form%3Fsearch%3D%25D0%259F%26sort%3Damount"
    page = client.get(led)
    assert "After signing in you come back to the page that you asked for." in words(page)
    then = html.unescape(page.text.split('name="then" value="')[1].split('"')[0])
    given = {"person": "Operator", "password": PASSWORD, "then": then}
    wrong = client.post("/sign-in", data=given | {"password": "wrong password"})
    assert wrong.status_code == 403 and html.escape(asked) in wrong.text, "a slip of the password does not lose the way"
    assert client.post("/sign-in", data=given).headers["location"] == asked
    for evil in ("//elsewhere.kz", "/\\elsewhere.kz", "/%2Felsewhere.kz", "/%5celsewhere.kz", "https://elsewhere.kz/", "/sign-out"):
        assert Browser(parts).post("/sign-in", data=given | {"then": evil}).headers["location"] == "/"
        assert "elsewhere" not in Browser(parts).get("/sign-in", params={"then": evil}).text
    for wanted, got in ((asked, asked), ("//elsewhere.kz", "/")):
        guest = Browser(parts)
        options = guest.post("/sign-in/passkey/options", headers={"accept": "application/json"}).json()
        assert guest.post("/sign-in/passkey", json=answered(passkey, options) | {"then": wanted}).json() == {"location": got}
        assert guest.get("/account").status_code == 200


def test_a_form_of_a_session_that_is_over_leads_back_to_its_page_and_says_what_is_lost(parts: Parts) -> None:
    client = Browser(parts)
    on = {"referer": f"https://localhost{BOARD}/issues/abcd"}
    kept = client.post(f"{BOARD}/issues/abcd/waiver", data={"reason": "asked <them>"}, headers=on)
    assert kept.status_code == 401 and f'href="/sign-in?then={BOARD}/issues/abcd"' in kept.text
    assert "Nothing was recorded. What you wrote stands below: copy it" in words(kept) and "asked <them>" in words(kept)
    lost = client.post("/bring-in", files={"files": ("a.csv", b"x")}, headers={"referer": "https://localhost/bring-in"})
    assert lost.status_code == 401 and "a file must be chosen again" in words(lost) and 'href="/sign-in?then=/bring-in"' in lost.text
    elsewhere = client.post(f"{BOARD}/steps", headers={"referer": "https://elsewhere.kz/x"})
    assert 'href="/sign-in"' in elsewhere.text
    part = client.get(f"{BOARD}/issues", headers={"hx-request": "true", "hx-current-url": f"https://localhost{BOARD}/issues?code="})
    assert part.headers["hx-redirect"] == f"/sign-in?then={BOARD}/issues%3Fcode%3D"
