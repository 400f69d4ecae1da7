"""Keeps what the rows of a source mean up to date as rows come: only what depends on a changed row is read again.

Enters: rows (`seen`), a reading of the source's kind, people's decisions. Leaves: credits and payments in whole base units, and open items, by their ids. The same rows,
settings and decisions give the same, in whatever steps they came (ADR 22).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from pipeline.log.events.sources import SourceDecided
from pipeline.model.issues import IssueCode

from .outputs import Credit, Item, Output, Paid, Unreadable, day_of
from .rounding import RunningSum
from .seen import SeenRow, SeenRows, natural
from .source import Content


class Lookup:
    """What a reading may ask for besides the rows of its group. What it asked for is remembered: a change there has the group read again."""

    def __init__(self, seen: SeenRows, decisions: Mapping[str, SourceDecided], asked: set[tuple[str, str]]) -> None:
        self._seen, self._decisions, self._asked = seen, decisions, asked

    def row(self, table: str, row_id: str) -> SeenRow | None:
        """A row of another table by its id; None where none was ever seen."""
        self._asked.add((table, row_id))
        return self._seen.tables.get(table, {}).get(row_id)

    def decision(self, item: str) -> SourceDecided | None:
        """What a person decided about an item last."""
        self._asked.add(("", item))
        return self._decisions.get(item)


class Reading(Protocol):
    """How the rows of one kind of source are read."""

    @property
    def prefix(self) -> str:
        """With which the ids of its allocations and payments begin."""

    def groups(self, table: str, row_id: str, content: Content) -> Iterable[str]:
        """The groups of rows that are read together, to which a row belongs; none for rows that are only looked up."""

    def read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> Iterable[Output]:
        """What a group means: pure, from its rows (by table and id; vanished ones among them) and what it looks up."""


@dataclass(frozen=True)
class AllocationRow:
    """An allocation in whole base units, as the ledger's event has it."""

    account: str
    asset: str
    at: int
    amount: int
    commission: int | None
    commission_asset: str | None = None
    """None where there is no commission in an asset."""
    currency: tuple[str, str] | None = None
    cause: str = ""


@dataclass(frozen=True)
class PaymentRow:
    """A payment in whole base units."""

    account: str
    asset: str
    address: str
    amount: int
    txid: str
    at: int
    payer: str | None


