"""What people do that no page asks for: empty reasons, addresses of acts, files of one name, pages beyond the end. Each is told in the reader's words; nothing is recorded by the way, and nothing written is lost."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.log.events import decode
from pipeline.log.events.months import Labelled, Waived
from pipeline.model.errors import SettingsError
from pipeline.model.months import Month
from pipeline.web.console import console, need_of
from pipeline.web.headers import POLICY
from pipeline.web.pages.bring_in import kept_name
from pipeline.web.parts import Parts
from pipeline.web.return_to import page_of_act

from .consoles import Browser, as_user, by_link, running
from .example_month import RECORDED
from .test_console_access import all_routes
from .test_console_old import bring_in_an_allocation, ended

MONTH = Month(2026, 10)
BOARD = "/months/2026-10"
SEEN = re.compile(r'name="digest" value="([0-9a-f]{64})"')
UNSEEN = ("   ", " \r\n\t ", "\u200b\u200b\u200b", "ab", "")


@pytest.fixture(scope="module")
def parts(blocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    var = tmp_path_factory.mktemp("odd") / "var"
    shutil.copytree(blocked, var)
    with running(var) as found:
        yield found


def words(answer: Any) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", answer.text.split("<main")[-1])).split())


def issue_path(parts: Parts) -> str:
    (issue,) = next(one for one in parts.reading.snapshot().groups[MONTH] if one.open_count).issues
    return f"{BOARD}/issues/{issue.name}"


def russian(client: Browser) -> Browser:
    client.headers["accept-language"] = "ru"
    return client


def decided(parts: Parts) -> list[Waived | Labelled]:
    events = (decode(record.value) for record in parts.app.log.read({}, topics=("months",), limit_bytes=1 << 30))
    return [event for event in events if isinstance(event, Waived | Labelled)]


# --- reasons


@pytest.mark.parametrize("reason", UNSEEN)
def test_nobody_decides_without_a_reason(parts: Parts, reason: str) -> None:
    client, path, before = russian(as_user(parts, "Operator", "operator")), issue_path(parts), decided(parts)
    digest = SEEN.findall(client.get(path).text)[0]
    told = "Укажите причину, понятную аудитору: от 3 до 1000 знаков."
    given = {"reason": reason, "digest": digest}
    for act, more in (("waiver", {}), ("label", {"whose": "ТОО «Энергия»", "act": "label"})):
        refused = client.send_form(f"{path}/{act}", given | more)
        assert refused.status_code == 422 and told in words(refused), (act, words(refused))
    assert "ТОО «Энергия»" in words(refused), "what was written is given back"
    assert decided(parts) == before


@pytest.mark.parametrize("name", ["", "   ", "a\u202eb", "two\r\nlines"])
def test_no_address_is_labelled_as_nobodys(parts: Parts, name: str) -> None:
    client, path, before = as_user(parts, "Operator", "operator"), issue_path(parts), decided(parts)
    given = {"reason": "asked by telephone", "digest": SEEN.findall(client.get(path).text)[0], "whose": name, "act": "label"}
    refused = client.send_form(f"{path}/label", given)
    assert refused.status_code == 422 and "Give a name, in one line." in words(refused) and "asked by telephone" in words(refused)
    assert decided(parts) == before


def test_no_act_of_the_closing_and_of_access_goes_without_a_reason(closed: Parts) -> None:
    client = as_user(closed, "Person", "operator", "approver", "admin")
    digest = SEEN.findall(client.get(f"{BOARD}/close").text)[0]
    acts = {
        f"{BOARD}/approval/by-name": {"digest": digest}, f"{BOARD}/outcome": {"outcome": "accepted"}, "/users": {"user": "New", "roles": "viewer"},
        "/users/revoke": {"user": "Person"}, f"{BOARD}/freeze": {"digest": digest, "header": digest},
    }  # fmt: skip
    end = closed.app.log.end()
    for path, given in acts.items():
        refused = client.send_form(path, {**given, "reason": "   "})
        assert refused.status_code == 422 and "Give a reason that an auditor can follow" in words(refused), (path, words(refused))
    by_script = client.send_json(f"{BOARD}/approval/options", {"reason": "\u200b\u200b\u200b", "digest": digest})
    assert by_script.status_code == 422 and "Give a reason" in by_script.json()["detail"]
    assert closed.app.log.end() == end
    for act in (
        lambda: closed.app.decisions.label(chain="bitcoin", address="x", outflow_class="vendor", name="X", by="P", reason=" "),
        lambda: closed.app.decisions.label(chain="bitcoin", address="x", outflow_class="vendor", name=" ", by="P", reason="because"),
    ):
        with pytest.raises(SettingsError, match=r"--(reason|name): "):
            act()


def test_a_reason_of_several_lines_counts_as_the_browser_counts_it(parts: Parts) -> None:
    """A browser lets 1,000 characters be typed, each line's end as one, and sends two for it."""
    client, path = as_user(parts, "Operator", "operator"), issue_path(parts)
    given = {"digest": "0" * 64}
    typed = "\n".join(["строка по-русски"] * 58)
    assert len(typed) < 1000 < len(typed.replace("\n", "\r\n"))
    taken = client.send_form(f"{path}/waiver", {"reason": typed.replace("\n", "\r\n"), **given})
    assert taken.status_code == 409 and typed in html.unescape(taken.text).replace("\r\n", "\n"), (
        "refused for what was seen, not for its length"
    )
    longer = client.send_form(f"{path}/waiver", {"reason": "я" * 1001, **given})
    assert longer.status_code == 422 and "reason: has more than 1000 characters" in words(longer) and "я" * 1001 in words(longer)


