"""Converts the texts of cells to values, vectorised, and explains what is wrong with an invalid one.

In: a column of trimmed text (null for empty). Out: an expression for the values, null where a text is invalid; and the explanation for one
invalid text. Rules 1.2 (days are days in Almaty), 2.1 (whole base units), 9.7 (currency amounts as given).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from functools import lru_cache

import polars as pl

from pipeline.chains.networks import OURS, AnyNetwork, address_on, is_account_network
from pipeline.model.message import joined, message, text_of

from .layout import COULD_BE_THOUSANDS, OWN, Layout, Rounding
from .table import CellType, shown, shown_amount
from .texts import INVISIBLE_IN_ID, INVISIBLE_IN_NAME, NOT_A_VALUE, NOT_AN_ID, why_invisible, why_not_a_value
from .whole import PLAIN_DIGITS, by_distinct, plain_decimals

ID_CHARACTERS = 200
NAME_CHARACTERS = 1_000
REFERENCE_CHARACTERS = 128
FIRST_YEAR, LAST_YEAR = 2009, 2099
"""Instants outside these years (before the first block of any chain, or far in the future) are refused."""
OWN_CLASSES = frozenset({"data", "internal", "change", "payout", "reward", "unknown", "fee", "network-share"})
"""Classes that the rules assign (section 3): a counterparty can't have them."""

_PLAIN = r"^[0-9]+(?:\.[0-9]+)?$"
_SECONDS = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-5][0-9]"
_INSTANT = _SECONDS + r"(?:\.[0-9]{1,6}0*)?"
_OFFSET = r" ?(?:Z|UTC|GMT|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)$"
_EPOCH = {"s": r"^[0-9]{9,10}$", "ms": r"^[0-9]{12,13}$"}
_EPOCH_US = {"s": 1_000_000, "ms": 1_000}
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]00:00:00(?:\.0+)?)?$"


class Kind(StrEnum):
    """What a column's cells mean."""

    ID = "id"
    NAME = "name"
    MINER = "miner"
    ASSET = "asset"
    AMOUNT = "amount"
    PLAIN = "plain"
    INSTANT = "instant"
    DATE = "date"
    TXID = "txid"
    ADDRESS = "address"
    CLASS = "class"
    REFERENCE = "reference"
    """What an off-chain payer calls a payment, or where it went: any text (rule 10.5)."""


_MOMENTS = frozenset({CellType.TEXT, CellType.MOMENT})
_NUMBERS = frozenset({CellType.TEXT, CellType.NUMBER})
_QUANTITIES = frozenset({Kind.AMOUNT, Kind.PLAIN})
TYPES = {kind: _MOMENTS if kind in (Kind.INSTANT, Kind.DATE) else _NUMBERS for kind in Kind}
"""The cell types accepted for a kind, where columns have types (Parquet)."""
TYPES_OF_WORKBOOKS = {
    kind: types if types is _MOMENTS or kind in _QUANTITIES else frozenset({CellType.TEXT}) for kind, types in TYPES.items()
}
"""In a workbook, ids, accounts, IIN/BINs, licences and references must be text: as numbers they may have lost leading zeros or last digits."""


def value_of(kind: Kind, column: str, *, decimals: pl.Expr | None = None) -> pl.Expr:
    """The value of `column`'s text; null where it is invalid. `decimals`: of the row's asset (AMOUNT).

    For instants and addresses see `instants`, `canonical_addresses`.
    """
    text = pl.col(column)
    match kind:
        case Kind.AMOUNT:
            assert decimals is not None
            return units(text, decimals).alias(column)
        case Kind.DATE:
            day = pl.when(text.str.contains(_DATE)).then(text.str.slice(0, 10)).str.to_date("%Y-%m-%d", strict=False)
            return pl.when(day.dt.year() >= 1900).then(day).alias(column)
        case Kind.TXID:
            txid = text.str.to_lowercase().str.strip_prefix("0x")
            return pl.when(txid.str.contains("^[0-9a-f]{64}$")).then(txid).alias(column)
        case Kind.PLAIN:
            is_good = text.str.contains(_PLAIN) & (text.str.len_bytes() <= PLAIN_DIGITS)
        case Kind.NAME:
            is_good = ~text.str.contains(INVISIBLE_IN_NAME) & ~text.str.contains(NOT_A_VALUE) & (text.str.len_chars() <= NAME_CHARACTERS)
        case Kind.REFERENCE:
            is_good = (
                ~text.str.contains(INVISIBLE_IN_NAME) & ~text.str.contains(NOT_A_VALUE) & (text.str.len_chars() <= REFERENCE_CHARACTERS)
            )
        case _:
            is_good = ~text.str.contains(INVISIBLE_IN_ID) & ~text.str.contains(NOT_AN_ID) & (text.str.len_chars() <= ID_CHARACTERS)
            if kind is Kind.CLASS:
                is_good &= ~text.is_in(sorted(OWN_CLASSES))
    return pl.when(is_good).then(text).alias(column)