class Projection:
    """What a source's rows mean now."""

    def __init__(self, reading: Reading, seen: SeenRows, decisions: Mapping[str, SourceDecided], *, since_us: int) -> None:
        """`since_us`: what is older is passed over."""
        self._reading, self._seen, self._decisions, self._since_us = reading, seen, decisions, since_us
        self.allocations: dict[str, AllocationRow] = {}
        self.payments: dict[str, PaymentRow] = {}
        self.items: dict[str, Item] = {}
        self._members: dict[str, dict[tuple[str, str], SeenRow]] = {}
        self._groups_of: dict[tuple[str, str], list[str]] = {}
        self._askers: dict[tuple[str, str], set[str]] = {}
        self._outputs: dict[str, dict[tuple[str, str], Output]] = {}
        self._dirty: dict[str, None] = {}
        self._exact: dict[str, Credit | Paid] = {}
        self._sums: dict[tuple[str, ...], RunningSum] = {}
        self.touched: set[str] = set()
        """Ids of allocations and payments that may have changed since this was last emptied."""

    def rows_changed(self, rows: Iterable[SeenRow]) -> None:
        """Rows of one event changed: read again what depends on them."""
        for row in rows:
            place = row.table, row.row_id
            groups = list(self._reading.groups(row.table, row.row_id, row.content))
            for group in self._groups_of.get(place, []):
                if group not in groups:
                    self._members[group].pop(place)
                    self._dirty[group] = None
            for group in groups:
                self._members.setdefault(group, {})[place] = row
                self._dirty[group] = None
            self._groups_of[place] = groups
            self._dirty |= dict.fromkeys(sorted(self._askers.get(place, ())))
        self._update()

    def decided(self, item: str) -> None:
        """A person decided about an item."""
        self._dirty |= dict.fromkeys(sorted(self._askers.get(("", item), ())))
        self._update()

    def _update(self) -> None:
        dirty, self._dirty = self._dirty, {}
        touched_sums: dict[tuple[str, ...], None] = {}
        for group in dirty:
            asked: set[tuple[str, str]] = set()
            members = self._members.get(group, {})
            rows = sorted(members.values(), key=lambda row: (row.table, natural(row.row_id)))
            lookup = Lookup(self._seen, self._decisions, asked)
            found = {_key(output): output for output in self._read(group, rows, lookup) if self._is_ours(output)}
            for place in asked:
                self._askers.setdefault(place, set()).add(group)
            before = self._outputs.get(group, {})
            self._outputs[group] = found
            for key in before.keys() - found.keys():
                self._drop(before[key], touched_sums)
            for key, output in found.items():
                if before.get(key) != output:
                    self._set(output, touched_sums)
        for summed in touched_sums:
            for rounded in self._sums[summed].changed():
                row_id = rounded.removeprefix("commission:")
                self.touched.add(row_id)
                self._round(row_id)

    def _read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> list[Output]:
        """What the reading gives; an item where a value can't be read (law 8)."""
        if not rows:
            return []
        try:
            return list(self._reading.read(group, rows, lookup))
        except Unreadable as error:
            detail = f"{', '.join(f'{row.table} row {row.row_id}' for row in rows[:5])}: {error}"
            return [Item(f"unreadable:{group}", IssueCode.SOURCE_UNEXPLAINED, day_of(max(row.changed_at for row in rows)), detail)]

    def _is_ours(self, output: Output) -> bool:
        return output.day >= day_of(self._since_us) if isinstance(output, Item) else output.at >= self._since_us

    def _set(self, output: Output, sums: dict[tuple[str, ...], None]) -> None:
        if isinstance(output, Item):
            self.items[output.item] = output
            return
        key = _key(output)[1]
        held = self._exact.get(key)
        if held is not None and _sums_of(held) != _sums_of(output):
            self._drop(held, sums)
        self._exact[key] = output
        self._add(_sum_of(output), key, output.amount, sums)
        if isinstance(output, Credit):
            self._add(_commission_sum(output), f"commission:{key}", output.commission, sums)
        self.touched.add(key)
        self._round(key)

    def _drop(self, output: Output, sums: dict[tuple[str, ...], None]) -> None:
        key = _key(output)[1]
        if isinstance(output, Item):
            self.items.pop(key, None)
            return
        self.touched.add(key)
        self._exact.pop(key, None)
        self._add(_sum_of(output), key, None, sums)
        if isinstance(output, Credit):
            self._add(_commission_sum(output), f"commission:{key}", None, sums)
        self.allocations.pop(key, None)
        self.payments.pop(key, None)

    def _add(self, place: tuple[str, ...], key: str, amount: Fraction | None, sums: dict[tuple[str, ...], None]) -> None:
        self._sums.setdefault(place, RunningSum()).set(key, amount)
        sums[place] = None

    def _round(self, key: str) -> None:
        """Write the row of an output anew from its exact values and the sums."""
        output = self._exact.get(key)
        match output:
            case Credit():
                amount = self._sums[_sum_of(output)].units(key)
                commission = None
                if output.commission is not None:
                    commission = self._sums[_commission_sum(output)].units(f"commission:{key}")
                asset = None if commission is None else output.commission_asset or output.asset
                self.allocations[key] = AllocationRow(
                    output.account, output.asset, output.at, amount, commission, asset, output.currency, output.cause
                )  # fmt: skip
            case Paid():
                amount = self._sums[_sum_of(output)].units(key)
                self.payments[key] = PaymentRow(
                    output.account, output.asset, output.address, amount, output.txid, output.at, output.payer
                )  # fmt: skip


def _key(output: Output) -> tuple[str, str]:
    match output:
        case Credit():
            return "allocation", output.allocation_id
        case Paid():
            return "payment", output.payment_id
        case Item():
            return "item", output.item


def _sum_of(output: Credit | Paid) -> tuple[str, ...]:
    return (type(output).__name__, output.account, output.asset)


def _commission_sum(output: Credit) -> tuple[str, ...]:
    return ("commission", output.account, output.commission_asset or output.asset)


def _sums_of(output: Credit | Paid) -> list[tuple[str, ...]]:
    return [_sum_of(output), _commission_sum(output)] if isinstance(output, Credit) else [_sum_of(output)]
