"""Keeps what the rows of a source mean up to date as rows come: only what depends on a changed row is read again.

Enters: rows (`seen`), a reading of the source's kind, people's decisions. Leaves: credits and payments in whole base units, and open items, by their ids. The same rows,
settings and decisions give the same, in whatever steps they came (ADR 22).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol

import msgspec

from pipeline.log.events.sources import SourceDecided
from pipeline.model.issues import IssueCode

from . import details
from .addresses import AS_WRITTEN, AddressSpelling
from .outputs import Credit, Item, Output, Paid, Unreadable, day_of, shown
from .packed import Packed
from .packing import pack_item, pack_output, pack_row, unpack_item, unpack_output, unpack_row
from .rounding import RunningSum
from .rows import AllocationRow, PaymentRow
from .seen import SeenRow, SeenRows, natural
from .source import Content

_MOST_UNITS = 10**38 - 1
"""One less than 38 digits hold, since the running sum may round an amount up."""


class Lookup:
    """What a reading may ask for besides the rows of its group. What it asked for is remembered: a change there has the group read again."""

    def __init__(self, seen: SeenRows, decisions: Mapping[str, SourceDecided], asked: set[tuple[str, str]]) -> None:
        self._seen, self._decisions, self._asked = seen, decisions, asked

    def row(self, table: str, row_id: str) -> SeenRow | None:
        """A row of another table by its id; None where none was ever seen."""
        self._asked.add((table, row_id))
        return self._seen.row(table, row_id)

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


class Projection:
    """What a source's rows mean now."""

    def __init__(
        self,
        reading: Reading,
        seen: SeenRows,
        decisions: Mapping[str, SourceDecided],
        *,
        since_us: int,
        addresses: AddressSpelling = AS_WRITTEN,
    ) -> None:
        """`since_us`: what is older is passed over. `addresses`: how those of payments are spelt."""
        self._addresses = addresses
        self._reading, self._seen, self._decisions, self._since_us = reading, seen, decisions, since_us
        self.allocations: Packed[AllocationRow] = Packed(pack_row, unpack_row)  # type: ignore[arg-type]
        self.payments: Packed[PaymentRow] = Packed(pack_row, unpack_row)  # type: ignore[arg-type]
        self.items: dict[str, Item] = {}
        self._members: Packed[dict[tuple[str, str], None]] = Packed(list, lambda found: dict.fromkeys(map(tuple, found)))
        """The rows of each group, by table and id."""
        self._groups_of: Packed[list[str]] = Packed(list, list)
        """The groups of each row, by `_place` of it."""
        self._askers: Packed[set[str]] = Packed(sorted, set)
        """The groups that looked a row up, by `_place` of it; of a decision, with the item's name for the row's id and no table."""
        self._outputs: Packed[dict[tuple[str, str], Output]] = Packed(_pack_outputs, _unpack_outputs)
        self._group_of: dict[str, str] = {}
        """The group that gives an allocation or a payment, by its id."""
        self._sums: Packed[RunningSum] = Packed(RunningSum.pack, RunningSum.unpack)
        self._dirty: dict[str, None] = {}
        self.touched: set[str] = set()
        """Ids of allocations and payments that may have changed since this was last emptied."""

    def rows_changed(self, rows: Iterable[SeenRow]) -> None:
        """Rows of one event changed: read again what depends on them."""
        for row in rows:
            place, name = (row.table, row.row_id), _place(row.table, row.row_id)
            groups = list(self._reading.groups(row.table, row.row_id, row.content))
            for group in self._groups_of.get(name, ()):
                if group not in groups:
                    self._members[group].pop(place)
                    self._dirty[group] = None
            for group in groups:
                self._members.setdefault(group, {})[place] = None
                self._dirty[group] = None
            self._groups_of[name] = groups
            self._dirty |= dict.fromkeys(sorted(self._askers.get(name, ())))
        self._update()

    def decided(self, item: str) -> None:
        """A person decided about an item."""
        self._dirty |= dict.fromkeys(sorted(self._askers.get(_place("", item), ())))
        self._update()

    def dump(self) -> dict[str, Any]:
        """All of it, packed, for a checkpoint."""
        packed = {name: getattr(self, name).dump() for name in _PACKED}
        return {
            "packed": packed,
            "items": [pack_item(item) for item in self.items.values()],
            "group_of": self._group_of,
            "touched": sorted(self.touched),
        }

    def load(
        self, packed: Mapping[str, dict[str, msgspec.Raw]], items: Iterable[Any], group_of: dict[str, str], touched: Iterable[str]
    ) -> None:
        """Go on from what `dump` gave."""
        for name in _PACKED:
            getattr(self, name).load(packed[name])
        self.items = {item.item: item for item in map(unpack_item, items)}
        self._group_of, self.touched = group_of, set(touched)

    def _update(self) -> None:
        dirty, self._dirty = self._dirty, {}
        touched_sums: dict[str, None] = {}
        fresh: dict[str, None] = {}
        for group in dirty:
            asked: set[tuple[str, str]] = set()
            members = [self._seen.tables[table][row_id] for table, row_id in self._members.get(group, ())]
            rows = sorted(members, key=lambda row: (row.table, natural(row.row_id)))
            lookup = Lookup(self._seen, self._decisions, asked)
            found = {_key(output): output for output in self._read(group, rows, lookup) if self._is_ours(output)}
            for place in asked:
                self._askers.setdefault(_place(*place), set()).add(group)
            before = self._outputs.get(group, {})
            self._outputs[group] = found
            for key in before.keys() - found.keys():
                self._drop(group, before[key], touched_sums)
            for key, output in found.items():
                if before.get(key) != output:
                    self._set(group, before.get(key), output, touched_sums)
                    if not isinstance(output, Item):
                        fresh[key[1]] = None
        for summed in touched_sums:
            fresh |= dict.fromkeys(rounded.removeprefix("commission:") for rounded in self._sums[summed].changed())
        self.touched.update(fresh)
        for row_id in fresh:
            self._round(row_id)

    def _read(self, group: str, rows: Sequence[SeenRow], lookup: Lookup) -> list[Output]:
        """What the reading gives; an item where a value can't be read (law 8)."""
        if not rows:
            return []
        try:
            return [_sound(output) for output in self._reading.read(group, rows, lookup)]
        except Unreadable as error:
            detail = details.UNREADABLE_ROWS.format(rows=", ".join(f"{row.table} row {row.row_id}" for row in rows[:5]), error=error)
            return [Item(f"unreadable:{group}", IssueCode.SOURCE_UNEXPLAINED, day_of(max(row.changed_at for row in rows)), detail)]

    def _is_ours(self, output: Output) -> bool:
        return output.day >= day_of(self._since_us) if isinstance(output, Item) else output.at >= self._since_us

    def _set(self, group: str, held: Output | None, output: Output, sums: dict[str, None]) -> None:
        if isinstance(output, Item):
            self.items[output.item] = output
            return
        key = _key(output)[1]
        if held is not None and not isinstance(held, Item) and _sums_of(held) != _sums_of(output):
            self._drop(group, held, sums)
        self._group_of[key] = group
        self._add(_sum_of(output), key, output.amount, sums)
        if isinstance(output, Credit):
            self._add(_commission_sum(output), f"commission:{key}", output.commission, sums)

    def _drop(self, group: str, output: Output, sums: dict[str, None]) -> None:
        key = _key(output)[1]
        if isinstance(output, Item):
            self.items.pop(key, None)
            return
        self.touched.add(key)
        if self._group_of.get(key) == group:
            del self._group_of[key]
        self._add(_sum_of(output), key, None, sums)
        if isinstance(output, Credit):
            self._add(_commission_sum(output), f"commission:{key}", None, sums)
        self.allocations.pop(key, None)
        self.payments.pop(key, None)

    def _add(self, place: str, key: str, amount: Fraction | None, sums: dict[str, None]) -> None:
        if place not in self._sums:
            if amount is None:
                return
            self._sums[place] = RunningSum()
        self._sums[place].set(key, amount)
        sums[place] = None

    def _round(self, key: str) -> None:
        """Write the row of an output anew from its exact values and the sums."""
        group = self._group_of.get(key)
        outputs = {} if group is None else self._outputs[group]
        match outputs.get(("allocation", key)) or outputs.get(("payment", key)):
            case Credit() as output:
                amount = self._sums[_sum_of(output)].units(key)
                commission = None
                if output.commission is not None:
                    commission = self._sums[_commission_sum(output)].units(f"commission:{key}")
                asset = None if commission is None else output.commission_asset or output.asset
                self.allocations[key] = AllocationRow(
                    output.account, output.asset, output.at, amount, commission, asset, output.currency, output.cause
                )  # fmt: skip
            case Paid() as output:
                amount = self._sums[_sum_of(output)].units(key)
                self.payments[key] = PaymentRow(
                    output.account, output.asset, self._addresses.of(output), amount, output.txid, output.at, output.payer
                )  # fmt: skip


