"""The console's pages over the recorded month: they say what the month says, and a month is closed in them from the issue to the frozen version."""

from __future__ import annotations

import html
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.app.acts import waive
from pipeline.app.app import App
from pipeline.app.deeds import DeedFilter
from pipeline.app.machine import settings_in_force
from pipeline.app.month_figures import month_figures
from pipeline.app.previews import header_digest
from pipeline.app.tasks import Told
from pipeline.model.amounts import to_units
from pipeline.model.errors import MonthError
from pipeline.model.months import Month, almaty_date
from pipeline.service.chain_notes import note_path
from pipeline.verify.shapes import read_manifest
from pipeline.web.parts import Parts

from .consoles import Browser, as_user, by_link, running
from .example_month import DIGEST, OUTFLOW, RECORDED
from .test_screens import NODES

MONTH = Month(2026, 10)
BOARD = "/months/2026-10"


@pytest.fixture(scope="module")
def closed(frozen: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    var = tmp_path_factory.mktemp("closed") / "var"
    shutil.copytree(frozen, var)
    with running(var) as found:
        yield found


def words(answer: Any) -> str:
    """What a page says, without its marks."""
    assert answer.status_code == 200, answer.text
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", answer.text)).split())


INSTANT = "[0-9]+ [A-Z][a-z]+ [0-9]{4} [0-9]{2}:[0-9]{2}"


def post(client: Browser, path: str, **given: str) -> Any:
    """Send a form with the session's token."""
    answer: Any = client.send_form(path, given)
    return answer


def decide(client: Browser, path: str, form: str, **given: str) -> Any:
    """Send an issue's form as its page shows it now: a label, or a waiver."""
    return post(client, f"{path}/{form}", **{"digest": digest_of(client, path), **given})


def digest_of(client: Browser, path: str) -> str:
    """Of what the page of an issue shows."""
    return re.findall(r'name="digest" value="([0-9a-f]{64})"', client.get(path).text)[0]


def result_of(client: Browser, started: Any) -> str:
    """Follow a task to its end; where its result is shown."""
    assert started.status_code == 303, started.text
    for _ in range(600):
        answer = client.get(started.headers["location"])
        if answer.status_code == 303:
            return answer.headers["location"]
        assert "is-bad" not in answer.text, words(answer)
        time.sleep(0.1)
    raise AssertionError("the task never ended")


def test_the_figures_are_the_manifests_and_come_out(closed: Parts, frozen: Path) -> None:
    figures = month_figures(closed.reading.book(MONTH))
    manifest = read_manifest(frozen / "months" / "2026-10" / "v1")
    (asset,) = figures.assets
    assert asset.is_whole and asset.allocated == manifest["totals"]["allocated_in_month"]["BTC"] and asset.rows == manifest["rows"] == 1437
    days = figures.days["BTC"]
    assert len(days) == 31 and sum(day.allocated for day in days) == to_units(asset.allocated, 8)
    assert sum(day.transferred for day in days) == to_units(manifest["totals"]["distinct_transfers"]["BTC"], 8)
    (flow,) = figures.flows
    assert flow.adds_up and sum(one.amount for one in flow.came) == sum(one.amount for one in flow.went)
    assert sum(one.amount for one in flow.net_came) == sum(one.amount for one in flow.net_went)
    assert {one.name for one in flow.went} == {"payout", "exchange", "vendor", "unknown", "fee", "closing"}
    assert [one.is_proved for one in figures.balances] == [True, True]
    page = words(by_link(closed).get(BOARD))
    assert "13.07542702" in page and "comes out" in page and "adds up" in page and "proved" in page


def test_the_form_is_paged_filtered_and_sorted_by_its_address(closed: Parts) -> None:
    client = by_link(closed)
    first = words(client.get(f"{BOARD}/form"))
    assert "1,437 rows" in first and "page 1 of 29" in first
    found = client.get(f"{BOARD}/form?search=ПАВЛОДАР&sort=amount&down=true")
    assert "157 rows" in words(found) and 'aria-sort="descending"' in found.text
    assert re.search(r'rows/(\d+)"', found.text)[1] == "807"  # type: ignore[index]
    assert "No row fits" in words(client.get(f"{BOARD}/form?search=nothing-of-the-kind"))
    assert client.get(f"{BOARD}/form?state=strange").status_code == 422 and client.get(f"{BOARD}/form?first=32").status_code == 422
    assert client.get(f"{BOARD}/form?sort=1;drop").status_code == 200, "a column that is none is passed over"
    assert client.get("/months/2026-13").status_code == 404 and client.get("/months/2031-01").status_code == 404


def test_a_rows_story_and_its_rules(closed: Parts) -> None:
    client = by_link(closed)
    page = words(client.get(f"{BOARD}/rows/807"))
    assert "A001262" in page and "Checked just now" in page and "chains.bitcoin.finality = 6" in page
    assert "Why amounts may differ" in words(client.get("/rules/5.3")) and client.get("/rules/99.9").status_code == 404
    assert client.get(f"{BOARD}/rows/1438").status_code == 404


def test_a_miner_with_its_statement_in_the_readers_language(closed: Parts) -> None:
    client = by_link(closed, language="ru")
    miner = month_figures(closed.reading.book(MONTH)).miners[0]
    page = words(client.get(f"{BOARD}/miners/{miner.miner_id}"))
    assert miner.name in page and "Акт сверки" in page
    for kind, start in (("pdf", b"%PDF"), ("xlsx", b"PK"), ("csv", b""), ("receipt", b"{")):
        answer = client.get(f"{BOARD}/miners/{miner.miner_id}/statement.{kind}")
        assert answer.status_code == 200 and answer.content.startswith(start) and "attachment" in answer.headers["content-disposition"]
    assert (
        client.get(f"{BOARD}/miners/000000000000").status_code == 404
        and client.get(f"{BOARD}/miners/{miner.miner_id}/statement.exe").status_code == 404
    )


def test_a_drafts_statement_has_the_rows_that_the_frozen_one_has(parts: Parts, closed: Parts) -> None:
    miner = month_figures(parts.reading.book(MONTH)).miners[3].miner_id
    drafted, filed = (by_link(one).get(f"{BOARD}/miners/{miner}/statement.csv").text.splitlines() for one in (parts, closed))
    assert len(drafted) == len(filed) > 20
    assert [line.replace(",draft,", ",1,", 1) for line in drafted if ",A0" in line] == [line for line in filed if ",A0" in line]


def test_a_part_whose_issue_is_gone_gets_nothing_and_the_page_is_told(parts: Parts) -> None:
    """The page of an issue that was just decided hears of it before the answer to the decision leads away from it."""
    client, gone = by_link(parts), f"{BOARD}/issues/zzzz?task=none"
    assert client.get(gone).status_code == 404
    assert client.get(gone, headers={"hx-request": "true"}).status_code == 204
    assert client.post(f"{BOARD}/nowhere", headers={"hx-request": "true"}).status_code >= 400


def test_a_label_shows_what_it_changes_before_it_is_given(parts: Parts) -> None:
    client = by_link(parts)
    (group,) = [one for one in parts.reading.snapshot().groups[MONTH] if one.open_count]
    path = f"{BOARD}/issues/{group.issues[0].name}"
    page = words(client.get(path))
    assert "0.07770000 BTC" in page and "7770000 " not in page.replace("0.07770000", "") and "last open blocking issue" in page
    end = parts.app.log.end()
    shown = result_of(client, decide(client, path, "label", outflow_class="vendor", whose="Power company", act="show"))
    assert f"goes blocks the month money went to an address that nobody is known to hold unknown-outflow {OUTFLOW}" in words(
        client.get(shown)
    )
    assert parts.app.log.end() == end, "nothing is recorded"
    assert decide(client, path, "label", outflow_class="payout", whose="X", reason="because", act="label").status_code == 422
    assert decide(client, path, "label", outflow_class="vendor", whose="Power company", reason="", act="label").status_code == 422
    assert decide(client, path, "label", outflow_class="vendor", whose="Power company", reason="invoice 7", act="label").status_code == 303
    assert "blocks the month" not in words(client.get(f"{BOARD}/issues"))
    (label,) = [one for one in parts.app.decisions.held().labels.values() if one.name == "Power company"]
    assert (label.by, label.reason, label.outflow_class) == ("A. Person", "invoice 7", "vendor")


def test_a_month_is_closed_from_the_issue_to_the_frozen_version(parts: Parts) -> None:
    client = by_link(parts)
    (group,) = [one for one in parts.reading.snapshot().groups[MONTH] if one.open_count]
    (issue,) = group.issues
    board = words(client.get("/"))
    assert re.search(r"Resolve, label or waive ?: money went to an address that nobody is known to hold \(1\)", board), board
    assert "unknown-outflow" not in board
    early = result_of(client, post(client, f"{BOARD}/preview"))
    assert "can't be frozen yet" in words(client.get(early)) and DIGEST in client.get(early).text
    assert decide(client, f"{BOARD}/issues/{issue.name}", "waiver", reason="refund pending").status_code == 303
    page = words(client.get(f"{BOARD}/close"))
    assert "Nothing stands in the way of filing" in page
    with pytest.raises(MonthError, match="has no open issue"):
        waive(parts.app, MONTH, parts.reading.snapshot().groups[MONTH][-1].issues[0], by="A. Person", reason="again")
    shown = client.get(result_of(client, post(client, f"{BOARD}/preview")))
    assert DIGEST in shown.text and "13.07542702" in words(shown)
    refused = post(client, f"{BOARD}/freeze", digest="0" * 64, header=header_digest(parts.app.settings.header()))
    task = parts.app.tasks.find(refused.headers["location"].rpartition("/")[2])
    deadline = time.monotonic() + 60
    while task is not None and not task.is_over and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (
        task is not None
        and task.state == "failed"
        and "facts changed since what you saw" in task.trouble
        and not parts.app.months.frozen(MONTH)
    )


def test_what_was_previewed_is_what_is_frozen(parts: Parts) -> None:
    client = by_link(parts)
    (issue,) = next(one for one in parts.reading.snapshot().groups[MONTH] if one.open_count).issues
    decide(client, f"{BOARD}/issues/{issue.name}", "waiver", reason="refund pending")
    assert (
        result_of(client, post(client, f"{BOARD}/freeze", digest=DIGEST, header=header_digest(parts.app.settings.header())))
        == f"{BOARD}/close"
    )
    parts.reading.wait_for(parts.app.log.end(), 60)
    (event,) = parts.app.months.frozen(MONTH)
    assert (event.digest, event.by) == (DIGEST, "A. Person")
    page = client.get(f"{BOARD}/close")
    assert "version 1" in words(page) and DIGEST in page.text
    report = client.get(f"{BOARD}/v1/report.csv")
    assert report.content == (parts.app.months.folder_of(MONTH, 1) / "report.csv").read_bytes()
    for name in ("month.duckdb", "%2e%2e/%2e%2e/log.sqlite", "evidence/headers.csv"):
        assert client.get(f"{BOARD}/v1/{name}").status_code == 404, name
    same = result_of(client, post(client, f"{BOARD}/preview"))
    assert "nothing to amend" in words(client.get(same))


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_pages_are_in_the_readers_language(closed: Parts, language: str) -> None:
    client = by_link(closed, language=language)
    for path in ("", "/form", "/miners", "/issues", "/close", "/rows/807"):
        page = client.get(BOARD + path)
        assert f'lang="{language}-KZ"' in page.text
        left = [
            one for one in re.findall(r"\b[a-z]{4,} [a-z]{3,} [a-z]{3,}\b", words(page)) if "explain" not in one and "recorded" not in one
        ]  # the reason of the freeze is data
        assert not left, (path, left)


def test_a_task_tells_how_far_it_is_and_what_went_wrong(closed: Parts) -> None:
    seen: list[tuple[str, int, int]] = []

    def work(told: Told) -> str:
        told.step("counting")
        told.progress(3, 2)
        task = closed.app.tasks.listed()[0]
        seen.append((task.step, task.done, task.total))
        return "made"

    def broken(_told: Told) -> None:
        raise MonthError("no such thing")

    done = closed.app.tasks.start("one", work, by="A. Person", then="/x?task={id}")
    failed = closed.app.tasks.start("two", broken, by="A. Person", then="/x")
    client = by_link(closed)
    for _ in range(100):
        if failed.is_over:
            break
        time.sleep(0.05)
    assert seen == [("counting", 3, 3)] and closed.app.tasks.result(done.id, str) == "made" and done.then == f"/x?task={done.id}"
    assert "no such thing" in words(client.get(f"/tasks/{failed.id}")) and client.get(f"/tasks/{done.id}").headers["location"] == done.then
    assert client.get("/tasks/none").status_code == 404 and "no such thing" in words(client.get("/tasks"))


def upload(client: Browser, kind: str, *files: tuple[str, bytes]) -> Any:
    token = client.token()
    parts = [("files", (name, content, "application/octet-stream")) for name, content in files]
    answer: Any = client.post("/bring-in", data={"forgery_token": token, "kind": kind}, files=parts)
    return answer


def test_a_file_is_seen_before_it_is_taken(parts: Parts) -> None:
    client = by_link(parts)
    head = (RECORDED / "allocations.csv").read_bytes().splitlines()
    bad = words(client.get(result_of(client, upload(client, "allocations", ("bad.csv", head[0] + b"\nx,y,z,nonsense,1,2,3,4\n")))))
    assert "Refused whole, with" in bad and "bad.csv:2" in bad and not list((parts.app.settings.var / "brought").iterdir())
    end = parts.app.log.end()
    same = head[4].replace(b"A", b"A9", 1)
    shown = result_of(client, upload(client, "allocations", ("../../new.csv", b"\n".join([head[0], same, head[300]]) + b"\n")))
    page = words(client.get(shown))
    assert (
        "1 new, 0 restated, 1 known already" in page
        and "blocks the month" in page
        and "allocation-twice A000004" in page
        and "new.csv" in page
    )
    assert parts.app.log.end() == end, "nothing is imported before it is taken"
    task = shown.rpartition("=")[2]
    done = result_of(client, post(client, f"/bring-in/{task}/take", is_agreed="true"))
    assert "1 new rows, 0 restated" in words(client.get(done)) and parts.app.log.end()["ledger/0"] == end["ledger/0"] + 1
    registry = [(f"{name}.csv", (RECORDED / f"{name}.csv").read_bytes()) for name in ("miners", "licences", "accounts", "wallets")]
    found = result_of(client, upload(client, "registry", *registry))
    assert "Miners 45" in words(client.get(found))
    assert post(client, f"/bring-in/{found.rpartition('=')[2]}/leave").status_code == 303
    assert not list((parts.app.settings.var / "brought").iterdir())
    assert upload(client, "payments", ("a.csv", b""), ("b.csv", b"")).status_code == 422


def test_the_machine_room_and_who_did_what(closed: Parts) -> None:
    client = by_link(closed)
    page = client.get("/machine")
    assert "block 4861" in words(page) and "chains.bitcoin.finality" in page.text and "None" not in words(page)
    assert "trouble for" not in words(page)
    at = closed.app.now()
    note_path(closed.app.settings.var, "bitcoin").parent.mkdir(exist_ok=True)
    note_path(closed.app.settings.var, "bitcoin").write_text(
        json.dumps({"at": at - 60, "since": at - 7500, "trouble": "the node is away", "nodes": NODES}), encoding="utf-8"
    )
    assert "trace_filter, proofs of accounts, state by a block's hash could not be tried yet" in words(client.get("/machine"))
    assert re.search(r"trouble for 2 h 5 min, last told [12] min ago: the node is away", words(client.get("/machine"))), (
        "also when nothing new is in the log"
    )
    in_russian = words(by_link(closed, language="ru").get("/machine"))
    assert "txindex: индекс строится, готов до блока 412 из 24000120" in in_russian and "trace_block, квитанции блока" in in_russian
    deeds = words(client.get("/deeds?what=waive&search=REFUND"))
    assert "1 line " in deeds and "A. Person" in deeds and "unknown-outflow" in deeds and "refund pending" in deeds
    assert "0 lines" in words(client.get("/deeds?by=Nobody")) and client.get("/deeds?first=x").status_code == 422
    table = client.get("/deeds.csv").text.splitlines()
    assert (
        table[0].startswith("at,by,what,month")
        and len(table) > len(closed.app.deeds.found(DeedFilter())) + 1 >= 3
        and any(",signed-in," in line for line in table)
    )


def test_the_path_of_a_month_says_when_and_by_whom_it_came_to_each_state(closed: Parts) -> None:
    client = by_link(closed)
    event = closed.app.months.frozen(MONTH)[-1]
    stood = rf"frozen {INSTANT}, {event.by} signed submitting"
    assert re.search(stood, words(client.get("/"))) and re.search(stood, words(client.get(f"{BOARD}/close")))


def test_the_board_has_the_next_three_months_of_the_calendar(closed: Parts) -> None:
    calendar = words(by_link(closed).get("/")).split("The calendar's next steps")[1]
    month = Month.parse(f"{almaty_date(closed.app.now()):%Y-%m}")
    for coming in (month, month.next, month.next.next):
        name = f"{coming.first:%B %Y}"
        assert f"{name} month ends" in calendar and f"{name} filed" in calendar, calendar
    assert "people are called" not in calendar


def test_numbers_are_masked_for_who_may_only_look(closed: Parts) -> None:
    looking = as_user(closed, "L. Viewer", "viewer")
    number = month_figures(closed.reading.book(MONTH)).miners[0].miner_id
    for path in ("/form", "/miners", "/rows/807", "/issues", ""):
        page = looking.get(BOARD + path)
        assert page.status_code == 200 and not re.search(r"\b[0-9]{12}\b", words(page)), path
    assert looking.get(f"{BOARD}/miners/{number}").status_code == 403
    for path in (f"{BOARD}/preview", f"{BOARD}/freeze", f"{BOARD}/steps", "/bring-in"):
        assert looking.send_form(path).status_code == 403, path
    assert looking.get("/deeds.csv").status_code == 403
    seen = [entry for entry in closed.app.audit.entries() if getattr(entry, "numbers", None)]
    assert not [entry for entry in seen if entry.by == "L. Viewer"]
    operator = as_user(closed, "O. Operator", "operator")
    assert number in operator.get(f"{BOARD}/miners").text
    told = [entry for entry in closed.app.audit.entries() if entry.by == "O. Operator" and number in getattr(entry, "numbers", ())]
    assert [getattr(entry, "page", "") for entry in told] == [f"{BOARD}/miners"]
    seen_row = f"O. Operator saw IINs or BINs {BOARD}/miners 45 IINs or BINs"
    assert seen_row in words(operator.get("/deeds?by=O.%20Operator")) and "O. Operator saw" not in words(looking.get("/deeds"))


def test_settings_that_are_secret_are_masked(closed: Parts) -> None:
    settings = closed.app.settings
    chain = settings.chains["bitcoin"].model_copy(update={"password": SecretStr("hush hush"), "user": "esep"})
    shown = settings_in_force(App(settings.model_copy(update={"chains": {"bitcoin": chain}}), closed.app.now))
    assert "hush" not in str(shown) and {one.key: one.value for one in shown}["chains.bitcoin.user"] == "esep"
