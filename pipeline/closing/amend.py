"""What a further version of a frozen month would change, row by row, each with its cause (rule 8.3). Pure.

Enters: the frozen and the current facts and report rows, and a function that computes the report with some classes of facts current and the others
as frozen. Leaves: `DraftedRow`s. A row is identified by its allocation, transaction and wallet. Its cause is the class of facts that produces the new
row when it alone changes; if none does, the first class without which the new row would not result. A row whose own facts did not change, but that
settlement (first in, first out, rule 6.1) changed, names the row that it follows from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl

from pipeline.enrich.frames import REPORT, Facts
from pipeline.log.events.months import DraftedRow
from pipeline.render.form import COLUMNS

FORM = [name for name in COLUMNS if name != "n"]
_KEY = ["allocation_id", "txid", "wallet", "payer"]
"""What names a row: its allocation and its transfer (rule 7.3); two off-chain payers may have one reference (rule 10.5)."""
MAX_ROWS = 1000
CLASSES: dict[str, tuple[str, ...]] = {
    "chain": ("blocks", "transactions", "inputs", "outputs", "observations", "doubts", "proved_balances"),
    "watch": ("pool_wallets",),
    "ledger": ("allocations", "payments", "openings"),
    "registry": ("miners", "licences", "accounts", "wallets"),
    "label": ("labels",),
    "rules": (),
}
"""The frames of facts by class; `rules` stands for the rules' parameters in the settings. `payees`, `witnesses` and
`disagreements` make no row: what was found there is the chain's."""
CAUSES = ("reorganisation", *CLASSES, "follows")
"""`reorganisation` replaces `chain` if a block of the frozen version is no longer in the main chain; else `chain` means later blocks."""

Row = dict[str, Any]
Key = tuple[Any, ...]
ReportWith = Callable[[frozenset[str]], pl.DataFrame]


def mix_facts(before: Facts, after: Facts, classes: frozenset[str]) -> Facts:
    """The facts of `before`, with the frames of these classes taken from `after`."""
    return replace(before, **{frame: getattr(after, frame) for name in classes for frame in CLASSES[name]})


def differences(
    before: Facts, after: Facts, old: pl.DataFrame, new: pl.DataFrame, report_with: ReportWith, *, rules_changed: bool = False
) -> list[DraftedRow]:
    """The rows added, removed and changed between two reports (frames of shape REPORT), in the order of their keys.

    `report_with(classes)`: the report with these classes as they are now, all others as frozen.
    """
    olds, news = _by_key(_only_in(old, new)), _by_key(_only_in(new, old))
    keys = sorted(olds.keys() | news.keys(), key=lambda key: tuple(str(part or "") for part in key))
    if not keys:
        return []
    causes = _Causes(before, after, report_with, rules_changed=rules_changed)
    found = causes.of(keys, olds, news)
    heads = _heads(keys, olds, news, found, causes)
    return [_drafted(key, olds.get(key), news.get(key), found[key], heads[key]) for key in keys]


def _drafted(key: Key, was: Row | None, now: Row | None, cause: str, follows: str) -> DraftedRow:
    columns = FORM if was is None or now is None else [name for name in FORM if was[name] != now[name]]
    return DraftedRow(
        change="added" if was is None else "removed" if now is None else "changed",
        allocation_id=str(key[0]),
        txid=str(key[1] or ""),
        cause=cause,
        follows=follows,
        columns=columns,
        before=[_text(was[name]) for name in columns] if was is not None else [],
        after=[_text(now[name]) for name in columns] if now is not None else [],
    )


