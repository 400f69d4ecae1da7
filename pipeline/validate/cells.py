"""Cells: from the text of a cell to its value, vectorised, and the words for what is wrong with it.

In: a column of trimmed text (null for empty). Out: an expression that gives the value, null wherever the text is none; and,
for one such text, why. Rules 1.2 (days are days in Almaty), 2.1 (whole base units), 9.7 (currency amounts as given).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

import polars as pl

from pipeline.chains.bitcoin.networks import NETWORKS
from pipeline.chains.networks import address_on, is_account_network

from .table import CellType, shown

ID_CHARACTERS = 200
NAME_CHARACTERS = 1_000
PLAIN_DIGITS = 38
FIRST_YEAR, LAST_YEAR = 2009, 2099
"""An instant before the first block of any chain, or far ahead, is a mistake of the program that wrote it."""
OWN_CLASSES = frozenset({"data", "internal", "change", "payout", "reward", "unknown", "fee"})
"""Classes that the rules give (section 3): a counterparty can't have them."""

_HIDDEN = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]"
_HIDDEN_IN_NAME = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
_PLAIN = r"^[0-9]+(?:\.[0-9]+)?$"
_SECONDS = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-5][0-9]"
_INSTANT = _SECONDS + r"(?:\.[0-9]{1,6}0*)?"
_OFFSET = r" ?(?:Z|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)$"
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


_MOMENTS = frozenset({CellType.TEXT, CellType.MOMENT})
_NUMBERS = frozenset({CellType.TEXT, CellType.NUMBER})
TYPES = {kind: _MOMENTS if kind in (Kind.INSTANT, Kind.DATE) else _NUMBERS for kind in Kind}
"""The cell types that a kind may come in."""


def value_of(kind: Kind, column: str, *, decimals: pl.Expr | None = None) -> pl.Expr:
    """The value of `column`'s text; null where it has none. `decimals`: of the row's asset (AMOUNT).

    Instants and addresses are no expressions: see `instants`, `canonical_addresses`.
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
            is_good = ~text.str.contains(_HIDDEN_IN_NAME) & (text.str.len_chars() <= NAME_CHARACTERS)
        case _:
            is_good = ~text.str.contains(_HIDDEN) & (text.str.len_chars() <= ID_CHARACTERS)
            if kind is Kind.CLASS:
                is_good &= ~text.is_in(sorted(OWN_CLASSES))
    return pl.when(is_good).then(text).alias(column)


def units(text: pl.Expr, decimals: pl.Expr) -> pl.Expr:
    """Whole base units, Int128, of plain decimals (rule 2.1): `model.to_units`, vectorised, null where that raises."""
    parts = pl.when(text.str.contains(_PLAIN)).then(text).str.split_exact(".", 1)
    whole, fraction = parts.struct.field("field_0"), parts.struct.field("field_1").fill_null("")
    digits = (whole + fraction.str.slice(0, decimals).str.pad_end(decimals, "0")).str.strip_chars_start("0")
    fits = (fraction.str.strip_chars_end("0").str.len_bytes() <= decimals) & (digits.str.len_bytes() <= 38)
    return pl.when(fits).then(pl.when(digits == "").then(pl.lit("0")).otherwise(digits)).cast(pl.Int128)


def instants(texts: pl.Series, timezone: str | None) -> pl.Series:
    """Microseconds since the Unix epoch, Int64, of ISO 8601 with an offset, or of `timezone`'s wall clock without one."""
    # What follows the seconds is the same in most rows of a file: each such tail is taken apart once.
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
    frame = pl.DataFrame({"text": texts, "tail": texts.str.slice(19)}).join(tails, "tail", "left", nulls_equal=True, maintain_order="left")
    frame = frame.with_columns(
        local=pl.when(pl.col("text").str.contains(_SECONDS))
        .then(pl.col("text").str.slice(0, 19).str.replace(" ", "T", literal=True))
        .str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
    )
    at: pl.Expr = pl.when("is_zoned").then(local.dt.timestamp("us") + pl.col("fraction_us") - pl.col("ahead_us"))
    if timezone is not None:
        here = local.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null").dt.timestamp("us")
        at = pl.when("is_local").then(here + pl.col("fraction_us")).otherwise(at)
    is_near = local.dt.year().is_between(FIRST_YEAR, LAST_YEAR)
    return frame.select(pl.when(is_near).then(at)).to_series().alias(texts.name)