def units(text: pl.Expr, decimals: pl.Expr, rounding: Rounding = "none") -> pl.Expr:
    """Whole base units, Int128, of plain decimals (rule 2.1): `model.to_units`, vectorised, null where that raises.

    `rounding`: what becomes of an amount finer than the base unit; "none" makes it null.
    """
    whole, fraction = _parts(text)
    digits = (whole + fraction.str.slice(0, decimals).str.pad_end(decimals, "0")).str.strip_chars_start("0")
    finer = fraction.str.slice(decimals).str.strip_chars_end("0")
    fits = digits.str.len_bytes() <= 38
    if rounding == "none":
        fits &= finer == ""
    value = pl.when(fits).then(pl.when(digits == "").then(pl.lit("0")).otherwise(digits)).cast(pl.Int128)
    if rounding == "half-up":
        value += (finer >= "5").cast(pl.Int128)
    elif rounding == "half-even":
        value += ((finer > "5") | ((finer == "5") & digits.str.contains("[13579]$"))).cast(pl.Int128)
    return value


def column_units(texts: pl.Series, decimals: pl.Series, rounding: Rounding = "none") -> pl.Series:
    """As `units`, of a whole column: Int128. Decimals no finer than their asset, as nearly all are, are parsed as such; the others by `units`."""
    if texts.null_count() == len(texts):
        return pl.Series(texts.name, [None], dtype=pl.Int128).new_from_index(0, len(texts))
    known = decimals.unique().drop_nulls()
    if len(known) == 1 and not decimals.null_count() and known[0] < PLAIN_DIGITS and texts.str.contains(plain_decimals(known[0])).all():
        return texts.cast(pl.Decimal(PLAIN_DIGITS, known[0])).to_physical()
    frame, text = pl.DataFrame({"text": texts, "decimals": decimals}), pl.col("text")
    quick = pl.lit(None, pl.Int128)
    for places in known:
        if places < PLAIN_DIGITS:
            is_plain = (pl.col("decimals") == places) & text.str.contains(plain_decimals(places))
            plain = pl.when(is_plain).then(text).cast(pl.Decimal(PLAIN_DIGITS, places), strict=False)
            quick = pl.coalesce(plain.to_physical(), quick)
    found = frame.with_columns(units=quick)
    is_left = pl.col("units").is_null() & text.is_not_null()
    if found.select(is_left.any()).item():
        others = units(pl.when(is_left).then(text), pl.col("decimals"), rounding)
        found = found.with_columns(units=pl.coalesce("units", others))
    return found["units"].alias(texts.name)


def is_finer(text: pl.Expr, decimals: pl.Expr) -> pl.Expr:
    """Whether a plain decimal has more decimals than the asset; null where it is none."""
    return _parts(text)[1].str.slice(decimals).str.strip_chars_end("0") != ""


