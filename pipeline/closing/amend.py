"""What a further version of a frozen month would change, row by row, each with its cause (rule 8.3). Pure.

Enters: the facts and rows of the frozen version, those of now, and a way to compute the report with some classes of facts as they are now and the rest
as they were frozen. Leaves: `DraftedRow`s. A row is told by its allocation, transaction and wallet. Its cause is the class of facts that, changed
alone, gives the row as it comes out now; where none does, the first without which it would not come out so. A row whose own facts are the same
(settlement is first in, first out, rule 6.1) names the row that it follows from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl

from pipeline.enrich.frames import REPORT, Facts
from pipeline.log.events.months import DraftedRow

FORM = [name for name in REPORT if name not in ("n", "allocation_id", "txid", "is_carried")]
_KEY = ["allocation_id", "txid", "wallet"]
MAX_ROWS = 1000
CLASSES: dict[str, tuple[str, ...]] = {
    "chain": ("blocks", "transactions", "inputs", "outputs", "observations", "doubts", "proved_balances"),
    "watch": ("pool_wallets",),
    "ledger": ("allocations", "payments", "openings"),
    "registry": ("miners", "licences", "accounts", "wallets"),
    "label": ("labels",),
    "rules": (),
}
"""The classes of what a report is made of, and the frames of each; `rules` are the rules' parameters in the settings."""
CAUSES = ("reorganisation", *CLASSES, "follows")
"""`chain` is `reorganisation` where a block of the frozen version left the main chain, else blocks that came later."""

Row = dict[str, Any]
Key = tuple[Any, ...]
ReportWith = Callable[[frozenset[str]], pl.DataFrame]


def mix_facts(before: Facts, after: Facts, classes: frozenset[str]) -> Facts:
    """The facts of `before` with those classes taken from `after`."""
    return replace(before, **{frame: getattr(after, frame) for name in classes for frame in CLASSES[name]})


def differences(
    before: Facts, after: Facts, old: pl.DataFrame, new: pl.DataFrame, report_with: ReportWith, *, rules_changed: bool = False
) -> list[DraftedRow]:
    """The rows added, removed and changed between two reports (frames of shape REPORT), in the order of their keys.

    `report_with(classes)`: the report with these classes as they are now and everything else as it was frozen.
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
    """Finds the class of facts behind each row, and whether the row's own facts are among those that changed."""

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
        """The cause of every row: the class that alone gives it, else the first that it can't do without, else `follows`."""
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
        """Whether facts of that very row changed, not of another one that settles before it."""
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
    """For each row that follows from another: that one's allocation and transaction. Empty for a row whose own facts changed.

    The other is the first of the same miner, asset and cause whose own facts changed; for a row without a cause of its own, of any cause.
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
    """The rows that the other report has not, or has with other columns of the form."""
    return rows.join(other, on=[*_KEY[:2], *FORM], how="anti", nulls_equal=True)


def _changed(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """The rows of either frame that the other has not."""
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
