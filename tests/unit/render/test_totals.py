"""Totals are printed with all of an asset's decimals, sums of currencies with two at least."""

from __future__ import annotations

from decimal import Decimal

from pipeline.model.rules import Asset
from pipeline.model.totals import Totals
from pipeline.render.totals import printed_totals

ASSETS = {"BTC": Asset("BTC", "bitcoin", 8), "WEI": Asset("WEI", "ethereum", 0)}


def test_every_total_stands_under_its_name_as_printed() -> None:
    totals = Totals(
        allocated_in_month={"BTC": 150_000_000, "WEI": 10**30},
        carried_into_month={"BTC": 1},
        left_unsettled={},
        left_unsettled_of_older_months={"BTC": 2},
        distinct_transfers={"BTC": 3},
        distinct_transfers_count=4,
        commission_by_asset={"WEI": 0},
        commission_by_currency={"KZT": Decimal("12.30000000"), "RUB": Decimal("7.00000001"), "USD": Decimal("100.00000000")},
    )
    assert printed_totals(totals, ASSETS) == {
        "allocated_in_month": {"BTC": "1.50000000", "WEI": "1" + "0" * 30},
        "carried_into_month": {"BTC": "0.00000001"},
        "left_unsettled": {},
        "left_unsettled_of_older_months": {"BTC": "0.00000002"},
        "distinct_transfers": {"BTC": "0.00000003"},
        "distinct_transfers_count": 4,
        "commission_by_asset": {"WEI": "0"},
        "commission_by_currency": {"KZT": "12.30", "RUB": "7.00000001", "USD": "100.00"},
    }