def _parts(text: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """The digits before and after the dot; null where the text is no plain decimal."""
    parts = pl.when(text.str.contains(_PLAIN)).then(text).str.split_exact(".", 1)
    whole = parts.struct.field("field_0")
    return whole, pl.when(whole.is_not_null()).then(parts.struct.field("field_1").fill_null(""))


def epoch_instants(texts: pl.Series, epoch: str) -> pl.Series:
    """Microseconds since the Unix epoch of whole seconds (`s`) or milliseconds (`ms`) since then; null for other texts."""
    text = pl.col(texts.name or "")
    at = pl.when(text.str.contains(_EPOCH[epoch])).then(text).cast(pl.Int64) * _EPOCH_US[epoch]
    is_near = pl.from_epoch(at, "us").dt.year().is_between(FIRST_YEAR, LAST_YEAR)
    return texts.to_frame().select(pl.when(is_near).then(at).alias(texts.name)).to_series()


def instants(texts: pl.Series, timezone: str | None) -> pl.Series:
    """Microseconds since the Unix epoch, Int64, of ISO 8601 with an offset, or of `timezone`'s wall clock without one."""
    return by_distinct(texts, lambda some: _instants(some, timezone))


def _instants(texts: pl.Series, timezone: str | None) -> pl.Series:
    # The part after the seconds is the same in most rows of a file, so each distinct one is parsed once.
    tail = pl.col("tail")
    offset = tail.str.extract(r"([+-][0-9:]+)$").str.replace(":", "", literal=True)
    minutes = offset.str.slice(1, 2).cast(pl.Int64) * 60 + offset.str.slice(3, 2).str.pad_end(2, "0").cast(pl.Int64)
    tails = pl.DataFrame({"tail": texts.str.slice(19).unique()}).with_columns(
        fraction_us=tail.str.extract(r"^\.([0-9]{1,6})").str.pad_end(6, "0").cast(pl.Int64).fill_null(0),
        ahead_us=(pl.when(offset.str.starts_with("-")).then(-minutes).otherwise(minutes) * 60_000_000).fill_null(0),
        is_zoned=tail.str.contains(r"^(?:\.[0-9]{1,6}0*)?" + _OFFSET),
        is_local=tail.str.contains(r"^(?:\.[0-9]{1,6}0*)?$"),
    )
    local = pl.col("local")
    frame = pl.DataFrame({"text": texts})
    if tails.height == 1:
        frame = frame.with_columns(pl.lit(value, tails.schema[name]).alias(name) for name, value in tails.row(0, named=True).items())
    else:
        frame = frame.with_columns(tail=texts.str.slice(19)).join(tails, "tail", "left", nulls_equal=True, maintain_order="left")
    seconds = pl.col("text").str.slice(0, 19)
    if texts.str.contains(" ", literal=True).any():
        seconds = seconds.str.replace(" ", "T", literal=True)
    frame = frame.with_columns(
        local=pl.when(pl.col("text").str.contains(_SECONDS))
        .then(seconds)
        .str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False, cache=False)
    )
    at: pl.Expr = pl.when("is_zoned").then(local.dt.timestamp("us") + pl.col("fraction_us") - pl.col("ahead_us"))
    if timezone is not None:
        here = local.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null").dt.timestamp("us")
        at = pl.when("is_local").then(here + pl.col("fraction_us")).otherwise(at)
    is_near = local.dt.year().is_between(FIRST_YEAR, LAST_YEAR)
    return frame.select(pl.when(is_near).then(at)).to_series().alias(texts.name)


@lru_cache(maxsize=1 << 17)
def address_fault(address: str, network: AnyNetwork | str | None) -> tuple[str | None, str]:
    """An address as its network (one of ours where it is a name) writes it, and what is wrong with it ("" for nothing).

    A network whose addresses this program can't read (None, or a name that is none of ours) gets the basic check: visible ASCII, no
    spaces. An account's address with a wrong checksum is kept as it is written: enrichment makes it issue `bad-address` (ADR 7).
    """
    if not re.fullmatch(r"[!-~]{1,200}", address):
        return None, message("{address} is not an address: it has spaces or characters other than ASCII", address=shown(address))
    if network is None or (isinstance(network, str) and not (network in OURS.names or is_account_network(network))):
        return address, ""
    try:
        return address_on(network, address), ""
    except ValueError as error:
        return None, text_of(error)


def canonical_addresses(addresses: pl.Series, chains: pl.Series, networks: Mapping[str, AnyNetwork | str]) -> pl.Series:
    """Addresses as their chain's network writes them; null where one is no address of it. Each is looked at once."""
    pairs = pl.DataFrame({"address": addresses, "chain": chains})
    seen = pairs.unique().drop_nulls("address")
    values = [address_fault(address, networks.get(chain))[0] for address, chain in seen.iter_rows()]
    found = pairs.join(
        seen.with_columns(value=pl.Series(values, dtype=pl.String)), ["address", "chain"], "left", nulls_equal=True, maintain_order="left"
    )
    return found["value"].alias(addresses.name)


