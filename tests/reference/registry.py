"""Whose it is on a day, and under which licence: rules 4.1, 4.3, 4.5 and 9.6, and what every reading of a month needs.

Enters: the registry's rows. Leaves: holders, licences, and the `Case` that the other modules of the oracle read from
and write to. It leaves out what settlement decides (rule 4.4's accounts that change hands: `settlement`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from pipeline.model.issues import IssueCode
from pipeline.model.months import Month, almaty_date
from pipeline.model.rules import Rules

from .accounts import in_known_assets
from .payers import way_of

Row = dict[str, Any]
Tables = dict[str, list[Row]]


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


class Case:
    """One month being read: its facts in order, and what has been found so far."""

    def __init__(self, facts: Tables, month: Month, rules: Rules) -> None:
        self.facts, self.strangers = in_known_assets(facts, rules)
        self.month, self.rules = month, rules
        self.out = Outcome()
        self.edition = rules.edition
        self.found: list[tuple[str, str, str]] = []
        """Code, ref, and which thing it is of (an account, a wallet on a chain), as far as two things might have one ref (rule 9.8)."""
        self.miners = {row["miner_id"]: row for row in facts["miners"]}
        self.accounts = grouped(facts["accounts"], "account")
        self.wallets = grouped(facts["wallets"], "chain", "address")
        self.labels = {(row["chain"], row["address"]): row["outflow_class"] for row in facts["labels"]}
        self.blocks = {(row["chain"], row["hash"]): row for row in facts["blocks"]}
        self.inputs = grouped(self.facts["inputs"], "chain", "block_hash", "txid")
        self.outputs = grouped(self.facts["outputs"], "chain", "block_hash", "txid")
        self.payments_of_all_assets = facts["payments"]
        known = [dict(p) for p in facts["payments"] if p["asset"] in rules.assets]
        for payment in known:
            payment["way"] = way_of(self, payment)
        self.payments = [p for p in known if p["way"] in ("own", "differs")]
        self.payments_of_others = [p for p in known if p["way"] in ("on-chain", "off-chain")]
        self.of_any_form = {p["payment_id"] for p in known if p["way"] in ("unknown", "off-chain")}
        """Payments whose address is any text, or that raise no other issue (rules 10.1, 10.5)."""
        for payment in known:
            if payment["way"] in ("unknown", "differs"):
                code = IssueCode.UNKNOWN_PAYER if payment["way"] == "unknown" else IssueCode.PAYER_DIFFERS
                self.issue(code, payment["payment_id"], us_date(payment["paid_at"]))
        self.named = {(self.chain_of(p["asset"]), p["txid"], p["address"]) for p in self.payments}

    def issue(self, code: IssueCode, ref: str, day: date | None = None, *, of: str = "") -> None:
        """An issue, when the day it belongs to lies in the month (rule 9.2); None is always. `of`: the thing, `KIND` or `wallet CHAIN`."""
        if day is None or self.month.first <= day <= self.month.last:
            self.found.append((code.value, ref, of))

    def issues(self) -> list[Row]:
        """Each issue once, in order. Where two things would have one ref, `account:`, `wallet:` or the chain's name goes before it (rule 9.8)."""
        named: set[tuple[str, str]] = set()
        for code, ref, of in self.found:
            others = {other for c, r, other in self.found if (c, r) == (code, ref)}
            if self.edition == 1 or len(others) == 1:
                named.add((code, ref))
                continue
            kind, _, chain = of.partition(" ")
            has_twin = any(other != of and other.partition(" ")[0] == kind for other in others)
            named.add((code, f"{chain if has_twin or kind == 'chain' else kind}:{ref}"))
        return [{"code": code, "severity": IssueCode(code).severity.value, "ref": ref, "detail": ""} for code, ref in sorted(named)]

    def chain_of(self, asset: str) -> str:
        return self.rules.assets[asset].chain

    def account_holder(self, account: str, day: date) -> str | None:
        row = holder_row(self.accounts.get((account,), []), day)
        return row["miner_id"] if row else None

    def wallet_holder(self, chain: str, address: str | None, day: date) -> str | None:
        row = holder_row(self.wallets.get((chain, address), []), day)
        return row["miner_id"] if row else None

    def is_in_month(self, day: date) -> bool:
        return self.month.first <= day <= self.month.last


def grouped(rows: list[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return dict(groups)


def check_registry(case: Case) -> None:
    """Rules 4.1 and 4.5: overlaps on days shared with the month, and control digits, always (rule 9.2)."""
    for miner_id in case.miners:
        if not is_good_miner_id(miner_id):
            case.issue(IssueCode.BAD_MINER_ID, miner_id)
    days = [case.month.first + timedelta(n) for n in range((case.month.last - case.month.first).days + 1)]
    for key, rows in [*case.accounts.items(), *case.wallets.items()]:
        shared = [day for day in days if len({row["miner_id"] for row in rows if counts_on(row, day)}) > 1]
        if case.edition == 1:
            if shared:
                case.issue(IssueCode.REGISTRY_OVERLAP, key[-1])
            continue
        for day in shared:
            if day - timedelta(1) not in shared:  # 9.8: the first day of each unbroken run is what the ref names
                case.issue(IssueCode.REGISTRY_OVERLAP, f"{key[-1]}:{day}", of="account" if len(key) == 1 else f"wallet {key[0]}")