@lru_cache(maxsize=1 << 17)
def address_fault(address: str, network_name: str | None) -> tuple[str | None, str]:
    """An address as its network writes it, and what is wrong with it ("" for nothing).

    A network whose addresses this program can't read (None, or a name that is none of ours) gets the basic check: visible ASCII, no
    spaces. An account's address with a wrong checksum is kept as it is written: enrichment makes it issue `bad-address` (ADR 7).
    """
    if not re.fullmatch(r"[!-~]{1,200}", address):
        return None, f"{shown(address)} is not an address: it has spaces or characters other than ASCII"
    if network_name is None or not (network_name in NETWORKS or is_account_network(network_name)):
        return address, ""
    try:
        return address_on(network_name, address), ""
    except ValueError as error:
        return None, str(error)


def canonical_addresses(addresses: pl.Series, chains: pl.Series, networks: Mapping[str, str]) -> pl.Series:
    """Addresses as their chain's network writes them; null where one is no address of it. Each is looked at once."""
    pairs = pl.DataFrame({"address": addresses, "chain": chains})
    seen = pairs.unique().drop_nulls("address")
    values = [address_fault(address, networks.get(chain))[0] for address, chain in seen.iter_rows()]
    found = pairs.join(
        seen.with_columns(value=pl.Series(values, dtype=pl.String)), ["address", "chain"], "left", nulls_equal=True, maintain_order="left"
    )
    return found["value"].alias(addresses.name)


def why_bad(kind: Kind, text: str, *, decimals: int | None = None, has_timezone: bool = False, network_name: str | None = None) -> str:
    """What is wrong with a cell's text, and what to write instead. Only for a text without a value."""
    match kind:
        case Kind.AMOUNT | Kind.PLAIN:
            return _why_no_amount(text, decimals)
        case Kind.INSTANT:
            return _why_no_instant(text, has_timezone)
        case Kind.DATE:
            return f"{shown(text)} is not a day of the calendar: write it as 2026-10-31"
        case Kind.TXID:
            return f"{shown(text)} is not a transaction id: 64 hexadecimal digits, with or without 0x"
        case Kind.ADDRESS:
            return address_fault(text, network_name)[1]
        case Kind.CLASS if text in OWN_CLASSES:
            return f"{text!r} is a class that the rules give themselves: choose another word, such as vendor or exchange"
        case _:
            hidden = re.search(r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]", text)
            if hidden:
                return f"has an invisible character, U+{ord(hidden[0]):04X}: remove it"
            return f"is too long, {len(text)} characters, or has an invisible character"


def _why_no_amount(text: str, decimals: int | None) -> str:
    plain = "write digits, with a dot before the decimals, such as 0.01234560"
    if re.fullmatch(r"[-−].*", text):
        return f"{shown(text)} is negative: amounts are 0 or more"
    if re.fullmatch(r"[+]?[0-9.,]+[eE][-+]?[0-9]+", text):
        return f"{shown(text)} has an exponent: {plain}"
    if re.fullmatch(r"[0-9]+,[0-9]+", text):
        return f"{shown(text)} has a comma: {plain}"
    if re.fullmatch(r"[0-9]{1,3}([ \u00a0\u202f'_,.][0-9]{3})+([.,][0-9]+)?", text):
        return f"{shown(text)} has thousands separators: {plain}"
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        fraction = text.partition(".")[2].rstrip("0")
        if decimals is not None and len(fraction) > decimals:
            return f"{shown(text)} has {len(fraction)} decimals, the asset has {decimals}"
        return f"{shown(text)} is too large: more than 38 digits"
    return f"{shown(text)} is not an amount: {plain}"


def _why_no_instant(text: str, has_timezone: bool) -> str:
    example = "write it as 2026-10-31T23:59:59+05:00"
    if re.match(_INSTANT + "$", text) and not has_timezone:
        return f"{shown(text)} has no offset from UTC: {example}, or set the files' timezone"
    if re.fullmatch(r".*\.[0-9]{7,}.*", text):
        return f"{shown(text)} is finer than a microsecond: {example}"
    if re.match(_INSTANT, text) and not FIRST_YEAR <= int(text[:4]) <= LAST_YEAR:
        return f"{shown(text)} is not of the years {FIRST_YEAR} to {LAST_YEAR}"
    if re.match(_INSTANT + "$", text):
        return f"{shown(text)} is a wall clock that this timezone shows twice or never: {example}"
    return f"{shown(text)} is not an instant: {example}"
