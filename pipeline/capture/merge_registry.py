"""The registry in force: what a person imported last, with the rows that a source keeps (ADR 22).

Enters: the imported version's rows, the source's rows as `registry_history` dates them, people's decisions. Leaves: the rows of the next version, and items. Pure.

Nothing that a person imported is contradicted without asking: where both speak of one miner, licence, account or wallet and differ, the imported rows stand and an item waits. Two
differences are none: an imported row without an end ends on the day on which the source shows the end, and a row without a known beginning begins where the imported one does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import polars as pl

from pipeline.chains.networks import AnyNetwork
from pipeline.log.events import content_digest
from pipeline.log.events.sources import SourceDecided
from pipeline.log.registry_versions import in_order
from pipeline.model.issues import IssueCode
from pipeline.model.months import Month
from pipeline.validate.columns import CellContext
from pipeline.validate.registry import COLUMNS, check_registry_table
from pipeline.validate.table import RawColumn, RawTable

from . import details
from .outputs import Item
from .registry_history import Period, RegistryHistory

Row = dict[str, Any]


@dataclass(frozen=True)
class Held:
    """An account or a wallet in a miner's hands, `begin` up to, not including, `end`; days."""

    row_id: str
    miner_id: str
    begin: date
    end: date | None
    is_open: bool = False
    """Whether its beginning is only the first day that the source counts for."""
    seen_on: date = date.min

    def overlaps(self, other: Held) -> bool:
        return self.begin < (other.end or date.max) and other.begin < (self.end or date.max)


