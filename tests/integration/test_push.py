"""The push API over real HTTP: a pool's own software hands in its ledger; what is durable, refused, restated, and who may."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.app.app import App
from pipeline.log.events.ledger import Allocations, Complete, PayerPayments, Payments
from pipeline.log.read import events_of
from pipeline.model.errors import SettingsError
from pipeline.service.push import openapi, serve_push
from pipeline.settings.load import load_settings

TOKEN = "a token of forty letters and more, by chance"
SETTINGS = """
[pool]
key = "pool"
bin = "201040000013"
name = "A pool"
[chains.bitcoin]
network = "bitcoin"
asset = "BTC"
rpc_url = "http://127.0.0.1:1"
[[chains.bitcoin.wallets]]
name = "hot"
addresses = ["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"]
[payers.exchange]
way = "off-chain"
[sources.own]
kind = "push"
since = "2026-10-01"
listen = "127.0.0.1:0"
"""
ALLOCATION = {
    "allocation_id": "A-1",
    "account": "acct",
    "asset": "BTC",
    "allocated_at": "2026-10-05T10:00:00+05:00",
    "amount": "0.01234567",
}
PAYMENT = {
    "payment_id": "P-1",
    "account": "acct",
    "asset": "BTC",
    "address": "addr",
    "amount": "0.01",
    "txid": "ab" * 32,
    "paid_at": "2026-10-06T10:00:00Z",
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    (tmp_path / "esep.toml").write_text(SETTINGS, encoding="utf-8")
    with App(load_settings(tmp_path / "esep.toml", {"ESEP_SOURCES_OWN_TOKEN": TOKEN}), lambda: 1_795_900_000) as app:
        yield app


@pytest.fixture
def client(app: App) -> Iterator[httpx.Client]:
    with (
        serve_push(app, "own") as address,
        httpx.Client(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as client,
    ):
        yield client


def rows(app: App) -> dict[str, tuple[int, str]]:
    """Version and amount of each ledger row, by id."""
    found: dict[str, tuple[int, str]] = {}
    for _, event in events_of(app.log, "ledger", "pool", [Allocations, Payments, PayerPayments]):
        ids = event.rows.allocation_id if isinstance(event, Allocations) else event.rows.payment_id
        found |= dict(zip(ids, zip(event.rows.version, event.rows.amount, strict=True), strict=True))
    return found


def post(client: httpx.Client, path: str, *given: dict[str, Any]) -> httpx.Response:
    return client.post(path, json={"rows": list(given)})


def test_rows_are_durable_and_the_same_again_changes_nothing(client: httpx.Client, app: App) -> None:
    for changed in (1, 0):
        answer = post(client, "/ledger/allocations", ALLOCATION)
        assert (answer.status_code, answer.json()) == (200, {"rows": 1, "changed": changed, "waiting": []})
    assert post(client, "/ledger/payments", PAYMENT).status_code == 200
    assert rows(app) == {"own:A-1": (1, "1234567"), "own:payment:P-1": (1, "1000000")}


def test_another_amount_is_a_restatement_and_another_account_waits_for_a_person(client: httpx.Client, app: App) -> None:
    post(client, "/ledger/allocations", ALLOCATION)
    assert post(client, "/ledger/allocations", ALLOCATION | {"amount": "0.02"}).json()["waiting"] == []
    (item,) = post(client, "/ledger/allocations", ALLOCATION | {"account": "other"}).json()["waiting"]
    assert item.startswith("restatement:own:A-1@")
    assert rows(app) == {"own:A-1": (2, "2000000")}


def test_a_payment_waits_for_its_transaction_and_an_off_chain_one_has_its_own_reference(client: httpx.Client, app: App) -> None:
    assert post(client, "/ledger/payments", PAYMENT | {"txid": None}).json()["waiting"] == ["payment:P-1"]
    assert post(client, "/ledger/payments", PAYMENT).json()["waiting"] == []
    assert post(client, "/ledger/payments", PAYMENT | {"payment_id": "P-2", "payer": "exchange", "txid": "transfer 17"}).status_code == 200
    assert set(rows(app)) == {"own:payment:P-1", "own:payment:P-2"}


def test_a_person_ends_an_off_chain_payment_by_the_payer_s_own_reference(client: httpx.Client, app: App) -> None:
    assert post(client, "/ledger/payments", PAYMENT | {"payer": "exchange", "txid": None}).json()["waiting"] == ["payment:P-1"]
    with app.stores.current() as store:
        items = app.sources.items(store)
    app.sources.decide(items, "own", "payment:P-1", "paid", txid=" transfer 17 ", day=None, by="A. Person", reason="the exchange's list")
    assert post(client, "/ledger/allocations", ALLOCATION).json()["waiting"] == []
    assert "own:payment:P-1" in rows(app)
    (paid,) = [event.rows for _, event in events_of(app.log, "ledger", "pool", [PayerPayments])]
    assert (paid.txid, paid.payer) == (["transfer 17"], ["exchange"])


def test_complete_is_refused_while_something_waits(client: httpx.Client, app: App) -> None:
    post(client, "/ledger/allocations", ALLOCATION | {"state": "pending"})
    refused = client.post("/ledger/complete", json={"through": "2026-10-31"})
    assert refused.status_code == 409 and "immature:A-1" in refused.json()["detail"]
    post(client, "/ledger/allocations", ALLOCATION)
    assert [client.post("/ledger/complete", json={"through": "2026-10-31"}).json() for _ in "ab"] == [{"is_new": True}, {"is_new": False}]
    assert [event.through for _, event in events_of(app.log, "ledger", "pool", [Complete])] == ["2026-10-31"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"amount": 0.01}, ["body", "rows", 0, "amount"]),
        ({"amount": "1e-5"}, ["body", "rows", 0, "amount"]),
        ({"amount": "-1"}, ["body", "rows", 0, "amount"]),
        ({"allocated_at": "2026-10-05 10:00"}, ["body", "rows", 0, "allocated_at"]),
        ({"account": ""}, ["body", "rows", 0, "account"]),
        ({"colour": "red"}, ["body", "rows", 0, "colour"]),
        ({"state": "maybe"}, ["body", "rows", 0, "state"]),
    ],
)
def test_a_faulty_row_refuses_the_whole_with_its_place(client: httpx.Client, app: App, change: dict[str, Any], place: list[Any]) -> None:
    answer = post(client, "/ledger/allocations", ALLOCATION | change, ALLOCATION | {"allocation_id": "A-2"})
    assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == place
    assert rows(app) == {}


def test_an_id_twice_with_two_contents_is_refused(client: httpx.Client) -> None:
    assert post(client, "/ledger/allocations", ALLOCATION, ALLOCATION | {"amount": "1"}).status_code == 422
    assert post(client, "/ledger/allocations", ALLOCATION, ALLOCATION).status_code == 200


@pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic abc", f"Bearer {TOKEN}x"])
@pytest.mark.parametrize("path", ["/ledger/allocations", "/ledger/payments", "/ledger/complete"])
def test_without_the_token_nothing_is_taken(client: httpx.Client, token: str, path: str) -> None:
    answer = client.post(path, json={"rows": [ALLOCATION]}, headers={"Authorization": token})
    assert answer.status_code == 401 and TOKEN not in answer.text


def test_a_body_without_a_length_or_too_long_is_refused(client: httpx.Client) -> None:
    assert client.post("/ledger/allocations", content=(part for part in [b'{"rows": []}'])).status_code == 413
    assert client.post("/ledger/allocations", content=b"x" * (17 << 20)).status_code == 413


def test_the_published_document_is_the_api_s() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "push.openapi.json"
    assert json.loads(page.read_text(encoding="utf-8")) == openapi(), "docs/push.openapi.json is older than the API: make docs"


def test_a_pushed_source_has_no_follower_that_nobody_feeds(app: App) -> None:
    with pytest.raises(SettingsError, match="is pushed: nothing can be looked at"):
        app.sources.follower("own")
