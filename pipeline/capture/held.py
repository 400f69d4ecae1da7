"""What the log's ledger holds of one source, and the events that bring it up to date with what the source's rows mean.

Enters: ledger events, the projection. Leaves: events `allocations`, `payments`, `payer-payments`, `source-items`: new rows, restatements with their cause, items that
began or ended. A restatement that would move a row to another account, asset or month is an open item until a person accepts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import msgspec

from pipeline.log.events import content_digest
from pipeline.log.events.ledger import AllocationColumns, Allocations, PayerPaymentColumns, PayerPayments, PaymentColumns, Payments
from pipeline.log.events.parts import Event
from pipeline.log.events.sources import SourceDecided, SourceItemColumns, SourceItems
from pipeline.model.issues import IssueCode

from . import details
from .outputs import Item, day_of
from .packed import Packed
from .packing import pack_item, pack_row, unpack_item, unpack_row
from .projection import Projection
from .rows import AllocationRow, LedgerRow, PaymentRow

BATCH_ROWS = 5_000
GONE = "the source's rows no longer give this allocation"
GONE_PAYMENT = "the source's rows no longer give this payment"


@dataclass(frozen=True)
class HeldRow:
    """The newest version of a ledger row in the log. `is_ours`: the source wrote it, not an import by a person."""

    version: int
    row: LedgerRow
    is_ours: bool
    ours: LedgerRow | None
    """What the source wrote last."""


@dataclass
class Held:
    """The rows and items of one source in the log."""

    source: str
    prefix: str
    rows: Packed[HeldRow] = field(default_factory=lambda: Packed(_pack_held, _unpack_held))
    items: Packed[tuple[int, Item | None]] = field(default_factory=lambda: Packed(_pack_version, _unpack_version))
    """By the item's name: its version, and the item; None where it ended."""
    _open: dict[str, Item] = field(default_factory=dict)
    _waiting: dict[str, Item] = field(default_factory=dict)
    """Restatements that wait for a person, by item."""

    @property
    def label(self) -> str:
        """The `source` of the ledger events that it writes."""
        return f"source:{self.source}"

    def apply(self, event: Event) -> None:
        """Take an event of the ledger."""
        match event:
            case Allocations(rows=rows):
                for index, row_id in enumerate(rows.allocation_id):
                    if row_id.startswith(self.prefix):
                        self._put(row_id, rows.version[index], _allocation(rows, index), event.source)
            case Payments(rows=rows) | PayerPayments(rows=rows):
                payers = rows.payer if isinstance(rows, PayerPaymentColumns) else [None] * len(rows.version)
                for index, row_id in enumerate(rows.payment_id):
                    if row_id.startswith(self.prefix):
                        paid = PaymentRow(
                            rows.account[index], rows.asset[index], rows.address[index], int(rows.amount[index]), rows.txid[index],
                            rows.paid_at[index], payers[index],
                        )  # fmt: skip
                        self._put(row_id, rows.version[index], paid, event.source)
            case SourceItems(source=self.source, rows=rows):
                for name, version, is_open, code, day, detail in zip(*msgspec.structs.astuple(rows), strict=True):
                    if version > self.items.get(name, (0, None))[0]:
                        item = Item(name, IssueCode(code), date.fromisoformat(day), detail) if is_open else None
                        self.items[name] = version, item
                        self._open.pop(name, None)
                        if item is not None:
                            self._open[name] = item

    def _put(self, row_id: str, version: int, row: LedgerRow, source: str) -> None:
        held = self.rows.get(row_id)
        if held is None or version > held.version:
            is_ours = source == self.label
            self.rows[row_id] = HeldRow(version, row, is_ours, row if is_ours else held.ours if held else None)

    def open_items(self) -> dict[str, Item]:
        """The items that are open in the log."""
        return dict(self._open)

    def dump(self) -> dict[str, Any]:
        """All of it, packed, for a checkpoint."""
        both = {"open": [pack_item(item) for item in self._open.values()], "waiting": [pack_item(item) for item in self._waiting.values()]}
        return {"rows": self.rows.dump(), "versions": self.items.dump(), **both}

    def load(self, rows: dict[str, msgspec.Raw], versions: dict[str, msgspec.Raw], open_: Iterable[Any], waiting: Iterable[Any]) -> None:
        """Go on from what `dump` gave."""
        self.rows.load(rows)
        self.items.load(versions)
        self._open = {item.item: item for item in map(unpack_item, open_)}
        self._waiting = {item.item: item for item in map(unpack_item, waiting)}

    def changes(
        self, projection: Projection, others: Iterable[Item], decisions: Mapping[str, SourceDecided], touched: Iterable[str]
    ) -> list[Event]:
        """The events that the ledger lacks. `others`: items besides the projection's. `touched`: the ids that may have changed; of items all are compared."""
        fresh: dict[tuple[type[Event], str], list[tuple[str, int, LedgerRow]]] = {}
        waiting: dict[str, Item] = {}
        touched = list(touched)
        for row_id in touched:
            found = projection.allocations.get(row_id) or projection.payments.get(row_id)
            held = self.rows.get(row_id)
            is_gone = found is None and held is not None and held.is_ours and held.row.amount > 0
            if is_gone and held is not None:
                found = _emptied(held.row)
            # Where a person imported something else since, the source has nothing to say until its row changes again.
            if found is None or (held is not None and any(_same(known, found) for known in (held.row, held.ours) if known is not None)):
                continue
            if held is not None and (question := _question(row_id, held, found)) is not None:
                decided = decisions.get(question.item)
                if decided is None or decided.outcome != "accept":
                    if decided is None:
                        waiting[question.item] = question
                    continue
            cause = found.cause if isinstance(found, AllocationRow) else GONE_PAYMENT if is_gone else ""
            fresh.setdefault((_event_of(found), cause), []).append((row_id, held.version + 1 if held else 1, found))
        looked_at = set(touched)
        self._waiting = {name: item for name, item in self._waiting.items() if _subject(name) not in looked_at} | waiting
        events: list[Event] = []
        for (kind, cause), rows in fresh.items():
            events += self._events(kind, cause, rows)
        wanted = projection.items | {item.item: item for item in others} | self._waiting
        return events + list(self._item_events(wanted))

    def _events(self, kind: type[Event], cause: str, rows: list[tuple[str, int, LedgerRow]]) -> Iterator[Event]:
        for first in range(0, len(rows), BATCH_ROWS):
            columns = _columns(kind, rows[first : first + BATCH_ROWS])
            name = f"{self.label}:{content_digest(columns)}"
            yield kind(id=name, source=self.label, rows=columns, cause=cause)  # type: ignore[call-arg]

    def _item_events(self, wanted: Mapping[str, Item]) -> Iterator[Event]:
        changed: list[tuple[Item, bool]] = []
        for name, item in wanted.items():
            if self.items.get(name, (0, None))[1] != item:
                changed.append((item, True))
        changed += [(item, False) for name, item in self.open_items().items() if name not in wanted]
        for first in range(0, len(changed), BATCH_ROWS):
            part = changed[first : first + BATCH_ROWS]
            columns = SourceItemColumns(
                item=[item.item for item, _ in part], version=[self.items.get(item.item, (0, None))[0] + 1 for item, _ in part],
                is_open=[is_open for _, is_open in part], code=[item.code.value for item, _ in part],
                date=[item.day.isoformat() for item, _ in part], detail=[item.detail for item, _ in part],
            )  # fmt: skip
            yield SourceItems(id=f"{self.label}:items:{content_digest(columns)}", source=self.source, rows=columns)


