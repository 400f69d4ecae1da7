"""Amounts as whole base units and as they are printed (rules 2.1, 2.2)."""

from __future__ import annotations

import re

from .message import message


def to_units(text: str, decimals: int) -> int:
    """Whole base units of a printed amount (rule 2.1): `to_units("0.01234560", 8) == 1234560`.

    Raises ValueError for signs, exponents, grouping, more decimals than the asset has, or more than 38 digits.
    """
    match = re.fullmatch(r"([0-9]+)(?:\.([0-9]+))?", text)
    if not match:
        raise ValueError(message("{text} is not an amount: digits, with a dot before decimals", text=repr(text)))
    whole, fraction = match[1], match[2] or ""
    if len(fraction.rstrip("0")) > decimals:
        raise ValueError(message("{text} has more than {decimals} decimals", text=repr(text), decimals=decimals))
    units = int(whole + fraction[:decimals].ljust(decimals, "0"))
    if units >= 10**38:
        raise ValueError(message("{text} has more than 38 digits in base units", text=repr(text)))
    return units


def from_units(units: int, decimals: int) -> str:
    """The printed amount, with all the asset's decimals (rule 2.2): `from_units(1234560, 8) == "0.01234560"`."""
    if decimals == 0:
        return str(units)
    sign, digits = ("-" if units < 0 else ""), str(abs(units)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"
