"""The console over the recorded month: signing in by the link, headers, languages, and a decision of another process seen at once."""

from __future__ import annotations

import pytest

from pipeline.web.headers import HEADERS
from pipeline.web.parts import Parts

from .consoles import Browser, by_link
from .example_month import OUTFLOW, esep


def test_the_link_signs_in_once_and_the_board_says_what_is_in_the_way(parts: Parts) -> None:
    client = Browser(parts)
    assert client.get("/").headers["location"] == "/sign-in"
    link = parts.make_link("A. Person")
    assert client.get(f"/enter?link={link}").status_code == 200, "looking at the link does not use it up"
    entered = client.post("/enter", data={"link": link})
    cookie = entered.headers["set-cookie"]
    assert cookie.startswith("__Host-session=") and {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    board = client.get("/")
    assert board.status_code == 200 and "October 2026" in board.text and "1 thing stands in the way of filing" in board.text
    assert Browser(parts).post("/enter", data={"link": link}).status_code == 403
    for answer in (board, entered, client.get("/none"), client.get("/static/0/none")):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS and answer.headers["cache-control"] == "no-store"


def test_a_decision_of_another_process_is_seen_without_publishing(parts: Parts) -> None:
    client = by_link(parts)
    before = parts.reading.snapshot()
    published = parts.app.settings.store.published.read_bytes()
    config = parts.app.settings.var / "esep.toml"
    assert esep("waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person", "--config", config) == 0
    parts.reading.snapshot(after=before.number, timeout_s=60)
    assert "1 thing stands in the way of filing" not in client.get("/").text
    assert parts.app.settings.store.published.read_bytes() == published


def test_rows_are_read_at_one_moment_and_nothing_can_be_changed(parts: Parts) -> None:
    with parts.reading.connection() as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM core_allocation").fetchall()
        assert rows > 1000
        with pytest.raises(Exception, match="read-only"):
            connection.execute("DELETE FROM raw_position")


@pytest.mark.parametrize(("language", "months"), [("kk", "Айлар"), ("ru", "Месяцы"), ("en", "Months")])
def test_pages_speak_the_browsers_language_until_another_is_chosen(parts: Parts, language: str, months: str) -> None:
    client = by_link(parts, language=language)
    page = client.get("/").text
    assert f"<h1>{months}</h1>" in page and f'<html lang="{language}' in page
    token = page.split('name="forgery_token" value="')[1].split('"')[0]
    chosen = client.post("/language", data={"language": "ru", "forgery_token": token})
    assert chosen.status_code == 303 and "<h1>Месяцы</h1>" in client.get("/").text


def test_a_form_that_is_not_of_the_session_is_refused(parts: Parts) -> None:
    client = by_link(parts)
    assert client.post("/sign-out").status_code == 403
    assert client.post("/sign-out", data={"forgery_token": "x"}).status_code == 403
    token = client.get("/").text.split('name="forgery_token" value="')[1].split('"')[0]
    assert client.post("/sign-out", data={"forgery_token": token}, headers={"origin": "https://elsewhere.kz"}).status_code == 403
    assert client.post("/sign-out", data={"forgery_token": token}).status_code == 303
    assert client.get("/").headers["location"] == "/sign-in"
