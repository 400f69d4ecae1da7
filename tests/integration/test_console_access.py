"""Who may do what in the console: every route with every role, passwords and their lock, invitations, passkeys, sessions, approvals by passkey."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest
from fastapi.routing import APIRoute

from pipeline.app.accounts import revoke_user, set_user
from pipeline.closing.submission import State
from pipeline.log.events.audit import NumbersSeen
from pipeline.log.events.users import UserRole
from pipeline.model.months import Month
from pipeline.signing.passkey import from_base64, to_base64
from pipeline.verify.bundle import verify_bundle
from pipeline.verify.shapes import APPROVALS
from pipeline.web.access import Needs
from pipeline.web.console import console, need_of
from pipeline.web.credentials import MOST_FAILURES_OF_NAME, WINDOW_S
from pipeline.web.numbers import guarded, masked, numbers_in
from pipeline.web.parts import FRESH_S, ROLES, Parts, Viewer
from pipeline.web.return_to import local_page, sign_in_at
from pipeline.web.sessions import IDLE_S, LONGEST_S, Session
from tests.passkeys import SoftPasskey

from .consoles import PASSWORD, Browser, Clock, as_user, by_link, running
from .example_month import RECORDED

NEEDS: dict[str, str | None] = {
    "GET /static/{digest}/{name}": None,
    "GET /favicon.ico": None,
    "GET /sign-in": None,
    "POST /sign-in": None,
    "POST /sign-in/passkey/options": None,
    "POST /sign-in/passkey": None,
    "GET /enter": None,
    "POST /enter": None,
    "GET /invitation/{token}": None,
    "POST /invitation/{token}": None,
    "POST /language": None,
    "POST /theme": None,
    "POST /sign-out": "viewer",
    "GET /live": "viewer",
    "GET /": "viewer",
    "GET /account": "viewer",
    "POST /account/password": "viewer",
    "POST /account/sessions/{digest}/end": "viewer",
    "POST /account/passkeys/options": "viewer",
    "POST /account/passkeys": "viewer",
    "POST /account/passkeys/revoke": "viewer",
    "POST /account/tokens": "viewer",
    "GET /account/confirm": "viewer",
    "POST /account/confirm": "viewer",
    "POST /account/confirm/passkey/options": "viewer",
    "POST /account/confirm/passkey": "viewer",
    "POST /account/tokens/{digest}/end": "viewer",
    "GET /api/v1/months": "viewer",
    "GET /api/v1/months/{month}": "viewer",
    "GET /api/v1/months/{month}/rows": "viewer",
    "GET /api/v1/months/{month}/issues": "viewer",
    "GET /api/v1/months/{month}/close": "viewer",
    "GET /api/v1/months/{month}/miners/{miner_id}/statement": "operator",
    "GET /api/v1/sources": "viewer",
    "GET /api/openapi.json": "viewer",
    "GET /sign-ins": "admin",
    "GET /users": "admin",
    "POST /users": "admin",
    "POST /users/invite": "admin",
    "POST /users/revoke": "admin",
    "POST /users/passkeys/revoke": "admin",
    "POST /users/sessions/{digest}/end": "admin",
    "POST /months/{month}/approval/options": "approver",
    "POST /months/{month}/approval": "approver",
    "POST /months/{month}/approval/by-name": "approver",
    "GET /bring-in": "viewer",
    "POST /bring-in": "operator",
    "POST /bring-in/{task}/take": "operator",
    "POST /bring-in/{task}/leave": "operator",
    "POST /bring-in/complete": "operator",
    "GET /bring-in/item": "viewer",
    "POST /bring-in/item": "operator",
    "GET /machine": "viewer",
    "GET /deeds": "viewer",
    "GET /deeds.csv": "operator",
    "GET /months/{month}": "viewer",
    "GET /months/{month}/outflows/{name}": "viewer",
    "GET /months/{month}/form": "viewer",
    "GET /months/{month}/rows/{n}": "viewer",
    "GET /rules/{number}": "viewer",
    "GET /months/{month}/issues": "viewer",
    "GET /months/{month}/issues/{name}": "viewer",
    "POST /months/{month}/issues/{name}/waiver": "operator",
    "POST /months/{month}/issues/{name}/label": "operator",
    "GET /months/{month}/miners": "viewer",
    "GET /months/{month}/miners/{miner_id}": "operator",
    "GET /months/{month}/miners/{miner_id}/statement.{kind}": "operator",
    "GET /months/{month}/close": "viewer",
    "POST /months/{month}/preview": "operator",
    "POST /months/{month}/freeze": "operator",
    "POST /months/{month}/steps": "operator",
    "POST /months/{month}/outcome": "operator",
    "GET /months/{month}/v{version}/{name:path}": "operator",
    "GET /tasks": "viewer",
    "GET /tasks/{name}": "viewer",
}
"""What each route of the console needs. A new route is added here, with its role."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def parts(blocked: Path, tmp_path: Path, clock: Clock) -> Iterator[Parts]:
    shutil.copytree(blocked, tmp_path / "var")
    with running(tmp_path / "var", clock) as found:
        yield found