def _pack_held(held: HeldRow) -> list[Any]:
    ours = held.ours if held.ours is None or held.ours == held.row else pack_row(held.ours)
    return [held.version, pack_row(held.row), held.is_ours, True if isinstance(ours, LedgerRow) else ours]


def _unpack_held(found: list[Any]) -> HeldRow:
    version, row, is_ours, ours = found
    unpacked = unpack_row(row)
    return HeldRow(version, unpacked, is_ours, unpacked if ours is True else None if ours is None else unpack_row(ours))


def _pack_version(found: tuple[int, Item | None]) -> list[Any]:
    version, item = found
    return [version, None if item is None else pack_item(item)]


def _unpack_version(found: list[Any]) -> tuple[int, Item | None]:
    version, item = found
    return version, None if item is None else unpack_item(item)


def _allocation(rows: AllocationColumns, index: int) -> AllocationRow:
    commission, currency = rows.commission_amount[index], rows.commission_currency[index]
    return AllocationRow(
        account=rows.account[index], asset=rows.asset[index], at=rows.allocated_at[index], amount=int(rows.amount[index]),
        commission=None if commission is None else int(commission), commission_asset=rows.commission_asset[index],
        currency=None if currency is None else (currency, rows.commission_currency_amount[index] or ""),
    )  # fmt: skip