def why_invalid(
    kind: Kind,
    text: str,
    *,
    decimals: int | None = None,
    has_timezone: bool = False,
    network: AnyNetwork | str | None = None,
    layout: Layout = OWN,
) -> str:
    """What is wrong with an invalid cell's text, and what to write instead."""
    match kind:
        case Kind.AMOUNT | Kind.PLAIN:
            return _why_no_amount(text, decimals, layout)
        case Kind.INSTANT:
            return _why_no_instant(text, has_timezone, layout)
        case Kind.DATE:
            return _why_no_day(text, layout)
        case Kind.TXID:
            return message("{text} is not a transaction id: 64 hexadecimal digits, with or without 0x", text=shown(text))
        case Kind.ADDRESS:
            return address_fault(text, network)[1]
        case Kind.CLASS if text in OWN_CLASSES:
            return message(
                "{text} is a class that the rules give themselves: choose another word, such as vendor or exchange", text=repr(text)
            )
    is_id = kind not in (Kind.NAME, Kind.REFERENCE)
    limit = {Kind.NAME: NAME_CHARACTERS, Kind.REFERENCE: REFERENCE_CHARACTERS}.get(kind, ID_CHARACTERS)
    unseen = why_invisible(text, INVISIBLE_IN_ID if is_id else INVISIBLE_IN_NAME)
    return (
        unseen
        or why_not_a_value(text, is_id=is_id)
        or message("is too long, {count} characters: at most {limit}", count=len(text), limit=limit)
    )


def _why_no_amount(text: str, decimals: int | None, layout: Layout) -> str:
    if layout.decimal == "either" and re.match(COULD_BE_THOUSANDS, text):
        return message(
            "{shown_amount} could be thousands, or decimals: set decimal in {place} to the sign that it is, or write all decimals",
            shown_amount=shown_amount(text),
            place=layout.place,
        )
    comma = layout.decimal == ","
    plain = message(
        "write digits, with a {more} before the decimals, such as {more_2}",
        more="comma" if comma else "dot",
        more_2="0,01234560" if comma else "0.01234560",
    )
    amount = re.fullmatch(r"[0-9]+(?:[.,]([0-9]+))?", text)
    fraction = (amount[1] or "").rstrip("0") if amount else ""
    groups = r"[0-9]{1,3}([ \u00a0\u2009\u202f'_,.][0-9]{3})+([.,][0-9]+)?"
    causes = (
        (re.fullmatch(r"[-−–].*|[0-9.,]+ ?[-−–]", text), message("is negative: amounts are 0 or more")),
        (re.fullmatch(r"\([^()]*[0-9][^()]*\)", text), message("is negative (brackets): amounts are 0 or more")),
        (re.fullmatch(r"[0-9.,\s]+%", text), message("is a percentage: {plain}", plain=plain)),
        (re.fullmatch(r"[+]?[0-9.,]+[eEеЕ][-+]?[0-9]+", text), message("has an exponent: {plain}", plain=plain)),
        (
            not comma and amount and "," in text,
            message('has a comma: {plain}, or set decimal = "," in {place}', plain=plain, place=layout.place),
        ),
        (comma and amount and "." in text, message('has a dot where {place} says decimal = ",": {plain}', place=layout.place, plain=plain)),
        (
            not amount and not layout.grouping and re.fullmatch(groups, text),
            message("has thousands separators: {plain}, or set grouping in {place}", plain=plain, place=layout.place),
        ),
        (
            re.fullmatch(r"[^\W\d]*\.? ?[0-9][0-9.,\s]* ?[^\W\d]+\.?|[^\W\d]+\.? ?[0-9][0-9.,\s]*|\W?\s?[0-9][0-9.,\s]*\s?\W?", text)
            and re.search(r"[^\W\d]|[^\w\s.,+]", text),
            message(
                "has a unit or a currency beside the digits: {plain}, and for whole satoshi set base_units = true in {place}",
                plain=plain,
                place=layout.place,
            ),
        ),
        (not amount, message("is not an amount: {plain}", plain=plain)),
        (layout.is_in_base_units and fraction, message("is no whole number, and {place} says base_units = true", place=layout.place)),
        (
            decimals is not None and len(fraction) > decimals,
            message(
                "has {count} decimals, the asset has {decimals}: write it as it was booked, or set rounding in {place}",
                count=len(fraction),
                decimals=decimals,
                place=layout.place,
            ),
        ),
    )
    words = next(
        (words for applies, words in causes if applies), message("is too large: more than {plain_digits} digits", plain_digits=PLAIN_DIGITS)
    )
    return joined(" ", [shown_amount(text), words])


