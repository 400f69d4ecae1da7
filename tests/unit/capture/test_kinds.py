"""What the rows of each kind of source mean: life cycles and traps of the software, one at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import ClassVar

from pipeline.capture.fees import Fee
from pipeline.capture.kinds.miningcore import MiningcoreReading
from pipeline.capture.kinds.mpos import MposReading
from pipeline.capture.kinds.table import TableReading
from pipeline.capture.kinds.yiimp import YiimpReading

from .rows import Source

AT = "2026-10-05 10:00:00"
UNIX = "1791194400"
TXID = "ab" * 32
MININGCORE = MiningcoreReading("btc1", "BTC", 8, frozenset({"fee"}), (Fee(date(2026, 1, 1), Fraction(1, 50)),))
MPOS = MposReading("btc", "BTC", 8, 120)
YIIMP = YiimpReading("btc", "BTC", 8, (Fee(date(2026, 1, 1), Fraction(1, 2)),))
TABLE = TableReading("books:", {"BTC": 8})


def change(address: str, amount: str, usage: str) -> dict[str, str | None]:
    return {"address": address, "amount": amount, "usage": usage, "created": AT + "+00"}


class TestMiningcore:
    def test_commission_is_what_the_recipients_were_credited_shared_by_amount(self) -> None:
        books = Source(MININGCORE)
        books.put(
            {
                ("balance_changes", "1"): change("fee", "0.02", "Reward for block 7"),
                ("balance_changes", "2"): change("a", "0.735", "Reward for 3 shares for block 7"),
                ("balance_changes", "3"): change("b", "0.245", "Reward for 1,000.5 shares for block 7"),
            }
        )
        rows = books.projection.allocations
        assert {name: (row.account, row.amount, row.commission) for name, row in rows.items()} == {
            "mc:btc1:2": ("a", 73_500_000, 1_500_000), "mc:btc1:3": ("b", 24_500_000, 500_000),
        }  # fmt: skip
        assert books.items == {}

    def test_recipients_that_differ_from_the_table_of_fees_are_told(self) -> None:
        books = Source(MININGCORE)
        books.put(
            {
                ("balance_changes", "1"): change("fee", "0.03", "Reward for block 7"),
                ("balance_changes", "2"): change("a", "0.97", "Reward for 3 shares for block 7"),
            }
        )
        assert books.items == {"fee:7": "source-does-not-reconcile"}
        assert "3000000 of 100000000" in books.projection.items["fee:7"].detail

    def test_without_recipients_the_table_of_fees_says_the_commission(self) -> None:
        books = Source(MININGCORE)
        books.put({("balance_changes", "2"): change("a", "0.98", "Reward for 3 shares for block 7")})
        assert books.projection.allocations["mc:btc1:2"].commission == 2_000_000

    def test_a_reset_without_a_payment_is_told_and_a_recipients_is_not(self) -> None:
        books = Source(MININGCORE)
        books.put(
            {
                ("balance_changes", "1"): change("fee", "-0.5", "Balance reset after payment"),
                ("balance_changes", "2"): change("a", "-0.5", "Balance reset after payment"),
            }
        )
        assert books.items == {"resets:a": "source-does-not-reconcile"}
        paid: dict[str, str | None] = {"coin": "BTC", "address": "a", "amount": "0.5", "transactionconfirmationdata": TXID, "created": AT}
        books.put({("payments", "9"): paid})
        assert books.items == {}
        assert books.projection.payments["mc:btc1:payment:9"].txid == TXID

    def test_a_change_by_hand_waits_for_a_person(self) -> None:
        books = Source(MININGCORE)
        books.put({("balance_changes", "5"): change("a", "0.1", "sorry for the outage")})
        assert books.items == {"row:5": "source-unexplained"}
        assert books.amounts == {}
        books.decide("row:5", "accept")
        assert (books.items, books.amounts) == ({}, {"mc:btc1:5": 10_000_000})

    def test_balances_that_are_no_sum_of_their_changes_are_told_until_they_are(self) -> None:
        books = Source(MININGCORE)
        books.put({("sums", "a"): {"changes": "1.0", "balance": "1.5"}})
        assert books.items == {"sums:a": "source-does-not-reconcile"}
        books.put({("sums", "a"): None})
        assert books.items == {}

    def test_a_credit_that_is_gone_and_refused_counts_no_more_and_takes_no_part_of_the_commission(self) -> None:
        books = Source(MININGCORE)
        rows = {
            ("balance_changes", "1"): change("fee", "0.02", "Reward for block 7"), ("balance_changes", "2"): change("a", "0.49", "Reward for 5 shares for block 7"),
            ("balance_changes", "3"): change("b", "0.49", "Reward for 5 shares for block 7"),
        }  # fmt: skip
        books.put(rows)
        books.put({("balance_changes", "3"): None})
        books.decide("gone:balance_changes:3", "refuse")
        assert books.amounts == {"mc:btc1:2": 49_000_000}

    def test_several_transaction_ids_in_one_payment_are_uncertain(self) -> None:
        books = Source(MININGCORE)
        joined: dict[str, str | None] = {"address": "a", "amount": "0", "transactionconfirmationdata": f"{TXID},{TXID}", "created": AT}
        books.put({("payments", "9"): joined})
        assert books.items == {"payment:9": "source-uncertain"}

    def test_a_value_that_is_no_amount_is_an_item_and_the_rest_goes_on(self) -> None:
        books = Source(MININGCORE)
        books.put(
            {
                ("balance_changes", "1"): change("a", "NaN", "Reward for block 7"),
                ("balance_changes", "2"): change("a", "1", "Reward for block 8"),
            }
        )
        assert books.items == {"unreadable:block:7": "source-unexplained"}
        assert books.amounts == {"mc:btc1:2": 10**8}


def mpos(kind: str, amount: str, block: str | None = "4", *, txid: str | None = None) -> dict[str, str | None]:
    return {"account_id": "3", "type": kind, "amount": amount, "block_id": block, "timestamp": AT, "txid": txid, "coin_address": "addr"}


class TestMpos:
    ACCOUNT: ClassVar[dict[tuple[str, str], dict[str, str | None]]] = {("accounts", "3"): {"username": "miner"}}

    def block(self, confirmations: str) -> dict[tuple[str, str], dict[str, str | None]]:
        return {("blocks", "4"): {"height": "700", "confirmations": confirmations}}

    def test_a_credit_counts_once_its_block_is_final_net_of_its_fee_and_donation(self) -> None:
        books = Source(MPOS)
        books.put(
            {**self.ACCOUNT, **self.block("119"), ("transactions", "1"): mpos("Credit", "1.0"), ("transactions", "2"): mpos("Fee", "0.01")}
        )
        assert (books.items, books.amounts) == ({"immature:1": "source-uncertain"}, {})
        books.put({("transactions", "3"): mpos("Donation", "0.02")})
        books.put({**self.block("120")})
        row = books.projection.allocations["mpos:btc:1"]
        assert (row.account, row.amount, row.commission, books.items) == ("miner", 97_000_000, 3_000_000, {})

    def test_a_fee_that_differs_from_the_table_of_fees_is_told_with_both(self) -> None:
        """A donation is the miner's own choice; an account that pays no fee has no such row."""
        books = Source(replace(MPOS, fees=(Fee(date(2026, 1, 1), Fraction(1, 50)),)))
        books.put(
            {
                **self.ACCOUNT, **self.block("120"), ("transactions", "1"): mpos("Credit", "1.0"), ("transactions", "2"): mpos("Fee", "0.02"),
                ("transactions", "3"): mpos("Donation", "0.07"),
            }
        )  # fmt: skip
        assert books.items == {}
        books.put({("blocks", "5"): {"height": "701", "confirmations": "120"}, ("transactions", "4"): mpos("Credit", "1.0", "5")})
        assert books.items == {}
        books.put({("transactions", "2"): mpos("Fee", "0.01")})
        assert books.items == {"fee:1": "source-does-not-reconcile"}
        assert "1000000 of 100000000 base units, and the table of fees says 2 percent" in books.projection.items["fee:1"].detail
        pps = Source(replace(MPOS, fees=(Fee(date(2026, 1, 1), Fraction(1, 50)),)))
        pps.put({**self.ACCOUNT, ("transactions", "1"): mpos("Credit_PPS", "1", None), ("transactions", "2"): mpos("Fee_PPS", "0.1", None)})
        assert pps.items == {"fee:1": "source-does-not-reconcile"}

    def test_an_orphan_restates_to_zero_with_its_cause(self) -> None:
        books = Source(MPOS)
        books.put({**self.ACCOUNT, **self.block("120"), ("transactions", "1"): mpos("Credit", "1.0")})
        books.put(self.block("-1"))
        row = books.projection.allocations["mpos:btc:1"]
        assert (row.amount, row.cause) == (0, "block 700 became an orphan")

    def test_a_block_deleted_before_it_was_final_waits_for_a_person(self) -> None:
        for outcome, amount in (("accept", 100_000_000), ("refuse", 0)):
            books = Source(MPOS)
            books.put({**self.ACCOUNT, **self.block("3"), ("transactions", "1"): mpos("Credit", "1.0")})
            books.put({("blocks", "4"): None})
            assert (books.items, books.amounts) == ({"block:1": "source-unexplained"}, {})
            assert "whose block is gone with 3 of 120 confirmations" in books.projection.items["block:1"].detail
            books.decide("block:1", outcome)
            assert (books.items, books.amounts) == ({}, {"mpos:btc:1": amount})
        books = Source(MPOS)
        books.put({**self.ACCOUNT, **self.block("120"), ("transactions", "1"): mpos("Credit", "1.0")})
        books.put({("blocks", "4"): None})
        assert (books.items, books.amounts) == ({}, {"mpos:btc:1": 100_000_000}), "it was final"

    def test_what_a_payout_cost_is_set_off_so_that_nothing_stays_owed(self) -> None:
        rows = {
            ("transactions", "1"): mpos("Credit", "0.5"), ("transactions", "8"): mpos("Debit_AP", "0.4999", None), ("transactions", "9"): mpos("TXFee", "0.0001", None),
        }  # fmt: skip
        books = Source(replace(MPOS, fee_payer="payout-fees"))
        books.put({**self.ACCOUNT, **self.block("120"), **rows})
        assert not books.projection.payments, "the payout has no outcome yet"
        books.put({("transactions", "8"): mpos("Debit_AP", "0.4999", None, txid=TXID)})
        paid = books.projection.payments
        assert {name: (row.amount, row.txid, row.payer) for name, row in paid.items()} == {
            "mpos:btc:8": (49_990_000, TXID, None), "mpos:btc:9": (10_000, "TXFee 9", "payout-fees"),
        }  # fmt: skip
        assert sum(books.amounts.values()) == sum(row.amount for row in paid.values()) and not books.items
        refused = Source(replace(MPOS, fee_payer="payout-fees"))
        refused.put({**self.ACCOUNT, **rows})
        refused.decide("payment:8", "not-paid")
        assert not refused.projection.payments, "what was not paid cost nothing"
        told = Source(MPOS)
        told.put({**self.ACCOUNT, **self.block("120"), **rows, ("transactions", "8"): mpos("Debit_AP", "0.4999", None, txid=TXID)})
        assert told.items == {"row:9": "source-unexplained"}

    def test_a_debit_without_a_transaction_waits_for_its_id_or_a_person(self) -> None:
        books = Source(MPOS)
        books.put(
            {**self.ACCOUNT, ("transactions", "8"): mpos("Debit_AP", "0.5", None), ("transactions", "9"): mpos("Debit_MP", "0.5", None)}
        )
        assert books.items == {"payment:8": "source-uncertain", "payment:9": "source-uncertain"}
        books.put({("transactions", "8"): mpos("Debit_AP", "0.5", None, txid=TXID)})
        books.decide("payment:9", "not-paid")
        assert (books.items, list(books.projection.payments)) == ({}, ["mpos:btc:8"])

    def test_pay_per_share_pairs_a_fee_with_the_credit_before_it(self) -> None:
        books = Source(MPOS)
        rows = [
            mpos("Credit_PPS", "1", None),
            mpos("Fee_PPS", "0.1", None),
            mpos("Credit_PPS", "2", None),
            mpos("Donation_PPS", "0.3", None),
        ]
        books.put({**self.ACCOUNT, **{("transactions", str(n)): row for n, row in enumerate(rows, 1)}})
        assert {name: (row.amount, row.commission) for name, row in books.projection.allocations.items()} == {
            "mpos:btc:1": (90_000_000, 10_000_000), "mpos:btc:3": (170_000_000, 30_000_000),
        }  # fmt: skip

    def test_an_account_that_appears_later_is_read_then(self) -> None:
        books = Source(MPOS)
        books.put({**self.block("120"), ("transactions", "1"): mpos("Credit", "1.0")})
        assert list(books.items.values()) == ["source-unexplained"]
        books.put(self.ACCOUNT)
        assert (books.items, books.amounts) == ({}, {"mpos:btc:1": 10**8})


