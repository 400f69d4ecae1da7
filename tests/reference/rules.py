"""The rules once more, slowly: one dictionary at a time, to be read beside `RULES.md` and believed.

Enters: the facts by the names and columns of `pipeline.enrich.frames.SHAPES`, as lists of dictionaries (`tables_of`
makes them of frames), the month and the rules' parameters. Leaves: the tables of `pipeline.enrich.frames.Enriched`, as
lists of dictionaries with the same columns. By rules 2 to 7 and 9 (`RULES.md`). It shares nothing with the vectorised
enrichment but the nouns in `pipeline.model`, and has no thought for speed: where the two differ, one has misread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from pipeline.enrich.frames import SHAPES, Facts
from pipeline.model import ALMATY, IssueCode, Month, Rules, almaty_date, from_units

Row = dict[str, Any]
Tables = dict[str, list[Row]]
WEEK_US = 7 * 24 * 3600 * 1_000_000


def tables_of(facts: Facts) -> Tables:
    """The frames as lists of dictionaries."""
    return {name: getattr(facts, name).to_dicts() for name in SHAPES}


@dataclass
class Outcome:
    """What the rules make of a month."""

    outflows: list[Row] = field(default_factory=list)
    transfers: list[Row] = field(default_factory=list)
    balances: list[Row] = field(default_factory=list)
    report: list[Row] = field(default_factory=list)
    issues: list[Row] = field(default_factory=list)
    totals: Row = field(default_factory=dict)
    portions: list[Row] = field(default_factory=list)
    """For properties: each overlap of an allocation and a credit (rule 6.1), of all months seen."""
    credits: list[Row] = field(default_factory=list)
    """For properties: every credit that settlement sees, with `left` unused."""
    debts: list[Row] = field(default_factory=list)
    """For properties: every allocation that settlement sees, with `left` unsettled."""


def apply_rules(facts: Tables, month: Month, rules: Rules) -> Outcome:
    """Rules 3 to 7 over the facts of a month."""
    return _Reading(facts, month, rules).run()


def us_date(at_us: int) -> date:
    """The day in Almaty of an instant in microseconds (rule 1.2)."""
    return almaty_date(at_us // 1_000_000)


def is_good_miner_id(text: str) -> bool:
    """Rule 4.5: twelve digits of which the last is the control digit."""
    if len(text) != 12 or any(c not in "0123456789" for c in text):
        return False
    digits = [int(c) for c in text]
    for weights in ((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)):
        control = sum(w * d for w, d in zip(weights, digits[:11], strict=True)) % 11
        if control < 10:
            return control == digits[11]
    return False


def counts_on(row: Row, day: date) -> bool:
    """Rule 4.1: a row counts on day D when valid_from <= D < valid_to; an empty end is open."""
    return row["valid_from"] <= day and (row["valid_to"] is None or day < row["valid_to"])


def holder_row(rows: Iterable[Row], day: date) -> Row | None:
    """Rules 4.1, 9.6: the row that counts; on an overlap the latest valid_from, then the smallest id."""
    counting = [row for row in rows if counts_on(row, day)]
    if not counting:
        return None
    latest = max(row["valid_from"] for row in counting)
    return min((row for row in counting if row["valid_from"] == latest), key=lambda row: row["miner_id"])


def licence_on(licences: list[Row], day: date) -> tuple[Row | None, bool]:
    """Rule 4.3: the licence to show on a day, and whether it is in force then. Numbers compare as text (9.6)."""

    def newest(rows: list[Row]) -> Row | None:
        return max(rows, key=lambda row: (row["issue_date"], row["licence_number"])) if rows else None

    def is_suspended(row: Row) -> bool:
        start, end = row["suspended_from"], row["suspended_to"]
        return start is not None and start <= day and (end is None or day < end)

    in_force = newest([row for row in licences if counts_on(row, day) and not is_suspended(row)])
    if in_force is not None:
        return in_force, True
    return newest([row for row in licences if row["issue_date"] <= day]), False


class _Reading:
    """One month being read; each method is a rule or two."""

    def __init__(self, facts: Tables, month: Month, rules: Rules) -> None:
        self.facts, self.month, self.rules = facts, month, rules
        self.out = Outcome()
        self.found: dict[tuple[str, str], Row] = {}
        self.miners = {row["miner_id"]: row for row in facts["miners"]}
        self.accounts = _grouped(facts["accounts"], "account")
        self.wallets = _grouped(facts["wallets"], "chain", "address")
        self.labels = {(row["chain"], row["address"]): row["outflow_class"] for row in facts["labels"]}
        self.blocks = {(row["chain"], row["hash"]): row for row in facts["blocks"]}
        self.inputs = _grouped(facts["inputs"], "chain", "block_hash", "txid")
        self.outputs = _grouped(facts["outputs"], "chain", "block_hash", "txid")
        self.payments = [p for p in facts["payments"] if p["asset"] in rules.assets]
        self.named = {(self.chain_of(p["asset"]), p["txid"], p["address"]) for p in self.payments}

    def run(self) -> Outcome:
        every_output = self.classify()
        self.balance()
        self.check_registry()
        transfers = self.transfers(every_output)
        self.link(transfers)
        self.explain(transfers)
        self.credit(transfers)
        self.settle(transfers)
        self.report()
        self.out.issues = [self.found[key] for key in sorted(self.found)]
        return self.out

    def issue(self, code: IssueCode, ref: str, day: date | None = None, detail: str = "") -> None:
        """An issue, when the day it belongs to lies in the month (rule 9.2); None is always."""
        if day is None or self.month.first <= day <= self.month.last:
            self.found.setdefault(
                (code.value, ref), {"code": code.value, "severity": code.severity.value, "ref": ref, "detail": detail}
            )  # fmt: skip

    def chain_of(self, asset: str) -> str:
        return self.rules.assets[asset].chain

    def account_holder(self, account: str, day: date) -> str | None:
        row = holder_row(self.accounts.get((account,), []), day)
        return row["miner_id"] if row else None

    def wallet_holder(self, chain: str, address: str | None, day: date) -> str | None:
        row = holder_row(self.wallets.get((chain, address), []), day)
        return row["miner_id"] if row else None

    # --- rule 3: what leaves the pool ------------------------------------------------------------------------------

    def classify(self) -> list[Row]:
        """Rules 3, 3.1 to 3.3, 3.5: a class for every output of the pool's transactions, and a row for each fee."""
        every: list[Row] = []
        for transaction in self.facts["transactions"]:
            place = (transaction["chain"], transaction["block_hash"], transaction["txid"])
            block = self.blocks[place[:2]]
            day = almaty_date(block["time"])
            inputs, outputs = self.inputs.get(place, []), self.outputs.get(place, [])
            pays_pool = any(output["wallet"] is not None for output in outputs)
            if not (pays_pool if transaction["is_coinbase"] else inputs):
                continue  # 3.1: a coinbase that pays no pool wallet is not ours; 3.3: nor what strangers pay
            if transaction["other_inputs"] and not transaction["is_coinbase"]:
                self.issue(IssueCode.MIXED_INPUTS, transaction["txid"], day)  # 3.2
            base = {"chain": place[0], "txid": place[2], "block_height": block["height"], "date": day}
            if not transaction["is_coinbase"]:
                every.append(
                    base | {"vout": -1, "address": None, "asset": transaction["fee_asset"], "amount": transaction["fee"], "class": "fee",
                            "transaction": transaction, "block": block}
                )  # fmt: skip
            for output in outputs:
                kind = self.outflow_class(output, outputs, transaction, day)
                if kind == "unknown":
                    self.issue(IssueCode.UNKNOWN_OUTFLOW, f"{place[2]}:{output['vout']}", day)  # 3.5
                every.append(
                    base | {"vout": output["vout"], "address": output["address"], "asset": output["asset"], "amount": output["value"],
                            "class": kind, "transaction": transaction, "block": block}
                )  # fmt: skip
        every.sort(key=lambda row: (row["chain"], row["block_height"], row["txid"], row["vout"]))
        columns = ("chain", "txid", "vout", "address", "asset", "amount", "class", "block_height", "date")
        self.out.outflows = [
            {name: row[name] for name in columns} for row in every if self.month.first <= row["date"] <= self.month.last
        ]  # fmt: skip
        return every

    def outflow_class(self, output: Row, outputs: list[Row], transaction: Row, day: date) -> str:
        """The table of rule 3, from the top: the first that matches wins."""
        if _is_data(output):
            return "data"
        if output["wallet"] is not None:
            if transaction["is_coinbase"]:
                return "reward"  # 3.1
            strangers = [other for other in outputs if other["wallet"] is None and not _is_data(other)]
            return "change" if strangers else "internal"  # 9.1: beside OP_RETURN only, `internal`
        chain, address = output["chain"], output["address"]
        if address is not None:
            # 9.1: registered is present in `miners` and holding the address on that chain.
            if self.wallet_holder(chain, address, day) in self.miners:
                return "payout"
            if (chain, output["txid"], address) in self.named:
                return "payout"
            if (chain, address) in self.labels:
                return self.labels[chain, address]
        return "unknown"

    # --- rule 3.4: the proof by balance ----------------------------------------------------------------------------

    def last_height(self, chain: str, month: Month) -> int:
        """Height of the month's last block: the highest of the main chain dated in the month or before it; -1 for none."""
        heights = [b["height"] for b in self.facts["blocks"] if b["chain"] == chain and almaty_date(b["time"]) <= month.last]
        return max(heights, default=-1)

    def balance(self) -> None:
        """Rule 3.4 for each wallet and asset, by height; fees of mixed inputs are shared (rule 9.5)."""
        before = {chain: self.last_height(chain, self.month.previous) for chain in {b["chain"] for b in self.facts["blocks"]}}
        after = {chain: self.last_height(chain, self.month) for chain in before}
        spent_at: dict[tuple[str, str, int, str], int] = {}
        sums: dict[tuple[str, str], Row] = {}

        def line(wallet: str, asset: str) -> Row:
            zeros = dict.fromkeys(("opening", "in", "out", "fee", "closing", "unspent"), 0)
            return sums.setdefault((wallet, asset), {"wallet": wallet, "asset": asset, **zeros})

        def height(row: Row) -> int:
            return int(self.blocks[row["chain"], row["block_hash"]]["height"])

        for spend in self.facts["inputs"]:
            spent_at[spend["chain"], spend["spent_txid"], spend["spent_vout"], spend["asset"]] = height(spend)
            if before[spend["chain"]] < height(spend) <= after[spend["chain"]]:
                line(spend["wallet"], spend["asset"])["out"] += spend["value"]
        for output in self.facts["outputs"]:
            chain, born = output["chain"], height(output)
            if output["wallet"] is None or born > after[chain]:
                continue
            entry = line(output["wallet"], output["asset"])
            gone = spent_at.get((chain, output["txid"], output["vout"], output["asset"]))
            if born > before[chain]:
                entry["in"] += output["value"]
            elif gone is None or gone > before[chain]:
                entry["opening"] += output["value"]
            if gone is None or gone > after[chain]:
                entry["unspent"] += output["value"]
        for transaction in self.facts["transactions"]:
            if before[transaction["chain"]] < height(transaction) <= after[transaction["chain"]]:
                for wallet, share in self.fee_shares(transaction).items():
                    entry = line(wallet, transaction["fee_asset"])
                    entry["fee"] += share
                    entry["out"] -= share
        for entry in sums.values():
            entry["closing"] = entry["opening"] + entry["in"] - entry["out"] - entry["fee"]
            if entry["closing"] != entry["unspent"]:
                self.issue(IssueCode.WALLET_DOES_NOT_BALANCE, entry["wallet"])
        self.out.balances = [sums[key] for key in sorted(sums)]

    def fee_shares(self, transaction: Row) -> dict[str, int]:
        """Rule 9.5: the fee over the inputs' values, a wallet a party, strangers one party, the remainder to the largest."""
        place = (transaction["chain"], transaction["block_hash"], transaction["txid"])
        parties: dict[str | None, int] = defaultdict(int)
        for spend in self.inputs.get(place, []):
            if spend["asset"] == transaction["fee_asset"]:
                parties[spend["wallet"]] += spend["value"]
        total_ours = sum(parties.values())
        if transaction["is_coinbase"] or not total_ours:
            return {}
        if transaction["other_inputs"]:
            parties[None] = transaction["other_inputs_value"]
        total = sum(parties.values())
        shares = {party: transaction["fee"] * value // total for party, value in parties.items()}
        largest = min(parties, key=lambda party: (-parties[party], party is None, party or ""))
        shares[largest] += transaction["fee"] - sum(shares.values())
        return {party: share for party, share in shares.items() if party is not None}

    # --- rule 4: whose it is ---------------------------------------------------------------------------------------

    def check_registry(self) -> None:
        """Rules 4.1 and 4.5: overlaps on days shared with the month, and control digits, always (rule 9.2)."""
        for miner_id in self.miners:
            if not is_good_miner_id(miner_id):
                self.issue(IssueCode.BAD_MINER_ID, miner_id)
        days = [self.month.first + timedelta(n) for n in range((self.month.last - self.month.first).days + 1)]
        for key, rows in [*self.accounts.items(), *self.wallets.items()]:
            if any(len({row["miner_id"] for row in rows if counts_on(row, day)}) > 1 for day in days):
                self.issue(IssueCode.REGISTRY_OVERLAP, key[-1])

    # --- rule 5: allocation, payment, transfer ---------------------------------------------------------------------

    def transfers(self, every_output: list[Row]) -> list[Row]:
        """Rule 5.1: all `payout` outputs of one transaction to one address, an asset at a time."""
        made: dict[tuple[str, str, str, str], Row] = {}
        for row in every_output:
            if row["class"] != "payout":
                continue
            block = row["block"]
            transfer = made.setdefault(
                (row["chain"], row["txid"], row["address"], row["asset"]),
                {"chain": row["chain"], "txid": row["txid"], "address": row["address"], "asset": row["asset"], "amount": 0,
                 "at": block["time"], "date": row["date"], "block_hash": block["hash"], "height": block["height"],
                 "transaction": row["transaction"], "payments": [], "is_replaced": False},
            )  # fmt: skip
            transfer["amount"] += row["amount"]
        return sorted(made.values(), key=lambda t: (t["at"], t["txid"], t["address"], t["asset"]))

    def link(self, transfers: list[Row]) -> None:
        """Rule 5.2: payments to their transfers, and orphans to what replaced their transaction."""
        by_key = {(t["asset"], t["txid"], t["address"]): t for t in transfers}
        tips = {chain: max((b for b in self.facts["blocks"] if b["chain"] == chain), key=lambda b: b["height"])["time"]
                for chain in {b["chain"] for b in self.facts["blocks"]}}  # fmt: skip
        on_chain = {(t["chain"], t["txid"]) for t in self.facts["transactions"]}
        groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for payment in sorted(self.payments, key=lambda p: (p["paid_at"], p["payment_id"])):
            day, chain = us_date(payment["paid_at"]), self.chain_of(payment["asset"])
            payment["holder"] = self.account_holder(payment["account"], day)
            if payment["holder"] is None:
                self.issue(IssueCode.UNKNOWN_ACCOUNT, payment["payment_id"], day)  # 9.4
            key = (payment["asset"], payment["txid"], payment["address"])
            if key in by_key:
                by_key[key]["payments"].append(payment)
            elif chain not in tips or payment["paid_at"] > tips[chain] * 1_000_000:
                continue  # not judged yet
            elif (chain, payment["txid"]) in on_chain:
                self.issue(IssueCode.PAYMENT_NOT_ON_CHAIN, payment["payment_id"], day)  # seeks no replacement
            else:
                groups[key].append(payment)
        # `groups` is in the order of each group's first (paid_at, payment_id).
        for (asset, _, address), group in groups.items():
            paid_at, total = group[0]["paid_at"], sum(p["amount"] for p in group)
            fitting = [
                t for t in transfers
                if t["asset"] == asset and t["address"] == address and not t["payments"]
                and abs(t["at"] * 1_000_000 - paid_at) <= WEEK_US
                and self.explanation(t, transfers, total) != "differs"
            ]  # fmt: skip
            if len(fitting) == 1:
                fitting[0]["payments"] = group
                fitting[0]["is_replaced"] = True
                continue
            for payment in group:
                self.issue(IssueCode.PAYMENT_NOT_ON_CHAIN, payment["payment_id"], us_date(payment["paid_at"]))

    def explanation(self, transfer: Row, transfers: list[Row], paid: int) -> str:
        """Rule 5.3: how `paid`, the sum of the payments linked, came to be the transfer's amount."""
        difference = paid - transfer["amount"]
        if difference == 0:
            return "exact"
        transaction = transfer["transaction"]
        if not transaction["is_coinbase"] and transfer["asset"] == transaction["fee_asset"]:  # 9.3: a coinbase has no fee
            differences = [
                difference if t is transfer else sum(p["amount"] for p in t["payments"]) - t["amount"]
                for t in transfers
                if (t["chain"], t["txid"], t["asset"]) == (transfer["chain"], transfer["txid"], transfer["asset"])
            ]  # 9.3: one with no payment linked counts with d = -amount
            if sum(differences) == transaction["fee"] and min(differences) >= 0:
                return "subtracted-fee"
        unit = self.rules.payout_unit.get(transfer["asset"], 1)
        if transfer["amount"] % unit == 0 and abs(difference) < unit:
            return "rounding"
        return "differs"

    def explain(self, transfers: list[Row]) -> None:
        """Rules 5.3 and 5.4 on every transfer, once all payments are linked."""
        for transfer in transfers:
            ref = f"{transfer['txid']}:{transfer['address']}"
            if not transfer["payments"]:
                transfer["explained"] = "none"
                if self.rules.has_payments_ledger:
                    self.issue(IssueCode.TRANSFER_WITHOUT_PAYMENT, ref, transfer["date"])
                continue
            transfer["explained"] = self.explanation(transfer, transfers, sum(p["amount"] for p in transfer["payments"]))
            if transfer["explained"] == "differs":
                self.issue(IssueCode.PAYMENT_AMOUNT_DIFFERS, ref, transfer["date"])

    def credit(self, transfers: list[Row]) -> None:
        """Rules 4.2 and 5.5: what each transfer settles, and for whom. Fills `credits` on each transfer."""
        for transfer in transfers:
            payments = sorted(transfer["payments"], key=lambda p: p["payment_id"])
            wallet_holder = self.wallet_holder(transfer["chain"], transfer["address"], transfer["date"])
            if payments:
                for payment in payments:
                    if payment["holder"] != wallet_holder:  # 9.4: nobody against somebody is a difference
                        self.issue(IssueCode.WALLET_HOLDER_DIFFERS, payment["payment_id"], us_date(payment["paid_at"]))
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
            for credit in credits:
                credit["transfer"], credit["left"] = transfer, credit["amount"]
                credit["ref"] = credit["payment_id"] or f"{transfer['txid']}:{transfer['address']}"
            transfer["credits"] = credits
            whose = sorted({c["miner_id"] for c in credits if c["miner_id"] is not None})
            self.out.transfers.append(
                {name: transfer[name] for name in ("chain", "txid", "address", "asset")}
                | {"miner_id": ";".join(whose) if whose else None, "amount": transfer["amount"],
                   "credited": sum(c["amount"] for c in credits),
                   "explanation": ("replaced+" if transfer["is_replaced"] else "") + transfer["explained"]}
                | {name: transfer[name] for name in ("at", "date", "block_hash", "height")}
            )  # fmt: skip

    # --- rule 6: settlement ----------------------------------------------------------------------------------------

    def debts(self) -> list[Row]:
        """Rules 4.4, 6.4, 7.1: the allocations that settlement sees, openings among them, each with its miner."""
        empty = dict.fromkeys(("commission_asset", "commission_amount", "commission_currency", "commission_currency_amount"))
        openings = [
            {"allocation_id": f"opening:{o['account']}:{o['asset']}", "account": o["account"], "asset": o["asset"],
             "allocated_at": o["owed_at"], "amount": o["amount"], **empty}
            for o in self.facts["openings"]
        ]  # fmt: skip
        seen = []
        for allocation in [*self.facts["allocations"], *openings]:
            day = us_date(allocation["allocated_at"])
            if allocation["asset"] not in self.rules.assets or day > self.month.last:
                continue
            miner_id = self.account_holder(allocation["account"], day)
            if miner_id is None:
                self.issue(IssueCode.UNKNOWN_ACCOUNT, allocation["allocation_id"], day)
                continue
            seen.append({**allocation, "miner_id": miner_id, "date": day, "left": allocation["amount"], "portions": []})
        return sorted(seen, key=lambda a: (a["allocated_at"], a["allocation_id"]))

    def start_us(self, credit: Row) -> int | None:
        """Rule 6.4: the instant before which a transfer settles nothing; None when the ledger is empty."""
        asset, openings = credit["transfer"]["asset"], self.facts["openings"]
        if credit["account"] is not None:
            own = [o["owed_at"] for o in openings if (o["account"], o["asset"]) == (credit["account"], asset)]
        else:
            own = [
                o["owed_at"] for o in openings
                if o["asset"] == asset and self.account_holder(o["account"], us_date(o["owed_at"])) == credit["miner_id"]
            ]  # fmt: skip
        if own:
            return max(own)
        instants = [o["owed_at"] for o in openings] or [a["allocated_at"] for a in self.facts["allocations"]]
        return min(instants, default=None)

    def settle(self, transfers: list[Row]) -> None:
        """Rules 6.1, 6.2, 7.1: first in, first out, for each miner and asset."""
        waiting: dict[tuple[str, str], list[Row]] = defaultdict(list)
        self.out.debts = self.debts()
        for debt in self.out.debts:
            waiting[debt["miner_id"], debt["asset"]].append(debt)
        for transfer in transfers:  # in the order of (instant, txid, address)
            if transfer["date"] > self.month.last:
                continue
            for credit in transfer["credits"]:  # in the order of payment_id
                start = self.start_us(credit)
                if start is not None and transfer["at"] * 1_000_000 < start:
                    continue  # 6.4
                self.out.credits.append(credit)
                for debt in waiting[credit["miner_id"], transfer["asset"]]:
                    amount = min(credit["left"], debt["left"])
                    if amount == 0:
                        continue
                    credit["left"] -= amount
                    debt["left"] -= amount
                    portion = {"debt": debt, "credit": credit, "transfer": transfer, "amount": amount}
                    debt["portions"].append(portion)
                    self.out.portions.append(portion)
                    if transfer["at"] * 1_000_000 < debt["allocated_at"]:
                        self.issue(IssueCode.TRANSFER_BEFORE_ALLOCATION, credit["ref"], transfer["date"])  # 6.2
                if credit["left"]:
                    self.issue(IssueCode.TRANSFER_EXCEEDS_ALLOCATIONS, credit["ref"])  # 6.2, 9.2: each month until used up
        self.check_passing()

    def check_passing(self) -> None:
        """Rule 4.4: an account passes on in the month while allocations of the first are unsettled."""
        days = [self.month.first + timedelta(n) for n in range((self.month.last - self.month.first).days + 1)]
        for (account,), rows in self.accounts.items():
            earlier = [day for row in rows for day in (row["valid_from"], row["valid_to"]) if day and day < self.month.first]
            changes = sorted(set(earlier)) + days
            last: str | None = None
            for day in changes:
                now = self.account_holder(account, day)
                if now is not None and last is not None and now != last and day >= self.month.first:
                    self.check_passed(account, last, day)
                last = now if now is not None else last

    def check_passed(self, account: str, first: str, day: date) -> None:
        for debt in self.out.debts:
            if debt["account"] == account and debt["miner_id"] == first and debt["date"] < day:
                settled = sum(p["amount"] for p in debt["portions"] if p["transfer"]["date"] < day)
                if settled < debt["amount"]:
                    self.issue(IssueCode.ACCOUNT_CHANGED_HANDS, account, day)

    # --- rule 7: the rows ------------------------------------------------------------------------------------------

    def is_in_month(self, day: date) -> bool:
        return self.month.first <= day <= self.month.last

    def report(self) -> None:
        """Rules 7.2 to 7.5: the month's rows in order, and its totals apart."""
        rows: list[tuple[tuple[Any, ...], Row]] = []
        for debt in self.out.debts:
            rows.extend(self.rows_of(debt))
        rows.sort(key=lambda pair: pair[0])
        for n, (_, row) in enumerate(rows, 1):
            self.out.report.append({"n": n, **row})
        self.total()

    def rows_of(self, debt: Row) -> list[tuple[tuple[Any, ...], Row]]:
        """The rows of one allocation, each with its place in the order (rule 7.5)."""
        merged: dict[tuple[str, str], Row] = {}  # 7.3: one allocation and one transfer are one row
        for portion in debt["portions"]:
            transfer = portion["transfer"]
            if self.is_in_month(debt["date"]) or self.is_in_month(transfer["date"]):
                entry = merged.setdefault((transfer["txid"], transfer["address"]), {"transfer": transfer, "amount": 0})
                entry["amount"] += portion["amount"]
        entries = sorted(merged.values(), key=lambda e: (e["transfer"]["at"], e["transfer"]["txid"], e["transfer"]["address"]))
        if self.is_in_month(debt["date"]) and (debt["left"] or not entries):
            entries.append({"transfer": None, "amount": debt["left"]})  # 7.2
        rows = []
        for place, entry in enumerate(entries):
            has_commission = place == 0 and self.is_in_month(debt["date"])  # 7.4
            order = (debt["miner_id"], debt["date"], debt["allocation_id"], place)
            rows.append((order, self.row(debt, entry, has_commission)))
        return rows

    def row(self, debt: Row, entry: Row, has_commission: bool) -> Row:
        """The columns of rule 7.3's table."""
        day, transfer = debt["date"], entry["transfer"]
        licences = [row for row in self.facts["licences"] if row["miner_id"] == debt["miner_id"]]
        licence, is_in_force = licence_on(licences, day)
        if not is_in_force:
            self.issue(IssueCode.LICENCE_NOT_IN_FORCE, f"{debt['miner_id']}:{day}")  # 4.3, 9.2
        miner = self.miners.get(debt["miner_id"])
        return {
            "miner_id": debt["miner_id"],
            "miner_name": miner["name"] if miner else None,
            "licence_number": licence["licence_number"] if licence else None,
            "licence_issue_date": licence["issue_date"] if licence else None,
            "wallet": transfer["address"] if transfer else self.wallet_of(debt["miner_id"], self.chain_of(debt["asset"]), day),
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
            "is_carried": day < self.month.first,
        }

    def wallet_of(self, miner_id: str, chain: str, day: date) -> str | None:
        """Column 6 of an unsettled row: of several wallets the latest valid_from, then the smallest address."""
        held = []
        for (on_chain, address), rows in self.wallets.items():
            row = holder_row(rows, day)
            if on_chain == chain and row is not None and row["miner_id"] == miner_id:
                held.append((row["valid_from"], address))
        latest = max((start for start, _ in held), default=None)
        return min((address for start, address in held if start == latest), default=None)

    def total(self) -> None:
        """Rule 7.4: the month's totals apart."""
        sums: dict[str, dict[str, int]] = {
            name: defaultdict(int)
            for name in ("allocated_in_month", "carried_into_month", "left_unsettled", "left_unsettled_of_older_months",
                         "distinct_transfers", "commission_by_asset")
        }  # fmt: skip
        currencies: dict[str, Decimal] = defaultdict(Decimal)
        distinct: dict[tuple[str, str, str], int] = {}
        with localcontext(prec=200):
            for row in self.out.report:
                sums["carried_into_month" if row["is_carried"] else "allocated_in_month"][row["asset"]] += row["amount"]
                if row["txid"] is None:
                    sums["left_unsettled"][row["asset"]] += row["amount"]
                else:
                    distinct[row["asset"], row["txid"], row["wallet"]] = row["transfer_amount"]
                if row["commission_asset_amount"] is not None:
                    sums["commission_by_asset"][row["commission_asset"]] += row["commission_asset_amount"]
                if row["commission_currency_amount"] is not None:
                    currencies[row["commission_currency"]] += Decimal(row["commission_currency_amount"])
        for debt in self.out.debts:
            if debt["date"] < self.month.first and debt["left"]:
                sums["left_unsettled_of_older_months"][debt["asset"]] += debt["left"]
        for (asset, _, _), amount in distinct.items():
            sums["distinct_transfers"][asset] += amount
        printed: Row = {
            name: {asset: from_units(units, self.rules.assets[asset].decimals) for asset, units in sorted(by_asset.items())}
            for name, by_asset in sums.items()
        }
        printed["distinct_transfers_count"] = len(distinct)
        printed["commission_by_currency"] = {name: f"{amount:f}" for name, amount in sorted(currencies.items())}
        self.out.totals = printed


def _is_data(output: Row) -> bool:
    return output["value"] == 0 and output["script_type"] == "nulldata"


def _grouped(rows: list[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return dict(groups)


def month_start_us(month: Month) -> int:
    """The first instant of the month, microseconds (rules 1.1, 1.2)."""
    return int(datetime.combine(month.first, datetime.min.time(), ALMATY).timestamp()) * 1_000_000
