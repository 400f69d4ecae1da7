"""What a source's rows mean, in shapes that msgpack carries: whole numbers of any size and fractions as text."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

from pipeline.model.issues import IssueCode

from .outputs import Credit, Item, Output, Paid
from .rows import AllocationRow, LedgerRow, PaymentRow


def pack_item(item: Item) -> list[Any]:
    return ["i", item.item, item.code.value, item.day.isoformat(), item.detail]


def unpack_item(found: list[Any]) -> Item:
    _, name, code, day, detail = found
    return Item(name, IssueCode(code), date.fromisoformat(day), detail)


def pack_output(output: Output) -> list[Any]:
    match output:
        case Item():
            return pack_item(output)
        case Credit():
            return [
                "c", output.allocation_id, output.account, output.asset, output.at, str(output.amount), None if output.commission is None else str(output.commission),
                output.commission_asset, output.currency, output.cause,
            ]  # fmt: skip
    return ["p", output.payment_id, output.account, output.asset, output.address, str(output.amount), output.txid, output.at, output.payer]


def unpack_output(found: list[Any]) -> Output:
    match found[0]:
        case "i":
            return unpack_item(found)
        case "c":
            _, name, account, asset, at, amount, commission, commission_asset, currency, cause = found
            exact = None if commission is None else Fraction(commission)
            return Credit(name, account, asset, at, Fraction(amount), exact, commission_asset, tuple(currency) if currency else None, cause)
    _, name, account, asset, address, amount, paid, at, payer = found
    return Paid(name, account, asset, address, Fraction(amount), paid, at, payer)


def pack_row(row: LedgerRow) -> list[Any]:
    if isinstance(row, AllocationRow):
        commission = None if row.commission is None else str(row.commission)
        return ["a", row.account, row.asset, row.at, str(row.amount), commission, row.commission_asset, row.currency, row.cause]
    return ["p", row.account, row.asset, row.address, str(row.amount), row.txid, row.at, row.payer]


def unpack_row(found: list[Any]) -> LedgerRow:
    if found[0] == "a":
        _, account, asset, at, amount, commission, commission_asset, currency, cause = found
        whole = None if commission is None else int(commission)
        return AllocationRow(account, asset, at, int(amount), whole, commission_asset, tuple(currency) if currency else None, cause)
    _, account, asset, address, amount, paid, at, payer = found
    return PaymentRow(account, asset, address, int(amount), paid, at, payer)
