"""What waits at a source is decided in the console as on the command line; what that changes is shown before, and is what the source's next look writes."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.app.reconciliation import Difference, SourceFacts, source_proofs
from pipeline.log.events.ledger import Allocations, Payments
from pipeline.log.read import events_of
from pipeline.model.months import Month
from pipeline.store.queries import SourceState
from pipeline.web.parts import Parts

from .consoles import as_user, by_link, running
from .test_console_pages import post, result_of, words

MONTH = Month(2026, 10)
SOURCE = """
[sources.own]
kind = "push"
since = "2026-10-01"
token_file = "own.token"
"""
TXID = "ab" * 32


@pytest.fixture
def parts(blocked: Path, tmp_path: Path) -> Iterator[Parts]:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    (var / "own.token").write_text("a token of forty letters and more, by chance")
    (var / "own.token").chmod(0o600)
    with (var / "esep.toml").open("a", encoding="utf-8") as file:
        file.write(SOURCE.replace("own.token", str(var / "own.token")))
    with running(var) as found:
        yield found


def push(parts: Parts, table: str, row_id: str, **content: str) -> None:
    """Hand in one row, as the pool's software would, and let the console see it."""
    rows, follower = parts.app.sources.pushed("own")
    rows.put(table, {row_id: dict(content)})
    follower.step()
    follower.close()
    assert parts.reading.wait_for(parts.app.log.end(), 60)


def account_of(parts: Parts, number: int = 0) -> str:
    """An account of the example's ledger."""
    return next(event.rows.account[number] for _, event in events_of(parts.app.log, "ledger", parts.app.pool, [Allocations]))


def test_a_payment_without_an_outcome_is_decided_after_its_effect_was_seen(parts: Parts) -> None:
    account = account_of(parts)
    push(
        parts, "payments", "P-1", account=account, asset="BTC", address="bcrt1qnobody", amount="0.00010000", paid_at="2026-10-06T10:00:00Z", state="pending"
    )  # fmt: skip
    client = by_link(parts)
    page = client.get("/bring-in")
    (link,) = re.findall(r'href="(/bring-in/item\?[^"]+)"', page.text)
    path = html.unescape(link)
    assert "payment:P-1" in words(client.get(path)) and client.get("/bring-in/item?source=own&item=none").status_code == 404
    given = {"source": "own", "item": parts.reading.snapshot().sources.items[0].item, "outcome": "paid", "txid": TXID}
    end = parts.app.log.end()
    told = words(client.get(result_of(client, post(client, "/bring-in/item", **given, act="show"))))
    assert "0.00010000" in told and TXID in told and "payment-not-on-chain" in told and parts.app.log.end() == end, "nothing is recorded"
    assert post(client, "/bring-in/item", **given, act="decide", reason="").status_code == 422
    assert post(client, "/bring-in/item", **{**given, "txid": "nonsense"}, act="decide", reason="because").status_code == 409
    assert post(client, "/bring-in/item", **{**given, "outcome": "accept", "txid": ""}, act="decide", reason="because").status_code == 409
    assert post(client, "/bring-in/item", **given, act="decide", reason="seen in the wallet").status_code == 303
    deeds = words(client.get("/deeds?search=seen in the wallet"))
    assert "payment:P-1" in deeds
    _, follower = parts.app.sources.pushed("own")
    follower.step()
    follower.close()
    written = [event for _, event in events_of(parts.app.log, "ledger", parts.app.pool, [Payments]) if "own" in event.source]
    assert [event.rows.txid for event in written] == [[TXID]], "the next look writes what was shown"
    assert as_user(parts, "L. Viewer", "viewer").send_form("/bring-in/item", {**given, "act": "decide"}).status_code == 403


def test_a_restatement_that_moves_a_row_is_accepted(parts: Parts) -> None:
    first, second = account_of(parts), next(one for n in range(1, 200) if (one := account_of(parts, n)) != account_of(parts))
    allocated = {"allocated_at": "2026-10-05T10:00:00+05:00", "asset": "BTC", "amount": "0.00020000"}
    push(parts, "allocations", "A-1", account=first, **allocated)
    push(parts, "allocations", "A-1", account=second, **allocated)
    client = by_link(parts)
    (item,) = [one for one in parts.reading.snapshot().sources.items if one.code == "source-restatement"]
    given = {"source": "own", "item": item.item, "outcome": "accept", "act": "show"}
    told = words(client.get(result_of(client, post(client, "/bring-in/item", **given))))
    assert "October 2026" in told and "ends" in told and "differ" in told and second in told
    assert "What the sources say" in words(client.get("/months/2026-10")) and "not proved" in words(client.get("/months/2026-10"))


def test_a_source_is_proved_only_where_its_balances_were_compared(parts: Parts) -> None:
    settings = parts.app.settings

    def proofs(state: SourceState, sums: list[tuple[str, str, str]], kind: str = "yiimp") -> list[tuple[bool | None, list[Difference]]]:
        own = settings.sources["own"].model_copy(update={"kind": kind})
        found = source_proofs(settings.model_copy(update={"sources": {"own": own}}), SourceFacts([state], [], sums), MONTH)
        return [(one.is_proved, one.differences) for one in found]

    read = SourceState("own", 1, 2, None, 10, 0, MONTH.last)
    differs = ("own", "17", '{"rows": "1.5", "balance": "1.25"}')
    assert proofs(read, []) == [(True, [])]
    assert proofs(read, [], kind="push") == [(None, [])]
    assert proofs(read._replace(complete_through=MONTH.first), []) == [(None, [])]
    assert proofs(read, [differs]) == [(False, [Difference("17", "1.5", "1.25")])]