def test_what_was_written_stays_when_the_effect_is_shown(parts: Parts) -> None:
    client, path = as_user(parts, "Operator", "operator"), issue_path(parts)
    digest = SEEN.findall(client.get(path).text)[0]
    given = {"reason": "Invoice 17 <of> October", "whose": "Power company", "digest": digest, "act": "show"}
    shown = ended(client, client.send_form(f"{path}/label", given))
    assert "Invoice 17 &lt;of&gt; October</textarea>" in client.get(shown).text
    assert "Invoice 17" not in as_user(parts, "Second", "operator").get(shown).text, "one person's words are no draft of another's"


# --- addresses


def test_the_address_of_an_act_leads_to_the_page_that_it_stands_on(parts: Parts) -> None:
    """A reload, a change of language or a sign-in after a form comes to the form's own address, which nothing but a form is sent to."""
    application = console(parts)
    readable = {route.path for route in all_routes(application) if "GET" in route.methods}
    acts = {route.path for route in all_routes(application) if need_of(route) is not None} - readable
    client = by_link(parts)
    path = issue_path(parts)
    for act in sorted(one for one in acts if not one.startswith("/api/")):
        address = re.sub(r"\{\w+\}", "1", act.replace("{month}", "2026-10").replace("/issues/{name}", path.removeprefix(BOARD)))
        answer = client.get(address)
        if answer.status_code == 404:
            continue  # such as /bring-in/1/leave under a route that takes any name
        assert answer.status_code == 303, (address, words(answer))
        assert client.get(answer.headers["location"]).status_code == 200, (address, answer.headers["location"])
    assert (
        page_of_act(f"{path}/waiver") == path
        and page_of_act(f"{BOARD}/freeze") == f"{BOARD}/close"
        and page_of_act("/users/invite") == "/users"
    )
    assert page_of_act("/bring-in/x/take") == "/bring-in" and page_of_act("//elsewhere.kz/freeze") == "/"


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_refusals_are_in_the_readers_language(parts: Parts, language: str) -> None:
    client = as_user(parts, "Operator", "operator")
    client.headers["accept-language"] = language
    token = {"forgery_token": client.token()}
    for answer in (
        client.put("/"), client.get(f"{BOARD}/form?page=x"), client.get(f"{BOARD}/form?first=32"), client.get("/deeds?first=x"), client.get("/bring-in/item"),
        client.post(f"{BOARD}/preview"), client.post(f"{BOARD}/preview", data=token, headers={"origin": "https://elsewhere.kz"}),
        client.post(f"{BOARD}/preview", content=b"x", headers={"content-type": "multipart/form-data"}), client.post("/bring-in", data=token),
    ):  # fmt: skip
        told = answer.text.split('role="alert">')[1].split("<")[0]
        assert 400 <= answer.status_code < 500 and not re.search(r"[A-Za-z]{2,} [a-z]{2,}", told), told


