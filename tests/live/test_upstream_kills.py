"""A recorded front's month read from upstream pools' APIs that misbehave, while the capture is killed (-9) again and again: the frozen month is that of the same ledger from files.

The services are stand-ins built from their documents (docs/sources.md), unproved against the real ones. They answer with limits, failures, half answers and a clock that is wrong, shift
their pages while they are read, and name a row twice; rows appear bit by bit, and become certain later.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.log_sqlite.log import SqliteLog
from pipeline.app.app import App
from pipeline.app.imports import counterparties_of_pool
from pipeline.app.standins import ReplayNode
from pipeline.capture.held import Held
from pipeline.capture.kinds.values import instant
from pipeline.capture.projection import AllocationRow, PaymentRow
from pipeline.demo.demo import _follow, assess, finish, open_demo, read_pool, waive_all, write_settings
from pipeline.log.events.ledger import Allocations, Complete, PayerPayments, Payments
from pipeline.log.events.parts import Event
from pipeline.log.events.sources import SourceItems
from pipeline.log.read import events_of
from pipeline.service.capturing import capture_once
from pipeline.settings.load import load_settings
from pipeline.validate.review import Consent

from ..integration.upstream_services import Service, serving

pytestmark = pytest.mark.live
ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "tests/captures/2026-11-upstream"
AFTER = 1_796_454_000
"""5 December 2026: the recorded month is over, whenever the test runs."""
KILLS, CHANGES = (12 if os.environ.get("ESEP_ALL_KILLS") else 4), 40
TOKENS: dict[str, dict[str, str]] = {
    "luxor": {"ESEP_SOURCES_BOOKS_TOKEN": "api-token"}, "f2pool": {"ESEP_SOURCES_BOOKS_TOKEN": "token"}, "braiins": {"ESEP_SOURCES_BOOKS_TOKEN": "token"},
    "sbi": {"ESEP_SOURCES_BOOKS_TOKEN": "token", "ESEP_SOURCES_BOOKS_SECRET": "secret"}, "ocean": {},
}  # fmt: skip
CAPTURE = """
import sys, time
from pathlib import Path
from pipeline.app.app import App
from pipeline.model.errors import SourceError
from pipeline.service.capturing import capture_once
from pipeline.settings.load import load_settings
import os
with App(load_settings(Path(sys.argv[1]), dict(os.environ)), lambda: int(sys.argv[2])) as app:
    while True:
        try:
            capture_once(app, "books")
        except SourceError as error:
            print(error, flush=True)
        time.sleep(0.05)
