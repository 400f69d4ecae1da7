"""Decisions in the console rest on what was seen: a waiver or a label is refused, in words, where the facts or the decisions are others by now."""

from __future__ import annotations

import re
import threading

import pytest

from pipeline.app.acts import Changed, seen, waive
from pipeline.log.events import decode
from pipeline.log.events.months import Waived
from pipeline.model.months import Month
from pipeline.web.parts import Parts

from .consoles import Browser, as_user
from .example_month import OUTFLOW

MONTH = Month(2026, 10)
DIGEST = re.compile(r'name="digest" value="([0-9a-f]{64})"')
LABEL = {"outflow_class": "vendor", "whose": "Power company", "reason": "invoice 7", "act": "label"}


def issue_path(parts: Parts) -> str:
    (issue,) = next(one for one in parts.reading.snapshot().groups[MONTH] if one.open_count).issues
    return f"/months/2026-10/issues/{issue.name}"


def digest_at(client: Browser, path: str) -> str:
    found: str = DIGEST.findall(client.get(path).text)[0]
    return found


def waivers(parts: Parts) -> list[Waived]:
    """All waivers in the log, those that a later one replaced, too."""
    events = (decode(record.value) for record in parts.app.log.read({}, topics=("months",), limit_bytes=1 << 30))
    return [event for event in events if isinstance(event, Waived)]


def test_of_two_who_waive_one_issue_one_does_and_the_other_is_told(parts: Parts) -> None:
    first, second = as_user(parts, "First", "operator"), as_user(parts, "Second", "operator")
    path = issue_path(parts)
    shown = {client: digest_at(client, path) for client in (first, second)}
    assert first.send_form(f"{path}/waiver", {"reason": "refund pending", "digest": shown[first]}).status_code == 303
    refused = second.send_form(f"{path}/waiver", {"reason": "my own reason", "digest": shown[second]})
    assert refused.status_code == 409 and "First waived this issue meanwhile" in refused.text
    assert "waived by First" in refused.text, "the page is as it is now"
    assert f'href="{path}">Show the page anew' in refused.text, "not the address of the form, which nobody can load"
    assert [event.by for event in waivers(parts)] == ["First"]


def test_two_waivers_at_the_same_moment_make_one_event(parts: Parts) -> None:
    """Both have read the same log before either has written: the log's key lets one through."""
    (issue,) = next(one for one in parts.reading.snapshot().groups[MONTH] if one.open_count).issues
    known, refused, begin = seen(parts.app, MONTH, issue), list[str](), threading.Barrier(2)

    def decide(by: str) -> None:
        begin.wait()
        try:
            waive(parts.app, MONTH, issue, by=by, reason="refund pending", known=known)
        except Changed as error:
            refused.append(str(error))

    people = [threading.Thread(target=decide, args=(by,)) for by in ("First", "Second")]
    for one in people:
        one.start()
    for one in people:
        one.join()
    (event,) = waivers(parts)
    assert len(refused) == 1 and f"{event.by} waived this issue meanwhile" in refused[0]


def test_a_decision_on_other_facts_is_refused_and_what_was_written_stays(parts: Parts) -> None:
    client, path, end = as_user(parts, "Operator", "operator"), issue_path(parts), parts.app.log.end()
    for act, given in (("waiver", {"reason": "refund pending"}), ("label", LABEL)):
        refused = client.send_form(f"{path}/{act}", {**given, "digest": "0" * 64})
        assert refused.status_code == 409 and "the facts changed since you looked" in refused.text
        assert f">{given['reason']}</textarea>" in refused.text and DIGEST.findall(refused.text)[0] == digest_at(client, path)
        assert client.send_form(f"{path}/{act}", given).status_code == 422, "a decision without what was seen"
    assert parts.app.log.end() == end


def test_a_label_and_a_waiver_of_two_people_are_not_both_taken(parts: Parts) -> None:
    first, second = as_user(parts, "First", "operator"), as_user(parts, "Second", "operator")
    path = issue_path(parts)
    (issue,) = next(one for one in parts.reading.snapshot().groups[MONTH] if one.open_count).issues
    known, digest = seen(parts.app, MONTH, issue), digest_at(second, path)
    assert first.send_form(f"{path}/label", {**LABEL, "digest": digest}).status_code == 303
    refused = second.send_form(f"{path}/waiver", {"reason": "my own reason", "digest": digest})
    assert refused.status_code == 409 and "the issue is there no longer" in refused.text
    assert OUTFLOW not in refused.text and "<h1>" in refused.text
    again = second.send_form(f"{path}/label", {**LABEL, "outflow_class": "exchange", "digest": digest})
    assert again.status_code == 409
    with pytest.raises(Changed, match="First labelled this address meanwhile as vendor"):
        waive(parts.app, MONTH, issue, by="Second", reason="again", known=known)
    assert waivers(parts) == [] and {one.by for one in parts.app.decisions.held().labels.values() if one.name == "Power company"} == {
        "First"
    }