class _Causes:
    """Finds the class of facts that changed each row, and whether the row's own facts changed."""

    def __init__(self, before: Facts, after: Facts, report_with: ReportWith, *, rules_changed: bool) -> None:
        changed = {
            name: {frame: _changed(getattr(before, frame), getattr(after, frame)) for frame in frames} for name, frames in CLASSES.items()
        }
        self.classes = [
            name for name, frames in changed.items() if (rules_changed if name == "rules" else any(f.height for f in frames.values()))
        ]
        self._report_with = report_with
        gone = before.blocks.join(after.blocks, on=["chain", "hash"], how="anti").height
        self._is_reorganised = gone > 0
        chain, ledger, registry = changed["chain"], changed["ledger"], changed["registry"]
        self._own: dict[str, dict[str, set[Any]]] = {
            "chain": {"txid": _values(chain["transactions"], "txid")},
            "ledger": {
                "allocation_id": _values(ledger["allocations"], "allocation_id")
                | {f"opening:{account}:{asset}" for account, asset in ledger["openings"].select("account", "asset").iter_rows()},
                "txid": _values(ledger["payments"], "txid"),
            },
            "registry": {"miner_id": set().union(*(_values(frame, "miner_id") for frame in registry.values()))},
            "label": {"wallet": _values(changed["label"]["labels"], "address")},
        }

    def of(self, keys: list[Key], olds: dict[Key, Row], news: dict[Key, Row]) -> dict[Key, str]:
        """The cause of every row: the class that alone produces it, else the first class that it needs, else `follows`."""
        found: dict[Key, str] = {}
        if len(self.classes) == 1:
            found = dict.fromkeys(keys, self.classes[0])
        left = [key for key in keys if key not in found]
        for name in self.classes if left else []:
            alone = self._rows(frozenset({name}), left)
            found |= {key: name for key in left if key not in found and _same(alone.get(key), news.get(key))}
        left = [key for key in keys if key not in found]
        for name in self.classes if left else []:
            without = self._rows(frozenset(self.classes) - {name}, left)
            found |= {key: name for key in left if key not in found and not _same(without.get(key), news.get(key))}
        return {key: self._named(found.get(key, "follows")) for key in keys}

    def is_own(self, row: Row, cause: str) -> bool:
        """Whether the row's own facts changed, not only those of a row settled before it."""
        name = "chain" if cause == "reorganisation" else cause
        if name not in self._own:
            return cause != "follows"
        return any(row[column] in values for column, values in self._own[name].items())

    def _named(self, cause: str) -> str:
        return "reorganisation" if cause == "chain" and self._is_reorganised else cause

    def _rows(self, classes: frozenset[str], keys: list[Key]) -> dict[Key, Row]:
        report = self._report_with(classes)
        wanted = pl.DataFrame(keys, schema={name: REPORT[name] for name in _KEY}, orient="row")
        return _by_key(report.join(wanted, on=_KEY, how="semi", nulls_equal=True))


def _heads(keys: list[Key], olds: dict[Key, Row], news: dict[Key, Row], found: dict[Key, str], causes: _Causes) -> dict[Key, str]:
    """For each row that follows from another: the other's allocation and transaction. Empty for a row whose own facts changed.

    The other is the first row of the same miner, asset and cause whose own facts changed; for a row with cause `follows`, of any cause.
    """
    heads: dict[Key, str] = {}
    first: dict[Key, Key] = {}
    follower: dict[Key, Row] = {}
    for key in keys:
        rows = [row for row in (olds.get(key), news.get(key)) if row is not None]
        if any(causes.is_own(row, found[key]) for row in rows):
            heads[key] = ""
            for row in rows:
                first.setdefault((row["miner_id"], row["asset"], found[key]), key)
                first.setdefault((row["miner_id"], row["asset"], "follows"), key)
        else:
            follower[key] = rows[0]
    for key, row in follower.items():
        head = first.get((row["miner_id"], row["asset"], found[key]))
        heads[key] = " ".join(str(part) for part in head[:2] if part) if head is not None else ""
    return heads


def _only_in(rows: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """The rows that are missing in the other report, or differ there in a column of the form."""
    return rows.join(other, on=[*_KEY[:2], *FORM], how="anti", nulls_equal=True)


def _changed(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """The rows that are in only one of the frames."""
    columns = before.columns
    gone = before.join(after, on=columns, how="anti", nulls_equal=True)
    return pl.concat([gone, after.select(columns).join(before, on=columns, how="anti", nulls_equal=True)])


def _values(frame: pl.DataFrame, column: str) -> set[Any]:
    return set(frame[column].drop_nulls().to_list())


def _same(one: Row | None, other: Row | None) -> bool:
    if one is None or other is None:
        return one is other
    return all(one[name] == other[name] for name in FORM)


def _by_key(rows: pl.DataFrame) -> dict[Key, Row]:
    return {tuple(row[name] for name in _KEY): row for row in rows.iter_rows(named=True)}


def _text(value: Any) -> str:
    return "" if value is None else str(value)