# --- routes and roles


def routes(parts: Parts) -> dict[str, APIRoute]:
    """Every route that the router answers, by method and path."""
    found: dict[str, APIRoute] = {}
    for route in all_routes(console(parts)):
        for method in sorted(route.methods - {"HEAD"}):
            found[f"{method} {route.path}"] = route
    return found


def all_routes(app: Any) -> list[Any]:
    """The routes of an application, whatever the framework keeps them in."""
    found = []
    for context in app.router.routes:
        inner = getattr(context, "original_router", None)
        found += all_routes_of(inner) if inner is not None else [context]
    return found


def all_routes_of(router: Any) -> list[Any]:
    return list(router.routes)


def test_every_route_is_listed_with_what_it_needs(parts: Parts) -> None:
    found = routes(parts)
    assert all(isinstance(route, APIRoute) for route in found.values())
    needed = {name: (need.role if (need := need_of(route)) else "nothing named") for name, route in found.items()}
    assert needed == NEEDS


def test_every_route_answers_every_role_as_it_should(parts: Parts) -> None:
    """Without a session: to the sign-in. With another role: refused. With the role, or where none is needed: never refused for the role."""
    set_user(parts.app, "Admin", ["admin"], by="Tests", reason="for a test")
    browsers = {role: as_user(parts, f"Only {role}", role) for role in ROLES}
    for name, need in NEEDS.items():
        if name == "GET /live":
            continue  # a stream, which goes on: asked below
        method, path = name.split(" ", 1)
        address = re.sub(r"\{[\w:]+\}", "1", path.replace("{month}", "2026-10"))
        nobody = Browser(parts).request(method, address, headers={"accept": "application/json"})
        if need is not None:
            assert (nobody.status_code, nobody.headers.get("location")) in ((303, sign_in_at(local_page(address))), (401, None)), name
        else:
            assert nobody.status_code != 401 and nobody.headers.get("location") != "/sign-in", name
        if name == "POST /sign-out":
            continue  # it would end the sessions that the next routes need
        for role, browser in browsers.items():
            token = {} if method == "GET" else {"x-forgery-token": browser.token()}
            answer = browser.request(method, address, headers={"accept": "application/json", **token})
            is_allowed = need in (None, "viewer", role)
            said = answer.json().get("detail", "") if answer.headers.get("content-type") == "application/json" else ""
            assert ("needs the role" in said) == (not is_allowed), (name, role, answer.status_code)
            assert is_allowed or answer.status_code == 403
            if method == "POST":
                assert browser.request(method, address).status_code == 403, f"{name} without the forgery token"
            if need is None and answer.status_code == 303 and path in ("/enter", "/sign-in"):
                browsers[role] = as_user(parts, f"Only {role}", role)


def test_the_live_stream_needs_a_session(parts: Parts) -> None:
    assert Browser(parts).get("/live").headers["location"] == "/sign-in"
    answer = Browser(parts).get("/live", headers={"accept": "text/event-stream"})
    assert (answer.status_code, answer.headers.get("location")) == (401, None), "an event stream is no page to be led to"


