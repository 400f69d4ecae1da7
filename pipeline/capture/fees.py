"""The commission by a dated table of fees, where a source keeps only what is left after it.

Enters: an amount after commission and the day. Leaves: the commission, exact: net / (1 - rate) - net.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction


@dataclass(frozen=True)
class Fee:
    """A rate of commission from a day on, in Almaty; `rate` is a part of the gross amount, 0 <= rate < 1."""

    since: date
    rate: Fraction


def rate_on(fees: Sequence[Fee], day: date) -> Fraction | None:
    """The rate that holds on a day; None before the first."""
    held = [fee for fee in fees if fee.since <= day]
    return max(held, key=lambda fee: fee.since).rate if held else None


def commission_of(net: Fraction, rate: Fraction) -> Fraction:
    """What was taken off before `net` was left."""
    return net * rate / (1 - rate)
