"""What yiimp's accounts must hold: an account's balance is its cleared earnings less its payouts.

Enters: rows of `earnings` and `payouts`, as the log holds them and as a look finds them, and the balances of that look. Leaves: rows of two tables of our own: `opening`, the part of each
balance that comes from before the first look, and `sums`, the accounts whose balance differs from what follows. yiimp deletes earnings within hours, so only the log has them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from ..source import NOTHING, Content, Known, TableLook

UNIT = Decimal("0.00000001")
"""yiimp counts in doubles and may cut each to 8 decimals: a sum agrees to one such unit a row."""
ALL = "all"
"""The row of `opening` that is written last: every account of the first look has its own."""
_TABLES = {"earnings": "userid", "payouts": "account_id"}
_ZERO = Decimal(0)


def number(text: str | None) -> Decimal:
    """A double's text; 0 where it is none, which the reading of the row tells."""
    try:
        found = Decimal(text or "0")
    except InvalidOperation:
        return _ZERO
    return found if found.is_finite() else _ZERO


def is_settled(table: str, row: Content) -> bool:
    """Whether a row still counts once it is deleted: a cleared earning, a payout that was sent. A payout without a transaction is merged into the next, or credited back."""
    return row.get("status") == "2" if table == "earnings" else bool(row.get("tx"))


def share(table: str, row: Content) -> Decimal:
    """What a row that is there adds to its account's balance. A payout is taken off before it is sent."""
    if table == "payouts":
        return -number(row.get("amount"))
    return number(row.get("amount")) if row.get("status") == "2" else _ZERO


class YiimpBalances:
    """The sums by account. Keeps a number for each row that yiimp still has, and for each account."""

    def __init__(self) -> None:
        self._known: Known | None = None
        self._marks: dict[str, int] = {}
        self._totals: dict[str, Decimal] = {}
        self._counts: dict[str, int] = {}
        self._there: dict[str, dict[str, tuple[str, Decimal, bool]]] = {}
        """Of each table, the rows that have not vanished: account, what they add, whether it is settled."""

    def tables(self, known: Known, found: Mapping[str, Mapping[str, Content]], balances: Mapping[str, str | None]) -> dict[str, TableLook]:
        """The rows of `opening` and `sums` as of a look. `found`: its rows of both tables by id; `balances`: by account id, the double's text."""
        self._catch_up(known)
        totals = self._as_of(found)
        opening = known.rows("opening")
        fresh: dict[str, Content] = {}
        if ALL not in opening:
            fresh = {account: {"balance": str(number(text) - totals.get(account, _ZERO))} for account, text in balances.items()}
            fresh = {account: row for account, row in fresh.items() if account not in opening} | {ALL: {"balance": None}}
        opening = {**opening, **fresh}
        differing: dict[str, Content] = {}
        for account, text in balances.items():
            expected = number(opening.get(account, {}).get("balance")) + totals.get(account, _ZERO)
            if abs(number(text) - expected) > UNIT * (1 + self._counts.get(account, 0)):
                differing[account] = {"rows": f"{expected.quantize(UNIT):f}", "balance": f"{number(text).quantize(UNIT):f}"}
        return {"sums": TableLook(differing), "opening": TableLook(fresh, NOTHING)}

    def _catch_up(self, known: Known) -> None:
        if known is not self._known:
            self._known, self._marks = known, dict.fromkeys(_TABLES, 0)
            self._totals, self._counts, self._there = {}, {}, {table: {} for table in _TABLES}
        for table, owner in _TABLES.items():
            changed, there = known.since(table, self._marks[table]), self._there[table]
            self._marks[table] += len(changed)
            for row_id, row in dict(changed).items():
                account, before, _ = there.pop(row_id, ("", _ZERO, False))
                is_counted = bool(account)
                if is_counted:
                    self._totals[account] -= before
                last = row if row is not None else known.last_content(table, row_id)
                if last is None or (row is None and not is_settled(table, last)):
                    continue
                account = last.get(owner) or ""
                self._totals[account] = self._totals.get(account, _ZERO) + share(table, last)
                self._counts[account] = self._counts.get(account, 0) + (not is_counted)
                if row is not None:
                    there[row_id] = account, share(table, row), is_settled(table, row)

    def _as_of(self, found: Mapping[str, Mapping[str, Content]]) -> dict[str, Decimal]:
        """The sums once the log has what a look found."""
        totals = dict(self._totals)
        for table, owner in _TABLES.items():
            rows, there = found[table], self._there[table]
            for row_id, (account, before, settled) in there.items():
                if row_id in rows or not settled:
                    totals[account] -= before
            for row in rows.values():
                account = row.get(owner) or ""
                totals[account] = totals.get(account, _ZERO) + share(table, row)
        return totals
