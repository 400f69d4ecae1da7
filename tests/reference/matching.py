"""Three-way match: rules 4.2, 5 and 9.3 to 9.4.

Enters: a `Case` and its classed outputs. Leaves: transfers with the payments linked to each, how the two amounts are
explained, and the credits that settlement spends; `Outcome.transfers` and their issues.
"""

from __future__ import annotations

from collections import defaultdict

from pipeline.model.issues import IssueCode

from .accounts import token_ref
from .payers import payers_transfers
from .registry import Case, Row, us_date

WEEK_US = 7 * 24 * 3600 * 1_000_000


def transfers_of(case: Case, every_output: list[Row]) -> list[Row]:
    """Rule 5.1: all `payout` outputs of one transaction to one address, an asset at a time."""
    made: dict[tuple[str, str, str, str], Row] = {}
    for row in every_output:
        if row["class"] != "payout":
            continue
        block = row["block"]
        transfer = made.setdefault(
            (row["chain"], row["txid"], row["address"], row["asset"]),
            {"chain": row["chain"], "txid": row["txid"], "address": row["address"], "asset": row["asset"], "amount": 0,
             "at": block["time"], "instant": block["time"] * 1_000_000, "payer": None, "via": "", "date": row["date"], "block_hash": block["hash"], "height": block["height"],
             "transaction": row["transaction"], "payments": [], "is_replaced": False},
        )  # fmt: skip
        transfer["amount"] += row["amount"]
    return sorted(made.values(), key=lambda t: (t["at"], t["txid"], t["address"], t["asset"]))


def link_payments(case: Case, transfers: list[Row]) -> None:
    """Rule 5.2: payments to their transfers, and orphans to what replaced their transaction."""
    by_key = {(t["asset"], t["txid"], t["address"]): t for t in transfers}
    tips = {chain: max((b for b in case.facts["blocks"] if b["chain"] == chain), key=lambda b: b["height"])["time"]
            for chain in {b["chain"] for b in case.facts["blocks"]}}  # fmt: skip
    on_chain = {(t["chain"], t["txid"]) for t in case.facts["transactions"]}
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for payment in sorted(case.payments, key=lambda p: (p["paid_at"], p["payment_id"])):
        day, chain = us_date(payment["paid_at"]), case.chain_of(payment["asset"])
        payment["holder"] = case.account_holder(payment["account"], day)
        if payment["holder"] is None and case.edition == 1:  # 9.4; as the program of edition 1 read 9.2
            case.issue(IssueCode.UNKNOWN_ACCOUNT, payment["payment_id"], day, of="payment")
        key = (payment["asset"], payment["txid"], payment["address"])
        if key in by_key:
            by_key[key]["payments"].append(payment)
        elif chain not in tips or payment["paid_at"] > tips[chain] * 1_000_000:
            continue  # not judged yet
        elif (chain, payment["txid"]) in on_chain:
            case.issue(IssueCode.PAYMENT_NOT_ON_CHAIN, payment["payment_id"], day)  # seeks no replacement
        else:
            groups[key].append(payment)
    # `groups` is in the order of each group's first (paid_at, payment_id).
    for (asset, _, address), group in groups.items():
        paid_at, total = group[0]["paid_at"], sum(p["amount"] for p in group)
        fitting = [
            t for t in transfers
            if t["asset"] == asset and t["address"] == address and not t["payments"]
            and abs(t["at"] * 1_000_000 - paid_at) <= WEEK_US
            and explanation(case, t, transfers, total) != "differs"
        ]  # fmt: skip
        if len(fitting) == 1:
            fitting[0]["payments"] = group
            fitting[0]["is_replaced"] = True
            continue
        for payment in group:
            case.issue(IssueCode.PAYMENT_NOT_ON_CHAIN, payment["payment_id"], us_date(payment["paid_at"]))


def explanation(case: Case, transfer: Row, transfers: list[Row], paid: int) -> str:
    """Rule 5.3: how `paid`, the sum of the payments linked, came to be the transfer's amount."""
    difference = paid - transfer["amount"]
    if difference == 0:
        return "exact"
    transaction = transfer["transaction"]  # None: another's than the pool's, whose fee is not asked for (10.3)
    if (
        transaction is not None and not transaction["is_coinbase"] and transfer["asset"] == transaction["fee_asset"]
    ):  # 9.3: a coinbase has no fee
        differences = [
            difference if t is transfer else sum(p["amount"] for p in t["payments"]) - t["amount"]
            for t in transfers
            if (t["chain"], t["txid"], t["asset"]) == (transfer["chain"], transfer["txid"], transfer["asset"])
        ]  # 9.3: one with no payment linked counts with d = -amount
        if sum(differences) == transaction["fee"] and min(differences) >= 0:
            return "subtracted-fee"
    unit = case.rules.payout_unit.get(transfer["asset"], 1)
    if transfer["amount"] % unit == 0 and abs(difference) < unit:
        return "rounding"
    return "differs"