"""
Row = dict[str, Any]


def ledger(accounts: int | None = None) -> tuple[list[Row], list[Row]]:
    """The recorded ledger of the upstream that pays on chain: allocations and payments of sub-accounts with one address and one earning an instant, as upstreams have them."""
    with (RECORDED / "payments.csv").open(newline="") as lines:
        payments = [row for row in csv.DictReader(lines) if row["payer"] == "luxor" and row["asset"] == "BTC"]
    with (RECORDED / "allocations.csv").open(newline="") as lines:
        credits = [row for row in csv.DictReader(lines) if row["asset"] == "BTC" and row["commission_asset"] == "BTC"]
    twice = {place[0] for place, count in Counter((row["account"], row["allocated_at"]) for row in credits).items() if count > 1}
    addresses = Counter(account for account, _ in {(row["account"], row["address"]) for row in payments})
    named = [account for account in sorted(addresses) if addresses[account] == 1 and account not in twice][:accounts]
    credits = [row for row in credits if row["account"] in named]
    return credits, [row for row in payments if row["account"] in named]


def number(text: str) -> float:
    """As a service prints money: a JSON number, 4.248e-05 among them."""
    return float(text)


def seconds(text: str) -> int:
    return instant(text) // 1_000_000


def as_luxor(credits: list[Row], payments: list[Row]) -> dict[str, list[Row]]:
    def row(number_: int, one: Row, kind: str, category: str, at: str, txid: str) -> Row:
        return {"currency_type": "BTC", "date_time": one[at], "address_name": one.get("address") or "w", "subaccount_name": one["account"],
                "transaction_category": category, "currency_amount": number(one["amount"]), "usd_equivalent": 1.5, "transaction_id": txid, "transaction_type": kind}  # fmt: skip

    earned = [row(n, one, "credit", "Miner Revenue", "allocated_at", f"earning-{n}") for n, one in enumerate(credits)]
    return {"transactions": earned + [row(n, one, "debit", "Payout", "paid_at", one["txid"]) for n, one in enumerate(payments)]}


def as_f2pool(credits: list[Row], payments: list[Row]) -> dict[str, list[Row]]:
    earned = [
        {"id": n, "type": "revenue_fpps", "_user": one["account"], "changed_balance": number(one["amount"]), "created_at": seconds(one["allocated_at"]) + 3600, "payout_extra": None,
         "mining_extra": {"mining_date": seconds(one["allocated_at"]), "pps": number(one["amount"]), "pps_fee_rate": 0, "tx_fee": number(one["commission_amount"]), "tx_fee_rate": 1}}
        for n, one in enumerate(credits)
    ]  # fmt: skip
    paid = [
        {"id": 100_000 + n, "type": "payout", "_user": one["account"], "changed_balance": -number(one["amount"]), "created_at": seconds(one["paid_at"]), "mining_extra": None,
         "payout_extra": {"tx_id": one["txid"], "wallet_address": one["address"]}}
        for n, one in enumerate(payments)
    ]  # fmt: skip
    return {"transactions": earned + paid}


def as_sbi(credits: list[Row], payments: list[Row]) -> dict[str, list[Row]]:
    earned = [
        {"earningsFor": one["allocated_at"], "subaccountName": one["account"], "subaccountId": one["account"], "vsubaccountName": f"{one['account']}-miner", "vsubaccountId": one["account"],
         "coin": "BTC", "netOwed": number(one["amount"]), "feesPaid": number(one["commission_amount"]), "hashrate": 1, "address": "x", "state": "CONFIRMED"}
        for one in credits
    ]  # fmt: skip
    paid = [
        {"paidOn": one["paid_at"], "subaccountName": one["account"], "subaccountId": one["account"], "amount": number(one["amount"]), "address": one["address"], "state": "CONFIRMED", "txId": one["txid"]}
        for one in payments
    ]  # fmt: skip
    return {"earnings": earned, "payouts": paid}


def as_braiins(credits: list[Row], payments: list[Row]) -> dict[str, list[Row]]:
    earned = [{"date": seconds(one["allocated_at"]), "total_reward": one["amount"]} for one in credits]
    paid = [
        {"requested_at_ts": seconds(one["paid_at"]), "resolved_at_ts": seconds(one["paid_at"]), "status": "confirmed", "amount_sats": int(Decimal(one["amount"]) * 10**8), "fee_sats": 0,
         "destination": one["address"], "tx_id": one["txid"]}
        for one in payments
    ]  # fmt: skip
    return {"earnings": earned, "payouts": paid}


def as_ocean(credits: list[Row], payments: list[Row]) -> dict[str, list[Row]]:
    earned = [
        {"_user": one["account"], "block_hash": f"{n:064x}", "ts": seconds(one["allocated_at"]), "shares_in_window": 5,
         "fees_collected_satoshis": int(Decimal(one["commission_amount"]) * 10**8), "satoshis_net_earned": int(Decimal(one["amount"]) * 10**8)}
        for n, one in enumerate(credits)
    ]  # fmt: skip
    paid = [
        {"_user": one["account"], "ts": seconds(one["paid_at"]), "on_chain_txid": one["txid"], "total_satoshis_net_paid": int(Decimal(one["amount"]) * 10**8), "is_generation_txn": False}
        for one in payments
    ]  # fmt: skip
    return {"earnings": earned, "payouts": paid}


KINDS: dict[str, tuple[Callable[[list[Row], list[Row]], dict[str, list[Row]]], bool, bool, int | None]] = {
    # How its rows look, whether it tells the commission, whether it tells addresses, how many accounts.
    "luxor": (as_luxor, False, False, None), "f2pool": (as_f2pool, True, True, None), "sbi": (as_sbi, True, True, None),
    "braiins": (as_braiins, False, True, 1), "ocean": (as_ocean, True, False, None),
}  # fmt: skip


def more_settings(kind: str, url: str, payments: list[Row]) -> str:
    """The source's table."""
    accounts = sorted({row["account"] for row in payments})
    lines = [
        f'[sources.books]\nkind = "{kind}"\nurl = "{url}"\nsince = "2026-10-01"\nasset = "BTC"\npayer = "luxor"\npace_ms = 0\nwindow_days = 70\nretention_s = 8640000'
    ]
    if kind in ("luxor", "f2pool", "ocean"):
        lines.append(f"subaccounts = {json.dumps(accounts)}")
    if kind == "braiins":
        lines.append(f'account = "{accounts[0]}"')
    if kind in ("luxor", "ocean"):  # both tell no address: one a sub-account, or by the address's name
        names = (
            {row["address"]: row["address"] for row in payments}
            if kind == "luxor"
            else {row["account"]: row["address"] for row in payments}
        )
        lines.append("[sources.books.addresses]\n" + "\n".join(f'"{name}" = "{address}"' for name, address in names.items()))
    return "\n".join(lines) + "\n"