# --- users and passwords


def test_before_there_are_users_the_link_does_all_and_afterwards_it_manages_users(parts: Parts) -> None:
    client = by_link(parts)
    shown = client.send_form("/users", {"user": "Admin A.", "roles": ["admin", "operator"], "reason": "the first"}).text
    invitation = re.search(r"https://localhost(/invitation/[\w-]+)", shown)
    assert invitation is not None
    assert client.send_json("/months/2026-10/approval/options", {"reason": "ok ok", "digest": "0" * 64}).status_code == 403
    assert client.get("/users").status_code == 200
    guest = Browser(parts)
    assert guest.post(invitation[1], data={"password": "short"}).status_code == 422
    assert guest.post(invitation[1], data={"password": PASSWORD}).status_code == 303 and guest.get("/users").status_code == 200
    assert Browser(parts).post(invitation[1], data={"password": PASSWORD}).status_code == 404, "an invitation is used once"
    last = client.send_form("/users/revoke", {"user": "Admin A.", "reason": "left us"})
    assert last.status_code == 409 and "the last one who manages users" in last.text


def test_users_are_events_and_passwords_are_not(parts: Parts) -> None:
    as_user(parts, "Оператор <b>", "operator")
    log = b"".join(path.read_bytes() for path in parts.app.settings.var.glob("log.sqlite*"))
    assert "Оператор".encode() in log and b"user-set" in log and b"argon2" not in log and PASSWORD.encode() not in log
    assert parts.app.settings.var.joinpath("console.sqlite").stat().st_mode & 0o077 == 0
    side = b"".join(path.read_bytes() for path in parts.app.settings.var.glob("console.sqlite*"))
    assert b"$argon2id$" in side and PASSWORD.encode() not in side


def test_failures_lock_a_name_for_a_while_and_say_no_more_than_that(parts: Parts, clock: Clock) -> None:
    as_user(parts, "Operator", "operator")
    client = Browser(parts)
    answers = {person: client.post("/sign-in", data={"person": person, "password": "wrong password"}) for person in ("Operator", "Nobody")}
    assert {answer.status_code for answer in answers.values()} == {403} and len({answer.text for answer in answers.values()}) == 1
    for _ in range(MOST_FAILURES_OF_NAME - 1):
        client.post("/sign-in", data={"person": "Operator", "password": "wrong password"})
    right = {"person": "Operator", "password": PASSWORD}
    assert client.post("/sign-in", data=right).status_code == 429
    clock.at += WINDOW_S + 1
    assert client.post("/sign-in", data=right).status_code == 303