def explain_all(case: Case, transfers: list[Row]) -> None:
    """Rules 5.3 and 5.4 on every transfer, once all payments are linked."""
    for transfer in transfers:
        ref, of = token_ref(case, f"{transfer['txid']}:{transfer['address']}", transfer["asset"]), f"chain {transfer['chain']}"
        if not transfer["payments"]:
            transfer["explained"] = "none"
            if case.rules.has_payments_ledger:
                case.issue(IssueCode.TRANSFER_WITHOUT_PAYMENT, ref, transfer["date"], of=of)
            continue
        transfer["explained"] = explanation(case, transfer, transfers, sum(p["amount"] for p in transfer["payments"]))
        if transfer["explained"] == "differs":
            case.issue(IssueCode.PAYMENT_AMOUNT_DIFFERS, ref, transfer["date"], of=of)


def add_payers(case: Case, transfers: list[Row]) -> list[Row]:
    """The pool's transfers and the other payers', in the order of settlement (rules 6.1, 10.8)."""
    others = payers_transfers(case, lambda transfer, paid: explanation(case, transfer, [transfer], paid), us_date)
    for transfer in others:
        ref, of = f"{transfer['txid']}:{transfer['address']}", f"chain {transfer['chain']}"
        if transfer["explained"] == "differs":
            case.issue(IssueCode.PAYMENT_AMOUNT_DIFFERS, token_ref(case, ref, transfer["asset"]), transfer["date"], of=of)
        if transfer["via"]:
            proven = token_ref(case, f"{transfer['payer']}:{ref}", transfer["asset"])
            case.issue(IssueCode.TRANSFER_NOT_PROVEN, proven, transfer["date"], of=of)
    return sorted([*transfers, *others], key=lambda t: (t["instant"], t["txid"], t["address"], t["asset"], t["payer"] or ""))


def write_credits(case: Case, transfers: list[Row]) -> None:
    """Rules 4.2 and 5.5: what each transfer settles, and for whom. Fills `credits` on each transfer."""
    for transfer in transfers:
        payments = sorted(transfer["payments"], key=lambda p: p["payment_id"])
        wallet_holder = case.wallet_holder(transfer["chain"], transfer["address"], transfer["date"])
        if payments:
            for payment in payments:
                paid_on = us_date(payment["paid_at"])
                is_others = transfer["payer"] is not None and wallet_holder not in case.miners  # 10.6
                if payment["holder"] != wallet_holder and not is_others:  # 9.4: nobody against somebody is a difference
                    belongs_to = paid_on if case.edition == 1 else transfer["date"]  # 9.2
                    case.issue(IssueCode.WALLET_HOLDER_DIFFERS, payment["payment_id"], belongs_to)
                if payment["holder"] is None and case.edition > 1:
                    case.issue(IssueCode.UNKNOWN_ACCOUNT, payment["payment_id"], transfer["date"], of="payment")  # 9.2, 9.4
            amounts = [p["amount"] for p in payments]
            if transfer["explained"] == "differs":
                left = transfer["amount"]
                for n, amount in enumerate(amounts):
                    amounts[n] = min(amount, left)
                    left -= amounts[n]
                amounts[-1] += left
            credits = [
                {"miner_id": p["holder"], "account": p["account"], "payment_id": p["payment_id"], "amount": amount}
                for p, amount in zip(payments, amounts, strict=True)
                if p["holder"] is not None
            ]  # fmt: skip
        else:
            credits = [{"miner_id": wallet_holder, "account": None, "payment_id": "", "amount": transfer["amount"]}]
            # Named by a payment in another asset, with nobody holding the address: it credits nobody, as in 9.4.
            credits = [credit for credit in credits if credit["miner_id"] is not None]
        for credit in credits:
            credit["transfer"], credit["left"] = transfer, credit["amount"]
            own_ref = f"{transfer['txid']}:{transfer['address']}"
            credit["ref"] = credit["payment_id"] or (own_ref if case.edition == 1 else token_ref(case, own_ref, transfer["asset"]))
        transfer["credits"] = credits
        whose = sorted({c["miner_id"] for c in credits if c["miner_id"] is not None})
        case.out.transfers.append(
            {name: transfer[name] for name in ("chain", "txid", "address", "asset")}
            | {"miner_id": ";".join(whose), "amount": transfer["amount"],
               "credited": sum(c["amount"] for c in credits),
               "explanation": ("replaced+" if transfer["is_replaced"] else "") + transfer["explained"]}
            | {name: transfer[name] for name in ("at", "date", "block_hash", "height")}
            | {"payer": transfer["payer"]}
        )  # fmt: skip
