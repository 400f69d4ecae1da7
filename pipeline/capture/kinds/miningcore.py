"""Miningcore (PostgreSQL): tables `balance_changes`, `payments`, and what the connector computed of `balances`.

A credit is written only when its block is confirmed, and never taken back. What a miner is credited is after commission, which is what the reward recipients were
credited for the same block, shared by amount; where no recipient was, a dated table of fees says it. `payments` is written after the send; its amount is finer than the chain's
(rule 5.3 explains that). Balances reset without a payment, sums that differ and texts that Miningcore does not write are items.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipeline.model.issues import IssueCode

from .. import details
from ..fees import Fee, commission_of, rate_on
from ..outputs import Credit, Item, Output, Paid, day_of, shown
from ..projection import Lookup
from ..seen import SeenRow
from ..source import Content
from .values import instant, is_refused, outcome, txid, units, vanished

_REWARD = re.compile(r"Reward (?:for [0-9.,]+ shares )?for block ([0-9]+)")
_RESET = "Balance reset after payment"


@dataclass(frozen=True)
class MiningcoreReading:
    """How Miningcore's rows are read."""

    pool_id: str
    asset: str
    decimals: int
    recipients: Collection[str]
    """Addresses of the reward recipients: what they are credited is commission."""
    fees: Sequence[Fee] = ()

    @property
    def prefix(self) -> str:
        return f"mc:{self.pool_id}:"

    def groups(self, table: str, row_id: str, content: Content) -> Iterable[str]:
        if table == "balance_changes":
            found = _REWARD.fullmatch(content.get("usage") or "")
            if found:
                return [f"block:{found[1]}"]
            if content.get("usage") == _RESET:
                return [f"paid:{content.get('address')}"]
            return [f"row:{row_id}"]
        if table == "payments":
            return [f"payment:{row_id}", f"paid:{content.get('address')}"]
        return [f"{table}:{row_id}"]

    def read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterable[Output]:
        kind, _, name = group.partition(":")
        match kind:
            case "block":
                yield from self._block(name, rows, lookup)
            case "payment":
                yield from self._payment(rows[0], lookup)
            case "paid":
                yield from self._resets(name, rows)
            case "row":
                yield from self._other_change(rows[0], lookup)
            case "sums":
                yield from self._sums(rows[0])

    def _block(self, height: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterator[Output]:
        """The credits of one block. A row that vanished counts as it was, unless a person refused it: Miningcore deletes none."""
        credits, fee = [], Fraction(0)
        for row in rows:
            yield from vanished(row, "Miningcore never deletes a credit", lookup)
            if is_refused(row, lookup):
                continue
            amount = units(row.content.get("amount"), self.decimals)
            if row.content.get("address") in self.recipients:
                fee += amount
            else:
                credits.append((row, instant(row.content.get("created")), amount))
        net = sum((amount for _, _, amount in credits), Fraction(0))
        gross = net + fee
        for row, at, amount in credits:
            rate = rate_on(self.fees, day_of(at))
            if fee and net:
                commission: Fraction | None = fee * amount / net
            else:
                commission = commission_of(amount, rate) if rate is not None else None
            yield Credit(f"{self.prefix}{row.row_id}", row.content.get("address") or "", self.asset, at, amount, commission)
        rate = rate_on(self.fees, day_of(credits[0][1])) if credits and fee else None
        # Miningcore computes in 12 decimals, so a rate agrees to a few of those for each row.
        if rate is not None and abs(fee - gross * rate) > Fraction(len(rows) + 1, 10**4):
            detail = details.RATE_DIFFERS.format(height=height, fee=shown(fee), gross=shown(gross), rate=shown(rate * 100))
            yield Item(f"fee:{height}", IssueCode.SOURCE_DOES_NOT_RECONCILE, day_of(credits[0][1]), detail)

    def _payment(self, row: SeenRow, lookup: Lookup) -> Iterator[Output]:
        yield from vanished(row, "Miningcore never deletes a payment", lookup)
        if is_refused(row, lookup):
            return
        at, found = instant(row.content.get("created")), txid(row.content.get("transactionconfirmationdata"))
        name = f"payment:{row.row_id}"
        if found is None:
            is_decided, found = outcome(name, lookup)
            if is_decided and found is None:
                return
        if found is None:
            detail = details.NO_TRANSACTION_ID.format(row_id=row.row_id, text=repr(row.content.get("transactionconfirmationdata")))
            yield Item(name, IssueCode.SOURCE_UNCERTAIN, day_of(at), detail)
            return
        address = row.content.get("address") or ""
        amount = units(row.content.get("amount"), self.decimals)
        yield Paid(f"{self.prefix}payment:{row.row_id}", address, self.asset, address, amount, found, at)

    def _resets(self, address: str, rows: Sequence[SeenRow]) -> Iterator[Output]:
        """Balances are reset by what is paid; a recipient's without a row in `payments`."""
        if address in self.recipients:
            return
        total, newest = Fraction(0), 0
        for row in rows:
            total += units(row.content.get("amount"), self.decimals)
            newest = max(newest, instant(row.content.get("created")))
        if total:
            template = details.TAKEN_OFF if total < 0 else details.PAID_WITHOUT_RESET
            detail = template.format(account=address, amount=shown(abs(total)))
            yield Item(f"resets:{address}", IssueCode.SOURCE_DOES_NOT_RECONCILE, day_of(newest), detail)

    def _other_change(self, row: SeenRow, lookup: Lookup) -> Iterator[Output]:
        """A change of a balance that Miningcore's code does not make: by hand."""
        at, amount = instant(row.content.get("created")), units(row.content.get("amount"), self.decimals)
        name = f"row:{row.row_id}"
        decided = lookup.decision(name)
        if decided is None:
            detail = details.OTHER_CHANGE.format(
                row_id=row.row_id, amount=shown(amount), account=row.content.get("address"), usage=repr(row.content.get("usage"))
            )
            yield Item(name, IssueCode.SOURCE_UNEXPLAINED, day_of(at), detail)
        elif decided.outcome == "accept" and amount > 0:
            yield Credit(f"{self.prefix}{row.row_id}", row.content.get("address") or "", self.asset, at, amount)

    def _sums(self, row: SeenRow) -> Iterator[Output]:
        """The sum of an account's changes, beside its balance; the connector keeps only those that differ."""
        if row.is_gone:
            return
        detail = details.CHANGES_DIFFER.format(account=row.row_id, changes=row.content.get("changes"), balance=row.content.get("balance"))
        yield Item(f"sums:{row.row_id}", IssueCode.SOURCE_DOES_NOT_RECONCILE, day_of(row.changed_at), detail)
