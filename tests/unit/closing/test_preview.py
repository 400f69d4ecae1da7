"""What an import would change in a report, as people read it."""

from __future__ import annotations

from pipeline.closing.preview import _row
from pipeline.log.events.months import DraftedRow
from pipeline.model.rules import Asset, Rules

RULES = Rules({"BTC": Asset("BTC", "bitcoin", 8), "LTC": Asset("LTC", "litecoin", 2)}, {"bitcoin": 6, "litecoin": 6}, {})


def test_every_amount_of_a_row_that_would_change_stands_in_whole_assets_its_commission_in_those_of_its_own() -> None:
    row = DraftedRow(
        change="changed", allocation_id="a1", txid="t1", cause="ledger",
        columns=["amount", "transfer_amount", "commission_asset", "commission_asset_amount", "miner_name"],
        before=["662879", "700000", "LTC", "150", "A"], after=["652879", "", "", "", "B"],
    )  # fmt: skip
    assert _row(row, "BTC", "LTC", RULES).values == [
        ("amount", "0.00662879", "0.00652879"),
        ("transfer_amount", "0.00700000", ""),
        ("commission_asset", "LTC", ""),
        ("commission_asset_amount", "1.50", ""),
        ("miner_name", "A", "B"),
    ]