def test_a_page_beyond_the_end_is_the_last_one(parts: Parts) -> None:
    client = by_link(parts)
    for beyond in ("30", "99999999999", "9" * 30):
        assert "page 29 of 29" in words(client.get(f"{BOARD}/form?page={beyond}"))
        assert "page 4 of 4" in words(client.get(f"{BOARD}/form?page={beyond}&search=ПАВЛОДАР&sort=amount"))
    assert "No row fits" in words(client.get(f"{BOARD}/form?page=7&search=nothing-of-the-kind"))


def test_who_may_not_see_numbers_finds_no_miner_by_one(parts: Parts) -> None:
    operator = as_user(parts, "Operator", "operator")
    known = re.findall(r"/miners/([0-9]{12})", operator.get(f"{BOARD}/miners").text)[0]
    viewer = as_user(parts, "Viewer", "viewer")
    answers = {viewer.get(f"{BOARD}/form?miner={number}").status_code for number in (known, "000000000000")}
    assert answers == {403}
    assert operator.get(f"{BOARD}/form?miner={known}").status_code == 200


def test_a_version_stays_the_one_that_was_chosen(closed: Parts) -> None:
    """Links of a frozen version that is not the newest lead on within it: its miners, their rows and statements."""
    client = by_link(closed)
    assert bring_in_an_allocation(closed, client) == ""
    page = client.get(ended(client, client.send_form(f"{BOARD}/preview"))).text.split('/freeze">')[1].split("</form>")[0]
    given = dict(re.findall(r'<input type="hidden" name="(digest|header|task)" value="([^"]*)"', page))
    ended(client, client.send_form(f"{BOARD}/freeze", {**given, "reason": "a row came late"}))
    listed = client.get(f"{BOARD}/miners?version=1").text
    links = re.findall(rf'href="({BOARD}/miners/[0-9]+[^"]*)"', listed)
    assert links and all(link.endswith("?version=1") for link in links)
    assert "version=1" in re.findall(rf'href="({BOARD}/form\?miner=[^"]*)"', client.get(links[0]).text)[0]
    for tab in ("issues", "close"):
        assert f'href="{BOARD}?version=1"' in client.get(f"{BOARD}/{tab}").text, "a link to a version leads to what is shown of it"


# --- files


def test_two_files_of_one_name_are_refused_with_words(parts: Parts) -> None:
    client = as_user(parts, "Operator", "operator")
    twice = [("files", ("miners.csv", b"a", "text/csv"))] * 2
    refused = client.post("/bring-in", data={"forgery_token": client.token(), "kind": "registry"}, files=twice)
    assert refused.status_code == 422 and "two files are called miners.csv" in words(refused)


def test_names_of_files_are_kept_short_with_their_endings() -> None:
    assert kept_name("../../распределения за октябрь.csv") == "распределения за октябрь.csv" and kept_name("...") == "file"
    for given in ("ж" * 400 + ".xlsx", "\U00020000" * 90 + ".csv", "x" * 500 + "." + "y" * 500):
        assert len(kept_name(given).encode()) <= 200
    assert kept_name("ж" * 400 + ".xlsx").endswith(".xlsx")


