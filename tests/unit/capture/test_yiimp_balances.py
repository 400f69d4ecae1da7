"""yiimp's balances beside what its rows add up to, through deletions, merges and a start in the middle of a history."""

from __future__ import annotations

from pipeline.capture.kinds.yiimp_balances import YiimpBalances
from pipeline.capture.seen import SeenRows
from pipeline.capture.source import Content, Look, TableLook
from pipeline.log.events.sources import SourceRows

TXID = "ab" * 32


def earning(amount: str, status: str = "2") -> Content:
    return {"userid": "1", "amount": amount, "status": status}


def payout(amount: str, tx: str | None = TXID) -> Content:
    return {"account_id": "1", "amount": amount, "tx": tx}


class Books:
    """The log of one source, and looks at it."""

    def __init__(self) -> None:
        self.seen, self.at = SeenRows(), 0
        self.balances = YiimpBalances()

    def look(self, earnings: dict[str, Content], payouts: dict[str, Content], **balances: str) -> dict[str, Content]:
        """One look; the accounts that differ after it."""
        self.at += 60_000_000
        named = {name.removeprefix("a"): text for name, text in balances.items()}
        tables = {"earnings": TableLook(earnings), "payouts": TableLook(payouts)}
        tables |= self.balances.tables(self.seen, {"earnings": earnings, "payouts": payouts}, named)
        for rows in self.seen.changes(Look(self.at, tables), 1):
            self.seen.apply(SourceRows(id="x", source="books", seen_at=self.at, rows=rows))
        return dict(self.seen.rows("sums"))


def test_earnings_less_payouts_through_cleaning_and_merged_payouts() -> None:
    books = Books()
    assert books.look({"1": earning("0.5", "0")}, {}, a1="0.25") == {}
    assert books.look({"1": earning("0.5")}, {}, a1="0.75") == {}
    assert books.look({"1": earning("0.5")}, {"1": payout("0.3", None)}, a1="0.45") == {}
    assert books.look({}, {"2": payout("0.4")}, a1="0.35") == {}, "cleaned, and merged into another row"
    assert books.look({}, {}, a1="0.35") == {}, "payouts are deleted after 60 days"


def test_a_difference_is_told_with_both_numbers_until_it_is_gone() -> None:
    books = Books()
    books.look({}, {}, a1="0")
    books.look({"1": earning("0.5")}, {"1": payout("0.1")}, a1="0.4")
    assert books.look({"1": earning("0.5")}, {"1": payout("0.1")}, a1="0.9") == {"1": {"rows": "0.40000000", "balance": "0.90000000"}}
    assert books.look({"1": earning("0.5")}, {"1": payout("0.1")}, a1="0.4") == {}


def test_an_earning_cleared_and_deleted_unseen_is_told() -> None:
    books = Books()
    books.look({"1": earning("0.5", "1")}, {}, a1="0")
    assert books.look({}, {}, a1="0.5") == {"1": {"rows": "0.00000000", "balance": "0.50000000"}}


def test_a_restart_reads_the_sums_from_the_log() -> None:
    books = Books()
    books.look({"1": earning("0.1"), "2": earning("0.2")}, {"1": payout("0.05", None)}, a1="1.25")
    books.look({"2": earning("0.2"), "3": earning("0.4")}, {"2": payout("0.05")}, a1="1.65")
    books.look({}, {}, a1="1.65")
    restarted = SeenRows()
    for table, rows in books.seen.tables.items():
        for row_id, row in rows.items():
            restarted._table(table)[row_id] = row
            restarted._changes.setdefault(table, []).append(row_id)
    books.seen, books.balances = restarted, YiimpBalances()
    assert books.look({"4": earning("0.1")}, {}, a1="1.75") == {}
    assert books.look({"4": earning("0.1")}, {}, a1="1.76").keys() == {"1"}


def test_an_account_that_comes_later_begins_with_nothing() -> None:
    books = Books()
    books.look({}, {}, a1="3")
    assert books.look({}, {}, a1="3", a2="2") == {"2": {"rows": "0.00000000", "balance": "2.00000000"}}


def test_a_first_look_killed_half_way_is_made_again() -> None:
    books = Books()
    books.at += 1
    tables = books.balances.tables(books.seen, {"earnings": {}, "payouts": {}}, {"1": "3", "2": "4"})
    first = next(iter(books.seen.changes(Look(books.at, tables), 1)))
    books.seen.apply(SourceRows(id="x", source="books", seen_at=books.at, rows=first))
    assert books.look({"1": earning("0.5")}, {}, a1="3.5", a2="4.1") == {}
    assert books.look({"1": earning("0.5")}, {}, a1="3.5", a2="4.2").keys() == {"2"}


def test_what_doubles_lose_is_no_difference() -> None:
    books = Books()
    books.look({}, {}, a1="0")
    assert books.look({"1": earning("0.1"), "2": earning("0.123456789")}, {}, a1="0.22345678") == {}
