"""A month in figures: sums by asset, miner and payer, days, where the money went, what wallets hold.

Enters: a month's book. Leaves: `MonthFigures`, amounts both in whole base units and as printed, with whether each sum comes out. Worked out once for a book. Left out: pages and
charts (`web`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import msgspec

from pipeline.model.amounts import from_units, to_units
from pipeline.model.months import Month

from .books import Book

INWARD = ("reward", "change", "internal")
"""Classes of outputs that come back to the pool, or came to it new (rule 3.1)."""
SumName = Literal["opening", "allocated", "settled", "closing", "advance"]
SUMS: tuple[SumName, ...] = ("opening", "allocated", "settled", "closing", "advance")


@dataclass(frozen=True)
class Sums:
    """What the pool owes: of one asset, or of one miner and asset. opening + allocated − settled = closing (rule 6)."""

    miner_id: str
    name: str
    asset: str
    rows: int
    opening: str
    allocated: str
    settled: str
    closing: str
    advance: str
    is_whole: bool
    """Whether the equation holds."""


@dataclass(frozen=True)
class Day:
    """What was allocated and transferred on one day, of one asset."""

    day: date
    allocated: int
    transferred: int
    allocated_printed: str
    transferred_printed: str


@dataclass(frozen=True)
class Stream:
    """One way that money came or went."""

    name: str
    """A class of outflow, or `opening`, `mined`, `received`, `fee`, `closing`."""
    amount: int
    printed: str
    outputs: int | None
    is_class: bool
    """Whether its outputs can be listed."""


@dataclass(frozen=True)
class Flow:
    """Where the pool's money of one asset came from and where it went. What moved between its own wallets is left out."""

    asset: str
    came: list[Stream]
    went: list[Stream]
    net_came: list[Stream]
    """The same with the change of what is held in place of opening and closing: `drawn` from it, or `added` to it."""
    net_went: list[Stream]
    total: str
    difference: str
    """What `went` lacks to `came`; all zeros where it adds up. A block whose time lies in another month than its height is such a difference."""
    adds_up: bool
    moved_inside: str
    """Change, and transfers between the pool's own wallets."""


@dataclass(frozen=True)
class Balance:
    """One wallet's proof (rule 3.4)."""

    wallet: str
    asset: str
    opening: str
    received: str
    sent: str
    fee: str
    closing: str
    unspent: str
    is_proved: bool | None
    """None: not known, as a figure is missing."""


@dataclass(frozen=True)
class PayerSums:
    """What one payer paid (rule 10.9); an empty name is the pool itself."""

    payer: str
    asset: str
    transfers: int
    amount: str
    credited: str


@dataclass(frozen=True)
class MonthFigures:
    """A month in figures."""

    month: Month
    assets: list[Sums]
    miners: list[Sums]
    payers: list[PayerSums]
    days: dict[str, list[Day]]
    """By asset, a day each of the month."""
    flows: list[Flow]
    balances: list[Balance]
    totals: dict[str, Any]
    """As `printed_totals`."""


def month_figures(book: Book) -> MonthFigures:
    """The month's figures, worked out at the first call for a book."""
    held = book.figures.get("month")
    if isinstance(held, MonthFigures):
        return held
    span = {"first": book.month.first, "last": book.month.last}
    miners = _miners(book)
    found = MonthFigures(
        month=book.month,
        assets=_by_asset(miners, book.decimals),
        miners=miners,
        payers=[
            PayerSums(
                row["payer"],
                row["asset"],
                row["transfers"],
                _printed(row["amount"], row["asset"], book),
                _printed(row["credited"], row["asset"], book),
            )
            for row in book.rows.rows("payers", **span)
        ],
        days=_days(book),
        flows=_flows(book),
        balances=[_balance(row, book) for row in book.rows.rows("balances") if row["asset"] in book.decimals],
        totals=_totals(book),
    )
    book.figures["month"] = found
    return found


def _totals(book: Book) -> dict[str, Any]:
    found = book.rows.rows("totals")
    return dict(msgspec.json.decode(found[0]["totals"])) if found else {}


def _printed(units: int | None, asset: str, book: Book) -> str:
    return "" if units is None else from_units(units, book.decimals[asset])


def _miners(book: Book) -> list[Sums]:
    """Every miner that has a debt or a row, by name; the debts' own lines where the version has them."""
    rows = {(row["miner_id"] or "", row["asset"]): row for row in book.rows.rows("miners.of_rows")}
    names = {miner: row["miner_name"] or "" for (miner, _), row in rows.items()}
    found = []
    for debt in book.debts.iter_rows(named=True):
        row = rows.get((debt["miner_id"], debt["asset"]))
        found.append(_sums(debt, debt["miner_id"], names.get(debt["miner_id"], ""), row["n_rows"] if row else 0, book.decimals))
    unknown = [miner for miner in {one.miner_id for one in found} if not names.get(miner)]
    for miner in unknown:
        told = book.rows.rows("miner.name", miner_id=miner)
        names[miner] = told[0]["name"] if told else ""
    return sorted((_named(one, names) for one in found), key=lambda one: (one.name.casefold(), one.miner_id, one.asset))