def earning(status: str, amount: str = "0.5") -> dict[str, str | None]:
    return {"userid": "3", "coinid": "6", "blockid": "4", "create_time": UNIX, "amount": amount, "status": status}


def payout(tx: str | None, *, at: str = UNIX) -> dict[str, str | None]:
    return {"account_id": "3", "time": at, "amount": "0.25", "tx": tx, "errmsg": None}


class TestUnreadable:
    def test_a_pay_per_share_row_without_a_time_holds_back_its_own_credit_alone(self) -> None:
        books = Source(MPOS)
        row: dict[str, str | None] = {
            "account_id": "1",
            "type": "Credit_PPS",
            "amount": "0.5",
            "block_id": None,
            "timestamp": AT,
            "txid": None,
        }
        account: dict[tuple[str, str], dict[str, str | None]] = {("accounts", "1"): {"username": "miner"}}
        books.put({**account, ("transactions", "1"): row, ("transactions", "2"): {**row, "timestamp": None}, ("transactions", "3"): row})
        assert set(books.amounts) == {"mpos:btc:1", "mpos:btc:3"}
        assert books.items == {"unreadable:transactions:2": "source-unexplained"}


class TestYiimp:
    ACCOUNT: ClassVar[dict[tuple[str, str], dict[str, str | None]]] = {("accounts", "3"): {"username": "addr", "coinid": "6"}}

    def test_a_cleared_earning_that_is_deleted_stays_and_its_commission_is_by_the_table(self) -> None:
        books = Source(YIIMP)
        books.put({**self.ACCOUNT, ("earnings", "1"): earning("0")})
        assert books.items == {"immature:1": "source-uncertain"}
        books.put({("earnings", "1"): earning("2")})
        books.put({("earnings", "1"): None})
        row = books.projection.allocations["yiimp:btc:1"]
        assert (row.amount, row.commission, books.items) == (50_000_000, 50_000_000, {})

    def test_an_earning_deleted_with_its_orphaned_block_is_zero(self) -> None:
        books = Source(YIIMP)
        books.put({**self.ACCOUNT, ("blocks", "4"): {"height": "700", "category": "immature"}, ("earnings", "1"): earning("0")})
        books.put({("blocks", "4"): {"height": "700", "category": "orphan"}, ("earnings", "1"): None})
        assert (books.amounts, books.items) == ({"yiimp:btc:1": 0}, {})
        assert books.projection.allocations["yiimp:btc:1"].cause == "block 700 became an orphan"

    def test_an_earning_deleted_without_a_reason_blocks_until_a_person_says(self) -> None:
        books = Source(YIIMP)
        books.put({**self.ACCOUNT, ("blocks", "4"): {"height": "700", "category": "generate"}, ("earnings", "1"): earning("1")})
        books.put({("earnings", "1"): None})
        assert (books.amounts, books.items) == ({"yiimp:btc:1": 50_000_000}, {"gone:earnings:1": "source-unexplained"})
        books.decide("gone:earnings:1", "refuse")
        assert (books.amounts, books.items) == ({"yiimp:btc:1": 0}, {})

    def test_a_payout_deleted_before_it_had_a_transaction_is_not_forgotten(self) -> None:
        books = Source(YIIMP)
        books.put({**self.ACCOUNT, ("payouts", "1"): payout(None)})
        books.put({("payouts", "1"): None, ("payouts", "2"): payout(TXID)})
        assert books.items == {"payment:1": "source-uncertain"}
        assert list(books.projection.payments) == ["yiimp:btc:payout:2"]
        books.decide("payment:1", "paid", "cd" * 32)
        assert books.projection.payments["yiimp:btc:payout:1"].txid == "cd" * 32

    def test_a_sent_payout_deleted_early_is_told_and_one_after_sixty_days_is_not(self) -> None:
        books = Source(YIIMP)
        old = str(books.at // 1_000_000 - 61 * 86_400)
        new = str(books.at // 1_000_000 - 86_400)
        books.put({**self.ACCOUNT, ("payouts", "1"): payout(TXID, at=old), ("payouts", "2"): payout("cd" * 32, at=new)})
        books.put({("payouts", "1"): None, ("payouts", "2"): None})
        assert books.items == {"gone:payouts:2": "source-unexplained"}
        assert set(books.projection.payments) == {"yiimp:btc:payout:1", "yiimp:btc:payout:2"}

    def test_a_confirmed_block_that_becomes_an_orphan_sets_the_amount_to_zero(self) -> None:
        books = Source(YIIMP)
        books.put({**self.ACCOUNT, ("earnings", "1"): earning("1")})
        books.put({("earnings", "1"): earning("1", "0")})
        assert "became an orphan after it was confirmed" in books.projection.allocations["yiimp:btc:1"].cause

    def test_a_balance_that_its_rows_do_not_explain_is_told_and_one_difference_can_be_accepted(self) -> None:
        books = Source(YIIMP)
        books.put({**self.ACCOUNT, ("sums", "3"): {"rows": "0.40000000", "balance": "0.90000000"}})
        assert books.items == {"sums:3:50000000": "source-does-not-reconcile"}
        books.decide("sums:3:50000000", "accept")
        assert books.items == {}
        books.put({("sums", "3"): {"rows": "0.50000000", "balance": "1.00000000"}})
        assert books.items == {}
        books.put({("sums", "3"): {"rows": "0.50000000", "balance": "0.90000000"}})
        assert books.items == {"sums:3:40000000": "source-does-not-reconcile"}
        books.put({("sums", "3"): None})
        assert books.items == {}

    def test_a_double_s_text_is_exact(self) -> None:
        books = Source(YIIMP)
        books.put({**self.ACCOUNT, ("earnings", "1"): earning("2", "1.5e-06"), ("earnings", "2"): earning("2", "0.000000005")})
        assert books.amounts == {"yiimp:btc:1": 150, "yiimp:btc:2": 0}


class TestTable:
    ROW: ClassVar[dict[str, str | None]] = {"account": "a", "asset": "BTC", "allocated_at": "2026-10-05T10:00:00+05:00", "amount": "0.5"}

    def test_states(self) -> None:
        books = Source(TABLE)
        books.put({("allocations", "x"): {**self.ROW, "state": "pending"}})
        assert (books.items, books.amounts) == ({"immature:x": "source-uncertain"}, {})
        books.put({("allocations", "x"): {**self.ROW, "commission_amount": "0.01"}})
        assert books.projection.allocations["books:x"].commission == 1_000_000
        books.put({("allocations", "x"): {**self.ROW, "state": "void", "cause": "reversed by the accountant"}})
        assert (books.amounts, books.projection.allocations["books:x"].cause) == ({"books:x": 0}, "reversed by the accountant")
        books.put({("allocations", "x"): {**self.ROW, "state": "maybe"}})
        assert list(books.items.values()) == ["source-unexplained"]

    def test_a_row_dated_after_it_was_seen_waits_until_its_time_is_right_or_a_person_accepts_it(self) -> None:
        """20:00 in Almaty without its zone, read as UTC, is 01:00 of the day after: of another month on the 31st."""
        books = Source(replace(TABLE, tells_ahead=True))
        books.at = 1_793_458_860_000_000  # 2026-10-31 20:01 in Almaty
        local, day = {**self.ROW, "allocated_at": "2026-10-31 20:00:00"}, {**self.ROW, "allocated_at": "2026-11-01"}
        books.put(
            {("allocations", "x"): local, ("allocations", "y"): {**local, "allocated_at": "2026-10-31 15:00:00"}, ("allocations", "z"): day}
        )
        assert books.items == {"ahead:allocations:x": "source-unexplained"}
        (item,) = books.projection.items.values()
        assert item.day == date(2026, 10, 31) and "dated 2026-10-31 20:00:00 UTC, 299 minutes after it was seen" in item.detail
        books.at += 86_400_000_000
        books.put({("allocations", "x"): {**local, "amount": "0.6"}})
        assert list(books.items) == ["ahead:allocations:x"], "that it was seen again later says nothing"
        books.put({("allocations", "x"): {**local, "allocated_at": "2026-10-31T20:00:00+05:00"}})
        assert books.items == {}
        books.put({("payments", "p"): {**self.ROW, "paid_at": "2026-12-01", "address": "w", "txid": TXID}})
        assert books.items == {}
        books.put({("payments", "p"): {**self.ROW, "paid_at": "2026-12-01 00:00", "address": "w", "txid": TXID}})
        books.decide("ahead:payments:p", "accept")
        assert books.items == {} and "books:payment:p" in books.projection.payments

    def test_a_person_ends_an_off_chain_payment_by_the_payer_s_reference_and_an_on_chain_one_by_a_transaction_id_alone(self) -> None:
        books = Source(replace(TABLE, off_chain=("desk",)))
        row = {
            "account": "a",
            "asset": "BTC",
            "address": "user 7",
            "amount": "0.5",
            "paid_at": "2026-10-05T10:00:00+05:00",
            "state": "pending",
        }
        books.put({("payments", "1"): {**row, "payer": "desk"}, ("payments", "2"): row, ("payments", "3"): {**row, "payer": "desk"}})
        waiting = {f"payment:{number}": "source-uncertain" for number in (1, 2, 3)}
        assert books.items == waiting
        books.decide("payment:1", "paid", "INV-7")
        books.decide("payment:2", "paid", "INV-7")  # no transaction id: it ends nothing, and is not taken for "not paid"
        books.decide("payment:3", "not-paid")
        assert {name: (paid.txid, paid.payer) for name, paid in books.projection.payments.items()} == {"books:payment:1": ("INV-7", "desk")}
        assert books.items == {"payment:2": "source-uncertain"}
        books.decide("payment:2", "paid", TXID.upper())
        assert books.projection.payments["books:payment:2"].txid == TXID and books.items == {}

    def test_a_row_that_is_gone_counts_as_it_was_until_a_person_refuses_it(self) -> None:
        paid: dict[str, str | None] = {"account": "a", "asset": "BTC", "address": "w", "amount": "0.5", "paid_at": AT, "txid": TXID}
        rows = {("allocations", "x"): self.ROW, ("payments", "p"): paid, ("payments", "q"): paid}
        books = Source(TABLE)
        books.put(rows)
        books.put(dict.fromkeys(rows))
        assert set(books.items.values()) == {"source-unexplained"} and books.amounts == {"books:x": 50_000_000}
        books.decide("gone:payments:q", "accept")
        for name in ("gone:allocations:x", "gone:payments:p"):
            books.decide(name, "refuse")
        assert (books.items, books.amounts, list(books.projection.payments)) == ({}, {}, ["books:payment:q"])
        books.put(rows)
        assert books.amounts == {"books:x": 50_000_000} and len(books.projection.payments) == 2, "it is there again"

    def test_what_is_older_than_the_source_s_first_day_is_passed_over(self) -> None:
        books = Source(TABLE, since_us=1_791_000_000_000_000)
        books.put({("allocations", "x"): {**self.ROW, "allocated_at": "2026-09-05"}, ("allocations", "y"): self.ROW})
        assert (books.amounts, books.items) == ({"books:y": 50_000_000}, {})
