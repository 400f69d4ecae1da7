"""Ledgers read from upstream pools' APIs that misbehave: pages that shift, limits, half answers, states that change, tokens that end."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.sources.http_api import SourceBusy
from connectors.standins.log_memory import MemoryLog
from pipeline.app.open_source import open_source
from pipeline.capture.follow_source import SourceFollower
from pipeline.capture.held import Held
from pipeline.capture.projection import PaymentRow
from pipeline.log.events.ledger import Allocations, Complete, PayerPayments, Payments
from pipeline.log.events.parts import Event
from pipeline.log.events.sources import SourceItems
from pipeline.log.read import events_of
from pipeline.model.errors import SourceError
from pipeline.settings.load import load_settings

from .upstream_services import Service, serving

TXID = "ab" * 32
NOW = datetime.now(UTC)
DAY = NOW - timedelta(days=3)
ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"

POOL = f"""
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
addresses = ["{ADDRESS}"]
[payers.upstream]
way = "on-chain"
chain = "bitcoin"
"""


class Bench:
    """A service, the follower of its source, and a log."""

    def __init__(self, folder: Path, service: Service, kind: str, more: str) -> None:
        since = (NOW - timedelta(days=10)).date()
        path = folder / "esep.toml"
        path.write_text(
            f'{POOL}[sources.books]\nkind = "{kind}"\nurl = "{service.url}"\nsince = "{since}"\nasset = "BTC"\npayer = "upstream"\npace_ms = 0\n{more}',
            encoding="utf-8",
        )
        tomllib.loads(path.read_text())
        secrets = {"luxor": {"TOKEN": "api-token"}, "ocean": {}, "sbi": {"TOKEN": "token", "SECRET": "secret"}}.get(
            kind, {"TOKEN": "token"}
        )
        self.settings = load_settings(path, {f"ESEP_SOURCES_BOOKS_{name}": value for name, value in secrets.items()})
        self.log, self.service, self.now = MemoryLog(), service, int(NOW.timestamp() * 1_000_000)
        self.follower = self._open()

    def _open(self) -> SourceFollower:
        return open_source(self.settings, self.log, "books", lambda: self.now)

    def step(self) -> None:
        self.now += 900_000_000
        self.follower.step()

    @property
    def held(self) -> Held:
        kinds: list[type[Event]] = [Allocations, Payments, PayerPayments, SourceItems, Complete]
        found = Held("books", "")
        for _, event in events_of(self.log, "ledger", "pool", kinds):
            found.apply(event)
        return found

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """Allocations as (account, units, commission), payments as (account, address, units, txid, payer), in order."""
        rows = [one.row for one in self.held.rows.values()]
        found: list[tuple[Any, ...]] = [
            (row.account, row.address, row.amount, row.txid, row.payer) if isinstance(row, PaymentRow) else (row.account, row.amount, row.commission)
            for row in rows
        ]  # fmt: skip
        return sorted(found, key=lambda row: (len(row), row))


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    kind, more = request.param
    with serving(kind) as service:
        yield Bench(tmp_path, service, kind, more)


LUXOR = (
    "luxor",
    f'subaccounts = ["north", "south"]\nfees = [{{since = "2026-01-01", percent = "2"}}]\n[sources.books.addresses]\nnorth = "{ADDRESS}"\n',
)


def luxor_row(
    number: int, *, kind: str = "credit", category: str = "Miner Revenue", amount: float = 0.00098, txid: str = "", account: str = "north"
) -> dict[str, Any]:
    return {
        "currency_type": "BTC", "date_time": (DAY + timedelta(minutes=number)).isoformat(), "address_name": "wallet-1", "subaccount_name": account,
        "transaction_category": category, "currency_amount": amount, "usd_equivalent": 1.5, "transaction_id": txid or f"tx-{number}", "transaction_type": kind,
    }  # fmt: skip


@pytest.mark.parametrize("bench", [LUXOR], indirect=True)
class TestLuxor:
    def test_credits_are_earnings_debits_payouts_and_fees_are_passed_over(self, bench: Bench) -> None:
        bench.service.transactions = [
            luxor_row(1), luxor_row(2, kind="debit", category="Payout", amount=0.0005, txid=TXID), luxor_row(3, kind="debit", category="Transaction Fee"),
        ]  # fmt: skip
        bench.step()
        assert bench.rows == [("north", 98_000, 2_000), ("north", ADDRESS, 50_000, TXID, "upstream")]
        assert not bench.held.open_items()

    def test_every_page_is_read_and_pages_that_shift_meanwhile_are_read_again(self, bench: Bench) -> None:
        rows = [luxor_row(n) for n in range(250)]
        bench.service.transactions = list(rows)
        # A row that is taken away while the first page is read moves the others: one of them would never be seen.
        bench.service.between_pages = [
            lambda: bench.service.transactions.pop(0),
            lambda: None,
            lambda: bench.service.transactions.insert(0, rows[0]),
        ]
        with pytest.raises(SourceError, match="they shifted, and are read again"):
            bench.step()
        bench.step()
        assert len(bench.rows) == 250

    def test_a_limit_is_kept_and_says_for_how_long(self, bench: Bench) -> None:
        bench.service.troubles = [(429, {"Retry-After": "17"}, b"")]
        with pytest.raises(SourceBusy, match="left alone for 17 s") as caught:
            bench.step()
        assert caught.value.retry_after_s == 17

    @pytest.mark.parametrize(
        ("trouble", "words"),
        [
            ((200, {}, b"<html>maintenance</html>"), "sent no JSON"),
            ((200, {}, b'{"transactions": 5, "pagination": {}}'), "transactions is str in its answer, not list"),
            ((200, {"Content-Length": "9999"}, b"{}"), "gave no answer"),
            ((500, {}, b"oops"), "answered 500"),
            ((401, {}, b""), "refuses the login"),
            ((200, {}, b'{"transactions": [], "pagination": {"item_count": 7}}'), "it counts 7"),
            ((200, {}, b'{"transactions": [NaN]}'), "sent no JSON"),
            ((200, {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}, b"{}"), "its clock and ours"),
        ],
    )
    def test_a_half_answer_changes_nothing_and_is_tried_again(self, bench: Bench, trouble: Any, words: str) -> None:
        bench.service.transactions = [luxor_row(1)]
        bench.step()
        bench.service.troubles = [trouble]
        with pytest.raises(SourceError, match=words) as caught:
            bench.step()
        assert caught.value.is_retryable and "api-token" not in str(caught.value)
        bench.step()
        assert bench.rows == [("north", 98_000, 2_000)] and not bench.held.open_items()

    def test_a_row_that_vanished_is_told_and_stays(self, bench: Bench) -> None:
        bench.service.transactions = [luxor_row(1), luxor_row(2)]
        bench.step()
        bench.service.transactions.pop()
        bench.step()
        assert len(bench.rows) == 2
        assert [item.code.value for item in bench.held.open_items().values()] == ["source-unexplained"]

    def test_money_is_the_text_of_the_number(self, bench: Bench) -> None:
        row = luxor_row(1)
        bench.service.troubles = [
            (
                200,
                {},
                b'{"transactions": ['
                + __import__("json").dumps(row).replace("0.00098", "0.07000000000000000001").encode()
                + b'], "pagination": {"item_count": 1}}',
            )
        ]
        bench.step()
        assert bench.rows[0][1] == 7_000_000
        assert Decimal("0.07000000000000000001") != Decimal(str(float("0.07000000000000000001")))


@pytest.mark.parametrize("bench", [("f2pool", f'subaccounts = ["north"]\n[sources.books.addresses]\nnorth = "{ADDRESS}"\n')], indirect=True)
class TestF2Pool:
    def test_a_revenue_row_tells_its_own_commission_and_payouts_wait_for_a_transaction(self, bench: Bench) -> None:
        mined, created = int(DAY.timestamp()), int((DAY + timedelta(hours=30)).timestamp())
        extra = {
            "mining_date": mined,
            "settle_date": created,
            "pps": 0.01,
            "pps_fee_rate": 0.02,
            "tx_fee": 0.001,
            "tx_fee_rate": 0.04,
            "hash_rate": 5,
        }
        revenue = {
            "id": 1,
            "type": "revenue_fpps",
            "changed_balance": 0.01076,
            "created_at": created,
            "mining_extra": extra,
            "payout_extra": None,
        }
        payout: dict[str, Any] = {
            "id": 2,
            "type": "payout",
            "changed_balance": -0.01,
            "created_at": created,
            "mining_extra": None,
            "payout_extra": {},
        }
        bench.service.transactions = [revenue, payout]
        bench.step()
        assert bench.rows == [("north", 1_076_000, 24_000)]
        assert list(bench.held.open_items()) == ["payment:north:2"]
        allocation = next(iter(bench.held.rows.values())).row
        assert allocation.at == mined * 1_000_000
        payout["payout_extra"] = {"tx_id": TXID}
        bench.step()
        assert bench.rows[1] == ("north", ADDRESS, 1_000_000, TXID, "upstream") and not bench.held.open_items()

    def test_fees_that_do_not_add_up_are_told(self, bench: Bench) -> None:
        extra = {"mining_date": int(DAY.timestamp()), "pps": 0.01, "pps_fee_rate": 0.02, "tx_fee": 0, "tx_fee_rate": 0}
        bench.service.transactions = [
            {"id": 1, "type": "revenue_fpps", "changed_balance": 0.0097, "created_at": int(DAY.timestamp()), "mining_extra": extra}
        ]
        bench.step()
        assert [item.code.value for item in bench.held.open_items().values()] == ["source-does-not-reconcile"]

    def test_a_refusal_is_an_error_of_the_source(self, bench: Bench) -> None:
        bench.service.troubles = [(200, {}, b'{"code": 5010, "msg": "permission denied"}')]
        with pytest.raises(SourceError, match="5010 permission denied"):
            bench.step()


@pytest.mark.parametrize("bench", [("sbi", 'pools = ["north-pool"]\n')], indirect=True)
class TestSbi:
    def earning(self, name: str, net: str, fees: str, state: str = "CONFIRMED") -> dict[str, Any]:
        return {
            "earningsFor": f"{DAY:%Y-%m-%d}T00:00:00.000+00:00", "subaccountName": "north", "subaccountId": 7, "vsubaccountName": name, "vsubaccountId": name,
            "coin": "BTC", "netOwed": float(net), "feesPaid": float(fees), "hashrate": 1, "address": ADDRESS, "state": state,
        }  # fmt: skip

    def test_commission_is_both_fees_and_the_pool_s_share_once_the_day_is_certain(self, bench: Bench) -> None:
        bench.service.earnings = [
            self.earning("north-miner", "0.0097", "0.0001", "PENDING"),
            self.earning("north-pool", "0.0002", "0.00001"),
        ]
        bench.step()
        assert bench.rows == [] and [item.code.value for item in bench.held.open_items().values()] == ["source-uncertain"]
        bench.service.earnings[0]["state"] = "CONFIRMED"
        bench.step()
        assert bench.rows == [("north", 970_000, 31_000)] and not bench.held.open_items()

    def test_a_payout_without_a_transaction_waits(self, bench: Bench) -> None:
        payout = {
            "paidOn": f"{DAY:%Y-%m-%d}T05:00:00.000+00:00",
            "amount": 0.5,
            "address": ADDRESS,
            "state": "PENDING",
            "subaccountName": "north",
            "txId": None,
        }
        bench.service.payouts = [payout]
        bench.step()
        assert len(bench.held.open_items()) == 1
        payout |= {"state": "CONFIRMED", "txId": TXID}
        bench.step()
        assert bench.rows == [("north", ADDRESS, 50_000_000, TXID, "upstream")] and not bench.held.open_items()


FEES = 'fees = [{{since = "2026-01-01", percent = "{}"}}]\n'


@pytest.mark.parametrize(
    ("bench", "percent"),
    [(("sbi", 'pools = ["north-pool"]\n' + FEES.format(percent)), percent) for percent in ("3.1", "3.2")],
    indirect=["bench"],
)
def test_sbi_s_commission_of_a_day_is_compared_with_the_table_of_fees(bench: Bench, percent: str) -> None:
    told = TestSbi()
    bench.service.earnings = [told.earning("north-miner", "0.00969", "0.0001"), told.earning("north-pool", "0.0002", "0.00001")]
    bench.step()
    assert bench.rows == [("north", 969_000, 31_000)]
    items = bench.held.open_items().values()
    assert [item.detail.partition(": ")[2] for item in items] == (
        [] if percent == "3.1" else ["the commission is 31000 of 1000000 base units, and the table of fees says 3.2 percent"]
    )


@pytest.mark.parametrize("bench", [("braiins", 'account = "north"\n')], indirect=True)
def test_braiins_rewards_by_day_and_payouts_by_their_outcome(bench: Bench) -> None:
    at = int(DAY.timestamp())
    bench.service.earnings = [{"date": at, "total_reward": "0.00012345", "mining_reward": "0.00012345"}]
    queued: dict[str, Any] = {
        "requested_at_ts": at,
        "resolved_at_ts": None,
        "status": "queued",
        "amount_sats": 9000,
        "fee_sats": 100,
        "destination": ADDRESS,
        "tx_id": None,
    }
    failed = queued | {"status": "failed", "amount_sats": 1}
    bench.service.payouts = [queued, failed]
    bench.step()
    assert bench.rows == [("north", 12_345, None)] and len(bench.held.open_items()) == 1
    queued |= {"status": "confirmed", "tx_id": TXID, "resolved_at_ts": at + 60}
    bench.step()
    assert bench.rows[1] == ("north", ADDRESS, 9_000, TXID, "upstream") and not bench.held.open_items()


@pytest.mark.parametrize("bench", [("ocean", f'subaccounts = ["{ADDRESS}.north"]\n')], indirect=True)
def test_ocean_tells_the_fee_of_each_block(bench: Bench) -> None:
    user, at = f"{ADDRESS}.north", int(DAY.timestamp())
    bench.service.earnings = [
        {
            "_user": user,
            "block_hash": "cd" * 32,
            "ts": at,
            "shares_in_window": 5,
            "fees_collected_satoshis": 200,
            "satoshis_net_earned": 9_800,
        }
    ]
    bench.service.payouts = [{"_user": user, "ts": at, "on_chain_txid": TXID, "total_satoshis_net_paid": 9_800, "is_generation_txn": True}]
    bench.step()
    assert bench.rows == [(user, 9_800, 200), (user, ADDRESS, 9_800, TXID, "upstream")]


@pytest.mark.parametrize(
    ("bench", "percent"),
    [(("ocean", f'subaccounts = ["{ADDRESS}.north"]\n' + FEES.format(percent)), percent) for percent in ("2", "1")],
    indirect=["bench"],
)
def test_ocean_s_fee_of_a_block_is_compared_with_the_table_of_fees(bench: Bench, percent: str) -> None:
    earned = {"_user": f"{ADDRESS}.north", "block_hash": "cd" * 32, "ts": int(DAY.timestamp()), "shares_in_window": 5}
    bench.service.earnings = [earned | {"fees_collected_satoshis": 200, "satoshis_net_earned": 9_799}]
    bench.step()
    items = list(bench.held.open_items().values())
    assert [item.code.value for item in items] == ([] if percent == "2" else ["source-does-not-reconcile"])
    assert percent == "2" or "200 of 9999 base units, and the table of fees says 1 percent" in items[0].detail
