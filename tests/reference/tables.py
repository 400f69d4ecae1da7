"""The oracle's tables as the files of `docs/example/2026-10/expected`, byte for byte.

Enters: an `Outcome`. Leaves: the text of `report.csv`, `outflows.csv`, `transfers.csv`, `balances.csv`, and the issues as
(code, severity, ref). Amounts of the report print with all decimals (rule 2.2), those of the others as whole base units.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date
from typing import Any

from pipeline.model.amounts import from_units
from pipeline.model.rules import Rules

from .registry import Outcome, Row

REPORT_COLUMNS = (
    "n", "miner_id", "miner_name", "licence_number", "licence_issue_date", "wallet", "allocation_date", "asset", "amount",
    "transfer_amount", "transfer_date", "commission_asset", "commission_asset_amount", "commission_currency",
    "commission_currency_amount",
)  # fmt: skip


def report_csv(outcome: Outcome, rules: Rules) -> str:
    """Columns 1 to 15 (rules 7.3, 8.2)."""

    def cell(row: Row, name: str) -> Any:
        asset = {"amount": "asset", "transfer_amount": "asset", "commission_asset_amount": "commission_asset"}.get(name)
        if asset is None or row[name] is None:
            return row[name]
        return from_units(row[name], rules.assets[row[asset]].decimals)

    return _csv(REPORT_COLUMNS, ([cell(row, name) for name in REPORT_COLUMNS] for row in outcome.report))


def outflows_csv(outcome: Outcome) -> str:
    names = ("txid", "vout", "address", "amount", "class", "block_height", "date")
    return _csv([_sat(n) if n == "amount" else n for n in names], ([row[n] for n in names] for row in outcome.outflows))


def transfers_csv(outcome: Outcome) -> str:
    names = ("txid", "address", "miner_id", "amount", "credited", "explanation", "date", "payer")
    return _csv([_sat(n) if n in ("amount", "credited") else n for n in names], ([row[n] for n in names] for row in outcome.transfers))


def balances_csv(outcome: Outcome) -> str:
    names = ("wallet", "opening", "in", "out", "fee", "closing", "unspent")
    return _csv([n if n == "wallet" else _sat(n) for n in names], ([row[n] for n in names] for row in outcome.balances))


def issue_keys(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(row["code"], row["severity"], row["ref"]) for row in outcome.issues]


def _sat(name: str) -> str:
    return f"{name}_sat"


def _csv(header: Iterable[str], rows: Iterable[list[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if cell is None else cell.isoformat() if isinstance(cell, date) else cell for cell in row])
    return out.getvalue()