def _emptied(row: LedgerRow) -> LedgerRow:
    """What becomes of a row that the source had and no longer gives: a payment taken back, an allocation that was none. Nothing is deleted."""
    if isinstance(row, AllocationRow):
        return replace(row, amount=0, commission=None, commission_asset=None, currency=None, cause=GONE)
    return replace(row, amount=0)


def _same(held: LedgerRow, found: LedgerRow) -> bool:
    if isinstance(held, AllocationRow) and isinstance(found, AllocationRow):
        return replace(held, cause="") == replace(found, cause="")
    return held == found


def _question(row_id: str, held: HeldRow, found: LedgerRow) -> Item | None:
    """What a person must say before a row is restated; None where nothing is to be asked."""
    before, digest = held.row, content_digest(msgspec.to_builtins(found))[:12]
    moves = [
        template.format(old=old, new=new)
        for template, old, new in (
            (details.MOVED_ACCOUNT, before.account, found.account), (details.MOVED_ASSET, before.asset, found.asset),
            (details.MOVED_MONTH, day_of(before.at).strftime("%Y-%m"), day_of(found.at).strftime("%Y-%m")),
        )
        if old != new
    ]  # fmt: skip
    if moves:
        detail = details.RESTATED.format(row_id=row_id, moves=", ".join(moves))
    elif not held.is_ours:
        detail = details.CONTRADICTED.format(theirs=_said(found), row_id=row_id, ours=_said(before))
    else:
        return None
    return Item(f"restatement:{row_id}@{digest}", IssueCode.SOURCE_RESTATEMENT, day_of(before.at), detail)


def _subject(item: str) -> str:
    """The row that a restatement's item is about."""
    return item.removeprefix("restatement:").rpartition("@")[0]


def _said(row: LedgerRow) -> str:
    return f"{row.amount} {row.asset} (base units) for account {row.account}"


def _event_of(row: LedgerRow) -> type[Event]:
    if isinstance(row, AllocationRow):
        return Allocations
    return Payments if row.payer is None else PayerPayments


def _columns(kind: type[Event], rows: list[tuple[str, int, Any]]) -> Any:
    ids, versions = [row_id for row_id, _, _ in rows], [version for _, version, _ in rows]
    found = [row for _, _, row in rows]
    both = {
        "version": versions,
        "account": [row.account for row in found],
        "asset": [row.asset for row in found],
        "amount": [str(row.amount) for row in found],
    }
    if kind is Allocations:
        fees = [row.commission for row in found]
        return AllocationColumns(
            allocation_id=ids, allocated_at=[row.at for row in found],
            commission_asset=[row.commission_asset for row in found],
            commission_amount=[None if fee is None else str(fee) for fee in fees],
            commission_currency=[row.currency[0] if row.currency else None for row in found],
            commission_currency_amount=[row.currency[1] if row.currency else None for row in found], **both,
        )  # fmt: skip
    paid = {
        "payment_id": ids,
        "address": [row.address for row in found],
        "txid": [row.txid for row in found],
        "paid_at": [row.at for row in found],
    }
    if kind is Payments:
        return PaymentColumns(**paid, **both)
    return PayerPaymentColumns(payer=[row.payer for row in found], **paid, **both)
