"""What a further version of a frozen month would change, row by row, each with its cause (rule 8.3). Pure.

Enters: the facts and rows of the frozen version, and those of now. Leaves: `DraftedRow`s. A row is told by its allocation, transaction and
wallet. Its cause is looked for in the facts behind it; a row whose own facts are the same follows from another's change (rule 6.1).
"""

from __future__ import annotations

from typing import Any

import polars as pl

from .closing_events import DraftedRow
from .enrich.frames import REPORT, Facts

FORM = [name for name in REPORT if name not in ("n", "allocation_id", "txid", "is_carried")]
_KEY = ("allocation_id", "txid", "wallet")
MOST_ROWS = 1000
CAUSES = ("reorganisation", "ledger", "registry", "label", "follows")


def differences(before: Facts, after: Facts, old: pl.DataFrame, new: pl.DataFrame) -> list[DraftedRow]:
    """The rows added, removed and changed between two reports (frames of shape REPORT), in the order of their keys."""
    olds, news = _by_key(old), _by_key(new)
    causes = _Causes(before, after)
    found = []
    for key in sorted(olds.keys() | news.keys(), key=lambda key: tuple(str(part or "") for part in key)):
        was, now = olds.get(key), news.get(key)
        if was is not None and now is not None:
            columns = [name for name in FORM if was[name] != now[name]]
            if not columns:
                continue
        else:
            columns = FORM
        found.append(
            DraftedRow(
                change="changed" if was is not None and now is not None else "added" if was is None else "removed",
                allocation_id=str(key[0]),
                txid=str(key[1] or ""),
                cause=causes.of(was, now),
                columns=columns,
                before=[_text(was[name]) for name in columns] if was is not None else [],
                after=[_text(now[name]) for name in columns] if now is not None else [],
            )
        )
    return found


class _Causes:
    """Looks up what changed in the facts behind a row."""

    def __init__(self, before: Facts, after: Facts) -> None:
        self._moved = _changed(before.transactions.select("txid", "block_hash"), after.transactions.select("txid", "block_hash"), "txid")
        self._allocations = _changed(before.allocations, after.allocations, "allocation_id")
        self._paid = _changed(before.payments, after.payments, "txid")
        self._accounts = _changed(before.accounts, after.accounts, "account")
        self._miners = (
            _changed(before.miners, after.miners, "miner_id")
            | _changed(before.licences, after.licences, "miner_id")
            | _changed(before.accounts, after.accounts, "miner_id")
            | _changed(before.wallets, after.wallets, "miner_id")
        )
        self._labels = _changed(before.labels, after.labels, "address")
        self._account_of = dict(
            pl.concat([before.allocations, after.allocations]).select("allocation_id", "account").unique("allocation_id").iter_rows()
        )

    def of(self, was: dict[str, Any] | None, now: dict[str, Any] | None) -> str:
        """The first cause that fits, in the order of `CAUSES`."""
        rows = [row for row in (was, now) if row is not None]
        if any(row["txid"] in self._moved for row in rows):
            return "reorganisation"
        if any(row["allocation_id"] in self._allocations or row["txid"] in self._paid for row in rows):
            return "ledger"
        if any(row["miner_id"] in self._miners or self._account_of.get(row["allocation_id"]) in self._accounts for row in rows):
            return "registry"
        return "label" if any(row["wallet"] in self._labels for row in rows) else "follows"


def _changed(before: pl.DataFrame, after: pl.DataFrame, key: str) -> set[Any]:
    """Keys whose rows differ between the two frames."""
    columns = before.columns
    gone = before.join(after, on=columns, how="anti", nulls_equal=True)
    come = after.select(columns).join(before, on=columns, how="anti", nulls_equal=True)
    return (set(gone[key].to_list()) | set(come[key].to_list())) - {None}


def _by_key(rows: pl.DataFrame) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[name] for name in _KEY): row for row in rows.iter_rows(named=True)}


def _text(value: Any) -> str:
    return "" if value is None else str(value)
