"""Rows that are taken off other rows: books that hold the gross credit, and fees and donations in rows of their own.

In: a `RawTable` with its constant columns, the headings expected, and a `Layout` with `net`. Out: the table without the rows taken off, its
amounts net (rule 6.3), what of it was commission in the columns of commission; and the faults. Sums are exact decimals, as the file has them.
A row that fits no credit, or more than one, is a fault: nothing is netted by guess. Left out: rounding (`check`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import polars as pl

from pipeline.model.message import joined, message

from .layout import Layout, Net, as_amounts
from .table import CellType, Fault, RawColumn, RawTable, column_of, filter_rows, shown, shown_amount

_EMPTY = (None, "NULL", r"\N")
"""How an export of MySQL writes nothing."""


@dataclass
class _Credit:
    """A row that others are taken off: its place, and the places of those, by what they are."""

    place: int
    taken: dict[str, int] = field(default_factory=dict)


def netted(table: RawTable, names: Mapping[str, str], layout: Layout) -> tuple[RawTable, list[Fault], dict[str, int]]:
    """The table with net amounts, the faults, and how many rows of which kind were taken off.

    `names`: the heading expected for each column. All headings of `layout.net` stand in the table.
    """
    net = layout.net
    assert net is not None
    kinds = column_of(table, net.column).values.to_list()
    if not any(kind in net.of for kind in kinds):
        return table, [], {}
    amounts = column_of(table, names["amount"])
    plain = _plain(amounts, layout)
    found, faults = _matched(table, kinds, net, layout)
    texts = list(plain)
    commissions: list[str | None] = [None] * len(kinds)
    for credit in found:
        wrong = [place for place in (credit.place, *credit.taken.values()) if plain[place] is None]
        for place in wrong:
            if place != credit.place:  # that of a row that stays is told by the check of its column
                text = amounts.values[place]
                what = message("{shown_amount} is no amount", shown_amount=shown_amount(text)) if text else message("is missing")
                faults.append(
                    Fault(
                        table.lines[place],
                        amounts.heading,
                        message("{what}, and is taken off line {lines}", what=what, lines=table.lines[credit.place]),
                    )
                )
        if not wrong and credit.taken:
            _settle(table, credit, net, plain, texts, commissions, faults, amounts.heading)
    counts = Counter(kind for kind in kinds if kind in net.of)
    stays = pl.Series([kind not in net.of for kind in kinds])
    return filter_rows(_with_amounts(table, names, amounts, texts, commissions), stays), faults, dict(counts)


def _settle(
    table: RawTable, credit: _Credit, net: Net, plain: list[str | None], texts: list[str | None], commissions: list[str | None],
    faults: list[Fault], heading: str,
) -> None:  # fmt: skip
    gross = Decimal(plain[credit.place] or "0")
    off = {kind: Decimal(plain[place] or "0") for kind, place in credit.taken.items()}
    left = gross - sum(off.values())
    if left < 0:
        lines = ", ".join(str(table.lines[place]) for place in credit.taken.values())
        faults.append(
            Fault(
                table.lines[credit.place],
                heading,
                message(
                    "is less than what line {lines} takes off it: {gross}, and {gross2}",
                    lines=lines,
                    gross=format(gross, "f"),
                    gross2=format(gross - left, "f"),
                ),
            )
        )
        return
    texts[credit.place] = f"{left:f}"
    commission = [amount for kind, amount in off.items() if kind in net.commission]
    if commission:
        commissions[credit.place] = f"{sum(commission):f}"


def _plain(amounts: RawColumn, layout: Layout) -> list[str | None]:
    """The column's amounts as plain decimals; None where one is none."""
    frame = pl.DataFrame({"text": amounts.values})
    written = frame.select(as_amounts(pl.col("text"), layout)).to_series()
    if isinstance(amounts.types, pl.Series):
        is_text = amounts.types == CellType.TEXT.value
        written = pl.DataFrame({"w": written, "t": amounts.values, "x": is_text}).select(pl.when("x").then("w").otherwise("t")).to_series()
    elif amounts.types is not CellType.TEXT:
        written = amounts.values
    return pl.DataFrame({"w": written}).select(pl.when(pl.col("w").str.contains(r"^[0-9]+(\.[0-9]+)?$")).then("w")).to_series().to_list()


