"""The rows of the report and the month's totals: rules 4.3 and 7.2 to 7.5.

Enters: a settled `Case`. Leaves: `Outcome.report`, `Outcome.totals`, and the licences not in force.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

from pipeline.model.amounts import from_units
from pipeline.model.issues import IssueCode

from .registry import Case, Row, holder_row, licence_on, us_date


def write_report(case: Case) -> None:
    """Rules 7.2 to 7.5: the month's rows in order, and its totals apart."""
    rows: list[tuple[tuple[Any, ...], Row]] = []
    for debt in case.out.debts:
        rows.extend(rows_of(case, debt))
    rows.sort(key=lambda pair: pair[0])
    for n, (_, row) in enumerate(rows, 1):
        case.out.report.append({"n": n, **row})
    write_totals(case)


def rows_of(case: Case, debt: Row) -> list[tuple[tuple[Any, ...], Row]]:
    """The rows of one allocation, each with its place in the order (rule 7.5)."""
    merged: dict[tuple[str, str, str], Row] = {}  # 7.3: one allocation and one transfer are one row
    for portion in debt["portions"]:
        transfer = portion["transfer"]
        if case.is_in_month(debt["date"]) or case.is_in_month(transfer["date"]):
            entry = merged.setdefault((transfer["txid"], transfer["address"], transfer["via"]), {"transfer": transfer, "amount": 0})
            entry["amount"] += portion["amount"]
    entries = sorted(
        merged.values(),
        key=lambda e: (e["transfer"]["instant"], e["transfer"]["txid"], e["transfer"]["address"], e["transfer"]["payer"] or ""),
    )
    if case.is_in_month(debt["date"]) and (debt["left"] or not entries):
        entries.append({"transfer": None, "amount": debt["left"]})  # 7.2
    rows = []
    for place, entry in enumerate(entries):
        has_commission = place == 0 and case.is_in_month(debt["date"])  # 7.4
        order = (debt["miner_id"], debt["date"], debt["allocation_id"], place)
        rows.append((order, report_row(case, debt, entry, has_commission)))
    return rows


def report_row(case: Case, debt: Row, entry: Row, has_commission: bool) -> Row:
    """The columns of rule 7.3's table."""
    day, transfer = debt["date"], entry["transfer"]
    licences = [row for row in case.facts["licences"] if row["miner_id"] == debt["miner_id"]]
    licence, is_in_force = licence_on(licences, us_date(debt["allocated_at"]))  # an opening's own instant, whatever its date: 6.4
    if not is_in_force:
        case.issue(IssueCode.LICENCE_NOT_IN_FORCE, f"{debt['miner_id']}:{day}")  # 4.3, 9.2
    miner = case.miners.get(debt["miner_id"])
    return {
        "miner_id": debt["miner_id"],
        "miner_name": miner["name"] if miner else None,
        "licence_number": licence["licence_number"] if licence else None,
        "licence_issue_date": licence["issue_date"] if licence else None,
        "wallet": transfer["address"] if transfer else wallet_of(case, debt["miner_id"], case.chain_of(debt["asset"]), day),
        "allocation_date": day,
        "asset": debt["asset"],
        "amount": entry["amount"],
        "transfer_amount": transfer["amount"] if transfer else None,
        "transfer_date": transfer["date"] if transfer else None,
        "commission_asset": debt["commission_asset"] if has_commission else None,
        "commission_asset_amount": debt["commission_amount"] if has_commission else None,
        "commission_currency": debt["commission_currency"] if has_commission else None,
        "commission_currency_amount": debt["commission_currency_amount"] if has_commission else None,
        "allocation_id": debt["allocation_id"],
        "txid": transfer["txid"] if transfer else None,
        "is_carried": day < case.month.first,
        "payer": transfer["payer"] if transfer else None,
    }


def wallet_of(case: Case, miner_id: str, chain: str, day: date) -> str | None:
    """Column 6 of an unsettled row: of several wallets the latest valid_from, then the smallest address."""
    held = []
    for (on_chain, address), rows in case.wallets.items():
        row = holder_row(rows, day)
        if on_chain == chain and row is not None and row["miner_id"] == miner_id:
            held.append((row["valid_from"], address))
    latest = max((start for start, _ in held), default=None)
    return min((address for start, address in held if start == latest), default=None)


def write_totals(case: Case) -> None:
    """Rule 7.4: the month's totals apart."""
    sums: dict[str, dict[str, int]] = {
        name: defaultdict(int)
        for name in ("allocated_in_month", "carried_into_month", "left_unsettled", "left_unsettled_of_older_months",
                     "distinct_transfers", "commission_by_asset")
    }  # fmt: skip
    currencies: dict[str, Decimal] = defaultdict(Decimal)
    distinct: dict[tuple[str, str, str, str | None], int] = {}
    with localcontext(prec=200):
        for row in case.out.report:
            sums["carried_into_month" if row["is_carried"] else "allocated_in_month"][row["asset"]] += row["amount"]
            if row["txid"] is None:
                sums["left_unsettled"][row["asset"]] += row["amount"]
            else:
                distinct[row["asset"], row["txid"], row["wallet"], row["payer"]] = row["transfer_amount"]
            if row["commission_asset_amount"] is not None:
                sums["commission_by_asset"][row["commission_asset"]] += row["commission_asset_amount"]
            if row["commission_currency_amount"] is not None:
                currencies[row["commission_currency"]] += Decimal(row["commission_currency_amount"])
    for debt in case.out.debts:
        if debt["date"] < case.month.first and debt["left"]:
            sums["left_unsettled_of_older_months"][debt["asset"]] += debt["left"]
    for (asset, *_), amount in distinct.items():
        sums["distinct_transfers"][asset] += amount
    printed: Row = {
        name: {asset: from_units(units, case.rules.assets[asset].decimals) for asset, units in sorted(by_asset.items())}
        for name, by_asset in sums.items()
    }
    printed["distinct_transfers_count"] = len(distinct)
    printed["commission_by_currency"] = {name: f"{amount:f}" for name, amount in sorted(currencies.items())}
    case.out.totals = printed
