"""yiimp (MySQL, MariaDB): tables `earnings`, `payouts`, `blocks`, `accounts`, and what `yiimp_balances` found of the accounts' sums.

An earning is what is left after the fee, and is deleted within hours once it is cleared; a payout is written before it is sent, deleted when that failed, merged into the next, and
sent again. So a row that is gone is explained by what was last seen of it, or it is an item. The commission is by a dated table of fees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipeline.model.issues import IssueCode

from .. import details
from ..fees import Fee, commission_of, rate_on
from ..outputs import Credit, Item, Output, Paid, day_of, shown
from ..projection import Lookup
from ..seen import SeenRow
from ..source import Content
from .values import is_refused, outcome, txid, units, unix_instant

PAYOUTS_KEPT_S = 60 * 86_400
"""yiimp deletes payouts that are older."""
_IMMATURE, _MATURE, _CLEARED, _INVALID = "0", "1", "2", "-1"


@dataclass(frozen=True)
class YiimpReading:
    """How yiimp's rows are read."""

    coin: str
    asset: str
    decimals: int
    fees: Sequence[Fee] = ()

    @property
    def prefix(self) -> str:
        return f"yiimp:{self.coin}:"

    def groups(self, table: str, row_id: str, content: Content) -> Iterable[str]:
        return [f"{table}:{row_id}"] if table in ("earnings", "payouts", "sums") else []

    def read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterable[Output]:
        match group.partition(":")[0]:
            case "earnings":
                return self._earning(rows[0], lookup)
            case "payouts":
                return self._payout(rows[0], lookup)
        return self._sums(rows[0], lookup)

    def _earning(self, row: SeenRow, lookup: Lookup) -> Iterator[Output]:
        status, at = row.content.get("status"), unix_instant(row.content.get("create_time"))
        amount = units(row.content.get("amount"), self.decimals)
        account, name = self._account(row.content.get("userid"), lookup), f"gone:earnings:{row.row_id}"
        allocation_id = f"{self.prefix}{row.row_id}"
        block = lookup.row("blocks", row.content.get("blockid") or "")
        height = block.content.get("height") if block is not None else row.content.get("blockid")
        is_orphan = status == _INVALID or (block is not None and block.content.get("category") == "orphan" and status != _CLEARED)
        if is_orphan:
            yield Credit(allocation_id, account, self.asset, at, Fraction(0), cause=f"block {height} became an orphan")
            return
        if status == _IMMATURE and not row.is_gone:
            detail = details.IMMATURE_BLOCK.format(row_id=row.row_id, amount=shown(amount), account=account, height=height)
            yield Item(f"immature:{row.row_id}", IssueCode.SOURCE_UNCERTAIN, day_of(at), detail)
            return
        if row.is_gone and status != _CLEARED:
            decided = lookup.decision(name)
            if decided is None:
                detail = details.EARNINGS_GONE.format(
                    row_id=row.row_id, amount=shown(amount), account=account, status=status, height=height
                )
                yield Item(name, IssueCode.SOURCE_UNEXPLAINED, day_of(at), detail)
            if decided is not None and decided.outcome != "accept":
                yield Credit(allocation_id, account, self.asset, at, Fraction(0), cause=f"refused by {decided.by}: {decided.reason}")
                return
            if status == _IMMATURE and decided is None:
                return
        rate = rate_on(self.fees, day_of(at))
        cause = f"block {height} became an orphan after it was confirmed" if amount == 0 else ""
        yield Credit(allocation_id, account, self.asset, at, amount, None if rate is None else commission_of(amount, rate), cause=cause)

    def _payout(self, row: SeenRow, lookup: Lookup) -> Iterator[Output]:
        at, amount = unix_instant(row.content.get("time")), units(row.content.get("amount"), self.decimals)
        found, address = txid(row.content.get("tx")), self._account(row.content.get("account_id"), lookup)
        name = f"payment:{row.row_id}"
        if found is None:
            is_decided, found = outcome(name, lookup)
            if found is None:
                if not is_decided:
                    what = (
                        "deleted, and its coins may have been sent all the same"
                        if row.is_gone
                        else "written before it was sent, and no transaction id came"
                    )
                    failure = row.content.get("errmsg")
                    detail = (details.PAYOUT_OUTCOME_FAILED if failure else details.PAYOUT_OUTCOME).format(
                        row_id=row.row_id, amount=shown(amount), address=address, why=what, failure=failure
                    )
                    yield Item(name, IssueCode.SOURCE_UNCERTAIN, day_of(at), detail)
                return
        elif row.is_gone and row.changed_at - at < PAYOUTS_KEPT_S * 1_000_000 and lookup.decision(f"gone:payouts:{row.row_id}") is None:
            detail = details.PAYOUT_GONE.format(row_id=row.row_id, txid=found)
            yield Item(f"gone:payouts:{row.row_id}", IssueCode.SOURCE_UNEXPLAINED, day_of(row.changed_at), detail)
        elif is_refused(row, lookup):
            return
        yield Paid(f"{self.prefix}payout:{row.row_id}", address, self.asset, address, amount, found, at)

    def _sums(self, row: SeenRow, lookup: Lookup) -> Iterator[Output]:
        """An account's balance that its earnings and payouts do not add up to. A person accepts one difference; another is told again."""
        if row.is_gone:
            return
        expected, balance = row.content.get("rows"), row.content.get("balance")
        name = f"sums:{row.row_id}:{shown(units(balance, self.decimals) - units(expected, self.decimals))}"
        if lookup.decision(name) is None:
            detail = details.SUMS_DIFFER.format(account=self._account(row.row_id, lookup), expected=expected, balance=balance)
            yield Item(name, IssueCode.SOURCE_DOES_NOT_RECONCILE, day_of(row.changed_at), detail)

    def _account(self, number: str | None, lookup: Lookup) -> str:
        """An account's name, which is its wallet's address; of one deleted since, the last."""
        account = lookup.row("accounts", number or "")
        name = account.content.get("username") if account is not None else None
        return name or f"yiimp-account-{number}"
