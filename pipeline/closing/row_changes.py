"""Rows by which two reports of a month differ, as people read them: amounts in coins, columns in words. Pure.

Enters: a `DraftedRow`, which has amounts in base units, and the assets that its amounts are of. Leaves: a `RowChange`, and a message of each difference.
Left out: finding the rows (`amend`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from pipeline.log.events.months import DraftedRow
from pipeline.model.amounts import from_units
from pipeline.model.message import Amount, joined, message
from pipeline.model.rules import Asset
from pipeline.texts import N_

COLUMN_WORDS: Final = {
    "miner_id": N_("IIN/BIN"), "miner_name": N_("Miner"), "licence_number": N_("Licence"), "licence_issue_date": N_("Licence issued on"),
    "wallet": N_("Address"), "allocation_date": N_("Allocated on"), "asset": N_("Asset"), "amount": N_("Amount"), "transfer_amount": N_("Transfer"),
    "transfer_date": N_("Transferred on"), "commission_asset": N_("Commission's asset"), "commission_asset_amount": N_("Commission"),
    "commission_currency": N_("Commission's currency"), "commission_currency_amount": N_("Commission in currency"),
}  # fmt: skip
"""The form's columns but the number of the row, as screens head them."""
_ASSET_OF: Final = {"amount": "asset", "transfer_amount": "asset", "commission_asset_amount": "commission_asset"}
"""The column with the asset of each column of base units."""


class RowAssets(NamedTuple):
    """What the amounts of an allocation's rows are in."""

    asset: str
    commission_asset: str | None


@dataclass(frozen=True)
class RowChange:
    """One row of a report that is added, removed or changed."""

    change: str
    allocation_id: str
    words: str
    """The row after (added) or before (removed), as text: miner, allocation date, amount, transfer date."""
    values: list[tuple[str, str, str]]
    """Of a changed row, each column that differs: (name, before, after); amounts as printed."""

    @property
    def told(self) -> str:
        """The row as a message: of a changed one each difference, else the row in words."""
        return joined("; ", (_difference(*value) for value in self.values)) if self.change == "changed" else self.words


def row_change(row: DraftedRow, of: RowAssets | None, assets: Mapping[str, Asset]) -> RowChange:
    """The row for people. `of`: what a changed row's amounts are in where it does not say so itself; a row that comes or goes says it."""
    if row.change == "changed":
        was, now = (_printed(dict(zip(row.columns, values, strict=True)), of, assets) for values in (row.before, row.after))
        return RowChange(row.change, row.allocation_id, "", [(name, was[name], now[name]) for name in row.columns])
    values = _printed(dict(zip(row.columns, row.after or row.before, strict=True)), None, assets)
    moved = (
        message("transferred {transfer_date}", transfer_date=date.fromisoformat(values["transfer_date"]))
        if values["transfer_date"]
        else message("not transferred")
    )
    words = message(
        "{miner_name}, allocated {allocation_date}, {amount} {asset}, {moved}",
        miner_name=values["miner_name"],
        allocation_date=date.fromisoformat(values["allocation_date"]),
        amount=Amount(values["amount"]),
        asset=values["asset"],
        moved=moved,
    )
    return RowChange(row.change, row.allocation_id, words, [])


def _printed(values: dict[str, str], of: RowAssets | None, assets: Mapping[str, Asset]) -> dict[str, str]:
    """The values, amounts of assets as printed (rule 2.2)."""
    known = (of._asdict() if of else {}) | {name: values[name] for name in ("asset", "commission_asset") if name in values}
    return {
        name: from_units(int(value), assets[known[_ASSET_OF[name]]].decimals) if value and name in _ASSET_OF else value
        for name, value in values.items()
    }


def _difference(name: str, before: str, after: str) -> str:
    """What a column of the form says, and what it would say; values as in `RowChange`."""
    return message("{name}: {old} → {new}", name=message(COLUMN_WORDS[name]), old=_value(name, before), new=_value(name, after))


def _value(name: str, value: str) -> object:
    if not value:
        return message("(empty)")
    if name.endswith("_date"):
        return date.fromisoformat(value)
    return Amount(value) if name.endswith("amount") else value