_PACKED = ("allocations", "payments", "_members", "_groups_of", "_askers", "_outputs", "_sums")


def _sound(output: Output) -> Output:
    """The output, or an item where an amount is one that no event of the ledger can hold (rule 2.1): nobody could read the event, and all its rows would be lost."""
    if isinstance(output, Item):
        return output
    amounts = [output.amount, *([output.commission] if isinstance(output, Credit) and output.commission is not None else [])]
    odd = next((amount for amount in amounts if not 0 <= amount < _MOST_UNITS), None)
    if odd is None:
        return output
    key = _key(output)[1]
    detail = details.NO_AMOUNT.format(row_id=key, amount=shown(odd))
    return Item(f"amount:{key}", IssueCode.SOURCE_UNEXPLAINED, day_of(output.at), detail)


def _place(table: str, row_id: str) -> str:
    return f"{table}\0{row_id}"


def _pack_outputs(outputs: dict[tuple[str, str], Output]) -> list[Any]:
    return [pack_output(output) for output in outputs.values()]


def _unpack_outputs(found: list[Any]) -> dict[tuple[str, str], Output]:
    return {_key(output): output for output in map(unpack_output, found)}


def _key(output: Output) -> tuple[str, str]:
    match output:
        case Credit():
            return "allocation", output.allocation_id
        case Paid():
            return "payment", output.payment_id
        case Item():
            return "item", output.item


def _sum_of(output: Credit | Paid) -> str:
    return "\0".join((type(output).__name__, output.account, output.asset))


def _commission_sum(output: Credit) -> str:
    return "\0".join(("commission", output.account, output.commission_asset or output.asset))


def _sums_of(output: Credit | Paid) -> list[str]:
    return [_sum_of(output), _commission_sum(output)] if isinstance(output, Credit) else [_sum_of(output)]