def _named(one: Sums, names: Mapping[str, str]) -> Sums:
    return one if one.name else replace(one, name=names.get(one.miner_id, ""))


def _sums(amounts: Mapping[str, str], miner_id: str, name: str, rows: int, decimals: Mapping[str, int]) -> Sums:
    asset = amounts["asset"]
    units = {key: to_units(amounts[key], decimals[asset]) for key in SUMS}
    is_whole = units["opening"] + units["allocated"] - units["settled"] == units["closing"]
    return Sums(
        miner_id=miner_id, name=name, asset=asset, rows=rows, opening=amounts["opening"], allocated=amounts["allocated"],
        settled=amounts["settled"], closing=amounts["closing"], advance=amounts["advance"], is_whole=is_whole,
    )  # fmt: skip


def _by_asset(miners: Iterable[Sums], decimals: Mapping[str, int]) -> list[Sums]:
    totals: dict[str, dict[str, int]] = {}
    rows: dict[str, int] = {}
    for one in miners:
        total = totals.setdefault(one.asset, dict.fromkeys(SUMS, 0))
        rows[one.asset] = rows.get(one.asset, 0) + one.rows
        for key in SUMS:
            total[key] += to_units(getattr(one, key), decimals[one.asset])
    return [
        _sums({"asset": asset} | {key: from_units(units, decimals[asset]) for key, units in total.items()}, "", "", rows[asset], decimals)
        for asset, total in sorted(totals.items())
    ]


def _days(book: Book) -> dict[str, list[Day]]:
    allocated = {(row["asset"], row["day"]): row["amount"] for row in book.rows.rows("days.allocated")}
    span = {"first": book.month.first, "last": book.month.last}
    moved = {(row["asset"], row["day"]): row["amount"] for row in book.rows.rows("days.transferred", **span)}
    days = [book.month.first.replace(day=number) for number in range(1, book.month.last.day + 1)]
    return {
        asset: [
            Day(day, given, paid, _printed(given, asset, book), _printed(paid, asset, book))
            for day in days
            for given, paid in ((allocated.get((asset, day), 0), moved.get((asset, day), 0)),)
        ]
        for asset in sorted({asset for asset, _ in allocated | moved})
        if asset in book.decimals
    }


def _flows(book: Book) -> list[Flow]:
    """Of each asset: opening + mined + received = what went to each class + fees + closing."""
    outflows = book.rows.rows("outflows")
    balances = book.rows.rows("balances")
    found = []
    for asset in sorted({row["asset"] for row in balances if row["asset"] in book.decimals}):
        held = [row for row in balances if row["asset"] == asset]
        if any(row["opening"] is None or row["closing"] is None for row in held):
            continue
        classes = {row["class"]: row for row in outflows if row["asset"] == asset}
        mined = sum(row["mined"] for name, row in classes.items() if name not in ("fee",))
        inside = sum(classes[name]["amount"] for name in INWARD if name in classes)
        received = sum(row["received"] for row in held) - inside
        came = [
            _stream("opening", sum(row["opening"] for row in held), book, asset),
            _stream("mined", mined, book, asset),
            _stream("received", received, book, asset),
        ]
        away = sorted(
            (row for name, row in classes.items() if name not in (*INWARD, "fee") and row["amount"]), key=lambda row: -row["amount"]
        )
        went = [_stream(row["class"], row["amount"], book, asset, row["outputs"]) for row in away]
        went += [
            _stream("fee", sum(row["fee"] for row in held), book, asset),
            _stream("closing", sum(row["closing"] for row in held), book, asset),
        ]
        total, difference = sum(one.amount for one in came), sum(one.amount for one in came) - sum(one.amount for one in went)
        moved = sum(classes[name]["amount"] for name in ("change", "internal") if name in classes)
        came = [one for one in came if one.amount or one.name == "opening"]
        went = [one for one in went if one.amount or one.name == "closing"]
        net = [one for one in came if one.name != "opening"], [one for one in went if one.name != "closing"]
        grown = went[-1].amount - came[0].amount
        net[grown >= 0].append(_stream("added" if grown >= 0 else "drawn", abs(grown), book, asset))
        found.append(
            Flow(
                asset=asset, came=came, went=went, net_came=net[0], net_went=net[1], total=_printed(total, asset, book),
                difference=_printed(difference, asset, book), adds_up=difference == 0, moved_inside=_printed(moved, asset, book),
            )
        )  # fmt: skip
    return found


def _stream(name: str, units: int, book: Book, asset: str, outputs: int | None = None) -> Stream:
    return Stream(name, units, _printed(units, asset, book), outputs, outputs is not None)


def _balance(row: dict[str, Any], book: Book) -> Balance:
    opening, received, sent, fee, closing, unspent = (
        _printed(row[name], row["asset"], book) for name in ("opening", "received", "sent", "fee", "closing", "unspent")
    )
    is_known = row["closing"] is not None and row["unspent"] is not None
    is_proved = row["closing"] == row["unspent"] if is_known else None
    return Balance(row["wallet"], row["asset"], opening, received, sent, fee, closing, unspent, is_proved)
