"""Rows by which two reports differ, as people read them: each amount in the coins of its own asset."""

from __future__ import annotations

from pipeline.closing.row_changes import RowAssets, RowChange, row_change
from pipeline.log.events.months import DraftedRow
from pipeline.model.rules import Asset
from pipeline.render.form import COLUMNS

ASSETS = {"BTC": Asset("BTC", "bitcoin", 8), "ETH": Asset("ETH", "ethereum", 18), "KZTX": Asset("KZTX", "ethereum", 2)}
FORM = [name for name in COLUMNS if name != "n"]


def changed(columns: list[str], before: list[str], after: list[str], of: RowAssets) -> RowChange:
    row = DraftedRow(change="changed", allocation_id="A1", txid="", cause="ledger", columns=columns, before=before, after=after)
    return row_change(row, of, ASSETS)


def test_every_amount_stands_in_whole_assets_the_commission_in_those_of_its_own() -> None:
    columns = ["amount", "transfer_amount", "transfer_date", "commission_asset", "commission_asset_amount", "miner_name"]
    before, after = ["662879", "700000", "", "KZTX", "150", "A"], ["652879", "", "2026-10-04", "", "", "B"]
    found = changed(columns, before, after, RowAssets("BTC", "KZTX"))
    assert found.values == [
        ("amount", "0.00662879", "0.00652879"),
        ("transfer_amount", "0.00700000", ""),
        ("transfer_date", "", "2026-10-04"),
        ("commission_asset", "KZTX", ""),
        ("commission_asset_amount", "1.50", ""),
        ("miner_name", "A", "B"),
    ]
    assert found.told.startswith("Amount: 0.00662879 → 0.00652879; Transfer: 0.00700000 → (empty); Transferred on: (empty) → 2026-10-04; ")
    commission = changed(["commission_asset_amount"], ["150"], ["151"], RowAssets("BTC", "KZTX"))
    assert commission.values == [("commission_asset_amount", "1.50", "1.51")], "its asset is not among what changed"


def test_a_row_whose_asset_was_restated_has_each_amount_in_its_own() -> None:
    columns, was, now = (
        ["asset", "amount", "commission_asset", "commission_asset_amount"],
        ["BTC", "100000000", "", ""],
        ["ETH", "1", "KZTX", "5"],
    )
    for of in (RowAssets("BTC", None), RowAssets("ETH", "KZTX")):  # whichever the ledger says by now
        found = changed(columns, was, now, of)
        assert found.values[1] == ("amount", "1.00000000", "0.000000000000000001")
        assert found.values[3] == ("commission_asset_amount", "", "0.05")


def test_a_row_that_comes_is_told_whole() -> None:
    row = {"miner_name": "Ертіс", "allocation_date": "2026-10-04", "asset": "BTC", "amount": "50000000"}
    after = [row.get(name, "") for name in FORM]
    found = row_change(DraftedRow(change="added", allocation_id="A1", txid="", cause="ledger", columns=FORM, after=after), None, ASSETS)
    assert found.told == "Ертіс, allocated 2026-10-04, 0.50000000 BTC, not transferred"


def test_every_column_of_the_form_has_a_word() -> None:
    before = ["0" if name.endswith("amount") else "2026-10-01" if name.endswith("_date") else "BTC" for name in FORM]
    after = ["1" if name.endswith("amount") else "2026-10-02" if name.endswith("_date") else "ETH" for name in FORM]
    told = changed(FORM, before, after, RowAssets("BTC", None)).told
    assert told.count(" → ") == len(FORM) and "_" not in told
