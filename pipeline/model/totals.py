"""The month's totals apart from its rows (rule 7.4), as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

Units = Mapping[str, int]
"""Whole base units by asset, in the order of names."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """A month's totals by asset (whole base units)."""

    allocated_in_month: Units
    carried_into_month: Units
    """Rows of earlier months' allocations that were settled in this one."""
    left_unsettled: Units
    """Of the month's own allocations."""
    left_unsettled_of_older_months: Units
    """At the month's end, of allocations dated before it."""
    distinct_transfers: Units
    """Each transfer that a row names, once."""
    distinct_transfers_count: int
    commission_by_asset: Units
    commission_by_currency: Mapping[str, Decimal]
    """With eight decimals, by currency: the ledger's own figures (rule 9.7)."""
