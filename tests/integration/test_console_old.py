"""What a page shows before a decision says when it is not so any more, and a decision that rests on it is refused with what differs (rule 8.2, ADR 24)."""

from __future__ import annotations

import html
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.app.accounts import set_user
from pipeline.app.previews import header_digest
from pipeline.model.months import Month
from pipeline.web.parts import Parts

from .consoles import Browser, as_user, by_link, running
from .example_month import RECORDED

MONTH = Month(2026, 10)
BOARD = "/months/2026-10"
DIFFERS = "What differs now: rows: 1437 → 1466 Unsettled, BTC: 0.08135976 → 0.08941122"
OTHER = "the report is another one by now"
FRESH, OLD = "As of ", "and is not so any more"


def words(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", answer.text)).split())


def ended(client: Browser, started: Any) -> str:
    """Follow a task to its end: where its result is shown, or what went wrong."""
    assert started.status_code == 303, started.text
    for _ in range(600):
        answer = client.get(started.headers["location"])
        if answer.status_code == 303:
            return answer.headers["location"]
        if 'class="note is-bad' in answer.text:
            return words(answer)
        time.sleep(0.1)
    raise AssertionError("the task never ended")


def fields_of(client: Browser, path: str) -> dict[str, str]:
    """What the freeze's form of a page carries."""
    form = client.get(path).text.split('/freeze">')[1].split("</form>")[0]
    return dict(re.findall(r'<input type="hidden" name="(digest|header|task)" value="([^"]*)"', form))


def bring_in_an_allocation(parts: Parts, client: Browser) -> str:
    """One row more of the ledger, of an earlier day: what was paid settles other rows then. The refusal, where it is not taken."""
    head = (RECORDED / "allocations.csv").read_bytes().splitlines()
    files = [("files", ("new.csv", b"\n".join([head[0], head[4].replace(b"A", b"A9", 1)]) + b"\n", "text/csv"))]
    shown = ended(client, client.post("/bring-in", data={"forgery_token": client.token(), "kind": "allocations"}, files=files))
    started = client.send_form(f"/bring-in/{shown.rpartition('=')[2]}/take", {"is_agreed": "true"})
    if started.status_code == 409:
        return words(client.get(shown))
    ended(client, started)
    assert parts.reading.wait_for(parts.app.log.end(), 60)
    return ""


def waive_what_blocks(parts: Parts) -> None:
    (issue,) = next(one for one in parts.reading.snapshot().groups[MONTH] if one.open_count).issues
    parts.app.decisions.waive(
        month=MONTH, issue={"code": issue.code.value, "ref": issue.ref, "facts": issue.facts}, by="B. Person", reason="refund"
    )
    assert parts.reading.wait_for(parts.app.log.end(), 60)


def test_a_preview_is_old_where_the_report_or_a_condition_is_another_and_not_because_the_log_grew(parts: Parts) -> None:
    client = as_user(parts, "Operator", "operator")
    path = ended(client, client.send_form(f"{BOARD}/preview"))
    assert FRESH in words(client.get(path)) and OLD not in words(client.get(path))
    set_user(parts.app, "Viewer", ["viewer"], by="Tests", reason="an event that is no fact of a month")
    assert parts.reading.wait_for(parts.app.log.end(), 60) and parts.reading.snapshot().reports[MONTH].rows == 1437
    assert FRESH in words(client.get(path)) and OLD not in words(client.get(path))
    waive_what_blocks(parts)
    old = words(client.get(path))
    assert OLD in old and "conditions that do not hold: 1 → 0" in old and "See it anew" in old
    assert OLD not in words(client.get(ended(client, client.send_form(f"{BOARD}/preview"))))


def test_a_freeze_rests_on_the_preview_that_was_seen_or_says_what_differs(parts: Parts) -> None:
    waive_what_blocks(parts)
    client = by_link(parts)
    path = ended(client, client.send_form(f"{BOARD}/preview"))
    seen = fields_of(client, path)
    assert seen["header"] == header_digest(parts.app.settings.header()) and seen["task"] == path.rpartition("=")[2]
    told = ended(client, client.send_form(f"{BOARD}/freeze", seen | {"header": "0" * 64}))
    assert "the form's header in the settings is another one than you saw" in told
    assert client.send_form(f"{BOARD}/freeze", {"digest": seen["digest"]}).status_code == 422, "the header is not in the report's digest"
    bring_in_an_allocation(parts, client)
    old = words(client.get(path))
    assert OLD in old and DIFFERS in old
    told = ended(client, client.send_form(f"{BOARD}/freeze", seen))
    assert (
        "facts changed since what you saw: look again, then freeze. What differs: rows: 1437 → 1466; Unsettled, BTC: 0.08135976 → 0.08941122"
        in told
    )
    forgotten = ended(client, client.send_form(f"{BOARD}/freeze", seen | {"task": "gone"}))
    assert "facts changed since what you saw: look again, then freeze" in forgotten and "What differs" not in forgotten
    assert not parts.app.months.frozen(MONTH)


def test_what_a_label_changes_is_old_where_the_report_is_another_and_then_no_label_rests_on_it(parts: Parts) -> None:
    client = as_user(parts, "Operator", "operator")
    (issue,) = next(one for one in parts.reading.snapshot().groups[MONTH] if one.open_count).issues
    path = f"{BOARD}/issues/{issue.name}"

    def given(page: str) -> dict[str, str]:
        form = client.get(page).text.split('/label">')[1].split("</form>")[0]
        hidden = dict(re.findall(r'<input type="hidden" name="(digest|task)" value="([^"]*)"', form))
        return hidden | {"outflow_class": "vendor", "whose": "Power company", "reason": "invoice 7"}

    shown = ended(client, client.send_form(f"{path}/label", given(path) | {"act": "show"}))
    set_user(parts.app, "Viewer", ["viewer"], by="Tests", reason="an event that is no fact of a month")
    assert parts.reading.wait_for(parts.app.log.end(), 60)
    assert OTHER not in words(client.get(shown)) and given(shown)["task"] == shown.rpartition("=")[2]
    bring_in_an_allocation(parts, client)
    assert OTHER in words(client.get(shown)) and "October 2026: rows: 1437 → 1466" in words(client.get(shown))
    refused = client.send_form(f"{path}/label", given(shown) | {"act": "label"})
    assert refused.status_code == 409 and "the report is another one than when you were shown" in refused.text
    assert ">invoice 7</textarea>" in refused.text and 'value="Power company"' in refused.text and not labels(parts)
    assert client.send_form(f"{path}/label", given(path) | {"act": "label"}).status_code == 303 and labels(parts) == ["Operator"]


def labels(parts: Parts) -> list[str]:
    return [one.by for one in parts.app.decisions.held().labels.values() if one.name == "Power company"]


def test_a_further_version_that_was_looked_at_says_when_it_is_old(closed: Parts) -> None:
    client = by_link(closed)
    same = ended(client, client.send_form(f"{BOARD}/preview"))
    assert "nothing to amend" in words(client.get(same)) and OLD not in words(client.get(same))
    bring_in_an_allocation(closed, client)
    assert OLD in words(client.get(same))
    path = ended(client, client.send_form(f"{BOARD}/preview"))
    page = words(client.get(path))
    assert OLD not in page and "What version 2 would change" in page and closed.app.settings.header()["executor_name"] in page
    assert "A001016 " in page and " Amount: 0.00858790 → 0.00053644 " in page, "in coins, as the form has it"
    assert " allocated 2026-10-30, 0.00185486 BTC, not transferred " in page, "a row that comes says what it is"
    seen = fields_of(client, path)
    for wrong, why in (
        ({"header": "0" * 64}, "the form's header"),
        ({"digest": "0" * 64}, "look again, then freeze. Now 69 rows differ from the frozen version."),
    ):
        told = ended(client, client.send_form(f"{BOARD}/freeze", seen | wrong | {"reason": "one row came late"}))
        assert why in told and len(closed.app.months.frozen(MONTH)) == 1


def test_a_frozen_month_that_the_board_no_longer_shows_says_that_it_differs_without_a_draft(
    frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("reading", "overview"):
        monkeypatch.setattr(f"pipeline.app.{module}.months_shown", lambda app, store: [])
    monkeypatch.setattr("pipeline.app.filed_months.EVERY_S", 0)
    shutil.copytree(frozen, tmp_path / "var")
    with running(tmp_path / "var") as parts:
        client = by_link(parts)
        same = ended(client, client.send_form(f"{BOARD}/preview"))
        assert "nothing to amend" in words(client.get(same)) and OLD not in words(client.get(same))
        assert not parts.reading.snapshot().overview.months
        bring_in_an_allocation(parts, client)
        assert OLD in words(client.get(same)), "what was looked at is compared, whether or not the board shows the month"
        until = time.monotonic() + 60
        while not parts.reading.snapshot().overview.months and time.monotonic() < until:
            time.sleep(0.1)
        told = "facts changed after v1 was frozen: its report would differ"
        assert parts.app.diary.life(MONTH).draft is None
        for path in ("/", BOARD, f"{BOARD}/form", f"{BOARD}/close"):
            assert told in words(client.get(path)), path
        assert [one.is_undecided for one in parts.reading.snapshot().overview.months] == [True]
        parts.reading._filed.settled([MONTH])
        assert parts.reading._filed.differing == frozenset()
