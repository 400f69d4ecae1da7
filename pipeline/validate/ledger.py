"""Checks a ledger file: allocations, payments, and openings (rules 5, 6).

In: a `RawTable`. Out: the rows, or every fault. Checks across rows: ids are unique; all openings are of one instant (rule 6.4); an
allocation's id does not look like an opening's. Left out: accounts without a holder, payments that never reached the chain, and
everything else that becomes an issue in enrichment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Literal, get_args

import polars as pl

from pipeline.model.errors import SettingsError
from pipeline.model.message import message

from .check import Checked, check_columns
from .columns import ALLOCATIONS, OPENINGS, PAYMENTS, CellContext, Column, headings_of, mapping_faults
from .table import Fault, RawTable, raise_if_faults, shown
from .whole import PLAIN_DIGITS

LedgerKind = Literal["allocations", "payments", "openings"]
LEDGER_KINDS: tuple[LedgerKind, ...] = get_args(LedgerKind)
COLUMNS: dict[LedgerKind, tuple[Column, ...]] = {"allocations": ALLOCATIONS, "payments": PAYMENTS, "openings": OPENINGS}
KEYS: dict[LedgerKind, tuple[str, ...]] = {
    "allocations": ("allocation_id",),
    "payments": ("payment_id",),
    "openings": ("account", "asset"),
}
"""The key of a row: a row with the same key and other content is a restatement."""
INSTANT: dict[LedgerKind, str] = {"allocations": "allocated_at", "payments": "paid_at", "openings": "owed_at"}
"""The column with a row's instant, UTC microseconds."""
_HOUR_US = 3_600_000_000
OPENING_PREFIX = "opening:"
"""Openings become allocations with ids that begin so (rule 6.4)."""


def headings(kind: LedgerKind, mapping: Mapping[str, str]) -> list[str]:
    """The headings that a file of `kind` is looked for. Raises `SettingsError` for a mapping that names no column."""
    faults = mapping_faults(COLUMNS[kind], mapping)
    if faults:
        raise SettingsError(faults, source=message("headings of {kind}", kind=kind))
    return list(headings_of(COLUMNS[kind], mapping).values())


def check_ledger(
    table: RawTable,
    kind: LedgerKind,
    *,
    terms: CellContext,
    mapping: Mapping[str, str],
    ignored: Collection[str] = (),
) -> Checked:
    """The rows of a ledger file in the file's order, each with its `line`, and notes on them; identical rows are merged.

    Amounts are Int128 base units, instants Int64 µs, addresses as their network writes them, txids in small letters.
    Ids that name a row only within a month or a file (`Layout.ids`) get its name before them. Raises `InputRefused` with every fault.
    """
    checked = check_columns(table, COLUMNS[kind], mapping, ignored, terms)
    rows, faults = checked.rows, checked.faults
    if terms.layout.ids != "ledger" and kind != "openings":
        scope = month_of(INSTANT[kind]) if terms.layout.ids == "month" else pl.lit(table.source.rsplit(".", 1)[0])
        rows = rows.with_columns((scope + pl.lit(":") + pl.col(KEYS[kind][0])).alias(KEYS[kind][0]))
    names = headings_of(COLUMNS[kind], mapping)
    rows, repeated = drop_repeats(rows, KEYS[kind], names)
    faults += repeated
    if kind == "allocations":
        borrowed = rows.filter(pl.col("allocation_id").str.starts_with(OPENING_PREFIX))
        faults += [
            Fault(
                line,
                names["allocation_id"],
                message("begins with {OPENING_PREFIX}, as openings do: give it another id", OPENING_PREFIX=repr(OPENING_PREFIX)),
            )
            for line in borrowed["line"]
        ]
    if kind == "openings":
        faults += _one_instant(rows, names["owed_at"])
    raise_if_faults(table.source, faults)
    return Checked(rows, [], checked.notes)


def month_of(at: str) -> pl.Expr:
    """The month in Almaty of a column of instants in microseconds (rule 1.2): `2026-10`."""
    return pl.from_epoch(at, time_unit="us").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Almaty").dt.strftime("%Y-%m")


def months_of(instants: pl.Series) -> pl.Series:
    """`month_of` of a column of instants since 1970. Almaty's clocks have stood whole hours from UTC since 1924, so each hour is looked up once."""
    hours = instants // _HOUR_US
    first, last = hours.min(), hours.max()
    assert isinstance(first, int | None) and isinstance(last, int | None)
    if first is None or last is None or last - first > len(instants) or first < 0:
        return instants.to_frame("at").select(month_of("at")).to_series()
    known = pl.DataFrame({"at": pl.int_range(first, last + 1, eager=True) * _HOUR_US}).select(month_of("at")).to_series()
    return known.gather(hours - first)


