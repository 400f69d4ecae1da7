"""First in, first out: rules 4.4, 6, 7.1 and 9.2.

Enters: a `Case` and its transfers with their credits. Leaves: portions, what is left of allocations and of credits, and
the issues of both. Zero amounts make no portion.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

from pipeline.model.issues import IssueCode

from .registry import Case, Row, us_date


def is_of_day_before(case: Case, opening: Row) -> bool:
    """Rule 6.4, its last sentence: an opening at 00:00 in Almaty belongs to the day that ended then."""
    if case.edition == 1 or opening["owed_at"] % 1_000_000:
        return False
    return us_date(opening["owed_at"]) != us_date(opening["owed_at"] - 1)


def date_of(allocation: Row) -> date:
    """The allocation date."""
    day = us_date(allocation["allocated_at"])
    return day - timedelta(1) if allocation.get("is_of_day_before") else day


def debts_of(case: Case) -> list[Row]:
    """Rules 4.4, 6.4, 7.1: the allocations that settlement sees, openings among them, each with its miner."""
    seen = []
    for allocation in visible(case):
        day = date_of(allocation)
        miner_id = case.account_holder(allocation["account"], us_date(allocation["allocated_at"]))  # 6.4: by the instant
        if miner_id is None:
            always = allocation["is_opening"] and case.edition > 1  # 9.2: in every month from its date on
            case.issue(IssueCode.UNKNOWN_ACCOUNT, allocation["allocation_id"], None if always else day, of="allocation")
            continue
        seen.append({**allocation, "miner_id": miner_id, "date": day, "left": allocation["amount"], "portions": []})
    return sorted(seen, key=lambda a: (a["allocated_at"], a["allocation_id"]))


def visible(case: Case) -> list[Row]:
    """Rules 6.4, 7.1: the allocations dated up to the month's end, openings among them."""
    empty = dict.fromkeys(("commission_asset", "commission_amount", "commission_currency", "commission_currency_amount"))
    openings = [
        {"allocation_id": f"opening:{o['account']}:{o['asset']}", "account": o["account"], "asset": o["asset"], "is_opening": True,
         "allocated_at": o["owed_at"], "amount": o["amount"], "is_of_day_before": is_of_day_before(case, o), **empty}
        for o in case.facts["openings"]
    ]  # fmt: skip
    every = [*({**a, "is_opening": False} for a in case.facts["allocations"]), *openings]
    return [a for a in every if a["asset"] in case.rules.assets and date_of(a) <= case.month.last]


def check_twice(case: Case) -> None:
    """Rule 4.6: one account, asset, instant and amount under different ids; the smallest names the group."""
    if case.edition == 1:
        return
    groups: dict[tuple[str, str, int, int], list[Row]] = defaultdict(list)
    for a in visible(case):
        if a["amount"] > 0:
            groups[a["account"], a["asset"], a["allocated_at"], a["amount"]].append(a)
    for group in groups.values():
        smallest = min(group, key=lambda a: str(a["allocation_id"]))
        if len({a["allocation_id"] for a in group}) > 1:
            case.issue(IssueCode.ALLOCATION_TWICE, smallest["allocation_id"], date_of(smallest))


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
    seen = [(transfer, credit) for transfer in transfers if transfer["date"] <= case.month.last for credit in transfer["credits"]]
    seen.sort(key=lambda pair: (pair[0]["instant"], pair[0]["txid"], pair[0]["address"], pair[1]["payment_id"]))  # 6.1
    for transfer, credit in seen:
        start = start_us(case, credit)
        if start is not None and transfer["instant"] < start:
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
            if transfer["instant"] < debt["allocated_at"]:
                # 6.2; 9.2: wherever a row of the month shows it, by the allocation's date, too (edition 1: by the transfer's alone)
                is_shown = case.is_in_month(transfer["date"]) or (case.edition > 1 and case.is_in_month(debt["date"]))
                if is_shown:
                    case.issue(IssueCode.TRANSFER_BEFORE_ALLOCATION, credit["ref"], of=f"chain {transfer['chain']}")
        if credit["left"]:
            case.issue(
                IssueCode.TRANSFER_EXCEEDS_ALLOCATIONS, credit["ref"], of=f"chain {transfer['chain']}"
            )  # 6.2, 9.2: each month until used up
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
                case.issue(IssueCode.ACCOUNT_CHANGED_HANDS, account if case.edition == 1 else f"{account}:{day}", day)