@dataclass
class Merge:
    """One computation of the registry in force."""

    since: date
    """The first day of which the source keeps the registry."""
    now: date
    """The day of the last look."""
    networks: Mapping[str, AnyNetwork | str]
    decisions: Mapping[str, SourceDecided]
    tables: Sequence[str]
    """Those that the source keeps."""
    items: dict[str, Item] = field(default_factory=dict)

    def merge(self, imported: Mapping[str, Sequence[Row]], history: RegistryHistory) -> dict[str, list[Row]]:
        """The rows of all tables."""
        found: dict[str, list[Row]] = {kind: [dict(row) for row in rows] for kind, rows in imported.items()}
        for kind, keys in (("miners", ("miner_id",)), ("licences", ("miner_id", "licence_number"))):
            if kind in self.tables:
                rows = self._readable(kind, [(row_id, dict(content)) for row_id, content in history.newest(kind)], history)
                found[kind] = self._newest(kind, keys, found.get(kind, []), rows)
        if "accounts" in self.tables:
            periods = history.periods("accounts", self.decisions, self.items)
            held = [(period.row_id, {**period.content, **self._days(period)}, period) for period in periods]
            found["accounts"] = self._dated("accounts", ("account",), found.get("accounts", []), held, history)
        if "wallets" in self.tables:
            periods = history.periods("wallets", self.decisions, self.items)
            held = self._of_holders(periods, found.get("accounts", []))
            found["wallets"] = self._dated("wallets", ("address", "chain"), found.get("wallets", []), held, history)
        return {kind: in_order(rows, kind) for kind, rows in found.items()}

    def _days(self, period: Period) -> Row:
        begin = max(period.begin or self.since, self.since) if period.begin is None else period.begin
        return {"valid_from": begin.isoformat(), "valid_to": None if period.end is None else period.end.isoformat()}

    def _of_holders(self, periods: Iterable[Period], accounts: Iterable[Row]) -> list[tuple[str, Row, Period]]:
        """Wallets of accounts as wallets of the miners who hold the accounts, day by day. One of an account that nobody holds is nobody's."""
        holders: dict[str, list[Row]] = {}
        for row in accounts:
            holders.setdefault(row["account"], []).append(row)
        found = []
        for period in periods:
            if period.content.get("miner_id") or not period.content.get("account"):
                found.append((period.row_id, {**period.content, **self._days(period)}, period))
                continue
            days = self._days(period)
            for holder in holders.get(period.content["account"] or "", []):
                begin = max(days["valid_from"], holder["valid_from"])
                ends = [end for end in (days["valid_to"], holder["valid_to"]) if end]
                if not ends or begin < min(ends):
                    row = {**period.content, "miner_id": holder["miner_id"], "valid_from": begin, "valid_to": min(ends) if ends else None}
                    found.append((period.row_id, row, period))
        return found

    def _newest(self, kind: str, keys: tuple[str, ...], imported: Sequence[Row], rows: Sequence[tuple[str, Row]]) -> list[Row]:
        """Miners and licences: of the source the newest content; of one that is gone there, the last."""
        known = {tuple(row[key] for key in keys): row for row in imported}
        for row_id, row in rows:
            place = tuple(row[key] for key in keys)
            before = known.get(place)
            columns = [name for name in row if name not in keys and row[name] != (before or {}).get(name)]
            if (
                before is None
                or not columns
                or self._asks(
                    kind, row_id, before, row, self.since, f"{kind} row {row_id}: its {', '.join(columns)} differ(s) from what was imported"
                )
            ):
                known[place] = row
        return list(known.values())

    def _dated(
        self, kind: str, keys: tuple[str, ...], imported: Sequence[Row], found: Sequence[tuple[str, Row, Period]], history: RegistryHistory
    ) -> list[Row]:
        """Accounts and wallets, by the day."""
        periods = {(row_id, row["valid_from"]): period for row_id, row, period in found}
        counting = [(row_id, row) for row_id, row, _ in found if row["valid_to"] is None or row["valid_from"] < row["valid_to"]]
        readable = self._readable(kind, counting, history)
        theirs: dict[tuple[str, ...], list[Held]] = {}
        for row_id, row in readable:
            period = periods[row_id, row["valid_from"]]
            end = None if row["valid_to"] is None else date.fromisoformat(row["valid_to"])
            held = Held(row_id, row["miner_id"], date.fromisoformat(row["valid_from"]), end, period.begin is None, period.seen_on)
            theirs.setdefault(tuple(row[key] for key in keys), []).append(held)
        ours: dict[tuple[str, ...], list[Held]] = {}
        for row in imported:
            end = None if row["valid_to"] is None else date.fromisoformat(row["valid_to"])
            ours.setdefault(tuple(row[key] for key in keys), []).append(
                Held("", row["miner_id"], date.fromisoformat(row["valid_from"]), end)
            )
        rows: list[Row] = []
        for place in ours | theirs:
            for held in self._settled(kind, place, ours.get(place, []), theirs.get(place, [])):
                days = {"valid_from": held.begin.isoformat(), "valid_to": None if held.end is None else held.end.isoformat()}
                rows.append(dict(zip(keys, place, strict=True)) | {"miner_id": held.miner_id} | days)
        return rows

    def _settled(self, kind: str, place: tuple[str, ...], ours: list[Held], theirs: list[Held]) -> list[Held]:
        """The periods of one account or wallet."""
        if not theirs:
            return ours
        rest, joined, differing = list(ours), [], []
        for held in theirs:
            for other in [one for one in rest if one.overlaps(held)]:
                if other.miner_id != held.miner_id:
                    differing.append((max(other.begin, held.begin), details.ANOTHER_HOLDER))
                elif other.end is not None and other.end != held.end:
                    differing.append(
                        (
                            min(other.end, held.end or date.max),
                            details.ENDS_ELSEWHERE.format(end=other.end, other=held.end)
                            if held.end
                            else details.GOES_ON.format(end=other.end),
                        )
                    )
                else:
                    rest.remove(other)
                    held = replace(held, begin=min(other.begin, held.begin))
            joined.append(held)
        if not differing:
            return rest + joined
        day, what = min(differing)
        shown = (
            [(one.miner_id, str(one.begin), str(one.end)) for one in ours],
            [(one.miner_id, str(one.begin), str(one.end)) for one in theirs],
        )
        newest = max(held.seen_on for held in theirs)
        words = details.CONTRADICTS_REGISTRY.format(kind=kind[:-1], name=place[0], day=day, what=what)
        if not self._asks(kind, theirs[0].row_id, *shown, max(day, min(newest, self.now)), words):
            return ours
        first = min(held.begin for held in theirs)
        before = [replace(one, end=min(one.end or first, first)) for one in ours if one.begin < first]
        return before + theirs

    def _asks(self, kind: str, row_id: str, ours: object, theirs: object, first: date, words: str) -> bool:
        """Ask about a difference, in the month of `first`, the last month and this one; whether a person accepted it."""
        name = f"registry:{kind}:{row_id}@{content_digest([ours, theirs])[:12]}"
        this = Month(self.now.year, self.now.month)
        months = [month for month in dict.fromkeys((Month(first.year, first.month), this.previous, this)) if month.last >= first]
        named = {f"{name}:{month}": month for month in months}
        decided = [self.decisions[item] for item in self.decisions if item.rpartition(":")[0] == name]
        if not decided:
            self.items |= {item: Item(item, IssueCode.SOURCE_RESTATEMENT, max(month.first, first), words) for item, month in named.items()}
        return any(one.outcome == "accept" for one in decided[-1:])

    def _readable(self, kind: str, rows: Sequence[tuple[str, Row]], history: RegistryHistory) -> list[tuple[str, Row]]:
        """The rows that can stand in a registry; an item for each other one. They are checked as those of a file are."""
        names = [column.name for column in COLUMNS[kind]]  # type: ignore[index]
        cells = [RawColumn(name, pl.Series(name, [_cell(row.get(name)) for _, row in rows], dtype=pl.String)) for name in names]
        table = RawTable(kind, None, pl.int_range(len(rows), dtype=pl.UInt32, eager=True), cells)
        checked: Callable[..., Any] = check_registry_table
        kept, faults, _ = checked(table, kind, terms=CellContext({}, self.networks), mapping={})
        faulty: dict[int, list[str]] = {}
        for fault in faults:
            faulty.setdefault(-1 if fault.line is None else fault.line, []).append(f"{fault.column}: {fault.what}")
        for line, words in faulty.items():
            row_id = rows[line][0] if line >= 0 else rows[0][0]
            item = f"unreadable:{kind}:{row_id}"
            detail = details.REGISTRY_ROW.format(kind=kind, row_id=row_id, what="; ".join(words))
            self.items[item] = Item(item, IssueCode.SOURCE_UNEXPLAINED, history.seen_on(kind, row_id), detail)
        days = kept.with_columns(pl.col(pl.Date).dt.strftime("%Y-%m-%d"))
        return [(rows[row["line"]][0], {name: row[name] for name in names}) for row in days.to_dicts() if row["line"] not in faulty]


def _cell(value: str | None) -> str | None:
    return (value or "").strip() or None