def test_sessions_end_when_idle_old_ended_or_their_user_is_revoked(parts: Parts, clock: Clock) -> None:
    admin, one, other = as_user(parts, "Admin", "admin"), as_user(parts, "Operator", "operator"), as_user(parts, "Operator", "operator")
    assert other.get("/").status_code == 200
    digest = next(s.digest for s in parts.sessions.listed("Operator") if s.digest == hashlib.sha256(cookie(other).encode()).hexdigest())
    assert admin.send_form(f"/account/sessions/{digest}/end").status_code == 404, "nobody ends another's session as their own"
    assert one.send_form(f"/account/sessions/{digest}/end").status_code == 303
    assert other.get("/").headers["location"] == "/sign-in" and one.get("/").status_code == 200
    revoke_user(parts.app, "Operator", by="Admin", reason="left us")
    assert one.get("/").headers["location"] == "/sign-in"
    clock.at += IDLE_S + 1
    assert admin.get("/").headers["location"] == "/sign-in"
    admin = as_user(parts, "Admin", "admin")
    for _ in range(LONGEST_S // IDLE_S):
        clock.at += IDLE_S - 1
        admin.get("/account")
    clock.at += IDLE_S - 1
    assert admin.get("/").headers["location"] == "/sign-in"


def cookie(browser: Browser) -> str:
    return next(one.value or "" for one in browser.cookies.jar if one.name == "__Host-session")


FRESH = {
    "POST /users": {"user": "New", "roles": ["viewer"], "reason": "for a test"},
    "POST /users/invite": {"user": "Operator"},
    "POST /users/revoke": {"user": "Operator", "reason": "left us"},
    "POST /users/passkeys/revoke": {"user": "Operator", "credential_id": "x", "reason": "lost it"},
    "POST /users/sessions/{digest}/end": {},
    "POST /account/tokens": {"name": "robot", "scopes": ["admin"]},
    "POST /account/passkeys/options": {},
    "POST /account/passkeys": {},
}
"""Every route that changes who gets in, with a form for it: enumerated against the router. A first password asks, too (below)."""


def test_who_gets_in_is_changed_only_by_who_just_said_who_they_are(parts: Parts, clock: Clock) -> None:
    assert {name for name, route in routes(parts).items() if (need := need_of(route)) and need.is_fresh} == FRESH.keys()
    as_user(parts, "Operator", "operator")
    admin = as_user(parts, "Admin", "admin")
    passkey = registered(admin, "Admin")
    clock.at += FRESH_S
    end = parts.app.log.end()
    for name, form in FRESH.items():
        refused = admin.send_form(name.removeprefix("POST ").replace("{digest}", "1"), form)
        assert refused.status_code == 403 and "Nothing was changed yet" in refused.text, name
        assert form.get("reason", form.get("name", "Is it you?")) in refused.text, f"{name}: what was written is given back"
        assert f'<input type="hidden" name="then" value="{"/users" if "users" in name else "/account"}">' in refused.text, name
    assert parts.app.log.end() == end and parts.tokens.listed("Admin") == []
    assert admin.get("/account").status_code == 200 and admin.get("/users").status_code == 200, "looking asks for nothing"
    wrong = admin.send_form("/account/confirm", {"password": "wrong password"})
    assert wrong.status_code == 403 and "This is not your password." in wrong.text
    assert admin.send_form("/users/invite", FRESH["POST /users/invite"]).status_code == 403
    assert 'name="then" value="/account"' in wrong.text, "a slip of the password does not lose the way"
    assert admin.send_form("/account/confirm", {"password": PASSWORD, "then": "/users"}).headers["location"] == "/users"
    assert admin.send_form("/users/invite", FRESH["POST /users/invite"]).status_code == 200
    other = as_user(parts, "Admin", "admin")
    clock.at += FRESH_S
    for one, bad in ((SoftPasskey("Admin"), 403), (passkey, 200)):
        asked = other.send_json("/account/confirm/passkey/options", {}).json()
        told = other.send_json("/account/confirm/passkey", answered(one, asked) | {"then": "/users"})
        assert told.status_code == bad and told.json().get("location") == (None if bad == 403 else "/users")
        assert other.send_form("/users/invite", FRESH["POST /users/invite"]).status_code == bad
    assert admin.send_form("/users/invite", FRESH["POST /users/invite"]).status_code == 403, "one session answers for itself alone"


def test_a_stolen_session_makes_no_way_in_that_outlives_it(parts: Parts, clock: Clock) -> None:
    user = as_user(parts, "Operator", "operator")
    clock.at += FRESH_S
    asked = user.send_json("/account/passkeys/options", {})
    assert asked.status_code == 403 and asked.json()["confirm"] == "/account/confirm?then=/account", "the script is led on"
    assert 'name="then" value="/account"' in user.get(asked.json()["confirm"]).text
    for evil in ("https://elsewhere.kz", "//elsewhere.kz", "/sign-out", "/usersX"):
        assert user.send_form("/account/confirm", {"password": PASSWORD, "then": evil}).headers["location"] == "/account"
    assert user.send_form("/account/tokens", {"name": "robot", "scopes": ["operator"]}).status_code == 200
    assert registered(user, "Operator").credential_id in parts.app.diary.users.known["Operator"].passkeys
    clock.at += FRESH_S
    parts.credentials.forget("Operator")
    first = user.send_form("/account/password", {"new": "another long password"})
    assert first.status_code == 403 and "Is it you?" in first.text and not parts.credentials.has_password("Operator")


def test_a_challenge_for_a_new_passkey_is_not_answered_once_the_session_is_no_longer_fresh(parts: Parts, clock: Clock) -> None:
    user = as_user(parts, "Operator", "operator")
    assert user.send_json("/account/passkeys/options", {}).status_code == 200
    clock.at += FRESH_S
    given = {"pending": "x", "credential_id": "x", "client_data": "x", "attestation": "x"}
    assert user.send_json("/account/passkeys", given).json()["confirm"] == "/account/confirm?then=/account"


# --- passkeys


def registered(browser: Browser, user: str) -> SoftPasskey:
    """A new passkey of the user, registered as a browser does it."""
    asked = browser.send_json("/account/passkeys/options", {}).json()
    passkey = SoftPasskey(user)
    public: Any = passkey.private.public_key()
    numbers = public.public_numbers()
    cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
    credential = from_base64(passkey.credential_id)
    data = (
        hashlib.sha256(b"localhost").digest()
        + bytes([0x45])
        + bytes(4)
        + bytes(16)
        + len(credential).to_bytes(2, "big")
        + credential
        + cose
    )
    told = {"type": "webauthn.create", "challenge": asked["options"]["challenge"], "origin": "https://localhost", "crossOrigin": False}
    given = {
        "pending": asked["pending"],
        "credential_id": passkey.credential_id,
        "client_data": to_base64(json.dumps(told).encode()),
        "attestation": to_base64(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
        "name": "laptop",
    }
    taken = browser.send_json("/account/passkeys", given)
    assert taken.status_code == 200, taken.text
    assert browser.send_json("/account/passkeys", given).status_code == 409, "a challenge is answered once"
    return passkey


def answered(passkey: SoftPasskey, asked: dict[str, Any], **wrong: Any) -> dict[str, str]:
    """What the browser's script sends back."""
    found = passkey.answer(from_base64(asked["options"]["challenge"]), **wrong)
    return {
        "pending": asked["pending"], "credential_id": found.credential_id, "authenticator_data": found.authenticator_data,
        "client_data": found.client_data, "signature": found.signature,
    }  # fmt: skip


def test_a_passkey_signs_in_and_only_its_own_answer_does(parts: Parts) -> None:
    passkey = registered(as_user(parts, "Operator", "operator"), "Operator")
    client = Browser(parts)

    def asked() -> dict[str, Any]:
        found: dict[str, Any] = client.post("/sign-in/passkey/options", headers={"accept": "application/json"}).json()
        return found

    for wrong in ({"flags": 1}, {"rp_id": "elsewhere.kz"}, {"origin": "https://elsewhere.kz"}):
        assert client.post("/sign-in/passkey", json=answered(passkey, asked(), **wrong)).status_code == 403
    stranger = SoftPasskey("Operator")
    assert client.post("/sign-in/passkey", json=answered(stranger, asked())).status_code == 403
    parts.credentials.succeeded("Operator")
    old = answered(passkey, asked())
    assert client.post("/sign-in/passkey", json=old).json() == {"location": "/"}
    assert client.get("/account").status_code == 200
    assert Browser(parts).post("/sign-in/passkey", json=old).status_code == 403, "an answer is taken once"


def test_an_approval_by_passkey_is_in_the_log_counts_and_is_proved_offline(frozen: Path, tmp_path: Path, clock: Clock) -> None:
    shutil.copytree(frozen, tmp_path / "var")
    with running(tmp_path / "var", clock) as parts:
        browser = as_user(parts, "B. Approver", "approver")
        passkey = registered(browser, "B. Approver")
        month = Month(2026, 10)
        wanted = {"reason": "compared with the ledger", "digest": parts.app.months.frozen(month)[-1].digest}
        by_name = browser.send_form("/months/2026-10/approval/by-name", wanted)
        assert by_name.status_code == 409 and "by passkey alone" in by_name.text
        assert browser.send_json("/months/2026-10/approval/options", wanted | {"digest": "0" * 64}).status_code == 409
        asked = browser.send_json("/months/2026-10/approval/options", wanted).json()
        for forger in (SoftPasskey("B. Approver"), SoftPasskey("B. Approver", credential_id=passkey.credential_id)):
            refused = browser.send_json("/months/2026-10/approval", answered(forger, asked))
            assert refused.status_code == 409, "a key of the server's approves nothing"
            asked = browser.send_json("/months/2026-10/approval/options", wanted).json()
        assert parts.app.diary.life(month).approvals == {}
        assert browser.send_json("/months/2026-10/approval", answered(passkey, asked)).json() == {"location": "/months/2026-10/close"}
        assert list(parts.app.diary.life(month).approvals[1]) == ["B. Approver"]
        assert parts.app.diary.life(month).state() is State.FROZEN
        bundle = parts.app.months.folder_of(month, 1)
    assert (bundle / APPROVALS).is_file()
    checks = {check.name: check for check in verify_bundle(bundle)}
    assert all(check.holds for check in checks.values()), [check for check in checks.values() if not check.holds]
    assert "1 person approved this report by passkey: B. Approver" in checks["approvals"].detail


def test_needs_is_what_routes_are_asked_for(parts: Parts) -> None:
    assert need_of(object()) is None
    assert isinstance(need_of(routes(parts)["GET /users"]), Needs)


# --- the audit topic


def test_sign_ins_failures_and_numbers_seen_are_in_the_audit_topic_and_no_fact_of_a_month(parts: Parts) -> None:
    before = parts.app.log.end()
    set_user(parts.app, "Operator", ["operator"], by="Tests", reason="for a test")
    at = parts.app.log.end()
    assert at != before
    Browser(parts).post("/sign-in", data={"person": "Operator", "password": "wrong password"})
    operator = as_user(parts, "Operator", "operator")
    assert operator.send_form("/sign-out").status_code == 303
    assert parts.app.log.end() == at, "none of it moves a month's positions"
    assert [(entry.__struct_config__.tag, entry.by) for entry in parts.app.audit.entries()] == [
        ("signed-out", "Operator"),
        ("signed-in", "Operator"),
        ("sign-in-failed", "Operator"),
    ]
    page = as_user(parts, "Admin", "admin").get("/sign-ins").text
    assert "failed to sign in" in page and "signed out" in page and "password, testclient" in page
    told = repr(parts.app.audit.entries())
    assert PASSWORD not in told and "wrong password" not in told


def test_numbers_are_masked_for_who_only_looks_and_seeing_one_is_an_entry(parts: Parts) -> None:
    (shown, *_), browsers = numbers_in(Path(RECORDED / "miners.csv").read_text()), {
        role: as_user(parts, f"Only {role}", role) for role in ("viewer", "operator")
    }  # fmt: skip
    path = f"/months/2026-10/form?search={shown}"
    assert shown not in (page := browsers["viewer"].get(path).text) and f"••••••••{shown[-4:]}" in page
    assert [entry for entry in parts.app.audit.entries() if isinstance(entry, NumbersSeen)] == []
    assert shown in browsers["operator"].get(path).text
    (seen,) = [entry for entry in parts.app.audit.entries() if isinstance(entry, NumbersSeen)]
    assert (seen.by, seen.page) == ("Only operator", "/months/2026-10/form") and shown in seen.numbers


def test_what_a_page_forgets_to_mask_is_masked_and_what_is_no_number_stays(parts: Parts) -> None:
    viewer, operator = (Viewer(session_of(parts, role), frozenset({"viewer", role}), "en", "auto") for role in ("viewer", "operator"))
    text = "<td>180141952211</td> 0.180141952211 ab180141952211 180141952212 1801419522110 180141952211,5"
    assert guarded(parts, viewer, "/x", text) == text.replace("<td>180141952211", "<td>••••••••2211")
    assert masked("1234567") == "•" * 7 and masked("") == ""
    assert guarded(parts, operator, "/x", text) == text
    assert [entry.numbers for entry in parts.app.audit.entries() if isinstance(entry, NumbersSeen)] == [["180141952211"]]


def session_of(parts: Parts, role: UserRole) -> Session:
    as_user(parts, f"Only {role}", role)
    return parts.sessions.listed(f"Only {role}")[0]