def drop_repeats(
    rows: pl.DataFrame, key: Collection[str], names: Mapping[str, str], *, is_shown: bool = True
) -> tuple[pl.DataFrame, list[Fault]]:
    """Rows without exact repetitions (the first is kept), and a fault for each key with different rows.

    `is_shown`: whether a fault may print the key.
    """
    keys = list(key)
    if len(keys) == 1 and _ascend(rows[keys[0]]):
        return rows, []
    named = rows.select(keys).drop_nulls()
    if named.hash_rows().n_unique() == named.height:  # as nearly always, and quicker than to compare the keys
        return rows, []
    repeated = rows.select(keys).is_duplicated() & rows.select(pl.all_horizontal(pl.col(keys).is_not_null())).to_series()
    if not repeated.any():
        return rows, []
    kept = rows.unique([name for name in rows.columns if name != "line"], keep="first", maintain_order=True)
    clashing = kept.filter(pl.all_horizontal(pl.col(keys).is_not_null()) & pl.struct(keys).is_duplicated())
    firsts = clashing.with_columns(first=pl.col("line").min().over(keys)).filter(pl.col("line") > pl.col("first"))
    headings_ = ", ".join(names[name] for name in keys)
    faults = [
        Fault(
            line,
            headings_,
            message(
                "{id} stands in line {first} already, with other values",
                id="/".join(shown(value) for value in ids) if is_shown else message("the same"),
                first=first,
            ),
        )
        for line, first, *ids in firsts.select("line", "first", *keys).iter_rows()
    ]
    return kept, faults


def _ascend(ids: pl.Series) -> bool:
    """Whether each id is longer than the one before it, or as long and greater, as running numbers are: then none stands twice."""
    if ids.dtype != pl.String or ids.null_count():
        return False
    length, id_ = pl.col("id").str.len_bytes(), pl.col("id")
    step = length.cast(pl.Int64).diff(null_behavior="drop")
    is_after = pl.DataFrame({"id": ids}).select(((step > 0) | ((step == 0) & (id_.slice(1) > id_.slice(0, pl.len() - 1)))).all())
    return bool(is_after.item())


def count_repeated(fresh: pl.DataFrame, rows: pl.DataFrame, others: pl.DataFrame, at: str) -> int:
    """New rows with the account, asset, instant and amount (above 0) of another row of the file or of the ledger's `others` (rule 4.6)."""
    same = ["account", "asset", at, "amount"]
    marks = rows.select(same).hash_rows()
    alike = rows.filter(marks.is_duplicated()) if marks.n_unique() < rows.height else rows.clear()
    in_file = alike.group_by(same).len().filter(pl.col("len") > 1).select(same)
    if others.is_empty() and in_file.is_empty():
        return 0
    credits = fresh.filter(pl.col("amount") > 0)
    return credits.join(pl.concat([others.select(same).unique(), in_file]).unique(), same, "semi").height


def beyond_digits(rows: pl.DataFrame, others: pl.DataFrame, heading: str) -> list[Fault]:
    """Assets of which the file and the ledger's `others` would hold more than 38 digits of base units together: sums of them are whole up to there (rule 2.1)."""
    greatest = max((int(found) for part in (rows, others) if (found := part["amount"].max()) is not None), default=0)  # type: ignore[arg-type]
    if greatest * (rows.height + others.height) < 10**PLAIN_DIGITS:  # as nearly always
        return []
    sums: dict[str, int] = {}
    for asset, amount in pl.concat([part.select("asset", "amount") for part in (rows, others)]).drop_nulls().iter_rows():
        sums[asset] = sums.get(asset, 0) + amount
    return [
        Fault(
            None,
            heading,
            message(
                "the ledger would hold more than {digits} digits of base units of {asset}: is the column in coins, as the settings say?",
                digits=PLAIN_DIGITS,
                asset=asset,
            ),
        )
        for asset, amount in sorted(sums.items())
        if amount >= 10**PLAIN_DIGITS
    ]


def _one_instant(rows: pl.DataFrame, heading: str) -> list[Fault]:
    """Rule 6.4: the opening is one instant."""
    first = rows["owed_at"].drop_nulls().head(1)
    if first.is_empty():
        return []
    others = rows.filter(pl.col("owed_at") != first[0])
    return [
        Fault(line, heading, message("is another instant than {said}, the first row's: all openings stand at one", said=said(first[0])))
        for line in others["line"]
    ]


def older_than_opening(rows: pl.DataFrame, opening_us: int | None, heading: str) -> list[Fault]:
    """Rule 6.4: allocations older than the opening are refused; what was owed for them is in the opening."""
    if opening_us is None:
        return []
    old = rows.filter(pl.col("allocated_at") < opening_us)
    return [
        Fault(line, heading, message("is before the opening, {said}: what was owed then is in the opening already", said=said(opening_us)))
        for line in old["line"]
    ]


def said(at_us: int) -> str:
    """An instant in microseconds for a message: `2026-10-01T00:00:00+00:00`."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat()
