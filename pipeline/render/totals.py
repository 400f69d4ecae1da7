"""The month's totals as they are printed (rules 2.2, 7.4).

Enters: `Totals` in whole base units. Leaves: names, and amounts as text: what the manifest, the documents and the analysts' views show.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.model.amounts import from_units
from pipeline.model.rules import Asset
from pipeline.model.totals import Totals, Units


def printed_totals(totals: Totals, assets: Mapping[str, Asset]) -> dict[str, object]:
    """Amounts by asset with all the asset's decimals, by currency with two at least; the count is a number."""

    def printed(amounts: Units) -> dict[str, str]:
        return {name: from_units(units, assets[name].decimals) for name, units in amounts.items()}

    return {
        "allocated_in_month": printed(totals.allocated_in_month),
        "carried_into_month": printed(totals.carried_into_month),
        "left_unsettled": printed(totals.left_unsettled),
        "left_unsettled_of_older_months": printed(totals.left_unsettled_of_older_months),
        "distinct_transfers": printed(totals.distinct_transfers),
        "distinct_transfers_count": totals.distinct_transfers_count,
        "commission_by_asset": printed(totals.commission_by_asset),
        "commission_by_currency": {name: _trimmed(str(amount)) for name, amount in totals.commission_by_currency.items()},
    }


def _trimmed(number: str) -> str:
    """A currency's sum with at least two decimals and no further trailing zeros."""
    whole, _, fraction = number.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
