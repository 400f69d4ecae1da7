"""Whole tables: headings, missing cells, cell types, and the rules that span rows. Every fault is told by its line."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from pipeline.model.errors import InputRefused, SettingsError
from pipeline.model.rules import Asset
from pipeline.validate.columns import CellContext
from pipeline.validate.ledger import LedgerKind, check_ledger, headings, older_than_opening
from pipeline.validate.registry import RegistryKind, check_registry_table, licence_warnings, reference_warnings
from pipeline.validate.table import CellType, RawColumn, RawTable

TERMS = CellContext({"BTC": Asset("BTC", "bitcoin", 8), "ETH": Asset("ETH", "ethereum", 18)}, {"bitcoin": "regtest"})
ALLOCATION = {"allocation_id": "A1", "account": "a", "asset": "BTC", "allocated_at": "2026-10-01T00:30:00+05:00", "amount": "0.5"}
COMMISSION = {"commission_asset": None, "commission_amount": None, "commission_currency": None, "commission_currency_amount": None}
ADDRESS = "bcrt1qvacl7f9caxha3pctsrn5wgfeszzkyccfhwhsr7"
PAYMENT = {
    "payment_id": "P1", "account": "a", "asset": "BTC", "address": ADDRESS, "amount": "0.5", "txid": "ab" * 32,
    "paid_at": "2026-10-01T00:30:00Z",
}  # fmt: skip
OPENING = {"account": "a", "asset": "BTC", "amount": "1", "owed_at": "2026-09-01T00:00:00+05:00"}
WALLET = {"address": ADDRESS, "chain": "bitcoin", "miner_id": "201040334324", "valid_from": "2026-01-01", "valid_to": None}


def table(*rows: dict[str, Any]) -> RawTable:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [RawColumn(name, pl.Series([row.get(name) for row in rows], dtype=pl.String)) for name in names]
    return RawTable("f.csv", 1, pl.Series([line for line, _ in enumerate(rows, 2)], dtype=pl.UInt32), columns)


def ledger(kind: LedgerKind, *rows: dict[str, Any], raw: RawTable | None = None, **mapping: str) -> pl.DataFrame:
    return check_ledger(raw or table(*rows), kind, terms=TERMS, mapping=mapping).rows


def faults(kind: LedgerKind, *rows: dict[str, Any], raw: RawTable | None = None, **mapping: str) -> list[str]:
    with pytest.raises(InputRefused) as refused:
        ledger(kind, *rows, raw=raw, **mapping)
    return refused.value.faults


def test_a_sound_row_becomes_units_microseconds_and_nulls() -> None:
    assert ledger("allocations", ALLOCATION | COMMISSION).row(0) == (
        2,
        "A1",
        "a",
        "BTC",
        1790796600000000,
        50_000_000,
        None,
        None,
        None,
        None,
    )
    eth = ALLOCATION | {"asset": "ETH", "amount": "0.000000000000000001", "commission_asset": "BTC", "commission_amount": "0.00000001"}
    assert ledger("allocations", eth).select("amount", "commission_amount").row(0) == (1, 1)


def test_no_rows_are_no_fault() -> None:
    raw = table(ALLOCATION)
    empty = RawTable("f.csv", 1, raw.lines.clear(), [RawColumn(column.heading, column.values.clear()) for column in raw.columns])
    assert len(ledger("allocations", raw=empty)) == 0


def test_every_fault_of_every_line_is_told() -> None:
    bad = ALLOCATION | {"asset": "BTX", "allocated_at": "yesterday", "amount": None}
    found = faults("allocations", bad, ALLOCATION | {"allocation_id": None}, ALLOCATION | {"allocation_id": "A3", "amount": "0.123456789"})
    assert [fault.split(": ")[:2] for fault in found] == [
        ["f.csv:2", "asset"],
        ["f.csv:2", "allocated_at"],
        ["f.csv:2", "amount"],
        ["f.csv:3", "allocation_id"],
        ["f.csv:4", "amount"],
    ]
    assert "is it 'BTC'?" in found[0] and "is missing" in found[2]


def test_a_missing_a_misspelt_and_a_repeated_heading_are_told_with_what_is_meant() -> None:
    raw = table({"alocation_id" if name == "allocation_id" else name: value for name, value in ALLOCATION.items()})
    found = faults("allocations", raw=raw)
    assert len(found) == 2 and "f.csv:1: unknown column 'alocation_id' (is it 'allocation_id'?)" in found[0]
    assert "f.csv:1: allocation_id: the column is missing (is it 'alocation_id'?)" in found[1]
    raw = table(ALLOCATION)
    raw.columns.append(raw.columns[0])
    assert "stands twice" in faults("allocations", raw=raw)[0]


def test_other_headings_are_mapped_and_ignored() -> None:
    raw = table({("ID" if name == "allocation_id" else name): value for name, value in (ALLOCATION | {"note": "x"}).items()})
    rows = check_ledger(raw, "allocations", terms=TERMS, mapping={"allocation_id": "ID"}, ignored=["note"]).rows
    assert rows["allocation_id"].to_list() == ["A1"]
    assert "or passed over (ignored)" in faults("allocations", raw=raw, allocation_id="ID")[0]
    with pytest.raises(SettingsError, match="is it 'allocation_id'"):
        headings("allocations", {"alocation_id": "ID"})


def test_one_heading_may_serve_two_columns() -> None:
    licence = {"miner_id": "201040334324", "licence_number": "L", "Дата": "2026-01-01"}
    rows, found, _ = check_registry_table(table(licence), "licences", terms=TERMS, mapping={"issue_date": "Дата", "valid_from": "Дата"})
    assert not found and rows.select("issue_date", "valid_from").row(0)[0] == rows["valid_from"][0]


@pytest.mark.parametrize(
    "given",
    [
        {"commission_asset": "BTC"},
        {"commission_amount": "1"},
        {"commission_currency": "KZT"},
        {"commission_currency_amount": "1"},
    ],
)
def test_a_commission_is_given_whole(given: dict[str, str]) -> None:
    (name,) = given
    (fault,) = faults("allocations", ALLOCATION | COMMISSION | given)
    assert "is missing, though " + name in fault
    assert any("the column is missing" in fault for fault in faults("allocations", ALLOCATION | given))


def test_an_id_given_twice_alike_stands_once_and_otherwise_is_refused() -> None:
    assert len(ledger("allocations", ALLOCATION, ALLOCATION | {"amount": "0.50"})) == 1
    found = faults("allocations", ALLOCATION, ALLOCATION, ALLOCATION | {"amount": "0.6"}, ALLOCATION | {"amount": "0.7"})
    assert found == [f"f.csv:{line}: allocation_id: 'A1' stands in line 2 already, with other values" for line in (4, 5)]


def test_openings_stand_at_one_instant() -> None:
    assert len(ledger("openings", OPENING, OPENING | {"account": "b", "owed_at": "2026-08-31T19:00:00Z"})) == 2
    (fault,) = faults("openings", OPENING, OPENING | {"account": "b", "owed_at": "2026-09-02T00:00:00Z"})
    assert fault.startswith("f.csv:3: owed_at: is another instant than 2026-08-31T19:00:00+00:00")


def test_an_allocation_is_not_named_like_an_opening() -> None:
    assert "begins with 'opening:'" in faults("allocations", ALLOCATION | {"allocation_id": "opening:a:BTC"})[0]


def test_allocations_before_the_opening_are_refused_and_one_at_it_is_not() -> None:
    rows = ledger("allocations", ALLOCATION)
    at = rows["allocated_at"][0]
    assert older_than_opening(rows, at, "allocated_at") == [] == older_than_opening(rows, None, "allocated_at")
    assert [fault.line for fault in older_than_opening(rows, at + 1, "allocated_at")] == [2]


def test_what_the_rules_judge_is_not_refused() -> None:
    """Rule 6.3: amounts may be 0. Rules 4.4, 5.2: accounts nobody holds, txids that never reach the chain."""
    assert len(ledger("allocations", ALLOCATION | {"amount": "0", "account": "nobody's"})) == 1
    assert len(ledger("payments", PAYMENT | {"txid": "00" * 32, "amount": "0.00000000"})) == 1


def test_an_address_is_checked_on_its_assets_chain() -> None:
    assert ledger("payments", PAYMENT | {"address": ADDRESS.upper()})["address"].to_list() == [ADDRESS]
    assert ledger("payments", PAYMENT | {"asset": "ETH", "address": "0xabc"})["address"].to_list() == ["0xabc"]
    (fault,) = faults("payments", PAYMENT | {"address": ADDRESS[:-1] + "8"})
    assert fault.startswith("f.csv:2: address: ") and "checksum" in fault


def typed(kind: CellType, text: str, column: str) -> RawTable:
    raw = table(ALLOCATION | {column: text})
    types = pl.Series([kind.value], dtype=pl.UInt8)
    columns = [RawColumn(c.heading, c.values, types if c.heading == column else CellType.TEXT) for c in raw.columns]
    return RawTable("f.xlsx", 1, raw.lines, columns)


@pytest.mark.parametrize(
    ("kind", "text", "column", "what"),
    [
        (CellType.INEXACT, "0.12345678901234567", "amount", "format the column as text"),
        (CellType.MOMENT, "2026-10-01T00:00:00", "account", "is a date: format the column as text"),
        (CellType.NUMBER, "1.5", "account", "leading zeros"),
        (CellType.BOOLEAN, "TRUE", "account", "truth value"),
        (CellType.ERROR, "#N/A", "amount", "is an error"),
        (CellType.MOMENT, "2026-10-01T00:00:00", "allocated_at", "no offset"),
        (CellType.NUMBER, "45000", "allocated_at", "is a number"),
    ],
)
def test_cells_of_the_wrong_type_are_refused(kind: CellType, text: str, column: str, what: str) -> None:
    (fault,) = faults("allocations", raw=typed(kind, text, column))
    assert fault.startswith(f"f.xlsx:2: {column}: ") and what in fault


def test_a_workbooks_number_is_no_id_and_a_whole_number_of_parquet_is() -> None:
    assert ledger("allocations", raw=typed(CellType.NUMBER, "0.5", "amount"))["amount"].to_list() == [50_000_000]
    (fault,) = faults("allocations", raw=typed(CellType.NUMBER, "17", "account"))
    assert fault.startswith("f.xlsx:2: account: '17' is a number, so leading zeros or last digits may be lost")
    whole = table(ALLOCATION)
    columns = [RawColumn(c.heading, pl.Series(["17"]), CellType.NUMBER, "int64") if c.heading == "account" else c for c in whole.columns]
    assert ledger("allocations", raw=RawTable("f.parquet", None, whole.lines, columns))["account"].to_list() == ["17"]


def test_a_column_of_floats_is_one_fault() -> None:
    raw = table(ALLOCATION, ALLOCATION)
    columns = [RawColumn(c.heading, c.values, CellType.FLOAT, "double") if c.heading == "amount" else c for c in raw.columns]
    (fault,) = faults("allocations", raw=RawTable("f.parquet", None, raw.lines, columns))
    assert fault.startswith("f.parquet: amount: is a column of binary floating point numbers (double)")


def registry(kind: RegistryKind, *rows: dict[str, Any], raw: RawTable | None = None) -> tuple[list[str], list[str]]:
    _, found, warnings = check_registry_table(raw or table(*rows), kind, terms=TERMS, mapping={})
    return [fault.at("f") for fault in found], [warning.at("f") for warning in warnings]


@pytest.mark.parametrize("miner_id", ["201040334325", "20104033432", "20104033432A", "2010403343240"])
def test_a_bad_miner_id_is_a_warning_that_does_not_show_it(miner_id: str) -> None:
    found, warnings = registry("miners", {"miner_id": miner_id, "name": "ЖШС"})
    assert not found and len(warnings) == 1 and warnings[0].startswith("f:2: miner_id: ") and "bad-miner-id" in warnings[0]
    assert miner_id not in warnings[0]


def test_a_miner_named_twice_is_refused_without_showing_the_id() -> None:
    rows = [{"miner_id": "201040334324", "name": name} for name in ("one", "one", "two")]
    found, _ = registry("miners", *rows)
    assert found == ["f:4: miner_id: the same stands in line 2 already, with other values"]


def test_a_number_that_lost_its_leading_zero_is_no_miner_id() -> None:
    raw = table({"miner_id": "10403343249", "name": "x"})
    columns = [RawColumn("miner_id", raw.columns[0].values, CellType.NUMBER, "int64"), raw.columns[1]]
    found, _ = registry("miners", raw=RawTable("f", None, raw.lines, columns))
    assert len(found) == 1 and "leading zeros" in found[0] and "10403343249" not in found[0]


def test_periods_run_forward() -> None:
    assert registry("wallets", WALLET | {"valid_to": "2026-01-02"})[0] == []
    faults, warnings = registry("wallets", WALLET | {"valid_to": "2026-01-01"})
    assert faults == [] and "holds no day" in warnings[0]
    assert "before it begins" in registry("wallets", WALLET | {"valid_to": "2025-12-31"})[0][0]
    licence = {"miner_id": "201040334324", "licence_number": "L", "issue_date": "2026-01-01", "valid_from": "2026-01-01", "valid_to": None}
    assert registry("licences", licence | {"suspended_from": "2026-03-01", "suspended_to": None}) == ([], [])
    assert "is missing" in registry("licences", licence | {"suspended_from": None, "suspended_to": "2026-03-01"})[0][0]
    assert "before it begins" in registry("licences", licence | {"suspended_from": "2026-03-02", "suspended_to": "2026-03-01"})[0][0]


def test_overlapping_holders_are_a_warning() -> None:
    first = WALLET | {"valid_to": "2026-06-02"}
    second = WALLET | {"miner_id": "240440639442", "valid_from": "2026-06-01"}
    found, warnings = registry("wallets", second, first)
    assert not found and warnings == ["f:2: address: another miner holds it on the same days, line 3: issue registry-overlap (rule 4.1)"]
    assert registry("wallets", first | {"valid_to": "2026-06-01"}, second) == ([], [])
    assert registry("wallets", first, second | {"miner_id": WALLET["miner_id"]}) == ([], [])
    assert registry("wallets", first, second | {"chain": "other"})[1][0].startswith("f:3: chain: 'other' is no chain of the settings")


def test_rows_of_strangers_and_miners_without_licence_are_warnings() -> None:
    miners = pl.DataFrame({"line": [2], "miner_id": ["201040334324"], "name": ["x"]})
    wallets = pl.DataFrame({"line": [2, 3], "miner_id": ["201040334324", "240440639442"]})
    (warning,) = reference_warnings("wallets", wallets, miners, "miner_id")
    assert warning.line == 3 and "not registered" in warning.what and "240440639442" not in warning.what
    assert [warning.line for warning in licence_warnings(miners, wallets.slice(1))] == [2]


def test_a_counterparty_has_one_class() -> None:
    row = {"address": ADDRESS, "chain": "bitcoin", "class": "vendor", "name": "x"}
    assert registry("counterparties", row, row) == ([], [])
    assert "other values" in registry("counterparties", row, row | {"class": "exchange"})[0][0]
    assert "rules give" in registry("counterparties", row | {"class": "change"})[0][0]
