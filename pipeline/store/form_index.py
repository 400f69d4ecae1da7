"""One month's form in memory, in typed columns, for quick pages: filtered, sorted and counted without a scan of strings.

Enters: the rows of `out_report` in their own order, a slice at a time. Leaves: `FormPage`s. Texts are kept once each, and a row holds their place in the sorted list of them, so that a
search looks at each text once and a sort compares whole numbers. An index never changes: it belongs to one version, or to the draft of one moment. A filter's rows and sums, and an order, are
worked out at the first page that needs them and remembered. Thread-safe. Left out: where rows come from (`month_rows`, `enrich`), and how they print (`app`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import polars as pl

from pipeline.enrich.frames import REPORT, UNITS

Sort = Literal[
    "n", "miner_name", "miner_id", "licence_number", "wallet", "allocation_date", "asset", "amount", "transfer_amount", "transfer_date"
]
SORTS: tuple[Sort, ...] = (
    "n", "miner_name", "miner_id", "licence_number", "wallet", "allocation_date", "asset", "amount", "transfer_amount", "transfer_date",
)  # fmt: skip
"""The columns that the form can be sorted by."""
States = Literal["", "settled", "unsettled", "carried", "new"]
"""Rows with a transfer, without one, of allocations of earlier months, of the month's own allocations; all."""

KEPT_FILTERS = 64
"""Filters whose rows and sums are remembered: a bit for each row of the month."""
KEPT_ORDERS = 16
"""Orders that are remembered, of all rows or of a filter's: four bytes for each row."""
_TEXTS = ("miner_id", "miner_name", "licence_number", "wallet", "asset", "txid", "payer", "commission_asset", "commission_currency")
"""Columns of few different texts. `allocation_id` is different in most rows, and is kept as it is."""
_SEARCHED = ("miner_name", "licence_number", "wallet", "txid")


@dataclass(frozen=True)
class FormQuery:
    """Which rows of the form, in which order."""

    search: str = ""
    """A piece of the miner's name or number, the licence, the address, the allocation or the transaction, in any case."""
    miner_id: str = ""
    asset: str = ""
    state: States = ""
    payer: str | None = None
    """Empty: the pool itself; None: anybody."""
    first: date | None = None
    """Allocated on this day or later."""
    last: date | None = None
    sort: Sort = "n"
    is_descending: bool = False
    has_numbers: bool = True
    """Whether the search looks at IINs and BINs: for somebody who may not see them it would tell them digit by digit."""

    @property
    def is_filtered(self) -> bool:
        """Whether any row may be left out."""
        return bool(self.search.strip() or self.miner_id or self.asset or self.state or self.payer is not None or self.first or self.last)


@dataclass(frozen=True)
class FormPage:
    """A page of the form."""

    rows: list[dict[str, Any]]
    """As `out_report`, amounts in whole base units."""
    count: int
    """How many rows fit the filter."""
    sums: list[dict[str, Any]]
    """Of those rows: asset, n_rows, amount, settled (of rows with a transfer)."""