def _with_amounts(
    table: RawTable, names: Mapping[str, str], amounts: RawColumn, texts: list[str | None], commissions: list[str | None]
) -> RawTable:
    """The table with plain decimals for its amounts, marked as numbers, and the commission beside them."""
    values = [text if text is not None else given for text, given in zip(texts, amounts.values, strict=True)]
    given = amounts.types if isinstance(amounts.types, pl.Series) else [amounts.types.value] * len(values)
    types = [CellType.NUMBER.value if text is not None else int(kind) for text, kind in zip(texts, given, strict=True)]
    net_column = replace(amounts, values=pl.Series(values, dtype=pl.String), types=pl.Series(types, dtype=pl.UInt8), declared="")
    assets = column_of(table, names["asset"]).values
    has = pl.Series([text is not None for text in commissions])
    asset_texts = pl.DataFrame({"asset": assets, "has": has}).select(pl.when("has").then("asset")).to_series()
    made = [
        RawColumn(names["commission_asset"], asset_texts),
        RawColumn(
            names["commission_amount"],
            pl.Series(commissions, dtype=pl.String),
            pl.Series([CellType.NUMBER.value] * len(commissions), dtype=pl.UInt8),
        ),
    ]
    return replace(table, columns=[net_column if column is amounts else column for column in table.columns] + made)


def _matched(table: RawTable, kinds: list[str | None], net: Net, layout: Layout) -> tuple[list[_Credit], list[Fault]]:
    """Which rows are taken off which: by the headings that both share, or, where one is empty, the nearest credit before in `order`."""
    same = list(zip(*(column_of(table, heading).values.to_list() for heading in net.same), strict=True))
    order, faults = _numbers(table, net.order)
    by_key: dict[tuple[str | None, ...], list[_Credit]] = defaultdict(list)
    by_owner: dict[tuple[str | None, ...], list[tuple[int, _Credit]]] = defaultdict(list)
    targets = set(net.of.values())
    for place, kind in enumerate(kinds):
        if kind in targets:
            credit = _Credit(place)
            if any(part in _EMPTY for part in same[place]):
                by_owner[kind, same[place][0]].append((order[place], credit))
            else:
                by_key[kind, *same[place]].append(credit)
    for waiting in by_owner.values():
        waiting.sort(key=lambda entry: entry[0])
    for place, kind in enumerate(kinds):
        if kind is None or kind not in net.of:
            continue
        target = net.of[kind]
        if any(part in _EMPTY for part in same[place]):
            before = by_owner[target, same[place][0]]
            at = bisect_left(before, order[place], key=lambda entry: entry[0])
            found = [before[at - 1][1]] if at else []
            where = message("before it by {order}, of the same {same}", order=net.order, same=net.same[0])
        else:
            found = by_key[target, *same[place]]
            where = message("of the same {same}", same=joined(message(" and "), net.same))
        what = message(
            "is {kind}, and the file has {count} {target} {where}",
            kind=shown(kind),
            count=len(found) or message("no"),
            target=target,
            where=where,
        )
        if len(found) != 1:
            faults.append(Fault(table.lines[place], net.column, message("{what}: export whole months", what=what)))
        elif kind in found[0].taken:
            other, of = table.lines[found[0].taken[kind]], table.lines[found[0].place]
            faults.append(
                Fault(
                    table.lines[place],
                    net.column,
                    message("is a second {kind} of line {of}, beside line {other}: which counts?", kind=kind, of=of, other=other),
                )
            )
        else:
            found[0].taken[kind] = place
    return [credit for entries in (*by_key.values(), *([c for _, c in e] for e in by_owner.values())) for credit in entries], faults


def _numbers(table: RawTable, heading: str) -> tuple[list[int], list[Fault]]:
    numbers, faults = [], []
    for line, text in zip(table.lines, column_of(table, heading).values, strict=True):
        is_number = text is not None and text.isdecimal() and len(text) <= 30
        numbers.append(int(text) if is_number else -1)
        if not is_number:
            faults.append(
                Fault(line, heading, message("{text} is no whole number, by which rows are put in order", text=shown(text or "")))
            )
    return numbers, faults
