"""Any table of allocations and payments in the ledger's own columns: the pool's SELECT (source `sql`), or what an upstream's rows were made into.

Tables `allocations` and `payments`. Columns as in docs/import.md, amounts as printed; besides, `state`: `final` (also when it is absent), `pending`, or `void`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from pipeline.chains.bitcoin.invoice import looks_like_invoice, payment_hash
from pipeline.model.issues import IssueCode
from pipeline.model.message import message
from pipeline.validate.cells import REFERENCE_CHARACTERS

from .. import details
from ..fees import Fee, commission_of, rate_on
from ..outputs import Credit, Item, Output, Paid, Unreadable, day_of, shown
from ..projection import Lookup
from ..seen import SeenRow
from ..source import Content
from .values import EPOCH, instant, is_refused, outcome, txid, units, vanished

AHEAD_US = 15 * 60 * 1_000_000
"""How far a database's clock may be ahead of ours."""
_TIMES = {"allocations": "allocated_at", "payments": "paid_at"}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class TableReading:
    """How rows in the ledger's columns are read."""

    prefix: str
    decimals: Mapping[str, int]
    """Of each asset."""
    fees: Sequence[Fee] = ()
    payer: str | None = None
    """Who pays, where the rows do not say it (rule 10.1)."""
    off_chain: Collection[str] = ()
    """The payers whose own reference stands in place of the transaction id (rule 10.5)."""
    tells_ahead: bool = False
    """Whether a row whose instant is after it was seen waits: a database mostly keeps local time without its zone, which is then read as UTC."""

    def groups(self, table: str, row_id: str, content: Content) -> Iterable[str]:
        return [f"{table}:{row_id}"] if table in ("allocations", "payments") else []

    def read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterable[Output]:
        row = rows[0]
        yield from vanished(row, "it counts as it was seen last", lookup)
        if is_refused(row, lookup):
            return
        yield from self._ahead(row, lookup)
        yield from self._allocation(row) if row.table == "allocations" else self._payment(row, lookup)

    def _ahead(self, row: SeenRow, lookup: Lookup) -> Iterator[Output]:
        """An item for a row of the future, until a person accepts it. A day without a time may be in either zone."""
        text, name = (row.content.get(_TIMES[row.table]) or "").strip(), f"ahead:{row.table}:{row.row_id}"
        if not self.tells_ahead or _DAY.fullmatch(text) or lookup.decision(name) is not None:
            return
        at = instant(text)
        if (ahead := at - row.first_seen) > AHEAD_US:
            said = (EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%d %H:%M:%S UTC")
            detail = details.AHEAD.format(table=row.table, row_id=row.row_id, at=said, minutes=ahead // 60_000_000)
            yield Item(name, IssueCode.SOURCE_UNEXPLAINED, day_of(row.first_seen), detail)

    def _allocation(self, row: SeenRow) -> Iterator[Output]:
        content = _trimmed(row.content)
        asset = content.get("asset") or ""
        at, amount = instant(content.get("allocated_at")), self._amount(content.get("amount"), asset)
        commission, of = None, content.get("commission_asset") or asset
        if content.get("commission_amount"):
            commission = self._amount(content.get("commission_amount"), of)
        currency = content.get("commission_currency")
        if commission is None and not currency and (rate := rate_on(self.fees, day_of(at))) is not None:
            commission = commission_of(amount, rate)
        account = _needed(content, "account")
        match content.get("state") or "final":
            case "final":
                told = (currency, _needed(content, "commission_currency_amount")) if currency else None
                yield Credit(f"{self.prefix}{row.row_id}", account, asset, at, amount, commission, of, told)
            case "void":
                yield Credit(
                    f"{self.prefix}{row.row_id}", account, asset, at, Fraction(0), cause=content.get("cause") or "the source took it back"
                )
            case "pending":
                detail = details.NOT_FINAL.format(row_id=row.row_id, amount=shown(amount), account=account)
                yield Item(f"immature:{row.row_id}", IssueCode.SOURCE_UNCERTAIN, day_of(at), detail)
            case other:
                raise Unreadable(message("state {other} is none of final, pending, void", other=repr(other)))

    def _payment(self, row: SeenRow, lookup: Lookup) -> Iterator[Output]:
        content, name = _trimmed(row.content), f"payment:{row.row_id}"
        asset = content.get("asset") or ""
        at, amount = instant(content.get("paid_at")), self._amount(content.get("amount"), asset)
        account, address = _needed(content, "account"), _needed(content, "address")
        payer, state = content.get("payer") or self.payer, content.get("state") or "final"
        reference = content.get("txid") or ""
        found = _reference(reference) if payer in self.off_chain else txid(reference)
        if state == "void":
            return
        if state not in ("final", "pending"):
            raise Unreadable(message("state {state} is none of final, pending, void", state=repr(state)))
        if found is None or state == "pending":
            is_decided, named = outcome(name, lookup, is_off_chain=payer in self.off_chain)
            if named is None:
                if not is_decided:
                    detail = details.PAYMENT_OUTCOME.format(row_id=row.row_id, amount=shown(amount), address=address)
                    yield Item(name, IssueCode.SOURCE_UNCERTAIN, day_of(at), detail)
                return
            found = (_reference(named) or named) if payer in self.off_chain else named
        if payer in self.off_chain:
            _within(found, "txid")
            _within(address, "address")
        yield Paid(f"{self.prefix}payment:{row.row_id}", account, asset, address, amount, found, at, payer)

    def _amount(self, text: str | None, asset: str) -> Fraction:
        if asset not in self.decimals:
            raise Unreadable(message("asset {asset} is not in the settings", asset=repr(asset)))
        return units(text, self.decimals[asset])


def _trimmed(content: Content) -> Content:
    """The values without white space around them, as files and the registry have them: a column of CHAR(40) is filled up with it."""
    return {name: value if value is None else value.strip() for name, value in content.items()}


def _needed(content: Content, name: str) -> str:
    value = content.get(name)
    if not value:
        raise Unreadable(message("{name} is empty", name=name))
    return value


def _within(text: str, name: str) -> None:
    """Raises Unreadable for more characters than an off-chain payer's reference or address may have (rule 10.5)."""
    if len(text) > REFERENCE_CHARACTERS:
        limit = REFERENCE_CHARACTERS
        raise Unreadable(message("{name} is too long, {count} characters: at most {limit}", name=name, count=len(text), limit=limit))


def _reference(text: str) -> str | None:
    """An off-chain payer's reference; a Lightning invoice is named by its payment hash. Raises Unreadable."""
    if not looks_like_invoice(text):
        return text or None
    try:
        return payment_hash(text)
    except ValueError as error:
        raise Unreadable(str(error)) from None