class FormIndex:
    """One month's form."""

    def __init__(self, slices: Iterable[pl.DataFrame], on_rows: Callable[[int], None] = lambda _: None) -> None:
        """`slices`: frames of the shape REPORT, whose `n` runs from 1 without a gap. `on_rows` is told how many rows are read."""
        shape: dict[str, pl.DataType | type[pl.DataType]] = {**REPORT}
        shape |= {name: pl.Categorical(pl.Categories.random()) for name in _TEXTS}
        parts, count = [pl.DataFrame(schema=shape)], 0
        for one in slices:
            parts.append(one.select(pl.col(name).cast(kind) for name, kind in shape.items()))
            count += one.height
            on_rows(count)
        whole = pl.concat(parts, rechunk=True)
        if not whole["n"].equals(pl.int_range(1, whole.height + 1, eager=True, dtype=pl.Int64).alias("n")):
            raise AssertionError("the rows of a form are numbered from 1 on")
        self._texts: dict[str, pl.Series] = {}
        for name in _TEXTS:
            whole, self._texts[name] = _with_places(whole, name)
        self._rows = whole.drop("n").with_columns(_narrow(whole[name]) for name in ("amount", "transfer_amount"))
        self._lowered = {name: self._texts[name].str.to_lowercase() for name in (*_SEARCHED, "miner_id")}
        self._ids = whole["allocation_id"].str.to_lowercase()
        self._lock = threading.Lock()
        self._filters: OrderedDict[FormQuery, tuple[pl.Series | None, list[dict[str, Any]]]] = OrderedDict()
        self._orders: OrderedDict[FormQuery, pl.Series] = OrderedDict()

    @property
    def height(self) -> int:
        """How many rows the form has."""
        return self._rows.height

    def page(self, query: FormQuery, *, limit: int, offset: int) -> FormPage:
        """A page of the rows that fit the query, in its order; rows that are equal in it stay in the form's own order (rule 7.5)."""
        if query.sort not in SORTS:
            raise ValueError(f"the form is not sorted by {query.sort!r}")
        _, sums = self._filtered(query)
        count = sum(one["n_rows"] for one in sums)
        if query.sort == "n" and not query.is_filtered:
            first = max(count - offset - limit, 0) if query.is_descending else offset
            length = min(limit, count - offset) if query.is_descending else limit
            places = pl.int_range(first, min(first + max(length, 0), count), eager=True, dtype=pl.UInt32)
            places = places.reverse() if query.is_descending else places
        else:
            places = self._ordered(query).slice(offset, limit)
        return FormPage(self._read(places), count, sums)

    def _read(self, places: pl.Series) -> list[dict[str, Any]]:
        """Rows by their places, with the texts in place of their numbers."""
        found = self._rows[places].with_columns(
            (places.cast(pl.Int64) + 1).alias("n"), *(pl.lit(self._texts[name]).gather(pl.col(name)).alias(name) for name in _TEXTS)
        )
        return found.select(list(REPORT)).to_dicts()

    def _filtered(self, query: FormQuery) -> tuple[pl.Series | None, list[dict[str, Any]]]:
        """Which rows fit (None: all), and what they come to."""
        key = replace(query, search=query.search.strip(), sort="n", is_descending=False)
        with self._lock:
            if (held := self._filters.get(key)) is not None:
                self._filters.move_to_end(key)
                return held
        fits = self._fitting(key) if key.is_filtered else None
        counted = self._rows.select("asset", "amount", "txid")
        sums = (
            (counted if fits is None else counted.filter(fits))
            .group_by("asset")
            .agg(
                n_rows=pl.len().cast(pl.Int64),
                amount=pl.col("amount").cast(UNITS).sum(),
                settled=pl.col("amount").filter(pl.col("txid").is_not_null()).cast(UNITS).sum(),
            )
            .sort("asset")
        )
        found = fits, sums.with_columns(self._texts["asset"].gather(sums["asset"]).alias("asset")).to_dicts()
        with self._lock:
            self._filters[key] = found
            while len(self._filters) > KEPT_FILTERS:
                self._filters.popitem(last=False)
        return found

    def _fitting(self, query: FormQuery) -> pl.Series:
        """A truth value for each row."""
        wanted: list[pl.Expr] = []
        for name, text in (("miner_id", query.miner_id or None), ("asset", query.asset or None), ("payer", query.payer)):
            if text == "":
                wanted.append(pl.col(name).is_null())
            elif text is not None:
                place = self._texts[name].index_of(text)
                wanted.append(pl.lit(value=False) if place is None else pl.col(name) == place)
        if query.first is not None:
            wanted.append(pl.col("allocation_date") >= query.first)
        if query.last is not None:
            wanted.append(pl.col("allocation_date") <= query.last)
        if query.state:
            wanted.append(_STATES[query.state])
        if query.search:
            wanted.append(pl.lit(self._found(query.search.lower(), has_numbers=query.has_numbers)))
        return self._rows.select(fits=pl.all_horizontal(*wanted, pl.col("amount").is_not_null()).fill_null(value=False))["fits"]

    def _found(self, words: str, *, has_numbers: bool) -> pl.Series:
        """Of each row whether one of its texts contains the words."""
        found = self._ids.str.contains(words, literal=True)
        for name in (*_SEARCHED, "miner_id") if has_numbers else _SEARCHED:
            hits = self._lowered[name].str.contains(words, literal=True)
            if hits.any():
                found = found | hits.gather(self._rows[name]).fill_null(value=False)
        return found

    def _ordered(self, query: FormQuery) -> pl.Series:
        """The places of the rows that fit, in the query's order."""
        key = replace(query, search=query.search.strip())
        with self._lock:
            if (held := self._orders.get(key)) is not None:
                self._orders.move_to_end(key)
                return held
        fits, _ = self._filtered(key)
        if key.sort == "n":
            assert fits is not None, "all rows in their own order need no list"
            found = fits.arg_true()
            found = found.reverse() if key.is_descending else found
        elif fits is None:
            by = self._rows.select(
                pl.arg_sort_by(key.sort, descending=key.is_descending, nulls_last=True, maintain_order=True).cast(pl.UInt32).alias("place")
            )
            found = by["place"]
        else:
            whole = self._ordered(FormQuery(sort=key.sort, is_descending=key.is_descending))
            found = whole.filter(fits.gather(whole))
        with self._lock:
            self._orders[key] = found
            while len(self._orders) > KEPT_ORDERS:
                self._orders.popitem(last=False)
        return found


_STATES: dict[str, pl.Expr] = {
    "settled": pl.col("txid").is_not_null(),
    "unsettled": pl.col("txid").is_null(),
    "carried": pl.col("is_carried"),
    "new": ~pl.col("is_carried"),
}


def _narrow(amounts: pl.Series) -> pl.Series:
    """Amounts in half the space where all of them fit, and sorted twice as fast; sums are made in full width."""
    greatest = amounts.max()
    return amounts.cast(pl.Int64) if isinstance(greatest, int) and greatest < 1 << 63 else amounts


def _with_places(rows: pl.DataFrame, name: str) -> tuple[pl.DataFrame, pl.Series]:
    """The rows with a column's texts replaced by their places in the sorted list of them; that list."""
    known = (
        rows.select(pl.col(name).unique().drop_nulls())
        .with_columns(number=pl.col(name).to_physical(), text=pl.col(name).cast(pl.String))
        .sort("text")
    )
    place_of = known.with_row_index("place").sort("number")
    # Numbers of categories may have gaps, so a place stands at each number up to the highest.
    numbers = pl.DataFrame({"number": pl.int_range(max(known["number"].to_list(), default=0) + 1, eager=True, dtype=pl.UInt32)})
    place = numbers.join(place_of.select("number", "place"), on="number", how="left", maintain_order="left")["place"]
    return rows.with_columns(place.gather(rows[name].to_physical()).alias(name)), known["text"].rename(name)