def _why_no_day(text: str, layout: Layout) -> str:
    ways = joined(message(" or "), ("2026-10-31", *(name for name in layout.days if name != "yyyy-mm-dd")))
    if re.fullmatch(r"[0-9]{1,2}([./])[0-9]{1,2}\1[0-9]{4}.*", text) and not layout.days:
        days = message('["dd/mm/yyyy"] or ["mm/dd/yyyy"], whichever it is,') if "/" in text else '["dd.mm.yyyy"]'
        return message(
            "{text} is not written as 2026-10-31: write it so, or set days = {days} in {place}",
            text=shown(text),
            days=days,
            place=layout.place,
        )
    is_day = re.match("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) and _is_day(text[:10])
    if is_day and text < "1900":
        return message("{text} is before 1900, as a spreadsheet has an empty date: empty the cell, or write the day", text=shown(text))
    if is_day and text[10:11] in ("T", " "):
        return message("{text} has a time, where a day is meant: write it as {ways}", text=shown(text), ways=ways)
    return message("{text} is not a day of the calendar: write it as {ways}", text=shown(text), ways=ways)


def _why_no_instant(text: str, has_timezone: bool, layout: Layout) -> str:
    example = message("write it as 2026-10-31T23:59:59+05:00")
    years = message("of the years {first_year} to {last_year}", first_year=FIRST_YEAR, last_year=LAST_YEAR)
    if layout.epoch:
        unit = {"s": "seconds", "ms": "milliseconds"}[layout.epoch]
        return message(
            "{shown_amount} is no whole number of {unit} since 1970, as {place} says (epoch), {years}",
            shown_amount=shown_amount(text),
            unit=unit,
            place=layout.place,
            years=years,
        )
    is_local = bool(re.match(_INSTANT + "$", text))
    has_day = bool(re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text))
    has_other_day = bool(re.match(r"[0-9]{1,2}([./])[0-9]{1,2}\1[0-9]{4}", text))
    days = message('["dd/mm/yyyy"] or ["mm/dd/yyyy"], whichever it is,') if "/" in text else '["dd.mm.yyyy"]'
    is_clock = is_local and int(text[11:13]) < 24 and int(text[14:16]) < 60
    causes = (
        (
            re.fullmatch("[0-9]{9,10}", text),
            message('is a number: {example}, or set epoch = "s" in {place}', example=example, place=layout.place),
        ),
        (
            re.fullmatch("[0-9]{12,13}", text),
            message('is a number: {example}, or set epoch = "ms" in {place}', example=example, place=layout.place),
        ),
        (
            has_other_day and not layout.days,
            message(
                "is not written as ISO 8601: {example}, or set days = {days} in {place}", example=example, days=days, place=layout.place
            ),
        ),
        (
            has_other_day,
            message(
                "is no day and time of the calendar: {example} or as {days} 23:59",
                example=example,
                days=joined(message(" or "), layout.days),
            ),
        ),
        (has_day and not _is_day(text[:10]), message("is not a day of the calendar: {example}", example=example)),
        (
            is_local and not has_timezone,
            message("has no offset from UTC: {example}, or set zone in {place}", example=example, place=layout.place),
        ),
        (re.fullmatch(r".*\.[0-9]{7,}.*", text), message("is finer than a microsecond: {example}", example=example)),
        (re.match(_INSTANT, text) and not FIRST_YEAR <= int(text[:4]) <= LAST_YEAR, message("is not {years}", years=years)),
        (is_clock, message("is a wall clock that this timezone shows twice or never: {example}", example=example)),
    )
    words = next((words for applies, words in causes if applies), message("is not an instant: {example}", example=example))
    return joined(" ", [shown_amount(text), words])


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
