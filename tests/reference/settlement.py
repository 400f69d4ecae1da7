"""First in, first out: rules 4.4, 6, 7.1 and 9.2.

Enters: a `Case` and its transfers with their credits. Leaves: portions, what is left of allocations and of credits, and
the issues of both. Zero amounts make no portion.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

from pipeline.model.issues import IssueCode

from .registry import Case, Row, us_date


def debts_of(case: Case) -> list[Row]:
    """Rules 4.4, 6.4, 7.1: the allocations that settlement sees, openings among them, each with its miner."""
    empty = dict.fromkeys(("commission_asset", "commission_amount", "commission_currency", "commission_currency_amount"))
    openings = [
        {"allocation_id": f"opening:{o['account']}:{o['asset']}", "account": o["account"], "asset": o["asset"],
         "allocated_at": o["owed_at"], "amount": o["amount"], **empty}
        for o in case.facts["openings"]
    ]  # fmt: skip
    seen = []
    for allocation in [*case.facts["allocations"], *openings]:
        day = us_date(allocation["allocated_at"])
        if allocation["asset"] not in case.rules.assets or day > case.month.last:
            continue
        miner_id = case.account_holder(allocation["account"], day)
        if miner_id is None:
            case.issue(IssueCode.UNKNOWN_ACCOUNT, allocation["allocation_id"], day)
            continue
        seen.append({**allocation, "miner_id": miner_id, "date": day, "left": allocation["amount"], "portions": []})
    return sorted(seen, key=lambda a: (a["allocated_at"], a["allocation_id"]))


def start_us(case: Case, credit: Row) -> int | None:
    """Rule 6.4: the instant before which a transfer settles nothing; None when the ledger is empty."""
    asset, openings = credit["transfer"]["asset"], case.facts["openings"]
    if credit["account"] is not None:
        own: list[int] = [o["owed_at"] for o in openings if (o["account"], o["asset"]) == (credit["account"], asset)]
    else:
        own = [
            o["owed_at"] for o in openings
            if o["asset"] == asset and case.account_holder(o["account"], us_date(o["owed_at"])) == credit["miner_id"]
        ]  # fmt: skip
    if own:
        return max(own)
    instants: list[int] = [o["owed_at"] for o in openings] or [a["allocated_at"] for a in case.facts["allocations"]]
    return min(instants) if instants else None


def settle_all(case: Case, transfers: list[Row]) -> None:
    """Rules 6.1, 6.2, 7.1: first in, first out, for each miner and asset."""
    waiting: dict[tuple[str, str], list[Row]] = defaultdict(list)
    case.out.debts = debts_of(case)
    for debt in case.out.debts:
        waiting[debt["miner_id"], debt["asset"]].append(debt)
    for transfer in transfers:  # in the order of (instant, txid, address)
        if transfer["date"] > case.month.last:
            continue
        for credit in transfer["credits"]:  # in the order of payment_id
            start = start_us(case, credit)
            if start is not None and transfer["at"] * 1_000_000 < start:
                continue  # 6.4
            case.out.credits.append(credit)
            for debt in waiting[credit["miner_id"], transfer["asset"]]:
                amount = min(credit["left"], debt["left"])
                if amount == 0:
                    continue
                credit["left"] -= amount
                debt["left"] -= amount
                portion = {"debt": debt, "credit": credit, "transfer": transfer, "amount": amount}
                debt["portions"].append(portion)
                case.out.portions.append(portion)
                if transfer["at"] * 1_000_000 < debt["allocated_at"]:
                    case.issue(IssueCode.TRANSFER_BEFORE_ALLOCATION, credit["ref"], transfer["date"])  # 6.2
            if credit["left"]:
                case.issue(IssueCode.TRANSFER_EXCEEDS_ALLOCATIONS, credit["ref"])  # 6.2, 9.2: each month until used up
    check_passing(case)


def check_passing(case: Case) -> None:
    """Rule 4.4: an account passes on in the month while allocations of the first are unsettled."""
    days = [case.month.first + timedelta(n) for n in range((case.month.last - case.month.first).days + 1)]
    for (account,), rows in case.accounts.items():
        earlier = [day for row in rows for day in (row["valid_from"], row["valid_to"]) if day and day < case.month.first]
        changes = sorted(set(earlier)) + days
        last: str | None = None
        for day in changes:
            now = case.account_holder(account, day)
            if now is not None and last is not None and now != last and day >= case.month.first:
                check_passed(case, account, last, day)
            last = now if now is not None else last


def check_passed(case: Case, account: str, first: str, day: date) -> None:
    for debt in case.out.debts:
        if debt["account"] == account and debt["miner_id"] == first and debt["date"] < day:
            settled = sum(p["amount"] for p in debt["portions"] if p["transfer"]["date"] < day)
            if settled < debt["amount"]:
                case.issue(IssueCode.ACCOUNT_CHANGED_HANDS, account, day)