def test_a_file_without_anything_new_says_so(parts: Parts) -> None:
    client = as_user(parts, "Operator", "operator")
    head = (RECORDED / "allocations.csv").read_bytes().splitlines()
    for rows in ([head[0]], [head[0], head[4]]):
        files = [("files", ("new.csv", b"\n".join(rows) + b"\n", "text/csv"))]
        shown = ended(client, client.post("/bring-in", data={"forgery_token": client.token(), "kind": "allocations"}, files=files))
        page = client.get(shown)
        assert "Nothing in it is new: there is nothing to take." in words(page) and "/take" not in page.text


def test_a_declaration_that_changes_nothing_is_refused(parts: Parts) -> None:
    client, end = as_user(parts, "Operator", "operator"), parts.app.log.end()
    for day in ("2026-10-31", "2026-09-30", "0001-01-01"):
        refused = client.send_form("/bring-in/complete", {"through": day})
        assert refused.status_code == 409 and "declared complete through" in words(refused)
    assert parts.app.log.end() == end


# --- defects


def test_a_defect_is_a_page_in_the_readers_language_under_the_same_headers(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    client = russian(as_user(parts, "Operator", "operator"))
    client._transport.raise_server_exceptions = False  # type: ignore[attr-defined]  # as a server answers

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("pipeline.web.pages.close.life_view", fail)
    answer = client.get(f"{BOARD}/close")
    assert answer.status_code == 500 and "Ошибка программы (ZeroDivisionError)" in words(answer)
    assert (answer.headers["content-security-policy"], answer.headers["cache-control"]) == (POLICY, "no-store")
    monkeypatch.setattr("pipeline.web.pages.users.set_user", fail)
    admin = as_user(parts, "Admin", "admin")
    admin._transport.raise_server_exceptions = False  # type: ignore[attr-defined]
    sent = admin.send_form("/users", {"user": "New", "roles": "viewer", "reason": "begins on Monday"})
    assert sent.status_code == 500 and "Look whether it was done before you do it again." in words(sent)


def test_work_that_is_gone_ends_the_page_that_follows_it(parts: Parts) -> None:
    answer = by_link(parts).get("/tasks/gone", headers={"hx-request": "true"})
    assert answer.headers["hx-redirect"] == "/tasks/gone"


# --- sizes


def test_what_is_too_large_is_refused_before_it_is_read(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    large = b"x" * ((1 << 20) + 1)
    stranger = russian(Browser(parts))
    for path, content, kind in (
        ("/sign-in/passkey", b'{"a": "' + large + b'"}', "application/json"),
        ("/sign-in", b"person=a&password=" + large, "application/x-www-form-urlencoded"),
        ("/bring-in", b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + large + b"\r\n--x--", "multipart/form-data; boundary=x"),
    ):  # fmt: skip
        for body in (content, iter([content[:1000], content[1000:]])):  # with a length that is said, and without
            answer = stranger.post(path, content=body, headers={"content-type": kind})
            assert answer.status_code == 413 and "больше 1 МиБ" in answer.text, (path, answer.text)
            assert answer.headers["content-security-policy"] == POLICY
    monkeypatch.setattr("pipeline.web.body_limit.FILES_BYTES", 0)
    operator = as_user(parts, "Operator", "operator")
    token = {"forgery_token": operator.token(), "kind": "payments"}
    answer = operator.post("/bring-in", data=token, files={"files": ("a.csv", large)})
    assert answer.status_code == 413 and "the files are larger than" in words(answer), (
        "one who is signed in may send files, up to their own limit"
    )


def test_a_field_that_is_too_long_is_no_defect(parts: Parts) -> None:
    operator = as_user(parts, "Operator", "operator")
    long = b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\n' + b"x" * ((1 << 20) + 1) + b"\r\n--x--"
    answer = operator.post("/bring-in", content=long, headers={"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 400 and "can't be read" in words(answer)
    many = "&".join(f"a{n}=" for n in range(1100))
    answer = operator.post("/bring-in/complete", content=many, headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 400 and "can't be read" in words(answer)