def misbehave(service: Service, chance: random.Random) -> None:
    """Some of the next answers are none."""
    choice: list[tuple[int, dict[str, str], bytes]] = [
        (429, {"Retry-After": "1"}, b""), (500, {}, b"oops"), (502, {}, b"<html>"), (200, {}, b'{"transactions": [{"id"'), (200, {"Content-Length": "99999"}, b"{}"),
        (200, {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}, b"{}"), (200, {}, b"[]"), (200, {}, b'{"content": [1e5]}'),
    ]  # fmt: skip
    service.troubles += chance.sample(choice, chance.randrange(1, 4))


class Capturing:
    """The capturing process, in the recorded month's aftermath."""

    def __init__(self, settings: Path, output: Path, tokens: dict[str, str]) -> None:
        self._settings, self._output, self._tokens = settings, output, tokens
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._output.open("ab") as output:
            command = [sys.executable, "-c", CAPTURE, str(self._settings), str(AFTER)]
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env={**os.environ, **self._tokens})

    def kill(self) -> None:
        assert self._process is not None and self._process.poll() is None, self._output.read_text()[-3000:]
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def grow(service: Service, rows: dict[str, list[Row]], chance: random.Random, capturing: Capturing) -> None:
    """The service's rows appear in the order of their lists, a part at a time; pages shift, answers fail, the capture is killed."""
    killed = set(chance.sample(range(CHANGES), KILLS))
    for step in range(1, CHANGES + 1):
        for table, listed in rows.items():
            known = list(listed[: len(listed) * step // CHANGES])
            chance.shuffle(known)
            setattr(service, table, known)
        misbehave(service, chance)
        name = chance.choice(sorted(rows))
        held = getattr(service, name)
        if held:
            # One row more at the beginning while pages are read moves all others; and it stands twice for a moment.
            service.between_pages.append(lambda held=held: held.insert(0, held[-1]))
            service.between_pages.append(lambda held=held: held.pop(0))
        time.sleep(chance.random() * 0.8)
        if step - 1 in killed:
            capturing.kill()
            asked, deadline = len(service.asked), time.monotonic() + 240
            capturing.start()
            while len(service.asked) == asked:  # it is killed while it reads, and not while it starts
                assert time.monotonic() < deadline
                time.sleep(0.02)
    service.troubles.clear()
    service.between_pages.clear()
    for table, listed in rows.items():
        setattr(service, table, list(listed))


def held_of(path: Path) -> tuple[Held, list[Event]]:
    """What the log holds of the source, and all events of its ledger."""
    log = SqliteLog(path)
    try:
        kinds: list[type[Event]] = [Allocations, Payments, PayerPayments, SourceItems, Complete]
        events: list[Event] = [event for _, event in events_of(log, "ledger", "demo", kinds)]
    finally:
        log.close()
    found = Held("books", "")
    for event in events:
        found.apply(event)
    return found, events


def units(text: str) -> int:
    return int(Decimal(text) * 10**8)


def compare(held: Held, credits: list[Row], payments: list[Row], *, tells_commission: bool) -> None:
    """Every credit and payment once, and nothing else."""
    rows = [one.row for one in held.rows.values()]
    found = Counter((row.account, row.at, row.amount, row.commission) for row in rows if isinstance(row, AllocationRow))
    assert found == Counter(
        (one["account"], instant(one["allocated_at"]), units(one["amount"]), units(one["commission_amount"]) if tells_commission else None)
        for one in credits
    )
    paid = Counter((row.account, row.address, row.txid, row.amount, row.at, row.payer) for row in rows if isinstance(row, PaymentRow))
    assert paid == Counter(
        (one["account"], one["address"], one["txid"], units(one["amount"]), instant(one["paid_at"]), "luxor") for one in payments
    )
    assert not held.open_items()


def as_files(held: Held, folder: Path) -> None:
    """The same ledger as files, under the ids of the source."""

    def shown(amount: int | None) -> str:
        return "" if amount is None else f"{Decimal(amount) / 10**8:.8f}"

    def moment(at: int) -> str:
        return datetime.fromtimestamp(at / 1_000_000, UTC).isoformat()

    for name, kind in (("allocations", AllocationRow), ("payments", PaymentRow)):
        with (folder / f"{name}.csv").open(newline="") as lines:
            headings = next(csv.reader(lines))
        with (folder / f"{name}.csv").open("w", newline="") as out:
            writer = csv.DictWriter(out, headings, restval="")
            writer.writeheader()
            for row_id, one in held.rows.items():
                row = one.row
                if isinstance(row, AllocationRow) and kind is AllocationRow:
                    fee = (
                        {"commission_asset": row.commission_asset, "commission_amount": shown(row.commission)}
                        if row.commission is not None
                        else {}
                    )
                    writer.writerow(
                        {
                            "allocation_id": row_id,
                            "account": row.account,
                            "asset": row.asset,
                            "allocated_at": moment(row.at),
                            "amount": shown(row.amount),
                            **fee,
                        }
                    )
                elif isinstance(row, PaymentRow) and kind is PaymentRow:
                    writer.writerow({"payment_id": row_id, "account": row.account, "asset": row.asset, "address": row.address, "amount": shown(row.amount),
                                     "txid": row.txid, "paid_at": moment(row.at), "payer": row.payer})  # fmt: skip


def frozen_report(folder: Path, var: Path, tokens: dict[str, str] | None = None) -> bytes:
    """The report of the recorded month, its ledger read from the source or from the folder's files."""
    app, run, pool = open_demo(folder, var, tokens or {}, lambda: AFTER)
    with app:
        with ReplayNode(folder) as node:
            _follow(app, pool.chain, node, lambda done, total: None)
        app.imports.registry(folder, counterparties=counterparties_of_pool(json.loads((folder / "pool.json").read_bytes())))
        if tokens is None:
            app.imports.ledger(folder / "allocations.csv", "allocations", consent=Consent(to_oddities=True, by="A. Person"))
            app.imports.ledger(folder / "payments.csv", "payments", consent=Consent(to_oddities=True, by="A. Person"))
            app.imports.declare_complete(run.month.last)
        with ReplayNode(folder) as node:  # once more: whom payers pay is known now
            _follow(app, pool.chain, node, lambda done, total: None)
        app.decisions.record_settings_labels()
        with app.stores.live() as store:
            app.stores.fill(store)
            assess(app, store, run)
            waive_all(app, store, run, "a recorded month")
            finish(app, store, run, lambda words: None)
    assert run.outcome is not None
    return (run.outcome.folder / "report.csv").read_bytes()


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_month_from_an_upstream_that_misbehaves(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    as_rows, tells_commission, _, accounts = KINDS[kind]
    credits, payments = ledger(accounts)
    folder, var = tmp_path / "recorded", tmp_path / "var"
    shutil.copytree(RECORDED, folder)
    plain = tmp_path / "plain"
    shutil.copytree(RECORDED, plain)
    with serving(kind) as service:
        (folder / "esep.toml").write_text(more_settings(kind, service.url, payments), encoding="utf-8")
        path = write_settings(folder, var, read_pool(folder))
        capturing = Capturing(path, tmp_path / "capture.log", TOKENS[kind])
        request.addfinalizer(capturing.end)
        capturing.start()
        grow(service, as_rows(credits, payments), random.Random(31), capturing)
        capturing.kill()
        seen = len(held_of(var / "log.sqlite")[0].rows)
        assert 0 < seen <= len(credits) + len(payments)
        with App(load_settings(path, TOKENS[kind]), lambda: AFTER) as again:
            assert capture_once(again, "books").open_items == 0
    held, events = held_of(var / "log.sqlite")
    compare(held, credits, payments, tells_commission=tells_commission)
    assert "2026-11-30" in {event.through for event in events if isinstance(event, Complete)}
    report = frozen_report(folder, var, TOKENS[kind])
    as_files(held, plain)
    assert report.count(b"\n") > 20
    assert report == frozen_report(plain, tmp_path / "plain-var")
